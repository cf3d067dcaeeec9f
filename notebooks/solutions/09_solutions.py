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
# # Solutions to notebook 9
#
# Needs the files of notebooks 1, 2, 6 and 9 of the same profile. All three exercises condense the halves of notebook 9 again.

# %% tags=["parameters"]
profile: str = "quick"      # name of the run whose files are used
dataset: str = "digits"     # must be what 01_data_split divided
seed: int = 0               # must be what 01_data_split used
training_steps: int = 80    # optimiser steps of every model, as in notebook 9

# %%
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from dcpriv_lib import parameters
from dcpriv_lib.attacks import signals, suites
from dcpriv_lib.attacks.shadow_models import membership_matrix
from dcpriv_lib.condensation import condense
from dcpriv_lib.condensation.defaults import settings_of
from dcpriv_lib.condensation.distribution_matching import features
from dcpriv_lib.condensation.method import Method, Schedule
from dcpriv_lib.evaluation import examination
from dcpriv_lib.jobs import Training, each
from dcpriv_lib.models.training import epochs_for, momentum_step
from dcpriv_lib.results import tables, verdicts
from dcpriv_lib.study import Study

study = Study(**parameters.check(globals()))

# %%
made = study.results.record_of("methods")["inputs"]["parameters"]     # notebook 9's own
world, pool = study.with_canaries(made["n_canaries"]), study.pool
member = membership_matrix(len(pool), made["n_per_method"], study.rng("methods"))
scale = {name: made[name] for name in ("width", "real_batch", "effort")}
inside, outside = member & ~world.canaries, ~member & ~world.canaries

# %%
by_set = {}                                              # name to column to one value a set

def row(name, sets, shown_by=None):
    """Accuracy and leak of models of sets; apart, the people whom they (or others) show."""
    recipe = Training(epochs_for(training_steps, len(sets[0]["labels"])))
    trained = world.models(name, each(sets, recipe))
    references = world.references(member, trained)
    suite = {"RMIA": suites.STRONG["RMIA online"]}
    scores = examination.leave_pair_out(references, suite)["RMIA"]
    shown = np.stack([np.isin(pool, (shown_by or sets)[j]["started_from"]) for j in sets])
    partners = shown[np.arange(len(shown)) ^ 1]          # whom the partner's images show
    groups = {"AUC": (inside, outside), "of those shown": (shown & inside, partners & outside),
              "of the others": (inside & ~shown, outside & ~partners)}
    right = signals.accuracies(references.logits[:, :, 0], references.labels, outside)
    by_set[name] = {"accuracy": right} | {
        title: examination.aucs(scores, who, others)
        for title, (who, others) in groups.items() if who.any()}
    return {"sets": name} | {title: verdicts.rate_cell(by_set[name][title])
                             if title in by_set[name] else "-"
                             for title in ("accuracy", *groups)}

# %%
def change(title, name, before):
    """How a column changes from one kind of sets to another: in words, and in points."""
    moved = by_set[name][title] - by_set[before][title]
    found = examination.over_pairs(moved)
    what = title if title in ("accuracy", "AUC") else f"AUC {title}"
    if not found[1] <= 0 <= found[2]:
        word = "higher" if found[1] > 0 else "lower"
        return word, f"The {what} is {word} ({tables.points(*found)})."
    return "", (f"No difference in the {what} was detected ({tables.points(*found)}; "
                f"detectable: {100 * examination.detectable(moved):.1f} points).")

def condensed(name, settings):
    """The synthetic sets of all halves."""
    return world.sets(name, each({j: pool[row] for j, row in enumerate(member)}, settings))

# %% [markdown]
# ## Exercise 1
#
# Two of the methods with four times the iterations of notebook 9, to stay within a minute or so.

# %%
rows = []
for method in ("DM", "KIP"):
    for times in (1, 4):
        longer = scale | {"effort": times * made["effort"]}
        how = settings_of(method, made["control_ipc"], **longer)
        name = f"{method}, {times} times the iterations"
        rows.append(row(name, condensed(name, how)))
pd.DataFrame(rows)

