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
# # Solutions to notebook 6
#
# Needs the files of notebooks 1, 2 and 6 of the same profile, and trains nothing.

# %% tags=["parameters"]
profile: str = "quick"      # name of the run whose files are used
dataset: str = "digits"     # must be what 01_data_split divided
seed: int = 0               # must be what 01_data_split used
attacked: int = 6           # reference models that exercise 2 attacks
removed: int = 10           # most vulnerable members that exercise 3 removes

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.special import softmax

from dcpriv_lib import artefacts, data, lira, metrics, paths, plots, rmia
from dcpriv_lib.seeding import derive

plots.style()
results = paths.results(profile)

# %% [markdown]
# The inputs: the reference models' logits with their membership matrix, and the target `original`. RMIA's population
# is the attacker's images; the target's answers for these were not stored, so here RMIA's $z$ are non-members taken out of the
# examination: the second half of them.

# %%
split = data.load_split(results, profile=profile, dataset=dataset, seed=seed)
made_by = "notebooks/06_stronger_attacks.ipynb"
references = artefacts.load_table(results / "references.csv", split.inputs, made_by)
loaded = [artefacts.load_arrays(results / "references" / file, split.inputs, made_by) for file in references["file"]]
keep = np.stack([one["members"] for one in loaded])                                        # [models, n]
parts = ("members", "non_members")
labels = np.concatenate([split.dataset.labels[split.indices[part]] for part in parts])     # [n]
is_member = np.repeat([True, False], [len(split.indices[part]) for part in parts])         # [n]

# %%
logits = np.stack([one["pool"][:, 0] for one in loaded])                                   # [models, n, classes]
phi = np.stack([lira.logit_confidence(one, labels) for one in logits])                     # [models, n]
targets = artefacts.load_table(results / "targets.csv", split.inputs, "notebooks/02_condensation.ipynb")
file = targets.loc[targets["target"] == "original", "file"].iloc[0]
target = artefacts.load_arrays(results / "targets" / file, split.inputs, "notebooks/02_condensation.ipynb")
target_logits = np.concatenate([target[part] for part in parts])
target_phi = lira.logit_confidence(target_logits, labels)

# %% [markdown]
# ## Exercise 1
#
# With how few reference models does each attack work?

# %%
def true_class(some) -> np.ndarray:
    return np.take_along_axis(softmax(some.astype(float), axis=-1), labels[:, None], -1)[:, 0]

p, target_p = np.stack([true_class(one) for one in logits]), true_class(target_logits)
population = np.zeros(len(labels), dtype=bool)
population[np.flatnonzero(~is_member)[(~is_member).sum() // 2:]] = True

def rmia_scores(first: int) -> np.ndarray:
    prior = rmia.offline_prior(p[:first], keep[:first], 0.5)
    return rmia.scores(target_p, prior, target_p[population], prior[population])

# %%
def auc_with(first: int) -> dict:
    def lira_with(attack, fixed):
        return attack(phi[:first], keep[:first], target_phi, fixed_variance=fixed)
    scores = {"LiRA online, fixed": lira_with(lira.online, True), "LiRA online, own": lira_with(lira.online, False),
              "LiRA offline, fixed": lira_with(lira.offline, True), "RMIA": rmia_scores(first)}
    rng, asked = np.random.default_rng(derive(seed, "how many")), ~population
    return {name: metrics.auc(score[asked], is_member[asked], rng) for name, score in scores.items()}

counts = [first for first in (4, 8, 16, 32, 64, 128) if first < len(keep)] + [len(keep)]
found = {first: auc_with(first) for first in counts}

# %%
figure, ax = plt.subplots(figsize=(6, 3.2))
for i, name in enumerate(found[counts[0]]):
    middle, low, high = 100 * np.array([found[first][name] for first in counts]).T
    place = np.array(counts) * 1.03 ** (i - 1.5)                     # side by side
    ax.errorbar(place, middle, (middle - low, high - middle), marker="o", capsize=2, label=name)
ax.set(xscale="log", xlabel="reference models", ylabel="AUC on original (%)")
ax.set_xticks(counts, counts, minor=False)
ax.minorticks_off()
ax.axhline(50, color="0.6", linestyle=":")
ax.legend(fontsize=8)
plt.show()

# %% [markdown]
# The attacks with one variance for everybody and RMIA start well with four models; a variance of each image's own has
# only two values to be estimated from there, and needs many more. The bars overlap widely: all points are judged on the same
# people and move together, so compare the curves, not the bars.

# %% [markdown]
# ## Exercise 2
#
# Attack reference models instead of the target, each with all others but its partner.

# %%
def attack_reference(j: int) -> dict:
    others = np.delete(np.arange(len(keep)), [j - j % 2, j - j % 2 + 1])
    score = lira.online(phi[others], keep[others], phi[j], fixed_variance=True)
    return {"attacked": f"reference {j}", "AUC": metrics.percent(
        *metrics.auc(score, keep[j], np.random.default_rng(derive(seed, "attack reference", j))))}

score = lira.online(phi, keep, target_phi, fixed_variance=True)
rows = [attack_reference(j) for j in range(min(attacked, len(keep)))]
rows.append({"attacked": "original", "AUC": metrics.percent(
    *metrics.auc(score, is_member, np.random.default_rng(derive(seed, "attack original"))))})
pd.DataFrame(rows)

# %% [markdown]
# Reference models differ from the target in one thing only, who the members are. So the spread of these rows shows
# what one random split, and one random training, do to the number. A result on one target with its interval over
# people knows nothing of that spread. The partner has to go because its members are exactly the others: without model $j$ but
# with its partner, an image is in one model more or less than half, and that alone tells who is who.

# %% [markdown]
# ## Exercise 3
#
# Without the most vulnerable members, what is left of the true positives?

# %%
(mu_in, _), (mu_out, _) = (lira.gaussian(phi, where, fixed_variance=True) for where in (keep, ~keep))
most = np.argsort(np.where(is_member, mu_in - mu_out, -np.inf))[-removed:]
rest = ~np.isin(np.arange(len(labels)), most)
pd.DataFrame([{"members": name, "n": int(is_member[rows].sum()),
               "TPR at 1 % FPR": metrics.percent(*metrics.tpr_at_fpr(score[rows], is_member[rows], 0.01)),
               "AUC": metrics.percent(*metrics.auc(score[rows], is_member[rows], np.random.default_rng(seed)))}
              for name, rows in (("all", np.ones(len(labels), dtype=bool)), (f"without the {removed} most vulnerable", rest))])

# %% [markdown]
# A handful of people carries a good part of the true positives at a low false positive rate, and hardly any of the AUC.
# But do not conclude that deleting them makes a model safe: after a new training without them, others are the
# most unusual ones (the "onion effect": N. Carlini et al., *The privacy onion effect*, NeurIPS 2022).
