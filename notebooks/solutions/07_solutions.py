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
# # Solutions to notebook 7
#
# Needs the files of notebooks 1, 2, 6 and 7 of the same profile. Exercise 3 condenses once.

# %% tags=["parameters"]
profile: str = "quick"      # name of the run whose files are used
dataset: str = "digits"     # must be what 01_data_split divided
seed: int = 0               # must be what 01_data_split used
most_iterations: int = 12   # of the condensation in exercise 3, at most those of notebook 2

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

from dcpriv_lib import condensation, lira, metrics, parameters, plots, signals, tables
from dcpriv_lib.shadow import membership_matrix
from dcpriv_lib.study import Study

study = Study(**parameters.check(globals()))

# %%
targets, references, informed = map(study.load, ("targets", "references", "informed"))
control_ipc = informed.settings["parameters"]["control_ipc"]
M, pool, is_member = study.members, study.pool, study.is_member
labels = study.labels[pool].numpy()

# %% [markdown]
# ## Exercise 1
#
# How does the informed attacker's AUC grow with the number of models?

# %%
keep = membership_matrix(len(pool), len(references), study.rng("pool"))[:len(informed)]
phi = np.stack([signals.logit_confidence(logits[pool], labels) for logits in informed.logits])
target_logits = targets.named(f"condensed-{control_ipc}")[0][pool]
target_phi = signals.logit_confidence(target_logits, labels)

# %%
def informed_with(first):
    score = lira.online(phi[:first], keep[:first], target_phi, fixed_variance=True)
    return tables.percent(*metrics.auc(score, is_member, study.rng("informed", first)))

counts = range(4, len(phi) + 1, 2)
pd.Series({first: informed_with(first) for first in counts}, name="AUC").rename_axis("models")

# %% [markdown]
# If there were much to find, the AUC would rise with every pair of models, as that of the original does in exercise 1 of
# notebook 6. Numbers that do not rise say that more models of this kind would not help this attack. The intervals show
# the uncertainty of each number, not of the differences between rows: all rows are judged on the same people.

# %% [markdown]
# ## Exercise 2
#
# The images themselves as the leak: score by minus the distance to the nearest synthetic image of the same class.

# %%
synthetic = study.load("condensed_sets")[f"ipc{control_ipc}-set0"]
synthetic_labels = np.repeat(np.arange(len(study.classes)), control_ipc)
distance = cdist(study.images[pool].flatten(1), synthetic.reshape(len(synthetic), -1))
distance[labels[:, None] != synthetic_labels] = np.inf
score = -distance.min(axis=1)
print("AUC", tables.percent(*metrics.auc(score, is_member, study.rng("distance attack"))))
print("TPR at 1 % FPR", tables.percent(*metrics.tpr_at_fpr(score, is_member, 0.01)))

# %% [markdown]
# The images show what all members of a class have in common, non-members too, and so their nearest neighbours say
# little about membership. An attack on the images is nevertheless the right thing to try where they are published.

# %% [markdown]
# ## Exercise 3
#
# Start from real images: how long do the synthetic images stay next to them?

# %%
settings = study.settings_of(control_ipc)
settings = replace(settings, start="real", iterations=min(most_iterations, settings.iterations))
condensed = study.condense("solution", {"start": (M, settings)})["start"]
start = condensed["started_from"][:, 0]                                      # rows of members
stages = condensation.stages(condensed, settings.iterations)                 # iteration: images

# %%
def recovered(snapshot):
    distance = cdist(snapshot.flatten(1), study.images[M].flatten(1))
    return metrics.rate(int((M[distance.argmin(1)] == start).sum()), len(start))

share, low, high = 100 * np.array([recovered(snapshot) for snapshot in stages.values()]).T
figure, ax = plt.subplots(figsize=(5, 3))
ax.errorbar(list(stages), share, (share - low, high - share), marker="o", capsize=3)
ax.set(xlabel="iterations", ylabel="nearest member is its start (%)", ylim=(0, 105))
plt.show()

# %% [markdown]
# At the start all of them are published images. The curve shows how many updates, with this step size, it takes to move
# away; with the paper's small step and few iterations it would be many more. Whoever starts from real images should
# look at this curve before publishing anything. And whoever attacks should look into the curve's left end.