# %% [markdown]
# Which of the two gains more? And a method that moves along the line of real images becomes more accurate and more telling
# at once. One that moves away from it becomes more accurate alone, or more telling alone.

# %%
def gained(method, title):
    longer, shorter = (by_set[f"{method}, {times} times the iterations"] for times in (4, 1))
    return longer[title] - shorter[title]

for method in ("DM", "KIP"):
    names = [f"{method}, {times} times the iterations" for times in (4, 1)]
    found = {title: change(title, *names) for title in by_set[names[0]]}
    moved = found["accuracy"][0] == "higher", found["AUC"][0] == "higher"
    where = {(True, True): "along the line of real images",
             (True, False): "away from it, for the better",
             (False, True): "away from it, for the worse",
             (False, False): "nowhere, as far as so few sets can show"}[moved]
    print(f"{method} moves {where}:", *(said for _, said in found.values()), sep="\n  ")
_, low, high = examination.over_pairs(gained("KIP", "accuracy") - gained("DM", "accuracy"))
print("More accuracy is gained by", "KIP." if low > 0 else "DM." if high < 0
      else "neither, as far as so few sets can show.")

# %% [markdown]
# More iterations take the images away from their start: where the line of those shown falls and that of the others rises, the leak
# has moved from a few people to many.

# %% [markdown]
# ## Exercise 2
#
# IDM from noise, beside IDM from tiles, and the tiles as they are.

# %%
how = settings_of("IDM", made["control_ipc"], **scale)
tiles = settings_of("tiles", made["control_ipc"], **scale)
of_start = {start: condensed(f"IDM, {start}", replace(how, start=start))
            for start in ("tiles", "noise")}
pd.DataFrame([row("tiles", condensed("tiles, once more", tiles))] + [
    row(f"IDM from {start}", sets, of_start["tiles"]) for start, sets in of_start.items()])

# %% [markdown]
# "Those shown" are, in both rows of IDM, the people whom its tiles showed. From noise nobody is shown. What it costs, and what they
# gain:

# %%
for title in by_set["IDM from noise"]:
    print(change(title, "IDM from noise", "IDM from tiles")[1])

# %% [markdown]
# What remains from noise is the leak of the average over the class. The untouched tiles say which part of IDM's accuracy, and of its
# leak, is theirs.

# %% [markdown]
# ## Exercise 3
#
# A method is a function of the state and the real images; this one is DM with one term more. A line in `METHODS` makes it known.
# It is known to this process only, so the sets are made one by one; in `condense.py` it would be known to all.

# %%
def match_moments(state, real, settings, draw, network):
    """One iteration of DM that matches the variance of every feature too."""
    rows = [real.some(c, settings.real_batch, draw) for c in range(len(real.by_class))]
    with torch.no_grad():
        M = [features(network, real.images[of_class]) for of_class in rows]
    images = state["images"].detach().requires_grad_()
    S = [features(network, own) for own in images]
    loss = sum((m.mean(0) - s.mean(0)).square().sum() + (m.var(0) - s.var(0)).square().sum()
               for m, s in zip(M, S))
    gradient, = torch.autograd.grad(loss, images)
    moved, velocity = momentum_step(state["images"], state["velocity"], gradient,
                                    settings.image_lr)
    return {"images": moved, "velocity": velocity}, loss.item() / len(rows)

condense.METHODS["moments"] = Method(match_moments, Schedule(60, 1, 0, 30.0))

# %%
how = settings_of("DM", made["control_ipc"], **scale)
own = replace(how, method="moments")
moments = {j: world.sets("moments", {j: (pool[member_j], own)})[j]
           for j, member_j in enumerate(member)}
pd.DataFrame([row("DM", condensed("DM, once more", how)), row("moments", moments)])

# %% [markdown]
# Does the variance help, and does it leak? Both kinds of sets are of the same halves, so the differences have intervals of their own:

# %%
for title in by_set["moments"]:
    print(change(title, "moments", "DM")[1])

# %% [markdown]
# In principle the variance of a hundred images says more about single people than their mean does. "No difference detected" does not
# say that there is none: the interval says how large it could be.
