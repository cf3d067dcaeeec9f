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
# # 2. Condensing the members, and training target models
#
# **Question.** Can a hundred synthetic images stand in for all the members? And how good is a model
# that saw nothing else?
#
# **In this notebook you will learn**
#
# 1. the idea of gradient matching, in one equation and in one step done by hand;
# 2. how noise turns into training images (the paper's Figure 4);
# 3. how accurate a model is that was trained on the members themselves, on a random subset of
#    them, and on the condensed images (the paper's Table 1).
#
# > **Threat model.** Everything here happens at the owner's. The owner condenses the *members
# > only* and, in the condensed case, trains on the synthetic images and deletes the real ones. The
# > attacker will see the trained model's answers, and neither the images nor the weights. "Member"
# > always means a *real* image, whatever the model was trained on.

# %% tags=["parameters"]
profile: str = "quick"       # name of this run; its files are in results/<profile>
dataset: str = "digits"      # must be what 01_data_split divided
seed: int = 0                # must be what 01_data_split used
device: str = "auto"         # cpu, cuda, mps, or auto
ipc: list = [10, 50]         # synthetic images per class; a single number is fine too
iterations: list = [12]      # iterations, each with a new network, for all ipc or each; paper: 1000
outer: int = 5               # image updates an iteration; 0 takes the paper's loops for this ipc
inner: int = 5               # training epochs between two updates
width: int = 16              # filters of the matching network; paper: 128
real_batch: int = 256        # real images per class in one update (all, if there are fewer)
image_lr: float = 10.0       # step size on the pixels; paper: 0.1, over 100 times as many updates
condensed_sets: list = [1]   # synthetic sets, for all ipc or each; run r trains on set r mod this
training_sets: list = ["original", "subset", "condensed"]  # what to train target models on
n_runs: int = 3              # target models per training set, each with its own initial weights
epochs: int = 60             # passes over the training set; paper: 100
first_run: int = 0           # for the engine, which divides the work: number of the first run

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from dcpriv_lib import condensation, parameters, plots, profiles, signals, tables
from dcpriv_lib.study import Study

study = Study(**parameters.check(globals()))

# %% [markdown]
# The split comes from notebook 1. The owner works with the members; the non-members only tell us
# how good a model is on images it was never trained on.

# %%
M, N = study.members, study.non_members                 # rows of the data set, [n] each
settings = condensation.settings(study.labels[M], ipc, iterations, outer, inner, width,
                                 real_batch, image_lr)   # of every ipc
print(f"{len(M):,} members of shape {tuple(study.images.shape[1:])}, device {study.device.type}")

# %% [markdown]
# ## The idea: make the gradients agree
#
# A network learns from nothing but the gradient of its loss. If a synthetic set $S$ gave *the same
# gradients* as the real set $M$ all the way through training, training on $S$ would end where
# training on $M$ ends. So Zhao, Mopuri and Bilen (2021) look for the images whose gradients agree,
# class by class, over many networks $\theta$:
#
# $$\min_S \; \mathbb{E}_{\theta} \sum_{c} D\big(\nabla_\theta \ell(M_c; \theta),\; \nabla_\theta \ell(S_c; \theta)\big),
# \qquad D(g, s) = \sum_{\mathrm{layers}} \sum_{i} \left(1 - \frac{g_i \cdot s_i}{\|g_i\| \, \|s_i\|}\right).$$
#
# $\ell$ is the cross-entropy, $M_c$ a batch of members of class $c$, $S_c$ the synthetic images of that class, and
# $g_i$ the part of the gradient that belongs to output unit $i$ of a layer. $D$ compares directions only; it
# is 0 when all agree.
#
# ### One step by hand
#
# Take a new network, the real zeros, and ten images of pure noise that we declare to be zeros.

# %%
theta = study.matching_network("by hand", width=16)
M_c = study.images[M][study.labels[M] == 0]              # [n, C, H, W], the real zeros
noise = torch.randn(10, *M_c.shape[1:], generator=study.generator("noise by hand"))
S_c = noise.requires_grad_()                             # [10, C, H, W]

# %% [markdown]
# How far apart are the two gradients, and in which direction should the noise move?

