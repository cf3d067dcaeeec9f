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
# # 4. The attack: member or not?
#
# **Question.** Given a model's answer for an image, and the rehearsal of notebook 3: was the image a
# member?
#
# **In this notebook you will learn**
#
# 1. the simplest attack there is, a threshold on the loss;
# 2. the attack of the paper's text (a support vector machine per class) and the one of its published
#    code (a logistic regression per class);
# 3. how to judge an attack: precision, recall, accuracy, and the ROC curve, each with its interval.
#
# > **Threat model.** The attacker has the shadow models' answers with their membership, and the
# > target's softmax for every image in question, together with its true class. They do not know
# > how many of the images in question are members. We, the judges, do.

# %% tags=["parameters"]
profile: str = "quick"               # name of this run; its files are in results/<profile>
dataset: str = "digits"              # must be what 01_data_split divided
seed: int = 0                        # must be what 01_data_split used
grid_C: list = [0.1, 1, 10]          # the SVM's C values, as in the paper
grid_gamma: list = [0.001, 0.01, 0.1]  # the RBF kernel's gamma values, as in the paper
folds: int = 5                       # cross-validation folds, as in the paper
merge_step: float = 1e-4             # softmax rows that agree after rounding to it are merged; 0: equal rows
processes: int = 1                   # processes of the grid search; -1 takes every core

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from tqdm import tqdm

from dcpriv_lib import artefacts, attacks, data, metrics, networks, paths, plots, training
from dcpriv_lib.seeding import derive

plots.style()
results = paths.results(profile)

# %% [markdown]
# The inputs: who holds what (notebook 1), the targets' answers (notebook 2), the shadow models'
# answers (notebook 3).

# %%
split = data.load_split(results, profile=profile, dataset=dataset, seed=seed)
targets = artefacts.load_table(results / "targets.csv", split.inputs, "notebooks/02_condensation.ipynb")
table = artefacts.load_table(results / "shadows.csv", split.inputs, "notebooks/03_shadow_training.ipynb")
shadows = [artefacts.load_arrays(results / "shadows" / file, split.inputs,
                                 "notebooks/03_shadow_training.ipynb") for file in table["file"]]
answers = {(row.target, row.run): artefacts.load_arrays(results / "targets" / row.file, split.inputs,
                                                        "notebooks/02_condensation.ipynb")
           for row in targets.itertuples()}

# %% [markdown]
# One row per (shadow model, image): the softmax, the true class, and whether it was a member.

# %%
both = [(s["members"], s["member_labels"], True) for s in shadows] + [
    (s["non_members"], s["non_member_labels"], False) for s in shadows]
shadow_logits = np.concatenate([logits for logits, _, _ in both])
shadow_labels = np.concatenate([labels for _, labels, _ in both])
shadow_member = np.concatenate([np.full(len(labels), inside) for _, labels, inside in both])
print(f"{len(shadow_labels):,} rows from {len(shadows)} shadow models")

# %% [markdown]
# And the examination: every member and every non-member of the target, in the same form.

# %%
labels = np.concatenate([split.dataset.labels[split.indices[part]] for part in ("members", "non_members")])
is_member = np.repeat([True, False], [len(split.indices[part]) for part in ("members", "non_members")])
exams = {key: np.concatenate([answer["members"], answer["non_members"]]) for key, answer in answers.items()}

# %% [markdown]
# One more candidate sits the examination as a control: *unrelated*, a model that was trained on none of these
# images. The first shadow models will do. Nothing can leak from them, so an attack that seems to succeed on them has only met
# a split whose members happen to be easier than its non-members. What it scores there is what luck gives for free.

# %%
images = torch.cat([split.part("members")[0], split.part("non_members")[0]])

def ask(shadow: dict) -> np.ndarray:
    network = networks.PaperCNN(*split.shape)
    prefix = "weights."
    network.load_state_dict({name.removeprefix(prefix): torch.as_tensor(value)
                             for name, value in shadow.items() if name.startswith(prefix)})
    return training.predict(network, images).numpy()

exams |= {("unrelated", run): ask(shadows[run]) for run in range(min(len(shadows), targets["run"].nunique()))}

# %% [markdown]
# ## Attack 1: a threshold on the loss
#
# $$\text{member} \iff \ell(x, y) \le \tau .$$
#
# The attacker chooses $\tau$ where the shadow models' members and non-members are told apart best (the paper's
# section 2.1), and applies it to the target.

