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
iterations: list = [12]      # matching iterations, each with a new network, for all ipc or each; paper: 1000
outer: int = 5               # image updates an iteration; 0 takes the paper's loops for this ipc
inner: int = 5               # training epochs between two updates
width: int = 16              # filters of the matching network; paper: 128
real_batch: int = 256        # real images per class in one update (all, if there are fewer)
image_lr: float = 10.0       # step size on the pixels; paper: 0.1, over 100 times as many updates
first_set: int = 0           # number of the first condensed set
condensed_sets: list = [1]   # condensed sets, for all ipc or each; target run r is trained on set r mod this
training_sets: list = ["original", "subset", "condensed"]  # what to train target models on
first_run: int = 0           # number of the first run; each run has its own initial weights
n_runs: int = 3              # target models per training set
epochs: int = 60             # passes over the training set; paper: 100

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from dcpriv_lib import artefacts, condensation, data, networks, paths, plots, profiles, training
from dcpriv_lib.seeding import derive, generator

plots.style()
results = paths.results(profile)
device = training.device(device)
ipcs = profiles.as_list(ipc)
n_iterations = profiles.per_ipc("iterations", iterations, ipcs)
n_sets = profiles.per_ipc("condensed_sets", condensed_sets, ipcs)

# %% [markdown]
# The split comes from notebook 1. The owner works with the members; the non-members only tell us
# how good a model is on images it was never trained on.

# %%
split = data.load_split(results, profile=profile, dataset=dataset, seed=seed)
member_images, member_labels = split.part("members")
condensation.check(member_labels, ipcs, training_sets, outer, inner)
print(f"{len(member_images):,} members of shape {tuple(member_images.shape[1:])}, device {device.type}")

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
theta = networks.initialise(networks.ConvNet(*split.shape, width=16), generator(seed, "by hand"))
M_c = member_images[member_labels == 0]                                            # [n, C, H, W]
S_c = torch.randn(10, *M_c.shape[1:], generator=generator(seed, "noise by hand")).requires_grad_()  # [10, C, H, W]

# %% [markdown]
# How far apart are the two gradients, and in which direction should the noise move?

# %%
def D_of(S_c):
    g = condensation.weight_gradients(theta, M_c, torch.zeros(len(M_c), dtype=int))
    s = condensation.weight_gradients(theta, S_c, torch.zeros(len(S_c), dtype=int), create_graph=True)
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
def condense(ipc: int, number: int) -> dict:
    loops = dict(zip(("outer", "inner"), condensation.loops(ipc, outer, inner)))
    settings = dict(ipc=ipc, **loops, real_batch=real_batch, image_lr=image_lr)
    inputs = split.inputs | settings | {"width": width, "set": number}
    folder, name = results / "condensed", f"ipc{ipc}-set{number}"
    run = lambda _: condensation.condense(
        member_images.to(device), member_labels.to(device), **settings, iterations=n_iterations[ipc],
        make_network=lambda: networks.ConvNet(*split.shape, width=width),
        seed=derive(seed, "condense", ipc, number),
        checkpoint=artefacts.cached_path(folder / f"state-{name}", inputs),
        progress=lambda steps: tqdm(steps, desc=f"ipc {ipc}, set {number}"))
    return artefacts.cached(folder / name, inputs | {"iterations": n_iterations[ipc]}, run)

# %%
condensed_ipcs = ipcs if "condensed" in training_sets else []
condensed = {(n, k): condense(n, k) for n in condensed_ipcs for k in range(first_set, first_set + n_sets[n])}

# %% [markdown]
# Did the gradients come to agree?

# %%
figure, ax = plt.subplots(figsize=(5, 3))
for (n, k), result in condensed.items():
    ax.plot(np.arange(1, n_iterations[n] + 1), result["loss"], label=f"ipc {n}, set {k}")
ax.set(xlabel="iteration", ylabel="mean of D per class and update", ylim=(0, None))
ax.xaxis.get_major_locator().set_params(integer=True)
if condensed:
    ax.legend()
plots.save(figure, results, "matching_loss")

# %% [markdown]
# The distance falls and does not reach zero: no few images can match the gradients of *every*
# network, and each iteration meets a new one.
#
# ## Figure 4: from noise to training images
#
# Each row of a panel is a class.

# %%
for n in condensed_ipcs:
    result, kept = condensed[n, first_set], condensation.snapshot_iterations(n_iterations[n])
    shown = {after: result["snapshots"][kept.index(after)] for after in (0, 1, kept[-2])} | {
        n_iterations[n]: result["images"]}
    figure, axes = plt.subplots(1, len(shown), figsize=(2.5 * len(shown), 3.0))
    for ax, (after, pictures) in zip(axes, shown.items()):
        first_ten = torch.as_tensor(pictures).unflatten(0, (-1, n))[:, :10].flatten(0, 1)
        plots.images(ax, split.grey_levels(first_ten), min(n, 10), f"ipc {n}, iteration {after}")
    plots.save(figure, results, f"figure4_condensed_{n}_ipc")

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
def training_data(kind: str, n: int | None, run: int) -> tuple[torch.Tensor, torch.Tensor]:
    if kind == "original":
        return member_images, member_labels
    if kind == "subset":
        size = n * len(split.dataset.classes)
        chosen = torch.randperm(len(member_images), generator=generator(seed, "subset", n, run))[:size]
        return member_images[chosen], member_labels[chosen]
    chosen = condensed[n, first_set + run % n_sets[n]]
    return torch.as_tensor(chosen["images"]), torch.as_tensor(chosen["labels"])

