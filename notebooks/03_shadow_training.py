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
# # 3. Shadow models: rehearsing the attack
#
# **Question.** The attacker never sees who was a member of the target. How can they learn what membership
# looks like?
#
# By rehearsing. They train models of their own, *shadow models*, on their own images. Of those they
# know every member, because they chose them.
#
# **In this notebook you will learn**
#
# 1. how shadow models turn an unknown into a supervised learning problem (Figure 2);
# 2. what a member's and a non-member's softmax look like (Figure 1);
# 3. where the leak is: in the distribution of the losses.
#
# > **Threat model.** The attacker owns `attacker` images from the same source as the members, knows the
# > target's architecture and how it is trained, and has a computer. Nothing in this notebook
# > touches the target's data. Note what the paper's attacker does *not* know or use: that the target was trained on condensed
# > images. The shadow models are trained on real ones.

# %% tags=["parameters"]
profile: str = "quick"      # name of this run; its files are in results/<profile>
dataset: str = "digits"     # must be what 01_data_split divided
seed: int = 0               # must be what 01_data_split used
device: str = "auto"        # cpu, cuda, mps, or auto
ds: int = 299               # members, and non-members, of each shadow model; paper: 15,000
n_shadows: int = 10         # shadow models to train
epochs: int = 60            # passes over a shadow's members, like the target's; paper: 100
first_shadow: int = 0       # for the engine, which divides the work: number of the first one

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.special import softmax

from dcpriv_lib import attacks, parameters, plots, signals
from dcpriv_lib.shadow import shadow_split
from dcpriv_lib.study import Study

study = Study(**parameters.check(globals()))

# %% [markdown]
# ## The rehearsal
#
# Shadow model $j$ shuffles the attacker's images with its own seed. The first `ds` become its members
# $M_j$, the next `ds` its non-members $N_j$. It is trained on $M_j$ exactly as the target was on $M$,
# and then answers for both. Every answer is a labelled example, (softmax, true class) → member or not,
# and on those examples an ordinary classifier, the *attack model*, learns to recognise membership.

# %%
figure, ax = plots.diagram(9.4, 3.4)
for y, name in ((2.8, "1"), (1.7, "2"), (0.6, "k")):
    plots.box(ax, (1.2, y), f"attacker's images,\nshuffle {name}", plots.ATTACKER)
    plots.box(ax, (4.2, y), f"shadow model {name}", plots.MEMBER)
    plots.arrow(ax, (2.35, y), (3.05, y), "train")
    plots.arrow(ax, (5.35, y), (6.4, 1.7 + (y - 1.7) / 3), "softmax" if name == "1" else "")
plots.box(ax, (7.7, 1.7), "attack model\nof each class:\nmember?", plots.NON_MEMBER, (2.3, 1.3))
ax.set_title("Figure 2. Training the shadow models and the attack models")
study.figure(figure, "figure2_shadow_training")

# %%
numbers = range(first_shadow, first_shadow + n_shadows)
splits = [shadow_split(study.attacker, ds, j, seed) for j in numbers]  # (M_j, N_j), [ds] each
training_sets = {j: inside for j, (inside, _) in zip(numbers, splits)}
shadows = study.population("shadow", training_sets, epochs)

# %%
parts = {"members": [inside for inside, _ in splits],
         "non_members": [outside for _, outside in splits]}
accuracy = {part: [signals.accuracies(answers[None, own], study.labels[own])[0]
                   for answers, own in zip(shadows.logits, rows)]
            for part, rows in parts.items()}
shadows.table = shadows.table.assign(**accuracy)
study.save("shadows", shadows)
shadows.table[list(parts)].describe().loc[["mean", "std", "min", "max"]].round(3)

# %% [markdown]
# The shadow models know their members by heart and do worse on the others: the same
# generalisation gap as the target's, which is what makes the rehearsal useful. Where the attacker
# has fewer images than the owner, the shadow models overfit more than the target does; the
# rehearsal is then a little too easy.
#
# ## Figure 1: the softmax of a member and of a non-member
#
# The usual picture shows one member the model is sure of, and one non-member it is not. Any two can be found
# that look like this. So here are, of one shadow model, the *median* member and non-member by loss, and
# the ones at the 99th percentile.

# %%
def answers_of_first(part):
    rows = parts[part][0]
    return shadows.logits[0][rows], study.labels[rows].numpy()  # [ds, classes], [ds]

def at_quantile(losses, q):
    return np.argsort(losses)[int(q * (len(losses) - 1))]

# %%
figure, axes = plt.subplots(2, 2, figsize=(8, 4.6), sharey=True)
for row, (q, name) in zip(axes, ((0.5, "median"), (0.99, "99th percentile"))):
    for ax, part, colour in zip(row, parts, (plots.MEMBER, plots.NON_MEMBER)):
        logits, labels = answers_of_first(part)
        i = at_quantile(signals.losses(logits, labels), q)
        who = part.removesuffix("s").replace("_", "-")
        title = f"{who}, {name} of the loss"
        plots.probabilities(ax, softmax(logits[i]), labels[i], colour, title)
    row[0].set_ylabel("softmax")
study.figure(figure, "figure1_softmax")

# %% [markdown]
# The hatched bar is the true class. In the median there is nothing to see: a good model is sure
# of members and non-members alike. The difference is in the tail, among the images the model
# finds hard. For most people this attack has nothing to go by; for a few it may have a lot.
#
# ## The leak: the distribution of losses
#
# The cross-entropy of example $x$ with true class $y$ and softmax $p(x)$ is
#
# $$\ell(x, y) = -\log p_y(x).$$
#
# Training makes $\ell$ small on the members. It is made small on everybody else only in so far as the
# model generalises.

# %%
known = attacks.Rehearsal.of(shadows.logits, study.labels, splits)
losses = signals.losses(known.logits, known.labels)

figure, ax = plt.subplots(figsize=(6, 3.2))
plots.loss_histogram(ax, losses[known.is_member], losses[~known.is_member],
                     f"{len(shadows)} shadow models")
study.figure(figure, "shadow_losses")

# %% [markdown]
# Two overlapping hills. An attacker who could only say "small loss, so a member" would be right as often as the
# hills are apart. Notebook 4 does exactly that first, and then lets classifiers look at the whole softmax.
#
# ## Summary
#
# - Shadow models are trained by the attacker on the attacker's data, so their members are known.
# - Their answers, labelled with membership, are the attack model's training set: here
#   `results/<profile>/shadows/`.
# - Members have smaller losses; most of the difference is in the tail.
#
# ## Exercises
#
# 1. (easy) Train shadow models for 5, 20 and 60 epochs. How does the distance between the two hills change, and what
#    does that tell an owner who wants privacy?
# 2. (medium) With `ds = 100` the shadow models see a third of the images. Do they leak more or less? Compare at equal epochs
#    and at equal numbers of steps.
# 3. (hard) How much of the difference between the hills comes from examples the model gets *wrong*?
#
# Solutions: `solutions/03_solutions.ipynb`.
#
# ## References
#
# - R. Shokri, M. Stronati, C. Song, V. Shmatikov, *Membership inference attacks against machine
#   learning models*, IEEE S&P 2017.
# - S. Yeom, I. Giacomelli, M. Fredrikson, S. Jha, *Privacy risk in machine learning: analyzing the
#   connection to overfitting*, CSF 2018.
