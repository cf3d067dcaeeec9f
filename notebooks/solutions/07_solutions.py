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
# Needs the files of notebooks 1, 2, 6 and 7 of the same profile. Exercise 3 condenses once.

# %% tags=["parameters"]
profile: str = "quick"      # name of the run whose files are used
dataset: str = "digits"     # must be what 01_data_split divided
seed: int = 0               # must be what 01_data_split used
most_iterations: int = 12   # of the condensation in exercise 3, at most those of notebook 2

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from scipy.spatial.distance import cdist

from dcpriv_lib import artefacts, condensation, data, lira, metrics, networks, paths, plots
from dcpriv_lib.seeding import derive

plots.style()
results = paths.results(profile)

# %%
split = data.load_split(results, profile=profile, dataset=dataset, seed=seed)
targets = artefacts.load_table(results / "targets.csv", split.inputs, "notebooks/02_condensation.ipynb")
references = artefacts.load_table(results / "references.csv", split.inputs, "notebooks/06_stronger_attacks.ipynb")
files = artefacts.load_table(results / "informed.csv", split.inputs, "notebooks/07_controls.ipynb")
made = artefacts.read_sidecar(results / "informed.csv")["inputs"]
pool = np.concatenate([split.indices["members"], split.indices["non_members"]])
images, labels = split.rows(pool)
is_member = np.repeat([True, False], [len(split.indices[part]) for part in ("members", "non_members")])

# %% [markdown]
# ## Exercise 1
#
# How does the informed attacker's AUC grow with the number of models?

# %%
keep = np.stack([artefacts.load_arrays(results / "references" / file, split.inputs, "notebooks/06_stronger_attacks.ipynb")
                 ["members"] for file in references["file"][:len(files)]])
phi = np.stack([lira.logit_confidence(
    artefacts.load_arrays(results / "controls" / file, split.inputs, "notebooks/07_controls.ipynb")["logits"], labels)
    for file in files["file"]])
file = targets.loc[targets["target"] == f"condensed-{made['ipc']}", "file"].iloc[0]
target = artefacts.load_arrays(results / "targets" / file, split.inputs, "notebooks/02_condensation.ipynb")
target_phi = lira.logit_confidence(np.concatenate([target["members"], target["non_members"]]), labels)

# %%
def informed_with(first: int) -> str:
    score = lira.online(phi[:first], keep[:first], target_phi, fixed_variance=True)
    return metrics.percent(*metrics.auc(score, is_member, np.random.default_rng(derive(seed, "informed", first))))

pd.Series({first: informed_with(first) for first in range(4, len(phi) + 1, 2)}, name="AUC").rename_axis("models")

# %% [markdown]
# If there were much to find, the AUC would rise with every pair of models, as that of the original does in exercise 1 of
# notebook 6. A row of intervals around the same number says that more models of this kind would not help. An interval is
# not a curve's noise: all rows are judged on the same people.

# %% [markdown]
# ## Exercise 2
#
# The images themselves as the leak: score by minus the distance to the nearest synthetic image of the same class.

# %%
published = artefacts.load_arrays(results / "condensed_sets.npz", split.inputs, "notebooks/02_condensation.ipynb")
synthetic = torch.as_tensor(published[f"ipc{made['ipc']}-set0"]).flatten(1)
synthetic_labels = np.repeat(np.arange(len(split.dataset.classes)), made["ipc"])
distance = cdist(images.flatten(1), synthetic)
distance[labels.numpy()[:, None] != synthetic_labels] = np.inf
score = -distance.min(axis=1)
rng = np.random.default_rng(derive(seed, "distance attack"))
print("AUC", metrics.percent(*metrics.auc(score, is_member, rng)))
print("TPR at 1 % FPR", metrics.percent(*metrics.tpr_at_fpr(score, is_member, 0.01)))

# %% [markdown]
# The images show what all members of a class have in common, non-members too, and so their nearest neighbours say
# little about membership. An attack on the images is nevertheless the right thing to try where they are published.

# %% [markdown]
# ## Exercise 3
#
# Start from real images: how long do the synthetic images stay next to them?

# %%
members, member_labels = split.part("members")
by_class = [np.flatnonzero(is_member & (labels.numpy() == c)) for c in range(len(split.dataset.classes))]
rng = np.random.default_rng(derive(seed, "start"))
start = np.concatenate([rng.permutation(rows)[:made["ipc"]] for rows in by_class])
settings = {name: made[name] for name in ("ipc", "outer", "inner", "real_batch", "image_lr")}
iterations = min(most_iterations, made["iterations"])
snapshots = condensation.condense(members, member_labels, **settings, iterations=iterations, initial=images[start],
                                  make_network=lambda: networks.ConvNet(*split.shape, width=made["width"]),
                                  seed=derive(seed, "solution"))["snapshots"]

# %%
def recovered(snapshot) -> tuple[float, float, float]:
    nearest = cdist(snapshot.flatten(1), members.flatten(1)).argmin(1)     # members are the first rows of the pool
    return metrics.rate(int((nearest == start).sum()), len(start))

after = condensation.snapshot_iterations(iterations)
share, low, high = 100 * np.array([recovered(snapshot) for snapshot in snapshots]).T
figure, ax = plt.subplots(figsize=(5, 3))
ax.errorbar(after, share, (share - low, high - share), marker="o", capsize=3)
ax.set(xlabel="iterations", ylabel="nearest member is its start (%)", ylim=(0, 105))
plt.show()

# %% [markdown]
# At the start all of them are published images. The curve shows how many updates, with this step size, it takes to move
# away; with the paper's small step and few iterations it would be many more. Whoever starts from real images should
# look at this curve before publishing anything. And whoever attacks should look into the curve's left end.
