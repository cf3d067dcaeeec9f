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
# > *Where we are.* Part I, the experiment: 1 2 3 **4** 5; part II, the doubt: 6 7 8; part III, further: 9 10 11 12.<br>
# > **Last time** the attacker rehearsed; **this time** three attacks meet the targets. **Next time** the results stand beside the paper's.
#
# **Question.** Given a model's output for an image, and the rehearsal of notebook 3: was the image a
# member?
#
# **In this notebook you will learn**
#
# 1. the simplest attack there is, a threshold on the loss;
# 2. the attack of the paper's text (a support vector machine per class) and the one of its published
#    code (a logistic regression per class);
# 3. how to judge an attack: precision, recall, accuracy, and the ROC curve, each with its interval.
#
# **You need** notebooks 1 to 3. Support vector machines need not be known, only that they are classifiers. Reading
# takes half an hour; running takes less than a minute at the quick scale.
#
# > **Threat model.** The attacker has the shadow models' outputs with their membership, and the
# > target's softmax for every query image, together with its true class. They do not know
# > how many of the query images are members. The judge does. The door is that of notebook 1: one model,
# > which may be asked. Nobody here is given the synthetic images.

# %% tags=["parameters"]
profile: str = "quick"                 # name of this run; its files are in results/<profile>
dataset: str = "digits"                # must be what 01_data_split divided
seed: int = 0                          # must be what 01_data_split used
grid_C: list = [0.1, 1, 10]            # the SVM's C values, as in the paper
grid_gamma: list = [0.001, 0.01, 0.1]  # the RBF kernel's gamma values, as in the paper
folds: int = 5                         # cross-validation folds, as in the paper
merge_step: float = 1e-4               # rows that agree to this are merged; 0: only equal ones
processes: int = 1                     # processes of the grid search; -1 takes every core
extra_targets: list = []               # files of answers or weights of models made elsewhere

# %%
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from dcpriv_lib import limits, parameters
from dcpriv_lib.attacks import signals, suites, svm
from dcpriv_lib.attacks.attack import Answers, Rehearsal
from dcpriv_lib.attacks.shadow_models import shadow_split
from dcpriv_lib.evaluation import attack_results
from dcpriv_lib.external import files
from dcpriv_lib.results import attack_tables, plots, voice
from dcpriv_lib.study import Study

study = Study(**parameters.check(globals()))

# %% [markdown]
# The inputs: the targets (notebook 2) and the shadow models (notebook 3), with the outputs of each of them
# for every image.

# %%
targets, shadows = study.results.load_models("targets"), study.results.load_models("shadows")
ds = shadows.settings["parameters"]["ds"]
limits.check("04_attack", study, ds=ds, n_shadows=len(shadows))
splits = [shadow_split(study.attacker, ds, j, seed) for j in shadows.table["model"]]

# %% [markdown]
# One row per (shadow model, image): the softmax, the true class, and whether it was a member.

# %%
known = Rehearsal.of(shadows.logits, study.labels, splits)
print(f"{len(known.labels):,} rows from {len(shadows)} shadow models")

# %% [markdown]
# And the evaluation set: every target's outputs for every member and every non-member.

# %%
def ask(logits):
    return Answers(logits[study.pool][:, None], labels)                     # one query an image

labels = study.labels[study.pool].numpy()                                    # [n]
answers = {key: ask(logits) for key, logits in targets.items()}

# %% [markdown]
# One more model is judged as a *control*: `unrelated`, a model that was trained on none of these
# images. The first shadow models will do. Nothing can leak from them. If an attack "succeeds" on them, the members merely
# happen to be the easier half. That score is the luck to allow for.

# %%
controls = shadows.logits[:targets.table["run"].nunique()]
answers |= {("unrelated", run): ask(logits) for run, logits in enumerate(controls)}

