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
# # 12. You are handed the images
#
# > *Where we are.* Part I, the experiment: 1 2 3 4 5; part II, the doubt: 6 7 8; part III, further: 9 10 11 **12**.<br>
# > **Last time** a proof limited every attacker; so far all others could only ask a model. **This time**, the last, the attacker holds the
# > images themselves.
#
# **Question.** Whoever condenses in order to *share* hands over the images, and not a model that one may ask. What do the images
# say about the people who were condensed?
#
# **In this notebook you will learn**
#
# 1. the two doors: a model to ask, and images to hold;
# 2. to take a synthetic image apart into the people of whom it was mixed;
# 3. attacks on a set of images, which need no model of the owner's, and to calibrate them with sets of your own;
# 4. whom a released set exposes who is not found through a model;
# 5. what gives people away: the start, the updates, the labels, or how few they are;
# 6. to test a set without being able to condense as its maker did;
# 7. what an owner can change before publishing, and what each change costs.
#
# **You need** notebooks 6, 7 and 9; for two of the rows notebook 11. Reading takes three quarters of an hour; running takes
# two to five minutes at the quick scale.
#
# > **Threat model.** The attacker **holds the released set**: all images, their labels, and what the owner wrote about how they were
# > made (the method, its settings, the scale of the pixels). They have images of their own of the same kind, know which people they
# > want to ask about, and have these people's images. Most attacks here also condense other people's images as the owner did. What the
# > attacker does not have is the seed, unless a row says so. Members are the **real** people who were condensed. Beside it stands the
# > threat model of notebooks 7 and 9, in which the attacker may only ask one model that was trained on the images.

# %% tags=["parameters"]
profile: str = "quick"      # name of this run; its files are in results/<profile>
dataset: str = "digits"     # must be what 01_data_split divided
seed: int = 0               # must be what 01_data_split used
device: str = "auto"        # cpu, cuda, mps, or auto
released: list = ["random", "DC from means", "DM", "DM from noise", "IDM", "KIP"]  # sets
step_factors: list = [1, 1, 1, 1, 3, 3]  # of their usual step sizes, see "The sets"
control_ipc: int = 10       # images per class
n_sets: int = 10            # sets of every method, an even number; each is a target
slow_attacks: list = []     # or "gradient", "own models": longer than all others together
n_canaries: int = 60        # images of the pool with a wrong label
effort: float = 0.1         # of the library's usual number of iterations
width: int = 16             # filters of the network that the methods work with
real_batch: int = 256       # real images per class in one update
training_steps: int = 80    # optimiser steps of every model
looked_at: str = "KIP"      # the set that is looked at closely, and mended, one of released
factor_method: str = "DM"   # the method whose start is changed
factor_starts: list = ["noise", "mean noise", "means", "real"]  # what it starts from
other_ipc: list = [1, 20]   # images per class, besides
crowds: list = [200]        # how many members are condensed, besides half of the pool
dp_epsilons: list = [1, 10]  # guarantees of the private sets
delta: float = 1e-5         # the other part of these guarantees
releases_once: int = 20     # noisy sums of a class in a private set
dm_batch: int = 40          # members of a class in a noisy sum on average
updates: int = 40           # steps in which images are fitted to noisy sums
short_gan_steps: int = 150  # steps of the GAN

# %%
from dataclasses import replace
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from scipy.optimize import nnls
from scipy.spatial.distance import cdist

from dcpriv_lib import limits, parameters
from dcpriv_lib.attacks import signals, suites
from dcpriv_lib.attacks.released import calibration, suite, without_references
from dcpriv_lib.attacks.shadow_models import membership_matrix
from dcpriv_lib.condensation import condense, defaults
from dcpriv_lib.evaluation import canaries, controls, examination, released_sets
from dcpriv_lib.jobs import FittedRelease, StartedElsewhere, Training, each
from dcpriv_lib.models.training import epochs_for
from dcpriv_lib.privacy import accounting as dp, auditing, gan, noisy_embeddings
from dcpriv_lib.results import comparison, plots, tables, verdicts, voice
from dcpriv_lib.results.kept import committed
from dcpriv_lib.study import Study

study = Study(**parameters.check(globals()))

# %% [markdown]
# Everything that could be too large for this data set is noticed here, before anything is computed.

# %%
pool, classes = study.pool, study.classes
few = control_ipc * len(classes)                         # images of a condensed set
limits.check("12_released_images", study)

# %% [markdown]
# ## Two doors
#
# A condensed set can be used in two ways. The owner keeps it, trains a model and lets others ask that model: notebooks 7 and 9 knocked at
# this door. Or the owner gives it away, which is what condensing is praised for. Then there is no model between the people and the
# attacker, but whatever models the attacker would like to train. Guess now: through which of the two doors does one see more, and how
# much?

# %% tags=["plumbing"]
figure, ax = plots.diagram(10.6, 3.2)
plots.box(ax, (1.1, 1.6), "the members", plots.MEMBER, (1.8, 0.9))
plots.box(ax, (4.2, 1.6), "synthetic images", plots.SYNTHETIC, (2.0, 0.9))
plots.box(ax, (7.2, 2.6), "one model", plots.NON_MEMBER, (1.7, 0.8))
for y, what in ((2.6, "may ask it"), (0.6, "holds the images")):
    plots.box(ax, (9.7, y), what, size=(1.7, 0.8))
plots.arrow(ax, (2.05, 1.6), (3.15, 1.6), "condense")
plots.arrow(ax, (5.25, 1.75), (6.3, 2.5), "train")
plots.arrow(ax, (8.1, 2.6), (8.8, 2.6), "ask")
plots.arrow(ax, (5.25, 1.45), (8.8, 0.65), "hand over")
study.figure(figure, "two_doors",
             "Diagram: members are condensed to synthetic images. One attacker may ask a model "
             "that was trained on them, the other holds the images.")

# %% [markdown]
# ## The sets
#
# The design is that of notebook 9: complementary halves of the pool, each of which is condensed by every method; a few people, the
# canaries, have a wrong label. Here each *set* is a target. The sets of the other pairs are what the attacker condensed, who knows
# how the owner works. Step sizes (`step_factors`) are what notebook 9 chose on the attacker's images, for a method from its usual start; another
# start keeps the usual step.

