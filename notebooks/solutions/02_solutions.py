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
# # Solutions to notebook 2
#
# Needs the split of notebook 1. Everything else is computed here, at sizes of its own that do not depend on the
# profile.

# %% tags=["parameters"]
profile: str = "quick"      # name of the run whose split is used
dataset: str = "digits"     # must be what 01_data_split divided
seed: int = 0               # must be what 01_data_split used
width: int = 8              # filters of the matching network; notebook 2: 16
n_networks: int = 5         # networks on which exercise 1 is repeated
steps: int = 20             # steps by hand in exercise 2
iterations: int = 20        # networks that exercise 3 condenses with, and the last table
epochs: int = 60            # passes over a training set there
n_runs: int = 2             # target models for each training set in exercise 3

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from dcpriv_lib import parameters
from dcpriv_lib.attacks import signals
from dcpriv_lib.condensation import gradient_matching
from dcpriv_lib.condensation.method import Settings
from dcpriv_lib.jobs import Training, each
from dcpriv_lib.results import plots
from dcpriv_lib.study import Study

study = Study(**parameters.check(globals()))
M, N = study.members, study.non_members
images, labels = study.images[M], study.labels[M]

# %% [markdown]
# Two tools for the first two exercises: a new network, and the gradient that images of one class give.

# %%
def new_network(*purpose):
    return study.matching_network(*purpose, width=width)

def gradient(theta, pictures, label, create_graph=False):
    target = torch.full((len(pictures),), label)
    return gradient_matching.weight_gradients(theta, pictures, target, create_graph)

# %% [markdown]
# ## Exercise 1
#
# For the same network, is $D$ between the gradients of the zeros and of the ones larger or smaller than $D$
# between two random halves of the zeros?

# %%
D = gradient_matching.matching_distance
zeros, ones = images[labels == 0], images[labels == 1]       # [n, C, H, W] each

def compare(number):
    theta = new_network("exercise 1", number)
    order = torch.randperm(len(zeros), generator=study.generator("halves", number))
    half, other_half = zeros[order].tensor_split(2)
    of_zeros = gradient(theta, half, 0), gradient(theta, other_half, 0)
    return {"zeros and ones": D(gradient(theta, zeros, 0), gradient(theta, ones, 1)).item(),
            "two halves of the zeros": D(*of_zeros).item()}

# %% [markdown]
# $D$ adds one term for every output unit of every layer: 0 if the directions agree, 1 if they have nothing in
# common, 2 if they are opposite. So the number of units tells what is large.

# %%
units = sum(len(weight) for weight in new_network("any").parameters() if weight.ndim > 1)
distances = pd.DataFrame(map(compare, range(n_networks))).rename_axis("network")
print(f"{units} units: nothing in common is D = {units}, opposite is D = {2 * units}")
distances.round(2)

# %% [markdown]
# The halves are much closer. Both ask the network for the same change, "call this a zero", and differ only by
# which zeros happened to be in which half. Zeros and ones ask for different changes: in the last layer the zeros
# push the answer "0" up and the ones push it down. This is why the matching is done class by class. Mixed over
# the classes, wishes that oppose each other would partly cancel out before they are matched.
#
# The second column is also a yardstick. It is not 0 although both sides are real. Synthetic images that come this
# close, on this network, stand in for the class, in this measure, as well as one half of the members does for the
# other.

# %% [markdown]
# ## Exercise 2
#
# If the step by hand starts from ten members instead of noise, how large is $D$ at the start, why might an owner
# like this, and why should the members not?

# %%
theta = new_network("exercise 2")
real = gradient(theta, zeros, 0)

def walk(S_c, rate=5):
    history = []
    for _ in range(steps + 1):
        before, S_c = S_c, S_c.detach().requires_grad_()
        distance = D(real, gradient(theta, S_c, 0, create_graph=True))
        history.append(distance.item())
        S_c = S_c - rate * torch.autograd.grad(distance, S_c)[0]
    return history, before.detach()          # D after 0, 1, ... steps; the images at the end

# %%
starts = {"noise": torch.randn(10, *zeros.shape[1:], generator=study.generator("noise")),
          "ten members": zeros[:10]}
walks = {name: walk(start) for name, start in starts.items()}
pd.DataFrame({name: history for name, (history, _) in walks.items()}).rename_axis("steps").T[
    [0, 1, steps]].round(2)

# %% [markdown]
# From members, $D$ is small before anything is done: ten zeros are a sample of the zeros and ask for nearly the
# same change. (A step of this length can even overshoot from such a start, and $D$ go up for a moment.) An owner
# likes that: fewer iterations, and pictures that look like the data. And the members? Look at what becomes of the
# ten.

# %%
def nearest_member(pictures):
    return torch.cdist(pictures.flatten(1), images.flatten(1)).argmin(1)

ends = walks["ten members"][1]
still = (nearest_member(ends) == nearest_member(starts["ten members"])).sum().item()
print(f"{still} of {len(ends)} images are still nearer to the member they started from "
      "than to any other member")

