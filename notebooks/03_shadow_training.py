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
first_shadow: int = 0       # number of the first shadow model
n_shadows: int = 10         # shadow models to train
epochs: int = 60            # passes over a shadow's members, like the target's; paper: 100

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.special import softmax
from tqdm import tqdm

from dcpriv_lib import artefacts, attacks, data, networks, paths, plots, training
from dcpriv_lib.seeding import generator
from dcpriv_lib.shadow import shadow_split

plots.style()
results = paths.results(profile)
device = training.device(device)

# %%
split = data.load_split(results, profile=profile, dataset=dataset, seed=seed)
attacker = split.indices["attacker"]
if n_shadows < 1:
    raise ValueError(f"n_shadows = {n_shadows}: the attack needs at least one shadow model")
inside, outside = shadow_split(attacker, ds, number=0, seed=seed)
print(f"attacker: {len(attacker):,} images; shadow 0: {len(inside):,} members, {len(outside):,} non-members")

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
plots.box(ax, (7.7, 1.7), "attack model\nof each class:\nmember?", plots.NON_MEMBER, size=(2.3, 1.3))
ax.set_title("Figure 2. Training the shadow models and the attack models")
plots.save(figure, results, "figure2_shadow_training")

# %%
def train_shadow(number: int, unfinished) -> dict:
    inside, outside = shadow_split(attacker, ds, number, seed)
    images, labels = split.rows(inside)
    network = networks.initialise(networks.PaperCNN(*split.shape), generator(seed, "shadow", number))
    network.to(device)
    training.train(network, images.to(device), labels.to(device), epochs=epochs,
                   generator=generator(seed, "shadow order", number), checkpoint=unfinished,
                   progress=lambda steps: tqdm(steps, desc=f"shadow {number}", leave=False))
    answers = {"members": training.predict(network, images), "member_labels": labels,
               "non_members": training.predict(network, split.rows(outside)[0]),
               "non_member_labels": split.rows(outside)[1]}
    return answers | {f"weights.{key}": value.cpu() for key, value in network.state_dict().items()}

# %% [markdown]
# A shadow model that was trained before with the same parameters is loaded.

# %%
def shadow(number: int) -> dict:
    inputs = split.inputs | {"shadow": number, "ds": ds, "epochs": epochs}
    path = results / "shadows" / f"shadow{number}"
    answers = artefacts.cached(path, inputs, lambda unfinished: train_shadow(number, unfinished))
    return answers | {"shadow": number, "file": artefacts.cached_path(path, inputs).name}

numbers = range(first_shadow, first_shadow + n_shadows)
shadows = [shadow(number) for number in tqdm(numbers, desc="shadow models")]

# %%
table = pd.DataFrame({
    "shadow": [s["shadow"] for s in shadows],
    "members": [training.accuracy(s["members"], s["member_labels"]) for s in shadows],
    "non_members": [training.accuracy(s["non_members"], s["non_member_labels"]) for s in shadows],
    "file": [s["file"] for s in shadows]})
artefacts.save_table(results / "shadows.csv", table, split.inputs | {"ds": ds, "epochs": epochs})
table[["members", "non_members"]].describe().loc[["mean", "std", "min", "max"]].round(3)

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
first = shadows[0]
member_loss = attacks.losses(first["members"], first["member_labels"])
non_member_loss = attacks.losses(first["non_members"], first["non_member_labels"])

def at_quantile(values, q):
    return np.argsort(values)[int(q * (len(values) - 1))]

# %%
figure, axes = plt.subplots(2, 2, figsize=(8, 4.6), sharey=True)
for row, (q, name) in zip(axes, ((0.5, "median"), (0.99, "99th percentile"))):
    i, j = at_quantile(member_loss, q), at_quantile(non_member_loss, q)
    plots.probabilities(row[0], softmax(first["members"][i]), first["member_labels"][i], plots.MEMBER,
                        f"member, {name} of the loss")
    plots.probabilities(row[1], softmax(first["non_members"][j]), first["non_member_labels"][j],
                        plots.NON_MEMBER, f"non-member, {name} of the loss")
    row[0].set_ylabel("softmax")
plots.save(figure, results, "figure1_softmax")

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
member_losses = np.concatenate([attacks.losses(s["members"], s["member_labels"]) for s in shadows])
non_member_losses = np.concatenate([attacks.losses(s["non_members"], s["non_member_labels"]) for s in shadows])

figure, ax = plt.subplots(figsize=(6, 3.2))
plots.loss_histogram(ax, member_losses, non_member_losses, f"{len(shadows)} shadow models")
plots.save(figure, results, "shadow_losses")

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
# 1. Train shadow models for 5, 20 and 60 epochs. How does the distance between the two hills change, and what
#    does that tell an owner who wants privacy?
# 2. With `ds = 100` the shadow models see a third of the images. Do they leak more or less? Compare at equal epochs
#    and at equal numbers of steps.
# 3. How much of the difference between the hills comes from examples the model gets *wrong*?
#
# Solutions: `solutions/03_solutions.ipynb`.
#
# ## References
#
# - R. Shokri, M. Stronati, C. Song, V. Shmatikov, *Membership inference attacks against machine
#   learning models*, IEEE S&P 2017.
# - S. Yeom, I. Giacomelli, M. Fredrikson, S. Jha, *Privacy risk in machine learning: analyzing the
#   connection to overfitting*, CSF 2018.
