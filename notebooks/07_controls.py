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
# # 7. Controls: is it the condensation that protects?
#
# > *Where we are.* Part I, the experiment: 1 2 3 4 5; part II, the doubt: 6 **7** 8; part III, further: 9 10 11 12.<br>
# > **Last time** stronger attacks found what the usual ones miss; **this time** condensed images meet their rivals, fewer real ones. **Next
# > time** the authors' own models are asked.
#
# **Question.** Models of condensed images give little away. Is that because the images were condensed? Or does a model of a
# hundred training images give little away anyway?
#
# **In this notebook you will learn** three ideas, each with a picture:
#
# 1. *Fewer images already protect.* What a random subset can give away has a ceiling, by a proof of three lines. So condensed images
#    are compared with real images at equal accuracy.
# 2. *An average hides the worst-off person.* People with a wrong label, the canaries, show them.
# 3. *It depends on whom the images are made of*: how many people share an image, and whose pictures the condensing started from.
#
# Then we test the test, and give the verdict on "privacy for free". Tables for looking things up stand at the end of the page.
#
# **You need** notebooks 1 to 6. Reading takes about 25 minutes; running takes two minutes at the quick scale.
#
# > **Threat model.** The attacker may ask **one model** that was trained on the images, as in notebook 6, and knows one thing more:
# > *how* the owner makes the training set, whether by condensing or by choosing a few images, and with which settings. Members are
# > always the **real** images that the owner holds, whether or not they were among those chosen. The attacker does *not* hold the
# > condensed images. Whoever receives them can read more off them (exercise 2, and notebook 12).

# %% tags=["parameters"]
profile: str = "quick"      # name of this run; its files are in results/<profile>
dataset: str = "digits"     # must be what 01_data_split divided
seed: int = 0               # must be what 01_data_split used
device: str = "auto"        # cpu, cuda, mps, or auto
control_ipc: int = 10       # images per class of the condensed sets, one of notebook 2's ipc
n_models: int = 10          # models of every recipe, an even number; each is a target
starts: list = ["means", "real"]  # what the condensations start from; notebook 2 explains them
sizes: list = [5, 10, 20]   # members per class that the control models are trained on
steps: int = 60             # optimiser steps of every model of few images
n_canaries: int = 60        # images of the pool with a wrong label
doses: list = [200]         # numbers of members to condense besides half of the pool, or []
draws: int = 10             # repetitions when the test is tested

# %%
from dataclasses import replace
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist
from scipy.special import ndtri

from dcpriv_lib import limits, metrics, parameters
from dcpriv_lib.attacks import signals, suites
from dcpriv_lib.attacks.shadow_models import membership_matrix
from dcpriv_lib.evaluation import controls, examination
from dcpriv_lib.jobs import Training, each
from dcpriv_lib.models.training import epochs_for
from dcpriv_lib.privacy import auditing
from dcpriv_lib.results import plots, tables, verdicts, voice
from dcpriv_lib.results.kept import committed, committed_figure
from dcpriv_lib.study import Study

study = Study(**parameters.check(globals()))

# %% [markdown]
# ## One coin for everybody, three ways to a model
#
# Three owners hold the same people. One trains on all of them. One trains on a few, picked at random. One condenses all of them into
# as few images. We call such a way from real images to a model a *recipe*.

# %% tags=["plumbing"]
figure, ax = plots.diagram(9.8, 3.4)
plots.box(ax, (1.2, 1.7), "half of the pool", plots.MEMBER, (2.0, 0.9))
for y, what, colour in ((2.9, "all of it", plots.MEMBER), (1.7, "some at random", plots.MEMBER),
                        (0.5, "synthetic images", plots.SYNTHETIC)):
    plots.box(ax, (5.0, y), what, colour, (2.2, 0.8))
    plots.box(ax, (8.4, y), "model", plots.NON_MEMBER, (1.8, 0.8))
    plots.arrow(ax, (2.3, 1.7 + (y - 1.7) / 4), (3.85, y), "condense" if y < 1 else "")
    plots.arrow(ax, (6.2, y), (7.4, y), "train")
study.figure(figure, "recipes",
             "Diagram: half of the pool goes three ways to a model, all of it, some at random, "
             "or condensed to synthetic images.")

# %% [markdown]
# Each recipe is applied to the same random halves of the pool, and each model is attacked by the other models of its recipe. (Its
# partner, which was trained on exactly the other half, is left out.) So the attacker "condenses too" whenever the owner condenses, and coins decide who is a
# member of which model, which does away with luck of the split.
#
# Before anybody trains, we give a few images of the pool a *wrong label*. They are called *canaries*, after the birds that miners took
# along. A model can know them only by heart, so they are the worst-off people that we can make. Idea 2 is about them.