# %%
shadow_loss = attacks.losses(shadow_logits, shadow_labels)
tau = attacks.loss_threshold(shadow_loss[shadow_member], shadow_loss[~shadow_member])
print(f"tau = {tau:.3g} nats")

# %% [markdown]
# ## Attack 2: a support vector machine per class (the paper's text)
#
# The attack model of class $c$ is a classifier from the softmax vector $p$ to membership, trained on the
# shadow rows of class $c$. The text uses an SVM with the kernel
# $k(p, q) = \exp(-\gamma \|p - q\|^2)$, and chooses $C$ and $\gamma$ by 5-fold cross-validated accuracy.
#
# The time an SVM takes grows faster than the square of its rows, and most rows of a well trained model say the same:
# "class $c$, I am certain". So rows of equal membership that agree after rounding to `merge_step` are merged into their
# mean, and the merged row has their number as its *weight*.
#
# - **Why this is the same problem.** The SVM pays $C$ per unit of slack of every row. Equal rows have equal slack, so
#   one row that pays $wC$ is $w$ rows that pay $C$. For rows that are exactly equal nothing changes.
# - **What error it makes.** Rows that agree only after rounding move, each by less than $s\sqrt{d}$ for a step of $s$
#   and $d$ classes. No kernel value changes by more than $2 s \sqrt{d}\,\sqrt{2\gamma/e}$: below
#   $2 \cdot 10^{-4}$ for the default step, 10 classes and $\gamma = 0.1$. What that does to the choice and to the
#   predictions is measured by `benchmarks/svm_grid.py`, against the search on all rows.
#
# Rows are merged in the training folds only. Every row of a test fold is predicted, and counted, as it is.

# %%
p, shadow_p = {key: softmax(logits, axis=1) for key, logits in exams.items()}, softmax(shadow_logits, axis=1)
grid = {"C": grid_C, "gamma": grid_gamma, "folds": folds, "merge_step": merge_step}

def search(rows) -> dict:
    return attacks.grid_search(shadow_p[rows], shadow_member[rows], grid_C, grid_gamma, folds, processes,
                                merge_step)

# %% [markdown]
# The search for every class. One that was made before on the same rows is loaded.

# %%
def choose(label: int) -> dict:
    rows = shadow_labels == label
    inputs = split.inputs | grid | {"class": label, "rows": data.digest(shadow_p[rows], shadow_member[rows])}
    return artefacts.cached(results / "attacks" / f"svm-class{label}", inputs, lambda _: search(rows))

found = {int(label): choose(int(label)) for label in tqdm(np.unique(shadow_labels), desc="grid search")}

# %% [markdown]
# The cross-validated accuracies of class 0:

# %%
pd.DataFrame(found[0]["accuracy"].reshape(len(grid_C), -1).round(4),
             index=pd.Index(grid_C, name="C"), columns=pd.Index(grid_gamma, name="gamma"))

# %% [markdown]
# One half would be guessing. This is still the rehearsal, on the attacker's own models; do not expect more on
# the target. The best choices, and the attack models trained with them:

# %%
chosen = {label: attacks.MergedSVC(float(best["C"]), float(best["gamma"]), merge_step)
          for label, best in found.items()}
svm = attacks.fit_per_class(chosen, shadow_p, shadow_labels, shadow_member)
pd.DataFrame({label: {"C": one.C, "gamma": one.gamma} for label, one in chosen.items()}).rename_axis(
    columns="class")

# %% [markdown]
# ## Attack 3: a logistic regression per class (the paper's published code)
#
# In the published result files the grid search is all zeros and the stored attack models are logistic regressions,
# whose probability is compared with 0.5. So we run these too:
#
# $$P(\text{member} \mid p) = \sigma(w_c \cdot p + b_c) .$$

# %%
logistic = attacks.fit_per_class(LogisticRegression(max_iter=1000), shadow_p, shadow_labels, shadow_member)

# %% [markdown]
# ## All attacks against every target
#
# The score is higher for "member"; where it is above 0, the attack says "member".

# %%
def attack_scores(key) -> dict[str, np.ndarray]:
    return {"loss threshold": tau - attacks.losses(exams[key], labels),
            "SVM": attacks.score_per_class(svm, p[key], labels),
            "logistic regression": attacks.score_per_class(logistic, p[key], labels)}

scores = {key: attack_scores(key) for key in tqdm(exams, desc="targets")}