# %%
def D_of(S_c):
    g = condensation.weight_gradients(theta, M_c, torch.zeros(len(M_c), dtype=int))
    s = condensation.weight_gradients(theta, S_c, torch.zeros(len(S_c), dtype=int),
                                      create_graph=True)
    return condensation.matching_distance(g, s)

before = D_of(S_c)
direction, = torch.autograd.grad(before, S_c)
after = D_of(S_c - 5 * direction)
print(f"D before {before:.2f}, after one step {after:.2f}")

# %% [markdown]
# The gradient of a gradient: `create_graph=True` lets us differentiate $\nabla_\theta \ell(S_c)$ once more, now by
# the pixels. One step made the distance smaller; for one class and one network. Note what flows
# into the images: nothing but sums over members. And note what does *not* follow: that no
# single member leaves a trace in them. That is what the attacks are for.

# %% [markdown]
# ## Condensing
#
# The library repeats the step over all classes and many networks, and trains each network a
# little on the synthetic images in between, so that late gradients are matched as well as early
# ones. A set that has been condensed before with the same parameters is loaded; asked for more iterations
# than before, the work goes on where it ended.

# %%
runs = range(first_run, first_run + n_runs)
n_sets = profiles.per_ipc("condensed_sets", condensed_sets, list(settings))
sets = {(n, run % n_sets[n]): settings[n] for n in settings for run in runs}   # (ipc, set)
condensed = study.condense("condense", sets if "condensed" in training_sets else {}, M)

# %% [markdown]
# Did the gradients come to agree?

# %%
figure, ax = plt.subplots(figsize=(5, 3))
for (n, k), synthetic in condensed.items():
    ax.plot(np.arange(1, len(synthetic["loss"]) + 1), synthetic["loss"], label=f"ipc {n}, set {k}")
ax.set(xlabel="iteration", ylabel="mean of D per class and update", ylim=(0, None))
ax.xaxis.get_major_locator().set_params(integer=True)
ax.legend()
study.figure(figure, "matching_loss")

# %% [markdown]
# The distance falls and does not reach zero: no few images can match the gradients of *every*
# network, and each iteration meets a new one.
#
# ## Figure 4: from noise to training images
#
# Each row of a panel is a class.

# %%
first_sets = {n: condensed[n, k] for n, k in reversed(condensed)}              # one set per ipc
for n, synthetic in sorted(first_sets.items()):
    stages = condensation.stages(synthetic, settings[n].iterations)             # iteration: images
    columns = [0, 1, list(stages)[-2], settings[n].iterations]
    figure, axes = plt.subplots(1, len(columns), figsize=(2.5 * len(columns), 3.0))
    for ax, iteration in zip(axes, columns):
        first_ten = stages[iteration].unflatten(0, (-1, n))[:, :10].flatten(0, 1)
        pixels = study.split.grey_levels(first_ten)
        plots.images(ax, pixels, min(n, 10), f"ipc {n}, iteration {iteration}")
    study.figure(figure, f"figure4_condensed_{n}_ipc")

# %% [markdown]
# One can often guess the class, and no picture looks like a photograph of a particular digit. It is
# tempting to conclude that nobody's image is in there. Beware: "does not look like" is the opinion of
# an eye, not a measurement.
#
# ## Training the target models
#
# Every target is the paper's small CNN, trained by Adam at the paper's settings; only the training set
# differs:
#
# | name | training set |
# |---|---|
# | `original` | all members |
# | `subset-10` | a random subset of the members, as many images as `condensed-10` |
# | `condensed-10` | 10 synthetic images per class |
#
# The paper does not say how its "subset" was chosen; ours is uniformly random, new in every run.

# %%
def training_set(kind: str, n: int, run: int):
    if kind == "original":
        return M
    if kind == "subset":
        order = torch.randperm(len(M), generator=study.generator("subset", n, run))
        return M[order[:n * len(study.classes)]]
    synthetic = condensed[n, run % n_sets[n]]
    return synthetic["images"], synthetic["labels"]

names = {"original": ("original", None)} if "original" in training_sets else {}
names |= {f"{kind}-{n}": (kind, n) for n in settings for kind in training_sets if kind != "original"}
wanted = {(name, run): training_set(*names[name], run) for name in names for run in runs}

# %% [markdown]
# After training, every model answers for every image of the data set. These answers (the logits)
# are all that the attacker will see of it.

