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
# # Solutions to notebook 4
#
# Needs the files of notebooks 1 to 4 of the same profile, and trains only logistic regressions.

# %% tags=["parameters"]
profile: str = "quick"      # name of the run whose files are used
dataset: str = "digits"     # must be what 01_data_split divided
seed: int = 0               # must be what 01_data_split used
shuffles: int = 20          # random membership labellings in exercise 2
guesses: int = 1000         # random memberships in exercise 3

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from dcpriv_lib import metrics, parameters
from dcpriv_lib.attacks import signals, suites
from dcpriv_lib.attacks.attack import Answers, Rehearsal
from dcpriv_lib.attacks.shadow_models import shadow_split
from dcpriv_lib.results import plots, tables
from dcpriv_lib.study import Study

study = Study(**parameters.check(globals()))

# %% [markdown]
# The inputs, loaded as in the notebook. `outputs` holds each target's logits on the evaluation set, first of the
# members, then of the non-members.

# %%
targets, judged = study.results.load_models("targets"), study.results.load_table("attacks")
labels, is_member = study.labels[study.pool].numpy(), study.is_member        # [n]
outputs = {key: logits[study.pool] for key, logits in targets.items()}       # [n, classes] each

# %% [markdown]
# ## Exercise 1
#
# How does an attack that calls every correctly classified image a member compare with the loss threshold?

# %%
def correctness_attack(target, run):
    says_member = outputs[target, run].argmax(1) == labels
    accuracy, low, high = metrics.rate((says_member == is_member).sum(), len(labels))
    return {"target": target, "run": run, "accuracy": accuracy, "accuracy_low": low,
            "accuracy_high": high, "recall": says_member[is_member].mean()}

correctness = pd.DataFrame([correctness_attack(*key) for key in outputs])
threshold = judged[(judged["attack"] == "loss threshold")
                   & judged["target"].isin(correctness["target"])]

# %% [markdown]
# Both attacks side by side, mean over the runs, with the mean interval of one run.

# %%
def shown(table):
    mean = table.groupby("target", sort=False).mean(numeric_only=True)
    return [tables.percent(*row) for row in
            mean[["accuracy", "accuracy_low", "accuracy_high"]].itertuples(index=False)]

recall = correctness.groupby("target", sort=False)["recall"].mean().round(3)
pd.DataFrame({"correctness": shown(correctness), "loss threshold": shown(threshold),
              "recall of correctness": recall}, index=recall.index)

# %% [markdown]
# The correctness attack is right about every correctly classified member and every wrongly classified non-member.
# So its accuracy is one half plus *half of the generalisation gap*, no more and no less. Does Table 1 agree?

# %%
gap = targets.table["members"] - targets.table["non_members"]
difference = correctness["accuracy"] - (0.5 + gap / 2)
print("largest difference from 1/2 + gap/2 is below 1e-6:", bool(difference.abs().max() < 1e-6))

# %% [markdown]
# This attack needs no shadow models and no softmax, only the predicted class, and everybody who knows a model's
# training and test accuracy can work out how well it does. It is the first rival that any attack has to beat.
# Compare the columns: where the intervals overlap widely, the loss threshold has not shown that it finds more
# than mistakes. And a small gap need not come from training at all: the members may happen to be the easier half,
# which the notebook's control *unrelated* is there to show.
#
# The two are relatives. For a wrongly classified image another class is at least as probable as the true one, so
# $p_y \le 1/2$ and the loss is at least $\log 2 \approx 0.69$. Correctness is close to the loss threshold at
# $\tau = \log 2$; the attack of the notebook chooses its $\tau$ on the shadow models instead. Its recall is the
# target's accuracy on the members, which is high for every good model and says nothing about privacy.

# %% [markdown]
# ## Exercise 2
#
# If the attack is given *random* membership labels for the shadow rows, where does its AUC land, and why is this
# a useful check of the whole pipeline?
#
# We take the logistic regression, and the first target in the table.

# %%
shadows = study.results.load_models("shadows")
splits = [shadow_split(study.attacker, shadows.settings["parameters"]["ds"], j, seed)
          for j in shadows.table["model"]]
known = Rehearsal.of(shadows.logits, study.labels, splits)

# %%
first = next(iter(outputs))
asked = Answers(outputs[first][:, None], labels)

def auc_with(membership):
    attack = suites.fit_logistic_regression(
        Rehearsal(known.logits, known.labels, membership))
    return roc_auc_score(is_member, attack.score(asked))