# %% tags=["plumbing"]
settings = study.settings_of(control_ipc)                # how notebook 2 condensed
epochs = study.made_with("targets")["epochs"]
pool, classes = study.pool, study.classes
limits.check("07_controls", study)                       # all that is too large for these data
at_the_end = {}                                          # tables, under "All tables"

# %%
# NBVAL_CHECK_OUTPUT
world = study.with_canaries(n_canaries)
canary, labels = world.canaries, world.labels[pool].numpy()                  # bool [n], int [n]
member = membership_matrix(len(pool), n_models, study.rng("controls"))   # [models, n]
inside, outside = member & ~canary, ~member & ~canary  # the average person: [models, n] each
print(f"{n_models} models in {n_models // 2} pairs; each has {member[0].sum()} members, "
      f"of {canary.sum()} canaries about half")

# %%
figure, ax = plt.subplots(figsize=(8, 1.5))
eight = np.flatnonzero(canary)[:8]
plots.images(ax, study.split.grey_levels(study.images[pool[eight]]), 8)
named = ", ".join(plots.in_figure(classes[label], 12) for label in labels[eight])
ax.set_title(f"canaries, said to be: {named}")
study.figure(figure, "canaries_shown",
             "Eight images of the pool, each with the wrong label that it was given.")

# %% [markdown]
# Two controls use real images: balanced sets, which have the same number of every class (`sizes`), and a random set of the
# condensed set's size, perhaps what the paper calls a subset. All models of few images are trained for the same number of *steps*.
# (With equal epochs a model of 150 images would get twice the steps of a model of 100, because batches hold 128 images.)

# %%
few = control_ipc * len(classes)                         # as many images as the condensed sets
halves = {j: pool[member_j] for j, member_j in enumerate(member)}
real = {f"{size} members a class": {j: world.choose_balanced(half, size, "balanced", j)
                                    for j, half in halves.items()} for size in sorted(sizes)}
real[f"{few} random members"] = {j: world.choose(half, few, "random", j)
                                 for j, half in halves.items()}
chosen = {name: np.stack([np.isin(pool, subset) for subset in subsets.values()])
          for name, subsets in real.items()}             # who was used: [models, n]

# %%
synthetic = {}

def trained_on(sets, kind, world=world):
    """One model a set, all of them with equally many steps."""
    first = sets[0]
    shown = len(first["labels"] if isinstance(first, dict) else first)   # of IDC 4 x few
    return world.models(kind, each(sets, Training(epochs_for(steps, shown))))

def condensed_from(start):
    kind = f"condensed from {start}"
    synthetic[start] = world.sets(kind, each(halves, replace(settings, start=start)))
    return trained_on(synthetic[start], kind)

to_train = {"all members": partial(world.models, "all", each(halves, Training(epochs)))}
to_train |= {f"condensed from {start}": partial(condensed_from, start) for start in starts}
to_train |= {name: partial(trained_on, subsets, "random" if "random" in name else name)
             for name, subsets in real.items()}
models = study.at_once(to_train)
shown = len(synthetic[starts[-1]][0]["labels"])

# %% [markdown]
# Idea 3 needs models of fewer people (`doses`). Each dose has a smaller pool of its own, halved as often as the whole one.

# %% tags=["plumbing"]
small_pools = {dose: (study.subset(2 * dose),
                      membership_matrix(2 * dose, n_models, study.rng("dose", dose)))
               for dose in doses}
kinds = f"condensed from {starts[0]}", f"{few} random members"

def fewer(dose):
    some, kept = small_pools[dose]                       # a smaller pool, without canaries
    members = {j: some.pool[member_j] for j, member_j in enumerate(kept)}
    chosen = {j: some.choose(of_j, few, "dose", dose, j) for j, of_j in members.items()}
    sets = some.sets(f"dose {dose}", each(members, replace(settings, start=starts[0])))
    return [trained_on(of_kind, f"{name}, dose {dose}", some)
            for name, of_kind in zip(kinds, (sets, chosen))]

of_dose = study.at_once({dose: partial(fewer, dose) for dose in doses})

# %% [markdown]
# ## Idea 1: fewer images already protect
#
# Somebody trains on a hundred of their $N$ members, drawn at random, and publishes the model. Guess before you read on: is there an
# AUC that *no* attack on it can exceed, whatever it does?
#
# There is. The owner uses $n$ of $N$ members; the attacker accuses everybody whose score is above some threshold.
#
# 1. A member who was *not* drawn had no influence on anything. To the attacker they look like a stranger, and they are accused at the
#    false positive rate, FPR. A member who was drawn is accused at some rate $t \le 1$.
# 2. A member is drawn with probability $n/N$. So members are accused at the rate
#    $\mathrm{TPR} = \frac nN\, t + \big(1 - \frac nN\big)\, \mathrm{FPR} \;\le\; \mathrm{FPR} + \frac nN .$
# 3. The same mixture, averaged over all thresholds, is
#    $\mathrm{AUC} = \frac12 + \frac nN \big(\mathrm{AUC}_\text{drawn} - \frac12\big) \;\le\; \frac12 + \frac{n}{2N} .$
#
# Nothing was assumed about what is done with the drawn images: train on them, or publish them. But this is an average over the draws.
# Each person who *is* drawn is exposed all the same. And for condensed images no such theorem is known, because all members had a part in
# them.

