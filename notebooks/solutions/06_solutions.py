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
removed: int = 10           # most vulnerable members that exercise 4 removes

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import norm

from dcpriv_lib import metrics, parameters
from dcpriv_lib.attacks import lira, rmia, signals
from dcpriv_lib.attacks.shadow_models import membership_matrix
from dcpriv_lib.evaluation import examination
from dcpriv_lib.results import plots, tables, verdicts
from dcpriv_lib.study import Study

study = Study(**parameters.check(globals()))

# %% [markdown]
# The inputs: the reference models' outputs with their membership matrix, and the target `original`. Here RMIA's $z$
# are non-members taken out of the evaluation set: the second half of them.

# %%
pool, is_member = study.pool, study.is_member
labels = study.labels[pool].numpy()                                                  # [n]
references = study.results.load_models("references")
member = membership_matrix(len(pool), len(references), study.rng("pool"))    # [models, n]
logits = references.logits[:, pool]  # [models, n, classes]
target_logits = study.results.load_models("targets").named("original")[0][pool]  # [n, classes]
phi = np.stack([signals.logit_confidence(outputs, labels) for outputs in logits])  # [models, n]
target_phi = signals.logit_confidence(target_logits, labels)

# %% [markdown]
# ## Exercise 1
#
# With how few reference models does each attack work?