# %%
def judge(target: str, run: int, attack: str) -> dict:
    score, rng = scores[target, run][attack], np.random.default_rng(derive(seed, "auc", target, run, attack))
    decision = score >= 0 if attack == "loss threshold" else score > 0
    same = [len(np.unique(decision[labels == label])) == 1 for label in np.unique(labels)]
    return {"target": target, "run": run, "attack": attack, "n": len(labels),
            **metrics.evaluate(score, decision, is_member, rng), "constant_classes": sum(same)}

# %%
rows = [judge(*key, attack) for key in scores for attack in scores[key]]
judged = pd.DataFrame(rows)
shadows_used = {"shadows": len(shadows), "ds": int(shadow_member.sum() // len(shadows))}
artefacts.save_table(results / "attacks.csv", judged, split.inputs | shadows_used)

mean = metrics.mean_over_runs(judged)
mean[[f"{name}, text" for name in metrics.RATES] + ["constant_classes"]].round(1)

# %% [markdown]
# Read it slowly. The brackets are 95 % intervals: Clopper-Pearson, and bootstrap for the AUC.
#
# - **accuracy**: half would be guessing.
# - **precision**: how often "member" is true. With as many members as non-members, 0.5 is guessing.
# - **recall**: how many of the members are called members. *Recall alone says nothing*: calling
#   everybody a member gives 1, calling nobody gives 0, and both know nothing.
# - **auc**: the chance that a random member scores higher than a random non-member. It does not
#   depend on any threshold. 0.5 is guessing.
# - **constant_classes**: in how many classes the attack gives everybody the same answer. Such a
#   *degenerate* attack model has learned nothing about its class.
#
# ## ROC curves
#
# One threshold is one point; the curve shows all. The first run of every target, in each panel one attack:

# %%
run = int(targets["run"].min())
figure, axes = plt.subplots(1, 3, figsize=(11, 4), sharey=True)
for ax, attack in zip(axes, judged["attack"].unique()):
    for target in judged["target"].unique():
        plots.roc(ax, scores[target, run][attack], is_member, target)
    ax.set_title(attack)
axes[-1].legend(loc="lower right", fontsize=8)
plots.save(figure, results, "roc")

# %% [markdown]
# A curve on the dotted diagonal is guessing. Where the curves hug it for every target, the original included,
# either the members are safe or the attack is weak. This notebook cannot tell which, and neither can the
# paper's table.
#
# ## Per cents with intervals
#
# The accuracy of each attack with its 95 % Clopper-Pearson interval, mean over the runs. The interval
# does *not* shrink with the number of runs: all runs are judged on the same people. And with this many
# intervals, expect one in twenty to miss the truth by chance alone.

# %%
figure, ax = plt.subplots(figsize=(7, 3.4))
for i, (attack, colour) in enumerate(zip(judged["attack"].unique(), ("#0072B2", "#D55E00", "#009E73"))):
    one = 100 * mean.xs(attack, level="attack")[["accuracy", "accuracy_low", "accuracy_high"]]
    plots.intervals(ax, one["accuracy"], one["accuracy_low"], one["accuracy_high"], one.index, colour,
                    offset=0.2 - 0.2 * i, marker="osD"[i], label=attack)
ax.axvline(50, color="0.6", linestyle=":", linewidth=1)
ax.set(xlabel="accuracy of the attack (%); dotted: guessing")
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
plots.save(figure, results, "attack_accuracy")

# %% [markdown]
# ## Summary
#
# - Three attacks, all trained on shadow models only: loss threshold, SVM per class, logistic
#   regression per class.
# - An interval that contains 50 % cannot be told from guessing.
# - Recall moves a lot between targets and means little; AUC is the number to compare.
#
# ## Exercises
#
# 1. Write an attack that calls every correctly classified image a member. How does it compare with the loss
#    threshold?
# 2. Give the attack *random* membership labels for the shadow rows. Where does its AUC land, and why is this a useful
#    check of the pipeline?
# 3. For one target, plot precision and recall of the loss attack against $\tau$. Is there a $\tau$ with recall
#    above 0.9? With precision above 0.9?
#
# Solutions: `solutions/04_solutions.ipynb`.
#
# ## References
#
# - R. Shokri et al., *Membership inference attacks against machine learning models*, IEEE S&P 2017.
# - S. Yeom et al., *Privacy risk in machine learning: analyzing the connection to overfitting*, CSF 2018.
# - C. J. Clopper, E. S. Pearson, *The use of confidence or fiducial limits illustrated in the case of the
#   binomial*, Biometrika 1934.
# - N. Carlini et al., *Membership inference attacks from first principles*, IEEE S&P 2022.