# %%
rng = study.rng("random membership")
random = np.array([auc_with(rng.permutation(known.is_member)) for _ in range(shuffles)])
standard_error = random.std(ddof=1) / np.sqrt(shuffles)
print(f"target {first[0]}, run {first[1]}")
print(f"AUC with the true membership:   {auc_with(known.is_member):.1%}")
print(f"AUC with a random one: mean {random.mean():.1%} ± {standard_error:.1%} "
      f"(standard error), from {random.min():.1%} to {random.max():.1%}")

# %% [markdown]
# On average it lands at 50 %, up to a few standard errors. The reason is a symmetry: if all random labels are
# turned around, every score changes its sign and an AUC of $a$ becomes $1 - a$, and both labellings are equally
# likely.
#
# A *single* labelling need not land there. If sure answers are more frequent among members, an attack model that
# by accident prefers sure answers is above 50 %, and one that prefers unsure answers is as far below. So the
# check needs many labellings. Their spread is useful too: it shows what AUC an attack can have that has learned
# nothing.
#
# The check runs every line of the pipeline with the one thing removed that should make it work. A mean clearly
# away from 50 % would say that membership reaches the score by another way than the shadow models' labels: the
# true labels are still in use somewhere (an old attack model loaded from a file, say), a setting was chosen by
# looking at the examination, or the sign of the score was.
#
# It does not find everything. By the same symmetry it is blind to a split whose members are easier, and to
# members among the attacker's images. And it says nothing about the loss threshold, where random labels change
# only $\tau$: the score is still ordered by the loss, so its AUC stays exactly as it was. Nothing in that score
# was learned from labels.

# %% [markdown]
# ## Exercise 3
#
# For one target, how do precision and recall of the loss attack depend on $\tau$, and is there a $\tau$ with
# recall above 0.9, or with precision above 0.9?
#
# Sort the images by loss. Every $\tau$ calls the first few of them members. Of equal losses, all are called or
# none.

# %%
def curves(loss, is_member):
    order = np.argsort(loss, kind="stable")
    last = np.append(np.diff(loss[order]) > 0, True)         # the last one of equal losses
    called = np.flatnonzero(last) + 1                        # images called members at this tau
    hits = np.cumsum(is_member[order])[last]
    return loss[order][last], hits / called, hits / is_member.sum(), called

# %%
loss = signals.losses(outputs[first], labels)
tau, precision, recall, called = curves(loss, is_member)
figure, ax = plt.subplots(figsize=(6, 3.2))
ax.plot(np.maximum(tau, 1e-8), precision, color=plots.MEMBER, label="precision")
ax.plot(np.maximum(tau, 1e-8), recall, color=plots.NON_MEMBER, linestyle="--", label="recall")
ax.axhline(0.9, color="0.6", linestyle=":", linewidth=1)
ax.set(xscale="log", xlabel=r"$\tau$ (nats)", ylim=(0, 1.02),
       title=f"{first[0]}, run {first[1]}")
ax.legend()
plots.show(figure, "solution_thresholds",
           "Precision and recall of the loss threshold over its value: recall grows from 0 "
           "to 1, precision ends at the share of members.")

# %%
i = np.argmax(recall > 0.9)
print(f"recall above 0.9: from tau = {tau[i]:.3g} on, "
      f"where the precision is {precision[i]:.1%}")
most = called[precision > 0.9].max(initial=0)
print(f"precision above 0.9: {'yes' if most else 'no'}; "
      f"the most images called members at such a tau: {most}")

# %% [markdown]
# A recall above 0.9 can always be had: with $\tau$ above all losses everybody is a member. Its price is the
# precision, which ends at exactly one half when everybody is called. A precision above 0.9 is another matter. If
# there is one, it is usually at the left end, where a handful of images is called, and $\tau$ was found by
# looking at who is a member. How often would that happen to losses that have nothing to do with membership?
# Shuffle the membership and look again.

# %%
rng = study.rng("shuffled members")

def most_called(membership):
    _, precision, _, called = curves(loss, membership)
    return called[precision > 0.9].max(initial=0)

by_chance = np.array([most_called(rng.permutation(is_member)) for _ in range(guesses)])
print("by chance a tau with precision above 0.9 exists in "
      f"{np.mean(by_chance > 0):.0%} of the cases, "
      f"and in 95 % of the cases it calls at most {np.quantile(by_chance, 0.95):.0f} images")

# %% [markdown]
# A single member with the smallest loss is enough for a precision of 1, and that happens by chance in about half
# of the cases, unless the smallest loss is shared by many images. Only a $\tau$ that calls more images than
# chance allows would be evidence, and the attacker, who cannot look, would still have to find it on the shadow
# models. A threshold that is the same for everybody finds almost nobody *with confidence*. Attacks that adapt to
# the single example (LiRA) are judged at just this left end of the curve.
