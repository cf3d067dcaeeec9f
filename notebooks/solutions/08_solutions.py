# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,-all
#     formats: ipynb,py:percent
#     notebook_metadata_filter: kernelspec,jupytext
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Solutions to notebook 8
#
# Needs a clone of the authors' repository and the outputs that notebook 8 computed, and trains nothing.

# %% tags=["parameters"]
profile: str = "authors"    # name of the run whose files are used
clone: str = ""             # folder of the authors' repository; "": beside MNIST

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from dcpriv_lib import metrics, parameters
from dcpriv_lib.attacks import lira, signals
from dcpriv_lib.attacks.shadow_models import shadow_split
from dcpriv_lib.external import authors
from dcpriv_lib.results import plots, tables
from dcpriv_lib.study import Study

chosen = parameters.check(globals())
published = authors.find(clone)
study = Study.divide(dataset="mnist", seed=0, pixels="raw", **chosen)

# %%
targets, shadows = (
    authors.models(study.split, study.device, study.computed_once, published, weights)
    for weights in (authors.TARGETS, authors.SHADOWS))
original, shadows = targets.named("original")[0], shadows.logits         # [models, N, classes]
pool, is_member = study.pool, study.is_member
labels, other_labels = study.labels[pool].numpy(), study.labels[study.attacker].numpy()

# %% [markdown]
# ## Exercise 1
#
# Call everybody a member whom the original model gets right.

# %%
says_member = original[pool].argmax(axis=1) == labels
right = metrics.rate(int((says_member == is_member).sum()), len(pool))
print("right:", tables.percent(*right))
print(f"says 'member' to {says_member[is_member].mean():.2%} of the members and to "
      f"{says_member[~is_member].mean():.2%} of the non-members")

# %% [markdown]
# This attack needs no shadow model and no training, and is right about as often as the paper's. It makes no mistake about
# members, since the model makes none. All it uses is that whoever is misclassified was no member.

# %% [markdown]
# ## Exercise 2
#
# Offline LiRA with the first so many of the authors' shadow models, on the original.

# %%
phi = np.stack([signals.logit_confidence(logits[pool], labels)
                for logits in shadows])                                  # [models, n]
target_phi = signals.logit_confidence(original[pool], labels)

def found_with(first):
    nobody = np.zeros((first, len(pool)), dtype=bool)
    score = lira.offline(phi[:first], nobody, target_phi, fixed_variance=True)
    auc = metrics.auc(score, is_member, study.rng("few"))
    tpr = metrics.tpr_at_fpr(score, is_member, 0.001, study.rng("few"))
    return {"AUC": tables.percent(*auc), "TPR at 0.1 % FPR": tables.percent(*tpr)}

pd.DataFrame({first: found_with(first) for first in (2, 4, 6, 8, 10)}).T.rename_axis("models")

# %% [markdown]
# Two models already find more than one rule for everybody does. From four on these intervals show no further gain: the
# spread is one for all images, so a few models are enough for the mean.

# %% [markdown]
# ## Exercise 3
#
# The shadow models as targets. Their lists of members were drawn independently of each other, so unlike the pairs of notebook 6
# nobody has to be left out with the one that is attacked.

# %%
splits = [shadow_split(study.attacker, authors.DS, j) for j in range(len(shadows))]
inside = np.array([np.isin(study.attacker, members) for members, _ in splits])
phi = np.stack([signals.logit_confidence(logits[study.attacker], other_labels)
                for logits in shadows])                                  # [models, m] each
auc, tpr = [], []
for j in range(len(shadows)):
    others = np.arange(len(shadows)) != j
    both = inside[others].any(axis=0) & (~inside[others]).any(axis=0)    # in some, out of some
    score = lira.online(phi[others][:, both], inside[others][:, both], phi[j, both],
                        fixed_variance=True)
    auc.append(metrics.auc(score, inside[j, both], study.rng("shadow", j)))
    tpr.append(metrics.tpr_at_fpr(score, inside[j, both], 0.001, study.rng("shadow tpr", j)))

# %%
names = [f"shadow model {j}" for j in range(len(shadows))]
figure, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True)
for ax, found, guess, title in zip(axes, (auc, tpr), (50, 0.1),
                                   ("AUC (%)", "members found at 0.1 % FPR (%)")):
    plots.intervals(ax, *100 * np.transpose(found), names, plots.MEMBER)
    ax.axvline(guess, color="0.6", linestyle=":", linewidth=1)
    ax.set_xlabel(title)
plots.show(figure, "solution_shadow_targets",
           "LiRA's AUC on each of the authors' shadow models, and how many members it finds at "
           "0.1 % FPR: every interval lies above chance.")

# %% [markdown]
# It holds for all ten, and more so than for the original, since online LiRA also has models *with* each image. The models
# are each other's references, so the ten intervals are not independent of each other. All ten lie far above the dotted
# lines, and that does not depend on it.