# %%
targets = study.population("target", wanted, epochs)       # logits [models, N, classes]
updates = [settings[n].updates if kind == "condensed" else 0
           for kind, n in (names[name] for name, _ in wanted)]
accuracies = {"members": signals.accuracies(targets.logits[:, M], study.labels[M]),
              "non_members": signals.accuracies(targets.logits[:, N], study.labels[N]),
              "test": signals.accuracies(targets.test_logits, study.split.dataset.test_labels)}
targets.table = targets.table.assign(updates=updates, **accuracies)
study.save("targets", targets)
study.save("condensed_sets", {f"ipc{n}-set{k}": synthetic["images"]
                              for (n, k), synthetic in condensed.items()})

# %% [markdown]
# ## Would more iterations help?
#
# The condensation paper makes 1,000 iterations. What a shorter run costs can be read off its own way: train the
# paper's CNN on the images as they were after 1, 2, 5, ... iterations, and at the end.

# %%
stages = {(n, k): condensation.stages(synthetic, settings[n].iterations)
          for (n, k), synthetic in condensed.items()}
snapshots = {(n, k, iteration): (images, condensed[n, k]["labels"])
             for (n, k), kept in stages.items() for iteration, images in kept.items()}
on_snapshots = study.population("curve", snapshots, epochs)
accuracy = dict(zip(snapshots, signals.accuracies(on_snapshots.logits[:, N], study.labels[N])))

# %%
figure, ax = plt.subplots(figsize=(5, 3))
ax.set_xscale("symlog", linthresh=1)
for (n, k), kept in stages.items():
    ax.plot(list(kept), [100 * accuracy[n, k, iteration] for iteration in kept], marker="o",
            color=f"C{list(settings).index(n)}", label=f"condensed-{n}, set {k}")
ax.set(xlabel="iterations of the condensation", ylabel="accuracy on non-members (%)", ylim=(0, 100))
ax.legend()
study.figure(figure, "accuracy_by_iterations")

# %% [markdown]
# Each point is one network. Where a curve still rises at its end, the condensed sets of this run are worse than
# a longer run's would be, and so are the models trained on them; where it is flat, little is lost.
#
# ## Table 1: accuracy of the target models
#
# Mean over the runs, plus or minus one standard deviation. `test` is the data set's own test file,
# where it has one; `updates` counts the matching steps that made the condensed images (the paper's 1,000 iterations are
# 10,000 for 10 images per class and 50,000 for 50).

# %%
by_target = targets.table.groupby("target", sort=False)
shown = by_target[["images", "updates"]].first()
for part in ("members", "non_members", "test"):
    if targets.table[part].notna().any():
        shown[part] = by_target[part].agg(tables.spread)
shown

# %% [markdown]
# **What it means.** Look at the two columns of `original`: the model is better on the images it was
# trained on than on others. This *generalisation gap* is what a membership attack lives on. Now
# compare each condensed row with the subset row of the same size. A model that never saw the members
# themselves has little reason for a gap. But a model trained on a small random subset also has a small gap *on
# the members as a whole*, because most members were not in the subset. Which of the two is the more
# accurate, and whether condensation does better than that simple rival, is the question to keep asking.
#
# ## Summary
#
# - Gradient matching moves noise until its gradients agree with those of the members.
# - Figure 4 shows the images; the table shows what training on them costs.
# - The attacker of notebooks 3 and 4 sees only `results/<profile>/targets/`: each model's answers.
#
# ## Exercises
#
# 1. What is $D$ between the gradients of the zeros and those of the ones, for the same network?
#    Is it larger or smaller than $D$ between two random halves of the zeros?
# 2. Start from real images instead of noise: replace `S_c` by ten members and take the step by hand.
#    How large is $D$ at the start? Why might an owner like this, and why should the members not?
# 3. Train a target on one condensed image per class. Where does its accuracy lie between guessing and the
#    random subset of 10 images a class?
#
# Solutions: `solutions/02_solutions.ipynb`.
#
# ## References
#
# - B. Zhao, K. R. Mopuri, H. Bilen, *Dataset condensation with gradient matching*, ICLR 2021.
# - Gujarathi & Gandhi, *Dataset Condensation for Data Privacy*.
# - T. Dong, B. Zhao, L. Lyu, *Privacy for free: how does dataset condensation help privacy?*, ICML 2022.