# %%
figure, axes = plt.subplots(2, 1, figsize=(7, 2))
plots.images(axes[0], study.split.grey_levels(starts["ten members"]), 10, "ten members")
plots.images(axes[1], study.split.grey_levels(ends), 10, f"the same ten after {steps} steps")
plots.show(figure, "solution_start",
           "Ten members of one class, and the same ten images after some steps of condensing: "
           "blurred digits in both rows.")

# %% [markdown]
# The synthetic images are the ten members with some retouching. Whoever sees the condensed set sees those people,
# and no membership attack is needed. Started from noise, the images take in nothing but sums over all members of
# a class. That proves no privacy, but it does not begin by publishing ten people. In the notebook's threat model
# the condensed images stay with the owner; a model trained on them is then trained on slightly changed copies of
# ten members a class.

# %% [markdown]
# ## Exercise 3
#
# Where does the accuracy of a target that was trained on one condensed image per class lie between guessing and
# the random subset?
#
# First the condensed images, one a class.

# %%
settings = Settings(ipc=1, iterations=iterations, outer=1, inner=1, width=width,
                    real_batch=32, image_lr=10.0, start="noise")
condensed = study.sets("solution", {1: (M, settings)})[1]

# %%
figure, ax = plt.subplots(figsize=(7, 1.2))
plots.images(ax, study.split.grey_levels(condensed["images"]), len(study.classes),
             "one condensed image per class")
plots.show(figure, "solution_one_a_class",
           "One condensed image a class, in black and white: the eye sees hardly a digit.")

# %% [markdown]
# "The random subset" may mean as many images as there are condensed ones, or the larger subset of the notebook,
# ten times as many. We take both. And because a uniformly random choice of so few images misses some classes, we
# add a fairer rival: one random member *of each class*.

# %%
def rows_for(kind, run):
    shuffled = study.choose(M, len(M), kind, run)
    if kind == "one member per class":
        return [shuffled[study.labels[shuffled] == c][0] for c in range(len(study.classes))]
    return shuffled[:len(study.classes) * (10 if "ten times" in kind else 1)]

# %%
kinds = ("condensed", "random subset", "one member per class",
         "random subset, ten times as many")
training_sets = {(kind, run): (condensed["images"], condensed["labels"]) if kind == "condensed"
                 else np.array(rows_for(kind, run)) for kind in kinds for run in range(n_runs)}
models = study.models("solution", each(training_sets, Training(epochs)))
accuracy = signals.accuracies(models.logits[:, N], study.labels[N])

# %% [markdown]
# Guessing means to name the most frequent class every time.

# %%
found = pd.Series(accuracy).groupby(models.table["target"]).mean()
found["guessing"] = torch.bincount(study.labels[N]).max().item() / len(N)
(100 * found.sort_values()).round(1).rename("accuracy on non-members (%)").to_frame()

# %%
for kind in ("random subset", "random subset, ten times as many"):
    way = (found["condensed"] - found["guessing"]) / (found[kind] - found["guessing"])
    print(f"from guessing (0 %) to the {kind} (100 %): {way:.0%}")

# %% [markdown]
# One image a class is far better than guessing and, after as short a condensation as this one, falls short of the
# larger subset. More than 100 % in the first line would mean that the condensed images beat the same number of random
# members. Before that is credited to the matching, compare with one random member of each class. The condensed
# set has every class, while ten uniform draws from ten equally frequent classes hit only about 6.5 of them on
# average, and a model cannot name a class it has not seen. The balanced rival takes this advantage away. What
# condensation wins over *that* row, if anything, is its own.
#
# These are few runs and a short condensation, so differences of a few points mean nothing.

# %% [markdown]
# ## No exercise: how the start of the quick scale was chosen
#
# Notebook 2 starts from real members. The members themselves must not decide whether that is a good choice, so the attacker's
# images did: one half is condensed by several methods, three times each, and models of the result are judged on the other half.

# %%
shuffled = study.choose(study.attacker, len(study.attacker), "start")
first, second = shuffled[:len(shuffled) // 2], shuffled[len(shuffled) // 2:]
tried = {(f"DC from {start}, step {rate:g}", run): (first, Settings(
    ipc=10, iterations=iterations, outer=1, inner=1, width=16, image_lr=rate, start=start))
    for start in ("real", "means", "noise") for rate in (0.3, 1.0, 3.0) for run in range(3)}
rivals = {("random real images", run): study.choose(first, 100, "start", run)
          for run in range(3)}
rivals |= {("ten real images a class", run): study.choose_balanced(first, 10, "start", run)
           for run in range(3)}

# %%
training_sets = study.sets("start", tried) | rivals
models = study.models("start", each(training_sets, Training(epochs)))
accuracy = signals.accuracies(models.logits[:, second], study.labels[second])
by_way = pd.Series(100 * accuracy).groupby(models.table["target"], sort=False)
by_way.agg(["mean", "std"]).round(1).rename_axis("accuracy on the second half (%)")

# %% [markdown]
# A start from real images gives the most, and the matching adds little to it. From blurred ones, and from noise, the
# same few updates do not catch up.