# %%
share = {name: used.sum(1) / member.sum(1) for name, used in chosen.items()}  # n/N
ceilings = {name: controls.ceiling(*used.sum(1)[:1], member[0].sum())
            for name, used in chosen.items()}
print("\n".join(f"{name}: an AUC of at most {most:.2%}" for name, most in ceilings.items()))

# %% [markdown]
# Now four attacks on all models, about everybody but the canaries. (Each table corrects for its own number of questions. So the same
# interval may be *recognised* in a short table, and *perhaps* in this long one.) Guess: in which recipes will the AUC be above 50 %?

# %%
suite = {name: suites.STRONG[name] for name in suites.CANDIDATES}
scores = {name: examination.leave_pair_out(world.references(member, trained), suite)
          for name, trained in models.items()}
average = pd.DataFrame([
    {"trained on": name, "attack": attack} | examination.examine(of_attack, inside, outside)
    for name, of_attacks in scores.items() for attack, of_attack in of_attacks.items()])
average["ceiling"] = average["trained on"].map(ceilings)
study.results.save("controls", average)

# %% tags=["plumbing"]
texts = verdicts.examined_cells(average)
at_the_end["four attacks"] = study.table(texts, "controls", verdicts.luck(average))
voice.shown("controls", texts)

# %% [markdown]
# A model that has learned less has less to give away. So a fair comparison is at *equal accuracy*. In the picture
# each recipe is a point: how accurate its models are (to the right) and how much they leak (up). The line joins the
# models of balanced real images. On which side of the line should the condensed sets lie if condensing protects?
#
# (From here on, the attack that was best at a measure in notebook 6 reads that measure. Choosing the best of four *here* would make
# every leak look larger than it is. Of the real images, only those who were drawn are asked; the others are left to chance, as step 3 says.)

# %%
every_model = study.results.load_table("every_model")
best = examination.best_attacks(every_model, suite)      # measure: attack
print(f"the AUC is read by {best['auc']}, rates by {best['tpr']}")
row = average.iloc[0]                                    # what a guesser has is alike in all
resolved = {measure: title for measure, title in examination.MEASURES.items()
            if np.isfinite(row[f"{measure}_p"])}         # with so many non-members

def leaks(name, measure):
    """One value a model; for a random choice from those who were drawn, by the theorem."""
    who = chosen.get(name, member) & ~canary
    of_who = examination.per_model(scores[name][best[measure]], who, outside)[measure]
    return controls.of_subset(of_who, row[f"{measure}_chance"], share.get(name, 1.0))

leak = {measure: {name: leaks(name, measure) for name in models} for measure in resolved}
accuracy = {name: signals.accuracies(trained.logits[:, pool], labels, outside)
            for name, trained in models.items()}         # on the non-members of each model

# %% tags=["plumbing"]
figure, ax = plt.subplots(figsize=(7, 3.6))
line = [f"{size} members a class" for size in sorted(sizes)] + ["all members"]
ax.plot([100 * accuracy[name].mean() for name in line],
        [100 * leak["auc"][name].mean() for name in line], color="0.7", linewidth=1, zorder=0)
for name, most in ceilings.items():
    ax.plot(100 * accuracy[name].mean(), 100 * most, "_", color="0.4", markersize=14,
            label="ceiling of a random subset" if name == line[0] else "")
for i, name in enumerate(models):
    mean, low, high = 100 * np.array(examination.over_pairs(leak["auc"][name]))
    ax.errorbar(100 * accuracy[name].mean(), mean, [[mean - low], [high - mean]], capsize=3,
                marker="os^Dv<>p"[i % 8], linestyle="none", label=name)
ax.axhline(50, color="0.6", linestyle=":", linewidth=1)
ax.set(xlabel="accuracy on non-members (%)", ylabel="AUC of the attack (%)", yscale="log")
ticks = [tick for tick in (50, 55, 60, 65, 70, 80, 90, 100) if tick <= ax.get_ylim()[1]]
ax.set_yticks(ticks, ticks)
ax.minorticks_off()
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
study.figure(figure, "leak_and_accuracy",
             "A point a recipe, accuracy to the right and AUC upwards: " + "; ".join(
    f"{name} {100 * accuracy[name].mean():.1f} and {100 * leak['auc'][name].mean():.1f} %"
    for name in models) + ". A line joins real images, dashes are their ceilings.")