# %% [markdown]
# Models that were made elsewhere are judged too, if `extra_targets` names files of their outputs or weights; each is called
# by the name of its file. If a model seems right about hardly anybody, its file probably has the rows in another order
# or the pixels on another scale. Such a doubt then stands behind its name, in brackets.

# %%
extra, checksums = files.targets(extra_targets, study.split, study.device)
study.files |= checksums
answers |= extra
for (name, _), asked in extra.items():
    right = asked.logits[:, 0].argmax(-1) == labels
    print(f"{name} is right about {right[study.is_member].mean():.1%} of the members and "
          f"{right[~study.is_member].mean():.1%} of the non-members")

# %% [markdown]
# ## Attack 1: a threshold on the loss
#
# $$\text{member} \iff \ell(x, y) \le \tau .$$
#
# A model has seen its members often, so it should be surer of them. That is the whole idea. The attacker chooses
# $\tau$ that best separates the members from the non-members of the shadow models (the paper's section 2.1), and
# applies it to the target. Where in this picture would you put it?

# %%
shadow_losses = signals.losses(known.logits, known.labels)
loss_threshold = suites.fit_loss_threshold(known)
tau = -loss_threshold.threshold                                              # nats

figure, ax = plt.subplots(figsize=(6, 3))
plots.loss_histogram(ax, shadow_losses[known.is_member], shadow_losses[~known.is_member])
ax.axvline(tau, color="0.3", linestyle=":", label=rf"$\tau$ = {tau:.2g}")
ax.legend(loc="upper right")
study.figure(figure, "loss_threshold",
             f"Two histograms of the loss and a dotted line at {tau:.2g}. To its left lie "
             f"{(shadow_losses[known.is_member] <= tau).mean():.1%} of the members and "
             f"{(shadow_losses[~known.is_member] <= tau).mean():.1%} of the non-members.")

# %% [markdown]
# Everybody to the left of the dotted line is called a member, and most people are there, members or not. The attack
# is sure only of the few on the right: these are hardly ever members.
#
# ## Attack 2: a support vector machine per class (the paper's text)
#
# The loss looks at one of the ten probabilities. Could the other nine say more? Here is what an attack model sees of
# one class: one point for each output of a shadow model, with two of its ten coordinates.

# %%
c = 8 if len(study.classes) > 8 else 0
of_c = known.labels == c
other = np.delete(known.softmax[of_c], c, axis=1).max(axis=1)
figure, ax = plt.subplots(figsize=(5.4, 3.2))
for member, name, colour, marker in ((False, "non-members", plots.NON_MEMBER, "x"),
                                     (True, "members", plots.MEMBER, ".")):
    who = known.is_member[of_c] == member
    ax.scatter(1 - known.softmax[of_c, c][who], other[who], s=14, marker=marker, color=colour,
               alpha=0.5, label=name)
ax.set(xscale="log", yscale="log", xlabel="1 - probability of the true class",
       ylabel="largest other probability",
       title=f"outputs of the shadow models, class {plots.in_figure(study.classes[c])}")
ax.legend()
study.figure(figure, "what_attack_models_see",
             f"{of_c.sum()} outputs for one class on two logarithmic axes: dots are members', "
             "crosses are non-members'.")

# %% [markdown]
# The two kinds lie on top of each other, except in the upper right corner, where the model was wrong. A classifier
# can hardly do better there than a threshold. That is already a forecast for the results below.
#
# The attack model of class $c$ is a classifier from the softmax vector $p$ to membership, trained on the
# rows of class $c$. Why one a class? What an unsure output looks like depends on the class: a bad 1 looks like a 7 and a
# bad 8 like a 3. One classifier for all would have to learn every pattern at once. The price is that each sees only
# the rows of its own class.
#
# The text of the paper uses an SVM with the kernel $k(p, q) = \exp(-\gamma \|p - q\|^2)$. Its $\gamma$ says how
# close two outputs must be to count as alike, its $C$ what a wrong row costs. Large values follow every single row, small
# ones draw a smooth border; 5-fold cross-validated accuracy chooses. (Rows that agree to `merge_step` are merged and
# weighted by their number. That saves hours and changes nothing that matters; the docstring of `svm.MergedSVC` says why.)

