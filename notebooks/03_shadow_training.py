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
# > *Where we are.* Part I, the experiment: 1 2 **3** 4 5; part II, the doubt: 6 7 8; part III, further: 9 10 11 12.<br>
# > **Last time** the owner trained the targets; **this time** the attacker trains models of their own, to learn what membership looks
# > like. **Next time** they attack the targets with what they have learned.
#
# **Question.** The attacker never sees who was a member of the target. How can they learn what membership
# looks like?
#
# By rehearsing. A *shadow model* is a model that the attacker trains on their own images, as the owner trained the
# target. Of shadow models the attacker knows every member, because they chose them.
#
# **In this notebook you will learn**
#
# 1. how shadow models turn an unknown into a supervised learning problem (Figure 2);
# 2. what a member's and a non-member's softmax look like (Figure 1);
# 3. where the leak is: in the distribution of the losses.
#
# **You need** notebooks 1 and 2. Reading takes a quarter of an hour; running takes less than a minute at the
# quick scale.
#
# > **Threat model.** The attacker owns `attacker` images from the same source as the members, knows the
# > target's architecture and how it is trained, and has a computer. Nothing in this notebook
# > touches the target's data. The door is that of notebook 1: one model, which may be asked. Note what the paper's
# > attacker does *not* know or use: that the target may have been trained on condensed images, and these images
# > themselves. The shadow models are trained on real ones.

# %% tags=["parameters"]
profile: str = "quick"      # name of this run; its files are in results/<profile>
dataset: str = "digits"     # must be what 01_data_split divided
seed: int = 0               # must be what 01_data_split used
device: str = "auto"        # cpu, cuda, mps, or auto
ds: int = 299               # members, and non-members, of each shadow model; paper: 15,000
n_shadows: int = 10         # shadow models to train
epochs: int = 60            # passes over a shadow's members, like the target's; paper: 100

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.special import softmax

from dcpriv_lib import limits, parameters
from dcpriv_lib.attacks import attack, signals
from dcpriv_lib.attacks.shadow_models import shadow_split
from dcpriv_lib.jobs import Training, each
from dcpriv_lib.results import plots, voice
from dcpriv_lib.study import Study

study = Study(**parameters.check(globals()))
limits.check("03_shadow_training", study)

# %% [markdown]
# ## The rehearsal
#
# To recognise cats, one learns from pictures that somebody has labelled "cat" or "no cat". To recognise *members*,
# one would need outputs of the target that somebody has labelled "member" or "no member", and nobody will do
# that. The way out is to build a world in which one knows.
#
# Shadow model $j$ shuffles the attacker's images in its own way. The first `ds` become its members
# $M_j$, the next `ds` its non-members $N_j$. It is trained on $M_j$ exactly as the target was on $M$,
# and is then asked about both. Every output is a labelled example, (softmax, true class) → member or not. On
# these examples an ordinary classifier, the *attack model*, learns to recognise membership. It is then applied
# to the target.

# %% tags=["plumbing"]
figure, ax = plots.diagram(12.6, 3.6)
for y, name in ((3.0, "1"), (1.8, "2"), (0.6, "k")):
    plots.box(ax, (1.2, y), f"attacker's images,\nshuffle {name}", plots.ATTACKER)
    plots.box(ax, (4.2, y), f"shadow model {name}", plots.MEMBER)
    plots.box(ax, (7.5, y), "members' outputs: label 1\nnon-members': label 0", "0.6",
              (2.5, 0.9))
    plots.arrow(ax, (2.35, y), (3.05, y), "train")
    plots.arrow(ax, (5.35, y), (6.2, y), "ask")
    plots.arrow(ax, (8.8, y), (10.1, 1.8 + (y - 1.8) / 3))
plots.box(ax, (11.3, 1.8), "attack model\nof each class:\nmember?", plots.NON_MEMBER,
          (2.2, 1.5))
ax.set_title("Figure 2. Training the shadow models and the attack models")
study.figure(figure, "figure2_shadow_training",
             "Diagram: shuffles of the attacker's images train shadow models, whose outputs "
             "with known membership train an attack model for each class.")

# %%
numbers = range(n_shadows)
splits = [shadow_split(study.attacker, ds, j, seed) for j in numbers]  # (M_j, N_j), [ds] each
training_sets = {j: inside for j, (inside, _) in zip(numbers, splits)}
shadows = study.models("shadow", each(training_sets, Training(epochs)))

# %%
parts = {"members": [inside for inside, _ in splits],
         "non_members": [outside for _, outside in splits]}
accuracy = {part: [signals.accuracies(answers[None, own], study.labels[own])[0]
                   for answers, own in zip(shadows.logits, rows)]
            for part, rows in parts.items()}
shadows.table = shadows.table.assign(**accuracy)
study.results.save("shadows", shadows)
shadows.table[list(parts)].describe().loc[["mean", "std", "min", "max"]].round(3)

