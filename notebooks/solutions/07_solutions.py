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
# # Solutions to notebook 7
#
# Needs the files of notebooks 1, 2, 6 and 7 of the same profile. Exercises 1 and 3 condense.

# %% tags=["parameters"]
profile: str = "quick"      # name of the run whose files are used
dataset: str = "digits"     # must be what 01_data_split divided
seed: int = 0               # must be what 01_data_split used
most_iterations: int = 12   # of the condensation in exercise 3, at most those of notebook 2

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

from dcpriv_lib import metrics, parameters
from dcpriv_lib.attacks import lira, suites
from dcpriv_lib.attacks.shadow_models import membership_matrix
from dcpriv_lib.condensation import condense
from dcpriv_lib.evaluation import examination
from dcpriv_lib.jobs import Training, each
from dcpriv_lib.results import plots, tables, verdicts
from dcpriv_lib.study import Study

study = Study(**parameters.check(globals()))

# %%
control_ipc = study.results.record_of("controls")["inputs"]["parameters"]["control_ipc"]
n_models = study.results.record_of("controls")["inputs"]["parameters"]["n_models"]
M, pool = study.members, study.pool
labels = study.labels[pool].numpy()
epochs = study.results.load_models("targets").settings["parameters"]["epochs"]

# %% [markdown]
# ## Exercise 1
#
# How does the AUC on condensed models grow with the number of reference models? We condense the halves of notebook 7 again, this
# time without canaries, and attack the first model with the first 2, 4, 6, ... of the others.

# %%
member = membership_matrix(len(pool), n_models, study.rng("controls"))
settings = study.settings_of(control_ipc)
wanted = {j: (pool[member_j], settings) for j, member_j in enumerate(member)}
sets = study.sets("condensed", wanted)
models = study.models("condensed", each(sets, Training(epochs)))
references = study.references(member, models)

# %%
def mean_auc(models, name):
    """Mean AUC of an attack on the first so many models, by those outside its pair."""
    some = references[:models]
    scores = examination.leave_pair_out(some, {name: suites.STRONG[name]})[name]
    return examination.examine(scores, some.is_member, ~some.is_member)["auc"]

counts = range(6, n_models + 1, 2)
grown = pd.DataFrame({name: {models: mean_auc(models, name) for models in counts} for name in (
    "LiRA online, fixed variance", "Bayesian LiRA", "RMIA online")}).rename_axis("models")

# %%
gained = grown.iloc[-1] - grown.iloc[0]
print(f"From {counts[0]} to {counts[-1]} models the AUC grows most for {gained.idxmax()}, "
      f"by {100 * gained.max():+.1f} points, and least for {gained.idxmin()}, by "
      f"{100 * gained.min():+.1f}.")
grown.map("{:.1%}".format)

# %% [markdown]
# Attacks that need a mean and a variance of every image should gain with each pair of models; those with a prior, and RMIA, should be
# near their best early. The rows share models, so they move together, and with few of them a step of one point is luck.

# %% [markdown]
# ## Exercise 2
#
# The images themselves as the leak. The score of a person is minus the distance to the nearest synthetic image of their class. By itself
# it mostly says how ordinary the person looks. So it is compared with the same distance to the sets that were condensed from other
# halves of the pool, some with this person and some without: LiRA, with a distance in place of a model's confidence.

# %%
def nearest(made):
    """Minus the distance of everybody to the nearest synthetic image of their class."""
    images, of_class = made["images"], made["labels"]
    distance = cdist(study.images[pool].flatten(1), images.reshape(len(images), -1))
    distance[labels[:, None] != of_class] = np.inf
    return -distance.min(axis=1)

plain, pair = np.stack([nearest(made) for made in sets.values()]), np.arange(n_models) // 2
calibrated = np.stack([lira.bayesian(plain[pair != p], member[pair != p], plain[j])
                       for j, p in enumerate(pair)])
asked = examination.leave_pair_out(references, {"LiRA": suites.STRONG["Bayesian LiRA"]})["LiRA"]
found = pd.DataFrame([
    {"the attacker has": what} | examination.examine(score, member, ~member)
    for what, score in (
        ("one model: Bayesian LiRA", asked), ("the images: distance", plain),
        ("the images: distance, calibrated", calibrated))])
tables.shown(verdicts.examined_cells(found.drop(columns="pairs")), verdicts.luck(found))

# %% [markdown]
# At the quick scale, where six people share an image and each image starts from the mean of four of them, even the plain distance
# recognises more members than the attack on a model does, and finds many times as many of them at 1 % false alarms. Whoever publishes
# the images must be examined with the images; what a model of them gives away says little about that. The nearest image is the
# simplest statistic there is, and better ones find more.

# %% [markdown]
# ## Exercise 3
#
# Start from real images: how long do the synthetic images stay next to them?

# %%
settings = study.settings_of(control_ipc)
settings = replace(settings, start="real", iterations=min(most_iterations, settings.iterations))
condensed = study.sets("solution", {"start": (M, settings)})["start"]
start = condensed["started_from"][:, 0]                                      # rows of members
stages = condense.stages(condensed, settings.iterations)                     # iteration: images

# %%
def recovered(snapshot):
    distance = cdist(snapshot.flatten(1), study.images[M].flatten(1))
    return metrics.rate(int((M[distance.argmin(1)] == start).sum()), len(start))

# %%
share, low, high = 100 * np.array([recovered(snapshot) for snapshot in stages.values()]).T
figure, ax = plt.subplots(figsize=(5, 3))
ax.errorbar(list(stages), share, (share - low, high - share), marker="o", capsize=3)
ax.set(xlabel="iterations", ylabel="nearest member is its start (%)", ylim=(0, 105))
plots.show(figure, "how_long_the_start_stays",
           "Share of synthetic images whose nearest member is the one that they started from, "
           f"against iterations: {share[0]:.0f} % before the first and {share[-1]:.0f} % after "
           f"{max(stages)}.")

# %%
print(f"After {max(stages)} updates {share[-1]:.0f} % of the images are still next to the "
      "member that they started from.")

# %% [markdown]
# At the start all of them are published images. The curve shows how many updates, with this step size, it takes to move
# away; where it stays at 100 %, so few of them leave every image beside its start. Whoever starts from real images should
# look at this curve before publishing anything. And whoever attacks should look into the curve's left end.