# %%
def searched(c: int) -> dict:
    """Return the best C and gamma for class c, and the accuracy of each choice."""
    rows = known.labels == c
    return study.computed_once(f"svm-class{c}", svm.grid_search, known.softmax[rows],
                               known.is_member[rows], grid_C, grid_gamma, folds,
                               processes, merge_step)


best = study.at_once({c: partial(searched, c) for c in range(len(study.classes))})

# %% [markdown]
# The cross-validated accuracies of class 0, as an example:

# %%
pd.DataFrame(best[0]["accuracy"].reshape(len(grid_C), -1).round(4),
             index=pd.Index(grid_C, name="C"), columns=pd.Index(grid_gamma, name="gamma"))

# %% [markdown]
# One half would be guessing. These are still the attacker's own models; do not expect more on
# the target. The best choices of every class, and the attack models to be trained with them:

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
         "SVM": suites.fit_classifiers(machines, known),
         "logistic regression": suites.fit_logistic_regression(known)}

# %% [markdown]
# ## All attacks against every target
#
# An attack gives each image a *score*, higher for "member", and says "member" from a threshold on. Every attack is
# run against every target, on the same evaluation set.

# %%
measure = attack_results.usual(study.is_member, labels, study.rng)
scores, judged = attack_results.judge(answers, suite, study.is_member, measure)
study.results.save("attacks", judged, shadows=len(shadows), ds=ds)

# %% [markdown]
# **Accuracy** first: how often is the attack right? One half is guessing. The brackets are 95 % intervals
# (Clopper-Pearson), means over the runs of a target. Guess before you look: which of these models leaks?

# %%
mean = attack_tables.mean_over_runs(judged)
order = {"index": judged["target"].unique(), "columns": list(suite)}
mean["accuracy, text"].unstack("attack").reindex(**order)

# %% [markdown]
# An attack is distinguishable from chance only if its interval lies above 50 %, and it should be better than on the control
# `unrelated`. Which are?

# %%
told = mean.index[mean["accuracy_low"] > 0.5]
print("above 50 %:", "; ".join(f"{attack} on {target}" for target, attack in told) or "none")
voice.shown("table2", mean["accuracy, text"].rename("accuracy").reset_index())

# %% [markdown]
# The interval does *not* shrink with the number of runs, since all runs are judged on the same people. Of so
# many intervals, one in twenty misses the truth by chance alone.
#
# > **How can a model of a subset say anything about people it never saw?** It cannot. If it saw n of the N members, the
# > others are to it what non-members are. On average over random choices no attack can then be right on
# > more than 1/2 + n/(2N) of as many members and non-members, for instance 58 % with 100 of 599 members. Notebook 7 proves it.
#
# Is a little above one half bad, and for whom? An average over everybody cannot say: it may be everybody a little, or a few people fully.
# Notebook 6 asks that. Here is the same table as a picture:

# %%
figure, ax = plt.subplots(figsize=(7, 3.4))
for i, attack in enumerate(suite):
    found = 100 * mean.xs(attack, level="attack")[["accuracy", "accuracy_low", "accuracy_high"]]
    plots.intervals(ax, *found.to_numpy().T, found.index, f"C{i}", offset=0.2 - 0.2 * i,
                    marker="osD"[i], label=attack)
ax.axvline(50, color="0.6", linestyle=":", linewidth=1)
ax.set(xlabel="accuracy of the attack (%); dotted: guessing")
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
study.figure(figure, "attack_accuracy",
             f"Intervals of the accuracy of {len(suite)} attacks on every target: {len(told)} "
             f"of {len(mean)} lie above the dotted line of guessing.")