# %%
voice.shown("shadows", shadows.table)

# %% [markdown]
# The table shows the accuracy over the shadow models. They know their members by heart and do worse on the others: the
# same generalisation gap as the target's, which is what makes the rehearsal useful. Where the attacker
# has fewer images than the owner, the shadow models overfit more than the target does, and the
# rehearsal is a little too easy.
#
# ## Figure 1: the softmax of a member and of a non-member
#
# The usual picture shows one member that the model is sure of, and one non-member that it is not. Two such images can
# always be found. So here are, of one shadow model, the *median* member and non-member by loss (half of the
# images have a smaller loss), and those at the 99th percentile, which the model finds harder than 99 in a hundred.
# Guess first: how different will the two medians look?

# %%
def answers_of_first(part):
    """Rows [ds], logits [ds, classes] and labels [ds] of the first shadow model."""
    rows = parts[part][0]
    return rows, shadows.logits[0][rows], study.labels[rows].numpy()

# %%
sure = {}                                                # the probability of the true class
figure, axes = plt.subplots(2, 4, figsize=(9.5, 4.4), width_ratios=(1, 2.4, 1, 2.4))
for row, (q, name) in zip(axes, ((0.5, "median"), (0.99, "99th percentile"))):
    for pair, part, colour in zip((row[:2], row[2:]), parts, (plots.MEMBER, plots.NON_MEMBER)):
        rows, logits, labels = answers_of_first(part)
        order = np.argsort(signals.losses(logits, labels))
        i = order[int(q * (len(order) - 1))]
        p, y = softmax(logits[i]), labels[i]
        who = part.removesuffix("s").replace("_", "-")
        plots.images(pair[0], study.split.grey_levels(study.images[rows[[i]]]), 1,
                     f"a {plots.in_figure(study.classes[y])}")
        plots.probabilities(pair[1], p, y, colour, f"{who}, {name}: $p_y$ = {p[y]:.3f}")
        sure[f"the {who}, {name}"] = p[y]
study.figure(figure, "figure1_softmax",
             "Four images, each beside its ten probabilities. The true class has "
             + "; ".join(f"{p:.3f} for {who}" for who, p in sure.items()) + ".")

# %% [markdown]
# The hatched bar is the true class, whose probability $p_y$ stands in the title. In the median there is nothing to
# see: a good model is sure of members and non-members alike. The difference is in the tail, among the images that the
# model finds hard. About most people this output says little; about a few it may say a lot. (Two *different* images are
# compared here. Notebook 6 asks models with and without one and the same image.)
#
# ## The leak: the distribution of losses
#
# The cross-entropy of example $x$ with true class $y$ and softmax $p(x)$ is
#
# $$\ell(x, y) = -\log p_y(x).$$
#
# Training makes $\ell$ small on the members. On other people's images the loss is small only if the model generalises.

# %%
known = attack.Rehearsal.of(shadows.logits, study.labels, splits)
losses = signals.losses(known.logits, known.labels)

figure, ax = plt.subplots(figsize=(6, 3.2))
plots.loss_histogram(ax, losses[known.is_member], losses[~known.is_member],
                     f"{len(shadows)} shadow models")
study.figure(figure, "shadow_losses",
             "Two overlapping histograms of the loss. Above 1 lie "
             f"{(losses[known.is_member] > 1).mean():.1%} of the members' and "
             f"{(losses[~known.is_member] > 1).mean():.1%} of the non-members'.")

# %% [markdown]
# Two distributions that overlap almost everywhere, each shown in per cent of its own examples. The members' (solid)
# lies a little to the left, and on the right end, where the loss is above 1, there are nearly only non-members. An attacker
# who says "small loss, so a member" gains only where the two curves differ. Notebook 4 does exactly that first, and
# then lets classifiers look at the whole softmax.
#
# ## Summary
#
# - Shadow models are trained by the attacker on the attacker's data, so their members are known.
# - Their outputs, labelled with membership, are the attack model's training set.
# - Members have smaller losses; most of the difference is in the tail.
#
# ## Exercises
#
# 1. (easy) Train shadow models for 5, 20 and 60 epochs. How does the distance between the two distributions change,
#    and what does that tell an owner who wants privacy?
# 2. (medium) With `ds = 100` the shadow models see a third of the images. Do they leak more or less? Compare at equal epochs
#    and at equal numbers of steps.
# 3. (hard) How much of the difference between the two distributions comes from examples the model gets *wrong*?
#
# Solutions: `solutions/03_solutions.ipynb`.
#
# ## References
#
# - R. Shokri, M. Stronati, C. Song, V. Shmatikov, *Membership inference attacks against machine
#   learning models*, IEEE S&P 2017.
# - S. Yeom, I. Giacomelli, M. Fredrikson, S. Jha, *Privacy risk in machine learning: analyzing the
#   connection to overfitting*, CSF 2018.