# %% tags=["plumbing"]
compared = []
for start in starts:
    name = f"condensed from {start}"
    for measure, title in resolved.items():
        by_size = {real: (accuracy[real], leak[measure][real]) for real in line}
        rival = controls.at_equal_accuracy(accuracy[name], by_size)
        if rival is None:                                # less, or more, accurate than the line
            continue
        above = leak[measure][name] - rival
        chance = row[f"{measure}_chance"]
        compared.append({"trained on": name, "accuracy": verdicts.rate_cell(accuracy[name]),
                         "measure": title,
                         "real images leak": tables.plain(rival.mean() - chance,
                                                          "{:.1 points}"),
                         "condensed above real": tables.points(*examination.over_pairs(above)),
                         "detectable": tables.plain(examination.detectable(above),
                                                    "{:.1 points}")})
compared = pd.DataFrame(compared)
at_the_end["at equal accuracy"] = study.table(compared, "equal_accuracy")
voice.shown("equal_accuracy", compared)

# %% [markdown]
# A point *below* the line leaks less than real images at equal accuracy; a point *on* it is no merit of condensing. "Detectable" is
# the smallest difference that we would have detected in eight of ten repetitions. Where complete protection is not excluded, the real
# images leak so little that nothing better could be seen.
#
# ## Idea 2: the average hides the worst-off person
#
# A model may keep quiet about everybody but one. So we ask the same models about the canaries only, and count harshly: how many of
# the canaries that were members score *above every* canary that was not? An attacker who accuses only these accuses nobody
# wrongly. It is the TPR at 0 % FPR. Which recipe should expose the canaries: all members, a hundred real images, or a hundred
# condensed ones?

# %% tags=["plumbing"]
canaries = pd.DataFrame([
    {"trained on": name} | examination.examine_by(
        best, of_attacks, member & canary, ~member & canary, others_like_them=True)
    for name, of_attacks in scores.items()])
canaries["ceiling"] = canaries["trained on"].map(ceilings)
chance = 1 / (canaries["n_non_members"].mean() + 1)
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
for ax, measure, guess in zip(axes, ("auc", "above_all"), (0.5, chance)):
    found = 100 * canaries[[measure, measure + "_low", measure + "_high"]]
    plots.intervals(ax, *found.to_numpy().T, canaries["trained on"], plots.MEMBER)
    ax.axvline(100 * guess, color="0.6", linestyle=":", linewidth=1)
axes[0].set(xlabel="AUC on canaries (%)")
axes[1].set(xlabel="above every non-member canary (%)")
study.figure(figure, "canaries",
             "Intervals on canaries for every recipe. Above every non-member canary stand "
             + ", ".join(f"{100 * one:.0f} % ({name})" for name, one in
                         zip(canaries["trained on"], canaries["above_all"]))
             + f", where chance gives {100 * chance:.1f} %.")

# %% tags=["plumbing"]
of_canaries = verdicts.examined_cells(canaries.drop(columns="pairs"))
voice.shown("canaries", of_canaries)

# %% [markdown]
# A model of all members gives nearly every canary away. A hundred random members can give away those who were drawn, which is $n/N$ of
# them, and nobody else, as the theorem says. A condensed set uses *all* members, and what a model of it gives away of a wrong label depends on how many
# people share an image and on the start (Idea 3). With few models the intervals are wide. In the run of the profile `digits`, with 40 models of every
# recipe, they are narrow enough to tell the recipes apart:

# %% tags=["plumbing"]
of_digits = committed("digits", "canaries")[0]
at_the_end["canaries, digits, 40 models"] = tables.shown(of_digits)
voice.shown("canaries", of_digits)

# %% [markdown]
# ## Idea 3: it depends on whom the images are made of
#
# **How many people share an image?** A hundred images made of two hundred people can say more about each of them than a hundred images
# made of fifteen thousand. We condense fewer members with the same settings (`doses`), beside a hundred real images of the same
# people. For the real ones the theorem predicts the curve: $\frac12 + \frac nN(\mathrm{AUC}_\text{drawn} - \frac12)$, below the dashed
# ceiling. Guess: do condensed images follow it?

# %% tags=["plumbing"]
of_best, half = {name: suite[name] for name in best.values()}, len(pool) // 2
examined = {(name, half): (world.references(member, models[name]), inside, outside)
            for name in kinds}
for dose in sorted(doses, reverse=True):
    some, kept = small_pools[dose]
    examined |= {(name, dose): (some.references(kept, trained), kept, ~kept)
                 for name, trained in zip(kinds, of_dose[dose])}