# %% [markdown]
# The paper judges by **precision**, how often "member" is true, and by **recall**, how many of the members are called
# members. Members and non-members are equally many, so a guesser's precision is one half. For its SVM:

# %%
of_svm = mean.xs("SVM", level="attack")[["precision, text", "recall, text"]]
of_svm

# %%
voice.shown("recall", of_svm.set_axis(["precision", "recall"], axis=1).reset_index())

# %% [markdown]
# Recall moves a lot from target to target while precision stays near one half. *Recall alone says nothing*: an attack
# that calls everybody a member has recall 1, one that calls nobody a member has recall 0, and both know nothing. Keep
# this in mind for notebook 5.
#
# ## ROC curves
#
# One threshold is one point: it has a *false positive rate* (the share of non-members who are called members) and a *true
# positive rate* (the share of members who are). Take five made-up people, sorted by score, and lower the threshold past one
# after the other:

# %%
five = pd.DataFrame({"score": [0.9, 0.8, 0.7, 0.4, 0.2],
                     "member": [True, True, False, True, False]})
called = five["member"].cumsum(), (~five["member"]).cumsum()         # at each threshold
five.assign(**{"false positive rate": called[1] / 2,
               "true positive rate": called[0] / 3}).round(2)

# %% [markdown]
# A member moves the point up, a non-member moves it to the right: that is the ROC curve. The area under it, the **AUC**,
# is the chance that a random member scores higher than a random non-member. Of the six pairs above, five are in this
# order, so the AUC is 5/6 or 83 %. It depends on no threshold, and 50 % is guessing. Its interval comes from drawing the
# same people again and again with repetition (the *bootstrap*). This is the curve of a real target:

# %%
some = next(iter(answers))                                           # the first target and run
figure, ax = plt.subplots(figsize=(3.8, 3.8))
for attack in suite:
    plots.roc(ax, scores[*some, attack], study.is_member, attack)
ax.set_title(f"{plots.in_figure(some[0])}, run {some[1]}")
ax.legend(loc="lower right", fontsize=8)
areas = judged[judged[["target", "run"]].eq([*some]).all(axis=1)].set_index("attack")["auc"]
study.figure(figure, "roc_plain",
             "ROC curves on one target beside the diagonal, with areas of " + ", ".join(
    f"{100 * area:.1f} % ({attack})" for attack, area in areas.items()) + ".")

# %% [markdown]
# On the diagonal both rates are equal, whatever the threshold: guessing. The AUCs of all targets, mean over the runs:

# %%
mean["auc, text"].unstack("attack").reindex(**order)

# %% [markdown]
# (The SVM and the logistic regression are one classifier a class, and their scores were not made to be compared with those
# of another class. Their AUC and their ROC curve pool them all the same, which can only cost them something.)
#
# Curves this close to the diagonal look all alike, so here is how far each of them is *above* it, for
# the first run of every target. The grey band holds 95 % of guessers at each false positive rate.

# %%
first = judged.groupby("target", sort=False)["run"].min()                    # of every target
figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), sharey=True)
for ax, attack in zip(axes, suite):
    for target, run in first.items():
        plots.above_chance(ax, scores[target, run, attack], study.is_member, target)
    ax.set_title(attack)
axes[0].set_ylabel("true minus false positive rate (points)")
axes[-1].legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
study.figure(figure, "roc",
             f"A panel for each attack: how far the curves of {len(first)} targets lie above "
             "the diagonal, and a grey band that holds 95 % of guessers.")

# %% [markdown]
# A curve inside the band is not distinguishable from guessing. Where all targets stay inside, the original included,
# either little leaks or the attack is weak. This notebook cannot say which, and neither can the paper's table.
#
# ## Summary
#
# - Three attacks, all trained on shadow models only: loss threshold, SVM per class, logistic
#   regression per class.
# - An attack whose interval contains 50 % is not distinguishable from chance.
# - Recall moves a lot between targets and means little. The AUC compares whole curves, and notebook 6 shows what it hides.
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