# %%
# NBVAL_CHECK_OUTPUT
world = study.with_canaries(n_canaries)
canary, labels = world.canaries, world.labels[pool].numpy()                  # bool [n], int [n]
member = membership_matrix(len(pool), n_sets, study.rng("methods"))          # bool [sets, n]
halves = {j: pool[member_j] for j, member_j in enumerate(member)}
inside, outside = member & ~canary, ~member & ~canary    # the average person: [sets, n] each
print(f"{n_sets} sets of every method, each of {member[0].sum()} members in {few} images")

# %%
factor_of = dict(zip(released, np.broadcast_to(step_factors, len(released)).tolist()))

def settings(name, ipc=control_ipc):
    """How "METHOD" or "METHOD from START" condenses."""
    method, _, start = name.partition(" from ")
    return defaults.settings_of(method, ipc, width=width, real_batch=real_batch, effort=effort,
                                factor=factor_of.get(name, 1), start=start or None)

sets = study.at_once({name: partial(world.sets, name, each(halves, settings(name)))
                      for name in released})

# %%
shown = [made[0]["images"][::len(made[0]["images"]) // len(classes)] for made in sets.values()]
figure, ax = plt.subplots(figsize=(6.5, 0.62 * len(sets)))
plots.images(ax, study.split.grey_levels(np.concatenate(shown)), len(classes))
plots.name_rows(ax, sets)
study.figure(figure, "released_shown",
             "One image of every class, a row for each released set: " + ", ".join(sets) + ".")

# %% [markdown]
# ## What the eye sees
#
# Take the first image of some classes, and put beside it the member and the non-member that look most like it.

# %%
figure, axes = plt.subplots(1, len(sets), figsize=(1.7 * len(sets), 2.6))
for ax, (name, made) in zip(axes, sets.items()):
    S = torch.as_tensor(made[0]["images"][::len(made[0]["images"]) // len(classes)][:5])
    nearest = [study.images[rows[cdist(S.flatten(1), study.images[rows].flatten(1)).argmin(1)]]
               for rows in (pool[member[0]], pool[~member[0]])]
    rows = torch.stack([S, *nearest], 1).flatten(0, 1)
    plots.images(ax, study.split.grey_levels(rows), 3, name.replace(" from", "\nfrom"))
study.figure(figure, "what_the_eye_sees",
             "Five released images of every set, each beside the member and the non-member "
             "that look most like it.")

# %% [markdown]
# In each panel: a released image on the left, its nearest member in the middle, its nearest non-member on the right. Where the left
# and the middle are the same picture, nothing has to be computed any more. Where they are not, the eye has little to say: people who write
# alike look alike, members or not. But a distance is only one of the things that can be measured.
#
# ## Taking an image apart by hand
#
# Condensing often starts from means of a few people (notebook 2), and few updates leave much of that mean. A mean of four people looks
# like nobody. Can it be taken apart? Write the released image $s$ as a mixture of the candidates' images $x_i$, with weights that are
# not negative:
#
# $$w = \underset{w \ge 0}{\mathrm{arg\,min}} \left\| s - \sum_i w_i\, x_i \right\|^2 .$$
#
# This is one call of scipy for one image and the candidates of its class. No network, no model, and no other set is needed. Before you
# run it: how many of the many candidates will get a weight that is not zero, and how many of those are members?

# %%
mixed = "DC from means"
made = sets.get(mixed) or world.sets(mixed, each({0: halves[0]}, settings(mixed)))
made, mine = made[0], np.flatnonzero(labels == 0)
grey = study.split.grey_levels(study.images[pool[mine]]).flatten(1).numpy()  # candidates [m, d]
s = study.split.grey_levels(torch.as_tensor(made["images"][:1])).flatten().numpy()
w, _ = nnls(grey.T, s)
order = np.argsort(-w)[:12]
print(f"{(w > 0.01).sum()} of {len(mine)} candidates have a weight above 0.01; "
      f"{member[0][mine[w > 0.01]].sum()} of these are members")

# %%
figure, (ax, bars) = plt.subplots(2, 1, figsize=(8, 3.4), height_ratios=(1, 1.6))
strip = torch.cat([torch.as_tensor(made["images"][:1]), study.images[pool[mine[order]]]])
plots.images(ax, study.split.grey_levels(strip), 13,
             "the released image, and the twelve people with most weight")
of_member = member[0][mine[order]]
started = np.isin(pool[mine[order]], made["started_from"][:1])
bars.bar(np.arange(1, 13), w[order], width=0.6,
         color=np.where(of_member, plots.MEMBER, plots.NON_MEMBER))
bars.plot(np.arange(1, 13)[started], w[order][started] + 0.02, "k*", clip_on=False)
bars.set(xlim=(-0.5, 12.5), xticks=[], ylabel="weight", ylim=(0, None))
study.figure(figure, "unmixing_by_hand",
             "A released image, the twelve people with most weight in it, and their weights as "
             f"bars: {of_member.sum()} are members, {started.sum()} have a star, which marks a "
             "real ingredient.")

# %% [markdown]
# Blue bars are members, orange ones are not; a star marks a person whose image the condensation really started from. The mixture gives
# its ingredients away to anybody who holds the candidates' images. (The mathematics is old. Photographs of several people laid over each
# other are taken apart in the same way, and so are the spectra of mixed substances.)
#
# ## The attacks
#
# Every attack is a function of the released images and labels, the candidates, and what the attacker knows. It gives each candidate one
# score. With $S_y$ for the released images of the candidate's class, $O_y$ for the attacker's own, and $\phi$ for features:
#
# | attack | score of a candidate $(x, y)$ | the idea |
# |---|---|---|
# | nearest image | $-\min_{s \in S_y} \lVert x - s \rVert$ | looks |
# | nearer than to own images | $\log \min_{o \in O_y} \lVert x - o \rVert - \log \min_{s \in S_y} \lVert x - s \rVert$ | looks, less how common they are |
# | soft nearest | $\log \sum_{s \in S_y} e^{-\lVert x - s \rVert^2 / t}$ | near to many |
# | density | $\log p_S(x) - \log p_O(x)$, kernel estimates | generators that over-fit (van Breugel et al.) |
# | unmixing | the largest weight $w_x$ in any $s \in S_y$ | mixtures |
# | class mean, pixels / random networks | $(\phi(x) - \mu)^\top \Sigma^{-1} (\mathrm{mean}\,\phi(S_y) - \mu)$ | what distribution matching matches |
# | kernel regression, error / margin | $-\lVert K_{xS} (K_{SS} + \lambda I)^{-1} y_S - y \rVert^2$ / lead of the right class | infinitely wide networks trained on $S$, and the very loss of KIP |
# | gradient | $\langle \nabla \ell(x, y), \nabla \ell(S_y) \rangle$, normalised, random network | what gradient matching matches |
# | learned labels | how much less error than with hard labels | for sets whose labels were learned |
# | own models | mean confidence in $y$ of models that the attacker trains on $S$ | as many models as one likes |
#
# None of the distances is evidence *of* privacy when it finds nothing, as it is often used: they are here as attacks, and have to show
# what they can do.
#
# A score alone is mostly looks. Below is one of them for three people, over all sets of one method: blue where the person was condensed,
# orange where not.

# %%
asked = world.scores(sets, [*suite.SWIFT, *slow_attacks])
score = asked[looked_at]["kernel regression, error"]
figure, axes = plt.subplots(1, 3, figsize=(9, 1.8))
for ax, one in zip(axes, np.flatnonzero(~canary)[:3]):
    plots.with_and_without(ax, score[member[:, one], one], score[~member[:, one], one])
    plots.inset(ax, study.split.grey_levels(study.images[pool[[one]]]))
    ax.set(xlabel="score of this person")
study.figure(figure, "scores_of_three",
             "Histograms of one score for three people, blue over the sets that were made with "
             "them, orange over those without.")

# %% [markdown]
# The three have scores far apart, whether or not they were condensed; what membership adds is small beside that. So the attacker
# compares each person with *themselves*, in sets of their own making with and without the person. That is LiRA (notebook 6), with sets in
# place of models. The set's partner, whose members are exactly the others, is left out. The last row, "all together", is the linear
# direction among all scores that tells members best in the other pairs of sets. It is fixed in advance as **the** attack on a released set.
# So the best of many columns is never chosen by its result.

# %%
found = {name: calibration.calibrated(of_sets, member) for name, of_sets in asked.items()}
average = pd.DataFrame([
    {"released": name, "attack": attack} | examination.examine(scores, inside, outside)
    for name, of_attacks in found.items() for attack, scores in of_attacks.items()])
texts = verdicts.examined_cells(average)
study.table(texts.drop(columns="pairs"), "released_attacks", verdicts.luck(average))
by_set = texts.pivot(index="attack", columns="released", values="AUC")
by_set.reindex([*found[looked_at]])[released]

# %%
voice.shown("released_attacks", texts)

# %% [markdown]
# Read a column from top to bottom: which idea fits which method? Where a method started from real images and kept them, looks are
# enough. Where it mixed people, unmixing finds what looks do not. The loss of KIP finds what KIP learned. All attacks stand here, the ones that
# failed too; the table that is kept has their rates at few false alarms and their verdicts.
#
# ## Both doors, side by side
#
# Now the same people, the same sets, and a model for each of them, as in notebook 9. At the model's door four attacks are tried
# (notebook 6), and the largest of the four numbers counts, in favour of those who say that models leak as much.

# %%
strong = {name: suites.STRONG[name] for name in suites.CANDIDATES}

def models_of(world, name, sets):
    """One model of each set."""
    recipe = Training(epochs_for(training_steps, len(sets[0]["labels"])))
    return world.models(name, each(sets, recipe))

trained = study.at_once({name: partial(models_of, world, name, made)
                         for name, made in sets.items()})

# %%
TOGETHER, doors, accuracy = calibration.TOGETHER, [], {}
for name, made in sets.items():
    references = world.references(member, trained[name])
    scores = examination.leave_pair_out(references, strong)
    accuracy[name] = signals.accuracies(references.logits[:, :, 0], references.labels, outside)
    at_model, best = released_sets.strongest(scores, inside, outside)
    both = {"model": scores[at_model], "images": found[name][TOGETHER]}
    own = {door: examination.aucs(of_door, inside, outside)
           for door, of_door in both.items()}
    groups = member & canary, ~member & canary
    worst = {door: examination.examine(of_door, *groups, others_like_them=True)
             for door, of_door in both.items()}
    doors.append({"released": name, "people": len(np.unique(made[0]["started_from"])),
                  "model": best, "images": examination.examine(
                      found[name][TOGETHER], inside, outside),
                  "worst": worst,
                  "apart": examination.over_pairs(own["images"] - own["model"])})

# %%
def column(door, measure, of=lambda row: row):
    """One measure at one door, for every set."""
    rows = pd.DataFrame([of(row)[door] for row in doors])
    return tables.rates(rows, measure)

members = member.sum(1).mean()
ceiling = [controls.ceiling(min(few, members), members) if name == "random" else np.nan
           for name in released]
texts = pd.DataFrame({
    "released": released, "starts from people": [row["people"] for row in doors],
    "accuracy": [verdicts.rate_cell(accuracy[name]) for name in released],
    "one model: AUC": column("model", "auc"), "the images: AUC": column("images", "auc"),
    "images less model": [tables.points(*row["apart"]) for row in doors],
    "one model: TPR at 1 % FPR": column("model", "tpr"),
    "the images: TPR at 1 % FPR": column("images", "tpr"),
    "ceiling of the AUC": tables.plain_column(ceiling, "{:.2 %}")})
of_images = pd.DataFrame([row["images"] for row in doors]).assign(ceiling=ceiling)
texts["the images"] = verdicts.verdicts(of_images)
study.table(texts, "two_doors", f"{verdicts.luck(of_images)} "
            + comparison.luck([row["apart"] for row in doors]))

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 0.42 * len(doors) + 1.3), sharey=True,
                            layout="constrained")
for ax, measure, title in zip(axes, ("auc", "above_all"), (
        "AUC (%), the average person", "above every non-member canary (%)")):
    for door, colour, offset in (("model", plots.NON_MEMBER, 0.12),
                                 ("images", plots.SYNTHETIC, -0.12)):
        rows = [row[door] if measure == "auc" else row["worst"][door] for row in doors]
        numbers = 100 * pd.DataFrame(rows)[[measure, f"{measure}_low", f"{measure}_high"]]
        plots.intervals(ax, *numbers.to_numpy().T, released, colour, offset, label=door)
    ax.set(xlabel=title)
axes[0].axvline(50, color="0.6", linestyle=":", linewidth=1)
names = ["ask one model", "hold the images"]
figure.legend(axes[1].get_legend_handles_labels()[0], names, loc="outside upper center",
              ncols=2, fontsize=8)
study.figure(figure, "two_doors_compared",
             "AUC by one model and by the images: " + "; ".join(
    f"{row['released']} {100 * row['model']['auc']:.1f} and "
    f"{100 * row['images']['auc']:.1f} %" for row in doors) + ".")

# %% [markdown]
# The right picture is about the canaries, people with a wrong label: how many of them score above every canary who was left out?
# A model of few images often has no room for them. The images were *made* with them.

# %%
worst = pd.concat({row["released"]: pd.DataFrame(row["worst"]).T for row in doors},
                  names=["released", "door"]).reset_index().infer_objects()
worst["door"] = worst["door"].map({"model": "one model", "images": "the images"})
study.table(verdicts.examined_cells(worst).drop(columns="pairs"), "canaries_of_doors",
            verdicts.luck(worst))

# %% [markdown]
# ### Whom it betrays, and which image does
#
# The eight people about whom the attacker is surest, in the first set of one method, and under each the released image of their class
# that is nearest to them. A green tick says that the person was condensed. Would you have found them by looking?

# %%
sure = np.argsort(-found[looked_at][TOGETHER][0])[:8]
made, faces = sets[looked_at][0], study.images[pool[sure]]
hard = np.asarray(made["labels"]) if np.ndim(made["labels"]) == 1 else made["labels"].argmax(1)
far = cdist(faces.flatten(1), made["images"].reshape(len(hard), -1))
far[labels[sure][:, None] != hard] = np.inf
figure, ax = plt.subplots(figsize=(7, 2.2))
pair = torch.cat([faces, torch.as_tensor(made["images"][far.argmin(1)])])
plots.images(ax, study.split.grey_levels(pair), 8)
plots.ticks_and_crosses(ax, member[0][sure])
plots.name_rows(ax, ["people", "nearest image"])
study.figure(figure, "worst_off",
             "The eight people accused first, ticked if they were condensed: "
             f"{member[0][sure].sum()}; below each the released image nearest to them.")
print(f"{member[0][sure].sum()} of these 8 were condensed, {canary[sure].sum()} are canaries")

# %% [markdown]
# ## Canaries for a release
#
# A wrong label was invented for models, which can know it only by heart. Somebody who looks at images can look for other things.
# Four kinds of people who are easily noticed, a quarter of the canaries each, hidden in the same pool:
#
# 1. **wrong label**: an image as it is, said to be another class;
# 2. **patch**: a real image with a small square of random black and white pixels, a mark that nobody else has;
# 3. **many times**: the image of one person stands four times in the pool, and all four are condensed or none;
# 4. **near-duplicates**: the same, but each copy with a little noise of its own, as four photographs of one person have.
#
# The last two break a rule that everything so far rests on, that each person has one image. Real data sets break it all the time.

# %%
kinds, copies = ("wrong label", "patch", "many times", "near-duplicates"), 3
n_special = n_canaries // len(kinds)
order = study.rng("special people").permutation(len(pool))
chosen, rest = np.split(order[:n_special * (len(kinds) + 2 * copies)], [n_special * len(kinds)])
kind_of = dict(zip(kinds, chosen.reshape(len(kinds), n_special)))
copied = dict(zip(kinds[2:], rest.reshape(2, n_special, copies)))
X, y = study.images[pool], study.labels[pool].clone()
black, white = float(study.images.min()), float(study.images.max())
draw = study.generator("special people")
side = max(2, X.shape[-1] // 7)
X[kind_of["patch"]] = canaries.patched(X[kind_of["patch"]], side, black, white, draw)
shift = torch.randint(1, len(classes), (n_special,), generator=draw)
y[kind_of["wrong label"]] = (y[kind_of["wrong label"]] + shift) % len(classes)
for kind, noise in (("many times", 0.0), ("near-duplicates", 0.1 * (white - black))):
    X[copied[kind]] = canaries.near_duplicates(X[kind_of[kind]], copies, noise, draw)
    y[copied[kind]] = y[kind_of[kind]][:, None]
special = study.with_people(pool, X, y)

# %%
figure, ax = plt.subplots(figsize=(7, 2.6))
some = torch.cat([X[kind_of[kind][:8]] for kind in kinds])
plots.images(ax, study.split.grey_levels(some), 8)
plots.name_rows(ax, kinds)
study.figure(figure, "special_people",
             "Eight images of each kind: wrong labels, images with a small patch of random "
             "pixels, people who are there four times, and near-duplicates.")

# %%
marked = membership_matrix(len(pool), n_sets, study.rng("special people's halves"))
for kind, others in copied.items():                      # copies go where the person goes
    marked[:, others] = marked[:, kind_of[kind], None]
own = {j: pool[one] for j, one in enumerate(marked)}
betrayed = study.at_once({name: partial(
    special.sets, f"{name}, special people", each(own, settings(name)))
    for name in dict.fromkeys([looked_at, factor_method])})
of_special, rows = special.scores(betrayed, suite.SWIFT), []
trained_on = study.at_once({name: partial(models_of, special, f"{name}, special people", made)
                            for name, made in betrayed.items()})
for name, known in trained_on.items():
    of_set = calibration.together(of_special[name], marked)
    of_model = examination.leave_pair_out(special.references(marked, known), strong)
    for kind in kinds:
        who = np.isin(np.arange(len(pool)), kind_of[kind])
        groups = marked & who, ~marked & who
        rows += [{"released": name, "people": kind, "door": "one model"}
                 | released_sets.strongest(of_model, *groups, others_like_them=True)[1],
                 {"released": name, "people": kind, "door": "the images"}
                 | examination.examine(of_set, *groups, others_like_them=True)]

# %%
noticed = pd.DataFrame(rows)
study.table(verdicts.examined_cells(noticed).drop(columns="pairs"), "special_people",
            verdicts.luck(noticed))

# %% [markdown]
# Guess before you read it which row is largest. Whoever audits a release should plant the kind that *its* method betrays, not the kind that
# is usual for models.
#
# ## Who gives it away?
#
# ### The start, and the updates
#
# One method, four starts, and its images after every few iterations; 0 is the start itself. (The random networks are left out here, for speed.) A
# start from noise shows nobody, one from means shows four people in each image, and one from real images shows them as they are.
# Do the updates wash the start out, or do they write people in?

# %%
swift = [name for name in suite.SWIFT if "networks" not in name]
by_start, now = {}, {}
started = study.at_once({start: partial(
    world.sets, name, each(halves, settings(name)))
    for start in factor_starts for name in [f"{factor_method} from {start}"]})
for start in factor_starts:
    name = f"{factor_method} from {start}"
    for place, iteration in enumerate(condense.snapshot_iterations(settings(name).iterations)):
        now[start, iteration] = {j: one | {"images": one["snapshots"][place]}
                                 for j, one in started[start].items()}
after = world.scores({f"{factor_method} from {start} after {iteration}": made
                      for (start, iteration), made in now.items()}, swift)
rows = []
for (start, iteration), scores in zip(now, after.values()):
    of_now = calibration.together(scores, member)
    by_start[start, iteration] = examination.aucs(of_now, inside, outside)
    rows.append({"start": start, "iterations": iteration}
                | examination.examine(of_now, inside, outside))
of_updates = pd.DataFrame(rows)
study.table(verdicts.examined_cells(of_updates).drop(columns="pairs"), "released_updates",
            verdicts.luck(of_updates))

# %%
figure, ax = plt.subplots(figsize=(6.5, 3.4))
for start, style in zip(factor_starts, ("o-", "s--", "^-.", "v:", "d-", "x--", "*-.")):
    steps = [iteration for which, iteration in by_start if which == start]
    ends = np.array([examination.over_pairs(by_start[start, iteration]) for iteration in steps])
    middle, low, high = 100 * ends.T
    ax.errorbar(np.arange(len(steps)), middle, [middle - low, high - middle], fmt=style,
                capsize=3, label=start)
ax.set(xticks=range(len(steps)), xticklabels=steps, xlabel="iterations",
       ylabel="AUC (%), images")
ax.axhline(50, color="0.6", linestyle=":", linewidth=1)
ax.legend(title=f"{factor_method} from", fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
study.figure(figure, "released_updates",
             "AUC of the images over the iterations, from the start to the end: " + "; ".join(
    f"{start} {100 * by_start[start, 0].mean():.1f} to "
    f"{100 * by_start[start, steps[-1]].mean():.1f} %"
    for start in factor_starts) + ".")

# %% [markdown]
# ### An attacker who knows the start
#
# A start from noise is often noise from a published seed, or the owner shares it along with the code. Then the attacker can take it
# away from the images, and what is left is what the members added. Here the start of `noise` is known:

# %%
noises = {f"from {start}, start known": made for start, made in started.items()
          if "noise" in start}
known = {name.split(",")[0]: calibration.calibrated(scores, member) for name, scores in
         world.scores(noises, ["update of a known start", *swift]).items()}
rows = pd.DataFrame([{"start": start, "attack": attack}
                     | examination.examine(of_attacks[attack], inside, outside)
                     for start, of_attacks in known.items()
                     for attack in ("update of a known start", TOGETHER)])
if len(rows):                                            # else no start is noise
    display(study.table(verdicts.examined_cells(rows).drop(columns="pairs"), "known_start",
                        verdicts.luck(rows)))

# %% [markdown]
# ### How many people an image stands for
#
# With more images a class, or fewer people, every image stands for fewer of them. A random choice of as many real images can have an
# AUC of $\frac12 + \frac{n}{2N}$ at most, by the theorem of notebook 7; for condensed images there is no such ceiling.

# %%
crowd_of = {}
for crowd in sorted(crowds):
    some = study.subset(2 * crowd)
    kept = membership_matrix(len(some.pool), n_sets, study.rng("methods", "members", crowd))
    crowd_of[crowd] = some, kept, {j: some.pool[one] for j, one in enumerate(kept)}
to_make = {ipc: partial(
    world.sets, f"{looked_at} {ipc}", each(halves, settings(looked_at, ipc)))
    for ipc in other_ipc if ipc != control_ipc}
to_make |= {f"{looked_at}, {crowd} members": partial(
    some.sets, f"{looked_at}, {crowd} members", each(own, settings(looked_at)))
    for crowd, (some, _, own) in crowd_of.items()}
fewer = study.at_once(to_make)

# %%
by_ipc = {ipc: sets[looked_at] if ipc == control_ipc else fewer[ipc]
          for ipc in sorted({control_ipc, *other_ipc})}
of_ipc = world.scores({f"{looked_at} {ipc}": made for ipc, made in by_ipc.items()}, swift)
rows = [{"members": member[0].sum(), "images a class": ipc} | examination.examine(
    calibration.together(scores, member), inside, outside)
    for ipc, scores in zip(by_ipc, of_ipc.values())]
of_crowd = study.at_once({crowd: partial(some.scores, {name: fewer[name]}, swift)
                          for crowd, (some, *_) in crowd_of.items()
                          for name in [f"{looked_at}, {crowd} members"]})
for crowd, (_, kept, _) in crowd_of.items():
    (scores,) = of_crowd[crowd].values()
    rows.append({"members": crowd, "images a class": control_ipc} | examination.examine(
        calibration.together(scores, kept), kept, ~kept))

# %%
dose = pd.DataFrame(rows).sort_values("members", kind="stable")
images_of = dose["images a class"] * len(classes)
dose.insert(2, "people to an image", tables.plain_column(dose["members"] / images_of, "{:.1f}"))
dose["ceiling of random"] = tables.plain_column(
    [controls.ceiling(min(n, N), N) for n, N in zip(images_of, dose["members"])], "{:.1 %}")
study.table(verdicts.examined_cells(dose).drop(columns="pairs"), "released_doses",
            verdicts.luck(dose))

# %% [markdown]
# ## Other things that are released: generators, and sets with a guarantee
#
# A GAN shows no member's image either (notebook 11). And there are sets made of noisy sums, which come with a proof. With the guarantee
# $(\varepsilon, \delta)$ no attack can do better than the proof allows, whichever door it takes; so these rows test the *code*.
# Beside them stands a broken variant, as careless owners make it: the images with the guarantee $\varepsilon = 1$, in which one image of
# each class is an example from the members. The lower bound on $\varepsilon$ is that of notebook 7 against Gaussian noise, of which these
# guarantees are: people of independent sets, guesses that those with the most telling scores are members, at 95 %.

# %%
rate = dp.sampling_rate(dm_batch, members / len(classes))
fit = noisy_embeddings.FitSettings(control_ipc, updates, lr=0.1)
levels = {f"DM, epsilon {epsilon:g}": epsilon for epsilon in dp_epsilons}
levels |= {"DM, no noise": np.inf}
how = {}
for name, epsilon in levels.items():
    sigma = dp.noise_multiplier(epsilon, rate, releases_once, delta)
    how[name] = FittedRelease(noisy_embeddings.ReleaseSettings(
        releases=releases_once, rate=rate, sigma=sigma, size=width), fit)
how["GAN"] = gan.Settings(control_ipc, short_gan_steps, batch=64, lr=1e-3, width=128)
others = study.at_once({name: partial(world.sets, f"released {name}", each(halves, recipe))
                        for name, recipe in how.items()})
strict = f"DM, epsilon {min(dp_epsilons):g}"
broken, first = f"{strict}, with examples", np.arange(len(classes)) * control_ipc
others[broken] = {}
for j, made in others[strict].items():
    images = np.array(made["images"])
    images[first] = study.images[study.choose_balanced(halves[j], 1, "examples", j)]
    others[broken][j] = made | {"images": images}

# %%
everything = asked | world.scores(others, suite.SWIFT)
rows, bounds = [], {}
for name in everything:
    together = calibration.together(everything[name], member)
    of_average = {attack: one[:, ~canary] for attack, one in everything[name].items()}
    bounds[name] = released_sets.epsilon_at_least(of_average, member[:, ~canary], delta)
    rows.append({"released": name} | examination.examine(together, inside, outside))

# %%
claimed = {name: levels.get(name, np.inf) for name in sets | others}
claimed[broken] = min(dp_epsilons)
of_all = pd.DataFrame(rows)
texts = verdicts.examined_cells(of_all).drop(columns=["pairs"])
texts["claimed epsilon"] = tables.plain_column(
    [np.nan if np.isinf(claimed[name]) else claimed[name] for name in of_all["released"]],
    "{:g}", "none")
texts["at least"] = [tables.some("bound", *bounds[name]) for name in of_all["released"]]
guarantees = {name: auditing.answer(claimed[name], *bounds[name]) for name in claimed}
texts["guarantee"] = [guarantees[name] for name in of_all["released"]]
study.table(texts, "released_everything", verdicts.luck(of_all))

# %% [markdown]
# A bound above a true guarantee would be a bug, here or in notebook 11. An exact copy of a member is no noise, so the examples should be
# caught by looks alone, with enough sets of one's own. The bound about images is weaker than that about sums in notebook 11, because the sums themselves are not
# released here.
#
# ## If you cannot condense as they did
#
# All of this needed sets of one's own making. Whoever has only the set, the people it was made of, and as many people who were held out can
# still test it. Pair the members and those held out at random, within each class. If nothing of *who* was condensed is in the set, it is a
# coin which of the two has the higher score. Strangers who happen to look like a released image, phantoms, are on both sides alike, so they
# cancel. One set of each method; all scores are tried, and the p-value is corrected for their number:

# %%
rows = []
for name, scores in everything.items():
    telling = {attack: one[0][~canary] for attack, one in scores.items() if np.ptp(one)}
    tried = {attack: without_references.matches(
        one, member[0][~canary], labels[~canary], study.rng("pairs", attack), len(telling))
        for attack, one in telling.items()}
    attack = min(tried, key=lambda attack: tried[attack].p)
    one, p = tried[attack], min(1.0, tried[attack].p * len(tried))
    bound = max(match.epsilon_lower_bound for match in tried.values())
    right = tables.sentence("{} of {}", tables.count(one.right), tables.count(one.guesses))
    rows.append({"released": name, "attack with the smallest p": attack,
                 "guesses right": right, "p": tables.plain(p, "{:.2g}"),
                 "epsilon (exchange) at least": tables.plain(bound, "{:.2f}"),
                 "answer": "members recognised" if p < 0.025 else tables.sentence(
                     "nothing found; detectable: {} right",
                     tables.plain(one.detectable, "{:.1 %}"))})
study.table(pd.DataFrame(rows), "without_references",
            f"{one.pairs} pairs of people. The p-values are corrected for the scores that were "
            f"tried on a set, and not for the {len(rows)} sets.")

# %% [markdown]
# "Epsilon (exchange)" is for one person in another's place, as pairs test; for one person more or less it is half of that.
# This is a weaker test than the one with sets of one's own: every person is compared with a stranger and not with themselves. "Nothing
# found" comes with the share of right guesses that would have been found. The command `make audit` runs this test, and the other one if
# it can, on any set and any people, and writes a page about it (see the README).
#
# ## What helps
#
# Suppose you are the owner, and want to publish. Which change of the method lowers the leak at the door of the images, and what does it
# cost? Each row changes one thing. "Of other people" starts from the attacker's images in place of the members', who need no
# protection here; an owner would take public images, or those of people who agreed.

# %%
def accuracy_of(name, made):
    """The accuracy, on non-members, of one model of each of the first sets."""
    first = {j: made[j] for j in range(judged)}
    recipe = Training(epochs_for(training_steps, len(made[0]["labels"])))
    answers = world.models(name, each(first, recipe)).logits[:, pool]
    return signals.accuracies(answers, labels, outside[:judged])

# %%
base, kept, judged = settings(looked_at), "as it is", max(6, n_sets // 4 * 2)
public = tuple(study.choose_balanced(study.attacker, control_ipc, "public").tolist())
to_make = {change: partial(world.sets, f"{looked_at}, {change}", each(halves, recipe))
           for change, recipe in {
               "start: noise": replace(base, start="noise"),
               "a quarter of the iterations": replace(
                   base, iterations=max(1, base.iterations // 4))}.items()}
if not condense.METHODS[base.method].decode:             # IDC and IDM want tiles
    to_make["start: images of other people"] = partial(
        world.sets, f"{looked_at}, other people", each(halves, StartedElsewhere(base, public)))
if f"{base.method}-labels" in condense.METHODS:
    learned = replace(base, method=f"{base.method}-labels")
    to_make["labels learned too"] = partial(
        world.sets, f"{looked_at}-labels", each(halves, learned))

# %%
changed = {kept: sets[looked_at]} | study.at_once(to_make)
span = white - black
changed["4 grey levels"] = {j: made | {"images": black + span / 3 * np.round(
    (np.clip(made["images"], black, white) - black) * 3 / span)}
    for j, made in sets[looked_at].items()}
changed |= {f"another method: {name}": others[name] for name in levels}

# %%
told, rows = {}, []
right_of = study.at_once({change: partial(accuracy_of, change, made)
                          for change, made in changed.items() if change != kept})
right_of[kept] = accuracy[looked_at][:judged]
of_changes = world.scores({f"{looked_at}, {change}": made for change, made in changed.items()},
                          suite.SWIFT)
for change, scores in zip(changed, of_changes.values()):
    of_set = calibration.together(scores, member)
    right = right_of[change]
    told[change] = examination.aucs(of_set, inside, outside), right
    gain, lost = (examination.over_pairs(now - before)
                  for now, before in zip(told[change], told[kept]))
    rows.append({"change": change, "accuracy": verdicts.rate_cell(right),
                 "accuracy, difference": "-" if change == kept else tables.points(*lost),
                 "AUC, difference": "-" if change == kept else tables.points(*gain)}
                | examination.examine(of_set, inside, outside))
helps = pd.DataFrame(rows)
advice = verdicts.examined_cells(helps).drop(columns=["pairs", "answer"])
study.table(advice, "what_helps", f"What was changed is {looked_at}. {verdicts.luck(helps)}")

# %% [markdown]
# ## The verdict
#
# Every released set at the door of the images, and the questions of this notebook.

# %%
verdict = []
for row, answer in zip(doors, verdicts.verdicts(of_images)):
    ends = [row["images"][f"auc{end}"] for end in ("", "_low", "_high")]
    verdict.append((f"Released: {row['released']}",
                    tables.sentence("AUC {}, images less model {}", tables.percent(*ends),
                                    tables.points(*row["apart"])), answer))
more = sum(row["apart"][1] > 0 for row in doors)
stand = [guarantees[name] for name in guarantees if name != broken and claimed[name] < np.inf]
verdict += [("Do the images say more than one model of them?",
             tables.sentence("{} of {} sets", tables.count(more), tables.count(len(doors))),
             "yes" if more else "no difference detected"),
            ("Guarantees, asked at the door of the images", verdicts.tally(stand),
             "REFUTED" if "REFUTED" in stand else "not refuted"),
            ("(test of the test) a private set with an example of each class",
             tables.some("bound", *bounds[broken]),
             "caught" if guarantees[broken] == auditing.REFUTED else "missed")]
study.results.save("released", pd.DataFrame([
    {"released": row["released"]} | dict(zip(("more", "more_low", "more_high"), row["apart"]))
    | {f"{door}_{key}": value for door in ("model", "images")
       for key, value in row[door].items()}
    for row in doors]))
verdict = pd.DataFrame(verdict, columns=["question", "this run", "answer"])
study.table(verdict, "released_verdict", verdicts.luck(of_images))

# %% [markdown]
# **How to read it.** "Recognised" says that the average person is recognised among people who were left out, by somebody who holds the
# images and condenses as the owner did. "No leak detected" is about these attacks and this many people, and comes with what would have been
# found. It is no proof. A proof needs noise, and the rows with a guarantee show what it costs at this size. No model of the images can know
# more than the images do, so what nobody could read off the images, no model could say. The reverse is false, as this notebook shows;
# and these attacks are not all that anybody could think of.
#
# ### The same with more sets: the digits
#
# From the committed run of the profile `digits`, with 40 sets of every kind (`figures/digits`):

# %%
shown = ["released", "accuracy", "one model: AUC", "the images: AUC", "images less model",
         "the images: TPR at 1 % FPR", "the images"]
tables.shown(committed("digits", "two_doors")[0][shown])

# %% [markdown]
# Every set says more at the door of the images, also a hundred real ones. For these the theorem allows 58.35 %, and the images have just
# that (58.6 %, the rest is accident). **A hundred images by KIP say far more about the average member than a hundred real images
# would**, 78.9 %, and their model hides most of it: 57.0 %. Two of the sets are nearest to what condensing promises: features matched from noise
# (52.2 %), which are right on 64 % of the digits, and from noise around the class mean (57.2 %), which contains everybody's average.
# Next the people who were made to be noticed:

# %%
tables.shown(committed("digits", "special_people")[0].drop(columns="A/A"))

# %% [markdown]
# KIP betrays a wrong label, which makes a large loss, nearly always, and a rare mark almost as often. DM from real images betrays whom it
# happens to start from, so a person who is there four times is found most. At the model's door, most of these are missed. And
# what helps:

# %%
tables.shown(committed("digits", "what_helps")[0].drop(columns="A/A"))

# %% [markdown]
# Starting from other people's images does not help the average member, because the updates write the members in. To round the images to
# four grey levels takes ten points of AUC for about one point of accuracy, also against an attacker who rounds likewise. It leaves most of the leak. Noisy sums end it, and most of the use of the set with it, at this size: six people share an image.
#
# ### Fifteen thousand people in a hundred images: MNIST
#
# So far six people shared an image. The committed run of the profile `mnist-released`, with 20 sets of every kind, has 150 people to
# an image, as in the paper. Guess first: can a hundred images say anything about 15,000 people?

# %%
tables.shown(committed("mnist-released", "two_doors")[0][shown])

# %% [markdown]
# A hundred real images may have 50.33 %, by the theorem, and do. **The images of KIP have 55.4 %**, and a model of them shows nearly
# nothing of it (50.5 %). They started from a hundred people, who cannot explain it: KIP writes into them which answers fit the members.
# IDM shows 3.5 % of the members at 1 % false alarms, and pieces of 391 of them (2.6 %) were its start. Features matched from noise show
# nothing that was detected (an AUC of 50.7 % would have been), and make the worst model of all. With fewer people to an image:

# %%
tables.shown(committed("mnist-released", "released_doses")[0].drop(columns="A/A"))

# %% [markdown]
# **Ten images by KIP, one for each digit, tell members with 53.9 %**, where ten real ones could have 50.03 % at most. And of 600 people in
# a hundred images most are recognised: 96.0 %, and 57 % of the members at 1 % false alarms. On the small digits, with as many people to
# an image, it was 78.9 %. Images of MNIST are larger; whether that is why was not examined.

# %%
tables.shown(committed("mnist-released", "released_everything")[0].drop(columns="A/A"))

# %% [markdown]
# The images with the guarantee $\varepsilon = 1$ tell the average member with 50.5 % [50.3, 50.6]. That is a leak, it is far inside
# what the guarantee allows, and the bound refutes nothing. The same images with an example of each class are refuted, at 2.06.
#
# ### Real people: chest X-rays of children
#
# From the committed run of the profile `xrays-released`: 1,301 of 5,206 X-rays (PneumoniaMNIST) in twenty images. A class of these is
# "pneumonia", and to have been condensed is to have been a patient of one hospital.

# %%
tables.shown(committed("xrays-released", "two_doors")[0][shown])

# %%
tables.shown(committed("xrays-released", "what_helps")[0].drop(columns="A/A"))

# %% [markdown]
# Every condensed set tells the children in it from others: a little on average (by KIP 56.1 %, where one model of the same images has
# 51.4 %), and clearly for some. While it accuses 1 % of the others, the attack finds 7.2 % of the children in the images of IDM and 5.1 % in
# those that began as means of four. Neither is clearly more than a start that is known perfectly would give (77 and 75 children are
# 5.9 and 5.8 % of all; with 1 % of the rest about 6.8 and 6.7 %). Twenty X-rays as they are would show 1.5 % of the children and say nothing of the others. DM from noise starts from
# nobody and has 52.0 %. Rounding to four grey levels helps here too: 3.9 points less AUC, and no loss of accuracy was detected. Images of other people as
# the start leave the average where it was (-0.5 points [-1.7, 0.8]), and protect those whom the start showed: 0.6 % are found at 0.1 %
# false alarms, instead of 2.0 %. A set with $\varepsilon = 1$ has 73.4 % accuracy, and the share of pneumonia alone is 74 %.
#
# ## Summary
#
# - Who shares condensed images can give away more than who answers questions about them, as the tables above show by kind of set. A protection that was measured at the door of a
#   model says nothing about the other door.
# - Distances to the nearest image find what is left of the start. Mixtures are taken apart by unmixing, and what a method minimised on its
#   members is best found by that same loss.
# - Comparing a person with themselves, in sets with and without, takes the looks out of any score.
# - Kinds of people differ in what betrays them. An audit should plant those that *its* method betrays.
# - Starting from other people's images hides the start, and nothing that the updates write in.
# - A guarantee that is broken by showing a few examples was caught from the images alone on digits and MNIST, and missed on the X-rays.
# - Without sets of one's own there is still a test: members against as many people who were held out, in random pairs.
#
# ## Exercises
#
# 1. (easy) Accuse the ten people with the largest weights in the unmixing of one set. How many of them are members? Which price has an
#    attacker to pay who accuses a hundred?
# 2. (medium) The attacker is wrong about the start: they condense from real images, and the owner condensed from means. How much of the
#    AUC is left?
# 3. (medium) Add normal noise to the released images before publishing them. At which noise is the leak gone, and what is then left of the
#    accuracy?
# 4. (hard) The owner publishes two sets of the same members, made with two seeds. Add the calibrated scores of both. By how much does
#    the second set help the attacker?
#
# Solutions: `solutions/12_solutions.ipynb`.
#
# ## References
#
# - E. Gujarathi and H. Gandhi, *Dataset condensation for data privacy* (sharing condensed data in place of the data).
# - B. van Breugel, H. Sun, Z. Qian, M. van der Schaar, *Membership inference attacks against synthetic data through overfitting
#   detection*, AISTATS 2023 (density ratios).
# - N. Carlini et al., *Membership inference attacks from first principles*, IEEE S&P 2022 (LiRA).
# - C. L. Lawson and R. J. Hanson, *Solving least squares problems*, 1974 (non-negative least squares).
# - T. Nguyen, Z. Chen, J. Lee, *Dataset meta-learning from kernel ridge-regression*, ICLR 2021 (KIP).
# - D. Chen, N. Yu, Y. Zhang, M. Fritz, *GAN-Leaks: a taxonomy of membership inference attacks against generative models*, CCS 2020.
# - T. Stadler, B. Oprisanu, C. Troncoso, *Synthetic data: anonymisation groundhog day*, USENIX Security 2022.
# - M. Meeus, F. Guépin, A.-M. Crețu, Y.-A. de Montjoye, *Achilles' heels: vulnerable record identification in synthetic data publishing*,
#   ESORICS 2023 (whom a release betrays most).
# - T. Steinke, M. Nasr, M. Jagielski, *Privacy auditing with one (1) training run*, NeurIPS 2023.