responses = []
for (name, dose), (references, *who) in examined.items():
    right = signals.accuracies(references.logits[:, :, 0], references.labels, who[1])
    found = examination.leave_pair_out(references, of_best)
    responses.append({"trained on": name, "members": dose,
                      "accuracy": verdicts.rate_cell(right),
                      "ceiling": controls.ceiling(few, dose) if "random" in name else np.nan
                      } | examination.examine_by(best, found, *who))
responses = pd.DataFrame(responses)
texts = verdicts.examined_cells(responses.drop(columns="pairs"))
at_the_end["people to an image"] = study.table(texts, "dose_and_response",
                                               verdicts.luck(responses))
voice.shown("dose_and_response", texts)

# %% tags=["plumbing"]
if doses:                                                # with one dose there is no response
    figure, ax = plt.subplots(figsize=(6, 3.4))
    for i, (name, found) in enumerate(responses.groupby("trained on", sort=False)):
        middle, low, high = 100 * found[["auc", "auc_low", "auc_high"]].to_numpy().T
        share = found["members"] / few
        ax.errorbar(share * 1.04**i, middle, [middle - low, high - middle], marker="os"[i],
                    capsize=3, label=name)               # a little apart, to be seen
    ax.plot(share_of := np.sort(share), 50 + 50 / share_of, "--", color="0.4", linewidth=1,
            label="ceiling of a random subset")
    ax.axhline(50, color="0.6", linestyle=":", linewidth=1)
    ax.set(xscale="log", xlabel="members per training image", ylabel="AUC of the attack (%)")
    ax.set_xticks(share, share.round(1).map("{:g}".format))
    ax.minorticks_off()
    ax.legend()
    study.figure(figure, "dose_and_response",
                 "AUC against members per training image, for " + " and for ".join(
        f"{name} from {found['auc'].iloc[-1]:.1%} to {found['auc'].iloc[0]:.1%}" for name, found
        in responses.groupby("trained on", sort=False)) + ", beside the ceiling of a subset.")

# %% [markdown]
# The fewer people share a training image, the more it can say about each of them: for real images by the theorem, for condensed ones in
# the run on MNIST that follows. So "condensing protects" is not true or false by itself. On MNIST, where up to 150 people share an image, from the
# committed run of the profile `mnist-small`:

# %% tags=["plumbing"]
committed_figure("mnist-small", "dose_and_response",
                 "AUC against members per training image on MNIST. It falls with the number of "
                 "people to an image, and a hundred condensed and a hundred real images fall "
                 "together.")

# %% tags=["plumbing"]
at_the_end["people to an image, MNIST"] = tables.shown(
    committed("mnist-small", "dose_and_response")[0])
voice.shown("dose_and_response", committed("mnist-small", "dose_and_response")[0])

# %% [markdown]
# **Whose pictures did it start from?** A condensation that starts from real images, and stops early, still shows them. (Only the next
# picture looks at the images themselves; an attacker who holds them is the subject of notebook 12.) Under each synthetic image
# stands the member nearest to it. For which start could you name the person?

