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
profile: str = "quick"                 # name of this run; its files are in results/<profile>
dataset: str = "digits"                # must be what 01_data_split divided
seed: int = 0                          # must be what 01_data_split used
grid_C: list = [0.1, 1, 10]            # the SVM's C values, as in the paper
grid_gamma: list = [0.001, 0.01, 0.1]  # the RBF kernel's gamma values, as in the paper
folds: int = 5                         # cross-validation folds, as in the paper
merge_step: float = 1e-4               # rows that agree to this are merged; 0: only equal ones
processes: int = 1                     # processes of the grid search; -1 takes every core

# %%
import matplotlib.pyplot as plt
import pandas as pd

from dcpriv_lib import attacks, evaluation, metrics, parameters, plots, svm
from dcpriv_lib.shadow import shadow_split
from dcpriv_lib.study import Study

study = Study(**parameters.check(globals()))

# %% [markdown]
# The inputs: the targets (notebook 2) and the shadow models (notebook 3), with what each of them
# answers for every image.

# %%
targets, shadows = study.load("targets"), study.load("shadows")
ds = shadows.settings["parameters"]["ds"]
splits = [shadow_split(study.attacker, ds, j, seed) for j in shadows.table["model"]]

# %% [markdown]
# One row per (shadow model, image): the softmax, the true class, and whether it was a member.

# %%
known = attacks.Rehearsal.of(shadows.logits, study.labels, splits)
print(f"{len(known.labels):,} rows from {len(shadows)} shadow models")

# %% [markdown]
# And the evaluation set: every member and every non-member of the target, as every target
# answers for them.

# %%
def ask(logits):
    return attacks.Answers(logits[study.pool][:, None], labels)             # one query an image

labels = study.labels[study.pool].numpy()                                    # [n]
answers = {key: ask(logits) for key, logits in targets.items()}

# %% [markdown]
# One more model is judged as a control: *unrelated*, a model that was trained on none of these
# images. The first shadow models will do. Nothing can leak from them, so an attack that seems to succeed on them has only met
# a split whose members happen to be easier than its non-members. What it scores there is what luck gives for free.

# %%
controls = shadows.logits[:targets.table["run"].nunique()]
answers |= {("unrelated", run): ask(logits) for run, logits in enumerate(controls)}

# %% [markdown]
# ## Attack 1: a threshold on the loss
#
# $$\text{member} \iff \ell(x, y) \le \tau .$$
#
# The attacker chooses $\tau$ where the shadow models' members and non-members are told apart best (the paper's
# section 2.1), and applies it to the target.

# %%
loss_threshold = attacks.fit_loss_threshold(known)
print(f"tau = {-loss_threshold.threshold:.3g} nats")

# %% [markdown]
# ## Attack 2: a support vector machine per class (the paper's text)
#
# The attack model of class $c$ is a classifier from the softmax vector $p$ to membership, trained on the
# shadow rows of class $c$. The text uses an SVM with the kernel
# $k(p, q) = \exp(-\gamma \|p - q\|^2)$, and chooses $C$ and $\gamma$ by 5-fold cross-validated accuracy.
#
# Most rows of a well trained model say the same, "class $c$, I am certain". Rows of equal
# membership that agree after rounding to `merge_step` are merged and weighted by their number,
# which changes nothing that matters and saves hours (`svm.MergedSVC` says why).

# %%
best = {}
for c in range(len(study.classes)):
    rows = known.labels == c
    best[c] = study.once(f"svm-class{c}", svm.grid_search, known.softmax[rows],
                         known.is_member[rows], grid_C, grid_gamma, folds, processes,
                         merge_step)

# %% [markdown]
# The cross-validated accuracies of class 0:

# %%
pd.DataFrame(best[0]["accuracy"].reshape(len(grid_C), -1).round(4),
             index=pd.Index(grid_C, name="C"), columns=pd.Index(grid_gamma, name="gamma"))

# %% [markdown]
# One half would be guessing. This is still the rehearsal, on the attacker's own models; do not expect more on
# the target. The best choices, and the attack models trained with them:

# %%
machines = {c: svm.MergedSVC(float(choice["C"]), float(choice["gamma"]), merge_step)
            for c, choice in best.items()}
pd.DataFrame({c: {"C": machine.C, "gamma": machine.gamma} for c, machine in machines.items()}
             ).rename_axis(columns="class")

# %% [markdown]
# ## Attack 3: a logistic regression per class (the paper's published code)
#
# In the published result files the grid search is all zeros and the stored attack models are logistic regressions,
# whose probability is compared with 0.5. So we run these too:
#
# $$P(\text{member} \mid p) = \sigma(w_c \cdot p + b_c) .$$

# %%
suite = {"loss threshold": loss_threshold,
         "SVM": attacks.fit_classifiers(machines, known),
         "logistic regression": attacks.fit_logistic_regression(known)}

# %% [markdown]
# ## All attacks against every target
#
# The score is higher for "member"; from a threshold on, the attack says "member".

# %%
measure = evaluation.usual(study, labels)
scores, judged = evaluation.judge(answers, suite, study.is_member, measure)
study.save("attacks", judged, shadows=len(shadows), ds=ds)

mean = evaluation.mean_over_runs(judged)
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
first = int(targets.table["run"].min())
figure, axes = plt.subplots(1, 3, figsize=(11, 4), sharey=True)
for ax, attack in zip(axes, suite):
    for target in judged["target"].unique():
        plots.roc(ax, scores[target, first, attack], study.is_member, target)
    ax.set_title(attack)
axes[-1].legend(loc="lower right", fontsize=8)
study.figure(figure, "roc")

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
for i, attack in enumerate(suite):
    found = 100 * mean.xs(attack, level="attack")[["accuracy", "accuracy_low", "accuracy_high"]]
    plots.intervals(ax, *found.to_numpy().T, found.index, f"C{i}", offset=0.2 - 0.2 * i,
                    marker="osD"[i], label=attack)
ax.axvline(50, color="0.6", linestyle=":", linewidth=1)
ax.set(xlabel="accuracy of the attack (%); dotted: guessing")
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
study.figure(figure, "attack_accuracy")

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
# 1. (easy) Write an attack that calls every correctly classified image a member. How does it compare with the loss
#    threshold?
# 2. (medium) Give the attack *random* membership labels for the shadow rows. Where does its AUC land, and why is this a useful
#    check of the pipeline?
# 3. (hard) For one target, plot precision and recall of the loss attack against $\tau$. Is there a $\tau$ with recall
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