# %% [markdown]
# After training, the model answers for every member, every non-member, and the data set's own test file if there is
# one. The answers (logits) are all that the attacker will see of it.

# %%
exam = {part: split.part(part) for part in ("members", "non_members", "test")}
exam = {part: (images, labels) for part, (images, labels) in exam.items() if len(images)}

def train_target(name: str, images, labels, run: int, unfinished) -> dict:
    network = networks.initialise(networks.PaperCNN(*split.shape), generator(seed, "target", name, run))
    network.to(device)
    training.train(network, images.to(device), labels.to(device), epochs=epochs,
                   generator=generator(seed, "target order", name, run), checkpoint=unfinished)
    answers = {part: training.predict(network, pictures) for part, (pictures, _) in exam.items()}
    return answers | {f"weights.{key}": value.cpu() for key, value in network.state_dict().items()}

# %%
def target(kind: str, n: int | None, run: int) -> dict:
    name = kind if n is None else f"{kind}-{n}"
    images, labels = training_data(kind, n, run)
    inputs = split.inputs | {"target": name, "run": run, "epochs": epochs,
                             "training_set": data.digest(images, labels)}
    path = results / "targets" / f"{name}-run{run}"
    answers = artefacts.cached(path, inputs, lambda unfinished: train_target(name, images, labels, run, unfinished))
    scores = {part: training.accuracy(answers[part], truth) for part, (_, truth) in exam.items()}
    updates = n_iterations[n] * condensation.loops(n, outer, inner)[0] if kind == "condensed" else 0
    return {"target": name, "run": run, "images": len(images), "updates": updates, **scores,
            "file": artefacts.cached_path(path, inputs).name}

# %%
kinds = [(kind, n) for n in [None, *ipcs] for kind in training_sets if (kind == "original") == (n is None)]
rows = [target(kind, n, run) for kind, n in tqdm(kinds, desc="training sets")
        for run in range(first_run, first_run + n_runs)]
targets = pd.DataFrame(rows, columns=["target", "run", "images", "updates", "members", "non_members", "test", "file"])
settings = {"epochs": epochs, "ipc": ipcs, "iterations": list(n_iterations.values()), "width": width,
            "real_batch": real_batch, "image_lr": image_lr,
            "loops": [condensation.loops(n, outer, inner) for n in ipcs]}
artefacts.save_table(results / "targets.csv", targets, split.inputs | settings)
pictures = {f"ipc{n}-set{k}": result["images"] for (n, k), result in condensed.items()}
artefacts.save_arrays(results / "condensed_sets.npz", pictures, split.inputs | settings)

# %% [markdown]
# ## Would more iterations help?
#
# The condensation paper makes 1,000 iterations. What a shorter run costs can be read off its own way: train the
# paper's CNN on the images as they were after 1, 2, 5, ... iterations, and at the end.

# %%
def stages(n: int, k: int) -> tuple[list[int], torch.Tensor]:
    """Return iterations, and the images after each of them [stages, ...]."""
    before = [i for i in condensation.snapshot_iterations(n_iterations[n]) if i < n_iterations[n]]
    kept, final = (torch.as_tensor(condensed[n, k][name]) for name in ("snapshots", "images"))
    return [*before, n_iterations[n]], torch.cat([kept[:len(before)], final[None]])

def accuracy_after(n: int, k: int) -> np.ndarray:
    pictures, truth = split.part("non_members")
    own_labels = torch.as_tensor(condensed[n, k]["labels"])
    found = []
    for snapshot in stages(n, k)[1]:
        network = networks.initialise(networks.PaperCNN(*split.shape), generator(seed, "curve", n, k)).to(device)
        training.train(network, snapshot.to(device), own_labels.to(device), epochs=epochs,
                       generator=generator(seed, "curve order", n, k))
        found.append(training.accuracy(training.predict(network, pictures), truth))
    return np.array(found)

# %%
def curve(n: int, k: int) -> np.ndarray:
    inputs = split.inputs | {"epochs": epochs, "set": k, "snapshots": data.digest(
        stages(n, k)[1], torch.as_tensor(condensed[n, k]["labels"]))}
    return artefacts.cached(results / "condensed" / f"curve-ipc{n}-set{k}", inputs,
                            lambda _: {"accuracy": accuracy_after(n, k)})["accuracy"]

figure, ax = plt.subplots(figsize=(5, 3))
ax.set_xscale("symlog", linthresh=1)
for n, k in condensed:
    ax.plot(stages(n, k)[0], 100 * curve(n, k), marker="o", color="C" + str(ipcs.index(n)), label=f"condensed-{n}, set {k}")
ax.set(xlabel="iterations of the condensation", ylabel="accuracy on non-members (%)", ylim=(0, 100))
if condensed:
    ticks = condensation.snapshot_iterations(max(n_iterations.values()))
    ax.set_xticks(ticks, ticks)
    ax.legend()
plots.save(figure, results, "accuracy_by_iterations")

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
accuracy = targets.groupby("target", sort=False)[["members", "non_members", "test"]]
per_cent = (100 * accuracy.mean()).round(1).astype(str) + " ± " + (100 * accuracy.std()).round(1).astype(str)
per_cent.dropna(axis=1, how="all").join(targets.groupby("target")[["images", "updates"]].first())

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