# %% tags=["plumbing"]
figure, axes = plt.subplots(len(starts), 1, figsize=(6, 1.7 * len(starts)), squeeze=False)
for ax, start in zip(axes.flat, starts):
    made = synthetic[start][0]
    some = slice(0, shown, shown // len(classes))        # one synthetic image a class
    S = np.asarray(made["images"])[some]
    to_in = cdist(S.reshape(len(S), -1), study.images[halves[0]].flatten(1))
    strip = np.concatenate([S, study.images[halves[0][to_in.argmin(1)]]])
    plots.images(ax, study.split.grey_levels(strip), len(S),
                 f"from {start}: synthetic, nearest member")
study.figure(figure, "nearest_images",
             "Pairs of rows of images, one image a class: a synthetic set above, the members "
             f"nearest to it below, for a start from {' and from '.join(starts)}.")

# %% tags=["plumbing"]
rows = []
for start in starts:
    made = synthetic[start][0]                           # of the first half of the pool
    S = made["images"].reshape(shown, -1)
    first = np.repeat(made["started_from"], shown // few, axis=0)
    to_in, to_out = (cdist(S, study.images[pool[half]].flatten(1))
                     for half in (member[0], ~member[0]))
    nearest = halves[0][to_in.argmin(1)]
    same = (nearest[:, None] == first).any(1)
    rows.append({"start": start, "nearer to a member": tables.percent(*metrics.rate(
        (to_in.min(1) < to_out.min(1)).sum(), shown)),
        "nearest is one it started from": tables.percent(*metrics.rate(same.sum(), shown))})
nearest = pd.DataFrame(rows)
at_the_end["nearest images"] = study.table(nearest, "nearest_images")
voice.shown("nearest_images", nearest)

# %% [markdown]
# There are as many members as non-members, so one half would mean no trace of single images. Do the *models*, too, give away whom the
# condensation started from?

# %% tags=["plumbing"]
rows = []
for start in (start for start in starts if start != "noise"):
    first = np.stack([np.isin(pool, synthetic[start][j]["started_from"]) for j in halves])
    for people, who in (("it started from", first), ("other members", member & ~first)):
        for kind, group in (("average", ~canary), ("canaries", canary)):
            rows.append({"start": start, "whose": people, "people": kind}
                        | examination.examine_by(
                            best, scores[f"condensed from {start}"], who & group,
                            ~member & group, others_like_them=kind == "canaries"))
if rows:                                                 # else nothing started from real images
    rows = pd.DataFrame(rows)
    texts = verdicts.examined_cells(rows.drop(columns="pairs"))
    at_the_end["whom it started from"] = study.table(texts, "real_start",
                                                     verdicts.luck(rows))
    display(voice.shown("real_start", texts))

# %% [markdown]
# ## Testing the test
#
# **Does it cry wolf?** We give the models of random members memberships that are pure invention, and examine them by the same rule.
# Nothing can be recognised, so the rule should say "recognised" at most once in forty times. **What would it find?** We plant leaks of two kinds.
# In the first, *everybody* leaks a little: the $\phi$ of every made-up member is raised by a part of its usual spread. In the second, *a few* are
# known by heart: for a share of the people $\phi$ is ten spreads higher if they are made-up members, ten lower if not. Which of the
# two does an AUC overlook?

# %%
known = world.references(member, models[f"{few} random members"])
spread = np.sqrt(known.phi.var(axis=0, ddof=1).mean())
true_class = np.eye(len(classes))[labels][:, None]       # [n, 1, classes]

def recognised(plant, draw):
    """Whether invented members, with a leak planted, are recognised, by verdict and by AUC."""
    invented = membership_matrix(len(pool), n_models, study.rng("made up", draw))
    by = plant(invented, study.rng("planted", draw))      # in spreads of phi, [models, n]
    raised = known.logits + spread * by[:, :, None, None] * true_class
    asked = replace(known, is_member=invented, logits=raised)
    found = examination.leave_pair_out(asked, of_best)
    found = pd.DataFrame([examination.examine_by(best, found, invented, ~invented)])
    return verdicts.judged(found)[0].word == verdicts.RECOGNISED, found["auc_p"][0] < 0.025

# %%
kinds_of_leak = {
    "everybody": lambda auc: lambda made_up, rng: np.sqrt(2) * ndtri(auc) * made_up,
    "a few": lambda f: lambda made_up, rng: 10 * np.where(made_up, 1, -1) * (
        rng.random(made_up.shape[1]) < f)}
planted = [("everybody", auc) for auc in (0.5, 0.51, 0.52, 0.55)] + [
    ("a few", f) for f in (0.005, 0.01, 0.02, 0.05)]
repeated = {(kind, size): np.array([recognised(kinds_of_leak[kind](size), draw)
                                    for draw in range(draws)])   # [draws, 2]
            for kind, size in planted}

# %% tags=["plumbing"]
figure, axes = plt.subplots(1, 2, figsize=(9, 2.8), sharey=True)
for ax, kind, label in zip(axes, ("everybody", "a few"), (
        "AUC of a leak of everybody (%)", "people who are known by heart (%)")):
    x = [100 * size for who, size in planted if who == kind]
    for column, (rule, style) in enumerate((("the verdict", "o-"), ("the AUC alone", "s--"))):
        hits = [int(repeated[key][:, column].sum()) for key in planted if key[0] == kind]
        middle, low, high = 100 * np.array([metrics.rate(hit, draws) for hit in hits]).T
        ax.errorbar(x, middle, [middle - low, high - middle], fmt=style, capsize=3, label=rule)
    ax.set(xlabel=label)
axes[0].set(ylabel="recognised (% of repetitions)", ylim=(-3, 103))
axes[0].legend(loc="upper left", fontsize=8)
study.figure(figure, "power",
             f"How many of {draws} repetitions recognise a planted leak, by the verdict: "
             + "; ".join(
    f"{kind} at {size:.1%}, {100 * repeated[kind, size][:, 0].mean():.0f} %"
    for kind, size in planted) + ".")

# %% [markdown]
# At the left end of the left picture there is nothing to find, and the curve should be near zero. Where a curve reaches 80 % is the smallest leak of
# its kind that an examination of this size finds reliably. A few people known by heart hardly move an average; that is why the
# verdict reads rates too. A single exposed person is found by neither, which is why there are canaries.
#
# ## The verdict on "privacy for free"
#
# Which rows should lie to the right of the dotted line if condensing protects, and which if only the small number of training images
# does?

# %% tags=["plumbing"]
of_average = pd.DataFrame([{"trained on": name} | examination.examine_by(
    best, of_attacks, inside, outside) for name, of_attacks in scores.items()])
of_average["ceiling"] = of_average["trained on"].map(ceilings)
people = {"the average person": of_average, "canaries": canaries}
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
for ax, (who, frame) in zip(axes, people.items()):
    found = 100 * frame[["auc", "auc_low", "auc_high"]]
    plots.intervals(ax, *found.to_numpy().T, frame["trained on"], plots.MEMBER)
    ax.axvline(50, color="0.6", linestyle=":", linewidth=1)
    ax.set(xlabel=f"AUC (%), {who}")
study.figure(figure, "verdict",
             "Intervals of the AUC for every recipe. The average person: " + ", ".join(
    f"{100 * one:.1f} % ({name})" for name, one in zip(
        of_average["trained on"], of_average["auc"])) + "; on the right the canaries.")

# %% tags=["plumbing"]
asked = pd.concat(people.values(), keys=people, names=["who"]).reset_index("who")
verdict = [(f"Trained on {one['trained on']}: {one['who']}",
            tables.sentence("AUC {}", tables.percent(*one[["auc", "auc_low", "auc_high"]])),
             answer)
           for (_, one), answer in zip(asked.iterrows(), verdicts.verdicts(asked))]
made_up = repeated["everybody", 0.5][:, 0]
targets = study.results.load_models("targets")
original, condensed = (signals.accuracies(targets.named(name)[:, study.non_members],
                                          study.labels[study.non_members]).mean()
                       for name in ("original", f"condensed-{control_ipc}"))
lost = (tables.plain(original - condensed, "{:.1 points}"), tables.plain(original, "{:.1%}"),
        tables.plain(condensed, "{:.1%}"))
verdict += [("Is it free? Accuracy given up",
             tables.sentence("{}: {} on the original, {} condensed", *lost),
             "no" if original - condensed > 0.01 else "nearly"),
            ("(test of the test) made-up memberships",
             tables.sentence("{} of {} recognised", tables.count(made_up.sum()),
                             tables.count(draws)),
             "suspicious" if metrics.rate(made_up.sum(), draws)[1] > 0.025 else "sound")]
study.table(pd.DataFrame(verdict, columns=["question", "this run", "answer"]), "verdict",
            verdicts.luck(asked))

# %% [markdown]
# **How to read it.** For the *average person* "condensing protects" would mean that a condensing recipe lies below the line of real
# images at equal accuracy. On the line, few images or modest accuracy explain the protection just as well, and a subset is the simpler
# method. For the *worst-off person* the comparison is with as many real images: a subset exposes whoever it uses, and a condensed
# set uses everybody a little. None of this is a guarantee, which needs noise and a proof. "No leak detected" is the verdict of these
# attacks on one model.
#
# ### The same questions, asked of more people
#
# The digits with 40 models of every recipe (`figures/digits`), then MNIST with 12, and the paper's own setting: its split, its
# network and 100 epochs, with images condensed from noise and again 12 models. Their tables are at the end of the page.

# %% tags=["plumbing"]
of_digits = committed("digits", "verdict")[0]
at_the_end |= {"verdict, digits": tables.shown(of_digits),
               "verdict, MNIST": tables.shown(committed("mnist-small", "verdict")[0]),
               "verdict, the paper's setting": tables.shown(committed("paper", "verdict")[0])}
voice.shown("verdict", of_digits)

# %% tags=["plumbing"]
of_digits = committed("digits", "equal_accuracy")[0]
at_the_end["at equal accuracy, digits"] = tables.shown(of_digits)
at_the_end["at equal accuracy, the paper's setting"] = tables.shown(
    committed("paper", "equal_accuracy")[0])
voice.shown("equal_accuracy", of_digits)

# %% [markdown]
# On MNIST a hundred images stand for 15,000 people. (Its tables were made before the verdict read more than the AUC and before it
# corrected for the number of questions.) A model of all members gives nearly every canary away there. In models of few images, real or condensed, no leak of
# canaries was detected; an AUC of 54.6 % would have been detectable in the condensed ones. A random subset uses one canary in 150, which the
# theorem calls a ceiling of 50.33 %, so there is next to nothing to find in it. "5 members a class" is called recognised with 50.4 % in the
# paper's setting, where the theorem allows 50.17 %: an accident of these twelve models, and the reason for the correction.
#
# And at equal accuracy? The paper's interval reaches from -0.2 to 0.4 points, and the real images leak about 0.2 points there. So it
# holds *complete* protection as well as three times the leak of real images. What can be said is that the average person's leak is small in both: for a
# hundred random real images at most 0.33 points, by proof; for condensed images without any proof, and at most 0.8 points by this
# interval.
#
# ## Summary
#
# - Fewer real images already protect: what a random subset gives away is bounded by its share of the members. So judge condensing
#   against real images at equal accuracy, with an attacker who condenses too.
# - The average person and the worst-off person are two questions with two answers, and an AUC asks only the first.
# - The fewer people share a training image, the more it says about each; and synthetic images that start from real ones can carry these
#   with them.
# - A test is worth what it would have found: state the smallest detectable leak together with "no leak detected".
#
# ## Exercises
#
# 1. (easy) How does the AUC on condensed models grow with the number of models? Use the first 6, 8, 10, ... of them.
# 2. (medium) The synthetic images themselves are published. Use minus the distance to the nearest of them as an attack, first by
#    itself and then calibrated by the sets that other halves of the pool were condensed into. Does it find members?
# 3. (hard) Start a condensation from real images and look after 1, 2, 5 ... iterations: how long is the nearest member the
#    one it started from?
#
# Solutions: `solutions/07_solutions.ipynb`.
#
# ## References
#
# - T. Dong, B. Zhao, L. Lyu, *Privacy for free: how does dataset condensation help privacy?*, ICML 2022.
# - N. Carlini, V. Feldman, M. Nasr, *No free lunch in "Privacy for free: how does dataset condensation help
#   privacy"*, 2022.
# - N. Carlini et al., *The secret sharer: evaluating and testing unintended memorization in neural networks*, USENIX
#   Security 2019 (canaries).
# - K. Chaudhuri, N. Mishra, *When random sampling preserves privacy*, CRYPTO 2006, and C. Dwork, A. Roth, *The algorithmic foundations
#   of differential privacy*, 2014 (publishing a random subset is $(0, \delta)$-private, and why that is not enough).
# - S. Holm, *A simple sequentially rejective multiple test procedure*, Scandinavian Journal of Statistics 1979.
# - T. Steinke, M. Nasr, M. Jagielski, *Privacy auditing with one (1) training run*, NeurIPS 2023.
# - S. Mahloujifar, L. Melis, K. Chaudhuri, *Auditing f-differential privacy in one run*, ICML 2025.
# - M. Aerni, J. Zhang, F. Tramèr, *Evaluations of machine learning privacy defenses are misleading*, CCS 2024.

# %% [markdown]
# ## Appendix: from canaries to a bound on epsilon
#
# The bound of notebook 6 treats the people of one model as if each had a model of their own. An *audit in one run*
# (Steinke, Nasr and Jagielski 2023) does not. The attacker guesses for the $r$
# canaries with the most telling scores, half "in" and half "out", and gets $v$ right. If training were
# $\varepsilon$-differentially private, $v$ would hardly exceed a binomial number,
#
# $$P(V \ge v) \;\le\; P\Big(\mathrm{Bin}\big(r, \tfrac{e^\varepsilon}{1 + e^\varepsilon}\big) \ge v\Big) ,$$
#
# so each $\varepsilon$ for which this is below 5 % is refuted. Guesses of several models count together if their coins are independent,
# so one model of every second pair is asked, and only models of the other pairs are references. Four numbers $r$ are tried, at a
# quarter of the level each. Beside the bound stands the largest that is possible with so few canaries: a claim above it cannot be
# tested, and a bound of zero refutes nothing.
#
# In the last column the claim is that training is as private as *adding Gaussian noise*. That is a claim about all error rates at once, and so
# it is easier to refute (Mahloujifar, Melis and Chaudhuri 2025). Its $\varepsilon$ is for $\delta = 10^{-5}$, an additive slack in
# the promise (notebook 11); the unit is one image, added or removed.

# %% tags=["plumbing"]
asked, others = auditing.asked_and_references(len(member))
bounds = {"epsilon at least (of at most)": (0.0, auditing.one_run),
          "the same, Gaussian noise": (1e-5, auditing.one_run_gaussian)}
shown_bounds = {title: [] for title in bounds}
for trained in models.values():
    references = world.references(member, trained)
    prepared = suite[best["tpr"]](references[others])
    score = np.stack([prepared.score(references.answers(j)) for j in asked])[:, canary]
    for title, (delta, bound) in bounds.items():
        shown_bounds[title].append(tables.some("bound", *auditing.pooled(
            score, member[asked][:, canary], delta, bound=bound)))
for title, column in shown_bounds.items():
    of_canaries.insert(len(of_canaries.columns) - 1, title, column)
at_the_end["canaries, with bounds on epsilon"] = study.table(of_canaries, "canaries",
                                                             verdicts.luck(canaries))

# %% [markdown]
# ## All tables
#
# Those of which the text above gave a sentence or a picture only.

# %% tags=["appendix"]
for name, table in at_the_end.items():
    print(name)
    display(table)