# %%
p = np.stack([signals.true_class(outputs, labels) for outputs in logits])  # [models, n]
target_p = signals.true_class(target_logits, labels)
population = np.zeros(len(labels), dtype=bool)
population[np.flatnonzero(~is_member)[(~is_member).sum() // 2:]] = True

def rmia_scores(first):
    prior = rmia.offline_prior(p[:first], member[:first], 0.5)
    return rmia.scores(target_p, prior, target_p[population], prior[population])

# %%
def auc_with(first):
    def lira_with(attack, fixed):
        return attack(phi[:first], member[:first], target_phi, fixed_variance=fixed)
    scores = {"LiRA online, fixed": lira_with(lira.online, True),
              "LiRA online, own": lira_with(lira.online, False),
              "Bayesian LiRA": lira.bayesian(phi[:first], member[:first], target_phi),
              "RMIA offline": rmia_scores(first)}
    rng, asked = study.rng("how many"), ~population
    return {name: metrics.auc(score[asked], is_member[asked], rng)
            for name, score in scores.items()}

counts = [first for first in (4, 8, 16, 32, 64, 128) if first < len(member)] + [len(member)]
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
plots.show(figure, "how_many_models",
           "AUC on the original against the number of reference models, a line an attack: "
           + "; ".join(f"{name} from {100 * found[counts[0]][name][0]:.1f} to "
                       f"{100 * found[counts[-1]][name][0]:.1f} %" for name in found[counts[0]])
           + ".")

# %%
for name in found[counts[0]]:
    enough = next((first for first in counts if found[first][name][1] > 0.5), None)
    print(f"{name} is distinguishable from guessing",
          f"with {enough} reference models." if enough else "with none of these numbers.")

# %% [markdown]
# The attacks with one variance for everybody, with priors, and RMIA start well with four models. A variance of each image's
# own has only two values to be estimated from there, and needs many more. The bars overlap widely. But all points are
# judged on the same people and move together, so compare the curves, not the bars.

# %% [markdown]
# ## Exercise 2
#
# Attack reference models instead of the target, each with all others but its partner.

# %%
def attack_reference(j):
    others = np.delete(np.arange(len(member)), [j - j % 2, j - j % 2 + 1])
    score = lira.online(phi[others], member[others], phi[j], fixed_variance=True)
    return metrics.auc(score, member[j], study.rng("attack reference", j))

score = lira.online(phi, member, target_phi, fixed_variance=True)
auc = {f"reference {j}": attack_reference(j) for j in range(min(attacked, len(member)))}
auc["original"] = metrics.auc(score, is_member, study.rng("attack original"))
# %%
of_references = [found[0] for name, found in auc.items() if name != "original"]
print(f"The AUCs of {len(of_references)} reference models lie between "
      f"{min(of_references):.1%} and {max(of_references):.1%}; "
      f"that of the original is {auc['original'][0]:.1%}.")

# %%
pd.Series({name: tables.percent(*found) for name, found in auc.items()}, name="AUC").to_frame()

# %% [markdown]
# (The notebook does the same to all of them and all attacks, with `examination.leave_pair_out`.) Reference models differ
# from the target in one thing only, who the members are. So the spread of these rows shows
# what one random split, and one random training, do to the number. The interval of one target, which is over
# people, does not contain that spread. The partner has to go because its members are exactly the others: without model $j$ but
# with its partner, an image is in one model more or less than half, and that alone says who is who.

# %% [markdown]
# ## Exercise 3
#
# LiRA as its authors published it, and LiRA as their paper describes it and this report runs it: which is stronger here?
#
# The published code (`research/mi_lira_2021/plot.py` of TensorFlow Privacy), for one query an image:

# %%
def published(phi, member, target_phi, fixed, online):
    inside, outside = np.where(member, phi, np.nan), np.where(member, np.nan, phi)
    axis = None if fixed else 0
    std_in, std_out = np.nanstd(inside, axis), np.nanstd(outside, axis)
    if online and fixed:
        std_out = std_in                                           # as in the code
    score = -norm.logpdf(target_phi, np.nanmedian(outside, axis=0), std_out + 1e-30)
    if online:
        score = score + norm.logpdf(target_phi, np.nanmedian(inside, axis=0), std_in + 1e-30)
    return score

def ours(phi, member, target_phi, fixed, online):
    attack = lira.online if online else lira.offline
    return attack(phi, member, target_phi, fixed_variance=fixed)

# %% [markdown]
# Both attack every reference model with all others but its partner.

# %%
rows = []
for online, fixed in ((True, True), (True, False), (False, True), (False, False)):
    name = f"{'online' if online else 'offline'}, {'fixed' if fixed else 'own'} variance"
    for code, attack in (("published code", published), ("the paper's text, ours", ours)):
        scores = np.empty(member.shape)
        for j in range(len(member)):
            others = np.delete(np.arange(len(member)), [j - j % 2, j - j % 2 + 1])
            scores[j] = attack(phi[others], member[others], phi[j], fixed, online)
        rows.append({"LiRA": name, "code": code} | examination.examine(scores, member, ~member))
examined = pd.DataFrame(rows)
tables.shown(verdicts.examined_cells(examined), verdicts.luck(examined))

# %% [markdown]
# Online the two differ little at the quick scale. Offline the published code loses most of its AUC. Members have a *higher*
# $\phi$ than models without them would give, and hardly ever a much lower one. A two-sided score accuses both ends, and so
# mixes the surest members with people who are least likely to be members. So this report runs LiRA as the paper's text has
# it, which is the stronger attack here. How the two compare with other data or many more models, this does not say.

# %% [markdown]
# ## Exercise 4
#
# Without the most vulnerable members, what is left of the true positives?

# %%
(mu_in, _), (mu_out, _) = (lira.gaussian(phi, where, fixed_variance=True)
                           for where in (member, ~member))
most = np.argsort(np.where(is_member, mu_in - mu_out, -np.inf))[-removed:]
everybody = np.ones(len(labels), dtype=bool)
rest = ~np.isin(np.arange(len(labels)), most)
found = {}
for name, rows in (("all", everybody), (f"without the {removed} most vulnerable", rest)):
    rng = study.rng("without the most vulnerable")
    tpr = metrics.tpr_at_fpr(score[rows], is_member[rows], 0.01, rng)
    auc = metrics.auc(score[rows], is_member[rows], rng)
    found[name] = {"n": is_member[rows].sum(), "TPR at 1 % FPR": tables.percent(*tpr),
                   "AUC": tables.percent(*auc)}

# %%
before, after = found.values()
print(f"Without the {removed} most vulnerable members the TPR at 1 % FPR goes from "
      f"{before['TPR at 1 % FPR']} to {after['TPR at 1 % FPR']}, and the AUC from "
      f"{before['AUC']} to {after['AUC']}.")
pd.DataFrame(found).T.rename_axis("members")

# %% [markdown]
# A handful of people carries a good part of the true positives at a low false positive rate, and hardly any of the AUC.
# But do not conclude that deleting them makes a model safe: after a new training without them, others are the
# most unusual ones (the "onion effect": N. Carlini et al., *The privacy onion effect*, NeurIPS 2022).
