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
# **Question.** The attacks find hardly anybody in condensed models. Because the images were condensed? Or because a model
# of a hundred training images, or one of modest accuracy, gives little away anyway? Or because the attacker prepared for
# something else?
#
# **In this notebook you will learn**
#
# 1. to attack *through* the condensation: an attacker who knows of it condenses too;
# 2. which controls a claim of privacy needs: a subset of the same size, a model of the same accuracy;
# 3. what the images that a condensation starts from give away;
# 4. to test the test: random memberships must look like guessing, and a planted leak must be found.
#
# > **Threat model.** That of notebook 6, and for the attacks through the condensation one thing more: the attacker knows
# > *that* the target was trained on condensed images (or on few real ones), and with which settings. Members are always the
# > **real** images.

# %% tags=["parameters"]
profile: str = "quick"      # name of this run; its files are in results/<profile>
dataset: str = "digits"     # must be what 01_data_split divided
seed: int = 0               # must be what 01_data_split used
device: str = "auto"        # cpu, cuda, mps, or auto
control_ipc: int = 10       # which condensed target to examine, one of notebook 2's ipc
n_informed: int = 8         # models of the attacker who condenses too, at most notebook 6's
n_controls: int = 3         # models per control, and of strangers
negative_draws: int = 20    # random memberships in the negative control
planted: int = 100          # members with random labels in the positive control
planted_epochs: int = 300   # passes over them

# %%
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from scipy.spatial.distance import cdist

from dcpriv_lib import evaluation, lira, metrics, parameters, plots, signals, tables
from dcpriv_lib.shadow import membership_matrix
from dcpriv_lib.study import Study, committed

study = Study(**parameters.check(globals()))

# %% [markdown]
# From the notebooks before: the targets and the settings they were made with, and the reference models.

# %%
targets, references = study.load("targets"), study.load("references")
settings = study.settings_of(control_ipc)                # how notebook 2 made these targets
epochs = targets.settings["parameters"]["epochs"]
parameters.check_at_most("n_informed", n_informed, len(references), "notebook 6's models")
parameters.check_at_most("planted", planted, len(study.members), "members")
print(f"{settings}, {epochs} epochs of the target")

# %%
M, N, pool, is_member = study.members, study.non_members, study.pool, study.is_member
labels = study.labels[pool].numpy()                      # [n]
condensed_name = f"condensed-{control_ipc}"

# %% [markdown]
# ## Attacking through the condensation
#
# The reference models of notebook 6 were trained on real images; the target was not. Its confidences are of another
# kind, so the attack compares apples with pears. A better attacker does to every half of the pool what the owner did to
# the members:
#
# $$S_j = \mathrm{condense}(\text{half } j \text{ of the pool}), \qquad \theta_j = \mathrm{train}(S_j), \qquad
# \phi_j(x) = \phi(x; \theta_j) \quad \text{for every real image } x \text{ of the pool.}$$
#
# Image $x$ is a member of model $j$ if it was among the images that were *condensed*.

# %%
keep = membership_matrix(len(pool), len(references), study.rng("pool"))[:n_informed]
halves = {f"informed{j}": pool[keep_j] for j, keep_j in enumerate(keep)}
informed = study.population("controls", halves, epochs, condense=settings)
study.save("informed", informed)

# %% [markdown]
# Both attackers have the same number of models on the same halves of the pool, and use online LiRA.
#
# How much of what they find is luck? The split may have made members of the easier images. So each attack is also tried on
# models that cannot know any member: condensed and trained in the same way from *strangers*, as many images of the
# attacker's. Their mean AUC is the **luck** of the question; a leak has to exceed it. All AUCs are of the same people, so what
# the split gives is in all of them, and a difference is known better than either side:
#
# $$\text{above luck} = \mathrm{AUC}(\text{target}) - \mathrm{AUC}(\text{strangers' models}) ,$$
#
# with the interval of DeLong et al. (1988) for AUCs of the same people.

# %%
chosen_strangers = {f"strangers {i}": study.choose(study.attacker, len(M), f"strangers {i}")
                    for i in range(n_controls)}
strangers = study.population("controls", chosen_strangers, epochs, condense=settings)

# %%
def phi_of(logits):
    """phi [models, n] of everybody in the pool, from logits [models, N, classes]."""
    return signals.logit_confidence(logits[:, pool].swapaxes(0, 1), labels).T

phi_strangers = phi_of(strangers.logits)

def judge(score, phi_models, rows=np.full(len(pool), True)):
    """AUC, points above luck and TPR at 1 % FPR of an attack on some of the people."""
    return evaluation.above_luck(lambda phi: score(phi)[rows], phi_models, phi_strangers,
                                 is_member[rows], study.rng("bootstrap of controls"))

# %%
phi_naive, phi_through = phi_of(references.logits[:n_informed]), phi_of(informed.logits)
phi_original, phi_condensed = (phi_of(targets.named(name))
                               for name in ("original", condensed_name))
naive = partial(lira.online, phi_naive, keep, fixed_variance=True)
condenses_too = partial(lira.online, phi_through, keep, fixed_variance=True)

attackers = pd.DataFrame([
    {"target": "original", "attacker": "naive"} | judge(naive, phi_original),
    {"target": condensed_name, "attacker": "naive"} | judge(naive, phi_condensed),
    {"target": condensed_name, "attacker": "condenses too"}
    | judge(condenses_too, phi_condensed)])
study.table(evaluation.with_texts(attackers), "through_condensation")

# %% [markdown]
# If the last row is above the one before it, the naive attacker had been underrating the leak. If "above luck" holds zero
# in both, these attackers with so few models cannot tell: not a proof that nothing leaks.
#
# ## Control: the same size, the same accuracy
#
# A model that has seen a hundred images cannot leak the others. That is protection too, and costs no condensation. And a
# model that is wrong more often may leak less. So condensed images have to be compared with *real* ones,
#
# - as many as there are synthetic images (`subset`, notebook 2);
# - as many as it takes to reach the condensed model's mean accuracy (*matched*).

# %%
def random_members(size):
    """Models of so few members: the rows that each was trained on, and the models."""
    rows = {f"{size} members {i}": study.choose(M, size, f"{size} members {i}")
            for i in range(n_controls)}
    return list(rows.values()), study.population("controls", rows, epochs)

def accuracy(logits):
    return signals.accuracies(logits[:, N], study.labels[N]).mean()

# %%
goal = accuracy(targets.named(condensed_name))
sizes = [len(study.classes) * n for n in (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100)]
for matched_size in [size for size in sizes if size < len(M)] + [len(M)]:
    reached = accuracy(random_members(matched_size)[1].logits)
    if reached >= goal:
        break
print(f"{condensed_name} is right on {goal:.1%} of the non-members, "
      f"models of {matched_size} real images on {reached:.1%}")

# %% [markdown]
# The attacker knows this too and trains reference models on as few images of each half. Hardly any image is in two
# of them, so the attack is *offline* LiRA: only models without the image are needed. A model's members are here the images
# that it *used*.

# %%
def control_rows(name, size):
    """Attack models of `size` random members, and judge it on all members and on those used."""
    few = {f"few{size}-{j}": study.choose(pool[keep_j], size, f"few{size}-{j}")
           for j, keep_j in enumerate(keep)}
    phi_few = phi_of(study.population("controls", few, epochs).logits)
    keep_few = np.stack([np.isin(pool, rows) for rows in few.values()])
    offline = partial(lira.offline, phi_few, keep_few, fixed_variance=True)
    used, models = random_members(size)
    phi_models = phi_of(models.logits)
    those_used = [judge(offline, phi_models[[i]], ~is_member | np.isin(pool, rows))
                  for i, rows in enumerate(used)]
    common = {"target": name, "real images": size, "accuracy": accuracy(models.logits)}
    return [common | {"members": "all"} | judge(offline, phi_models),
            common | {"members": "those used"} | pd.DataFrame(those_used).mean().to_dict()]

# %%
same_size = control_ipc * len(study.classes)
names = {same_size: f"{same_size} random members",
         matched_size: f"{matched_size} random members (matched)"}
offline = partial(lira.offline, phi_through, keep, fixed_variance=True)
controls = pd.DataFrame([
    {"target": condensed_name, "real images": len(M), "accuracy": goal, "members": "all"}
    | judge(offline, phi_condensed),
    *[row for size, name in names.items() for row in control_rows(name, size)]])
texts = evaluation.with_texts(controls)
texts["accuracy"] = controls["accuracy"].map("{:.1%}".format)
study.table(texts, "matched_controls")

# %% [markdown]
# Read the rows in pairs. *All* members: how likely is it that somebody who gave their image is found? Of a thousand people
# whose data were collected, all but the few used are perfectly safe. *Those used*: the few pay for it. The two must fit
# together: where a share $q$ of the members was used, the first is, within its interval, $q$ times as far above luck as the
# second. The condensed set used everybody's image a little, so both questions are one.
#
# ## Control: what the condensation starts from
#
# Condensation may start from noise, as here, or from real members, which trains faster. Whoever starts from real images
# and stops early publishes them. How near are the synthetic images to anybody?
#
# $$d(s) = \min_{x \in \mathrm{members}} \|s - x\| \quad \text{against} \quad \min_{x \in \mathrm{non\text{-}members}} \|s - x\| .$$

# %%
starts = np.concatenate([study.choose(M[study.labels[M] == c], control_ipc, f"start {c}")
                         for c in range(len(study.classes))])                # rows of members
wanted = {f"real start {i}": settings for i in range(n_controls)}
started = study.condense("controls", wanted, M, start=study.images[starts])
from_noise = study.load("condensed_sets")[f"ipc{control_ipc}-set0"]

# %%
synthetic_sets = {"noise": from_noise, "real images": started["real start 0"]["images"]}
to_member, to_other = ({name: cdist(S.reshape(len(S), -1), study.images[rows].flatten(1))
                        for name, S in synthetic_sets.items()} for rows in (M, N))

# %%
nearer = {name: to_member[name].min(1) < to_other[name].min(1) for name in synthetic_sets}
same = M[to_member["real images"].argmin(1)] == starts
near = pd.DataFrame({
    "start": list(synthetic_sets),
    "nearer to a member": [tables.percent(*metrics.rate(near.sum(), len(near)))
                           for near in nearer.values()],
    "nearest member is the one it started from": [
        "-", tables.percent(*metrics.rate(same.sum(), len(same)))]})
study.table(near, "nearest_images")

# %%
first = np.arange(0, len(starts), control_ipc)           # one synthetic image a class
figure, axes = plt.subplots(2, 1, figsize=(6, 4.6))
for ax, (name, S) in zip(axes, synthetic_sets.items()):
    nearest = [study.images[rows[distance[name][first].argmin(1)]]
               for rows, distance in ((M, to_member), (N, to_other))]
    strip = study.split.grey_levels(torch.cat([torch.as_tensor(S)[first], *nearest]))
    plots.images(ax, strip, len(first),
                 f"from {name}: synthetic, nearest member, nearest non-member")
study.figure(figure, "nearest_images")

# %% [markdown]
# With as many members as non-members, half of the images should be nearer to a member if nothing of a single image
# stays. And do the models trained on them give the starting images away?

# %%
models = study.population("controls", {name: (made["images"], made["labels"])
                                       for name, made in started.items()}, epochs)
is_start = np.isin(pool, starts)
start_rows = pd.DataFrame([
    {"members": name, "n": who.sum()} | judge(offline, phi_of(models.logits), who | ~is_member)
    for name, who in (("images it started from", is_start),
                      ("other members", is_member & ~is_start))])
study.table(evaluation.with_texts(start_rows), "real_start")

# %% [markdown]
# ## Testing the test
#
# **Negative control.** Give the attacker a *random* membership matrix: every image keeps its answers, and gets the
# memberships of another. Nothing should be left, and the 95 % intervals should miss one half about once in twenty.

# %%
negative = []                                            # AUC and its interval, of every draw
for draw in range(negative_draws):
    rng = study.rng("negative control", draw)
    shuffled = keep[:, rng.permutation(len(pool))]
    score = lira.online(phi_naive, shuffled, phi_original[0], fixed_variance=True)
    negative.append(metrics.auc(score, is_member, rng))
auc, low, high = np.transpose(negative)
inside = int(((low <= 0.5) & (high >= 0.5)).sum())
print(f"{inside} of {negative_draws} intervals hold one half; mean AUC {auc.mean():.1%}")

# %%
figure, ax = plt.subplots(figsize=(6, 2.6))
error = 100 * np.abs([auc - low, high - auc])
ax.errorbar(np.arange(negative_draws), 100 * auc, error, fmt="o", capsize=2,
            color=plots.ATTACKER, label="random memberships")
ax.axhline(100 * attackers["auc"][0], color=plots.MEMBER, label="the true ones")
ax.axhline(50, color="0.6", linestyle=":")
ax.set(xlabel="draw", ylabel="AUC on original (%)", xticks=range(0, negative_draws, 5))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
study.figure(figure, "negative_control")

# %% [markdown]
# **Positive control.** Plant a leak that must be found: a model that learned *random labels* can only know them by heart.
# Then the plainest attack, the loss on those labels, must find nearly everybody.

# %%
random_labels = study.rng("planted leak").integers(0, len(study.classes), len(pool))
known = study.choose(np.flatnonzero(is_member), planted, "planted leak")  # places in the pool
training_set = study.images[pool[known]], random_labels[known]
leaky = study.population("controls", {"planted leak": training_set}, planted_epochs)
score = -signals.losses(leaky.logits[0][pool], random_labels)
asked = np.isin(np.arange(len(pool)), known) | ~is_member
found = metrics.tpr_at_fpr(score[asked], is_member[asked], 0.01)
print("planted leak: TPR at 1 % FPR", tables.percent(*found))

# %% [markdown]
# ## The verdict on "privacy for free"
#
# Each question with its answer by a fixed rule. Members are *recognised* where the interval of "above luck" lies above
# zero, or that of the TPR at 1 % FPR above anything the false positive rate can be. Each single answer is wrong in up to one
# case of twenty, and the answers share their strangers, so do not build on one row alone.

# %%
questions = [("Members of the original model, naive attacker", attackers.iloc[0]),
             ("Members of the condensed model, naive attacker", attackers.iloc[1]),
             ("Members of the condensed model, attacker who condenses too", attackers.iloc[2]),
             ("The same with offline LiRA, as the rows below", controls.iloc[0]),
             *[(f"Members of a model of {row['target']}: {row['members']}", row)
               for _, row in controls[1:].iterrows()],
             *[(f"Condensed from real images: {row['members']}", row)
               for _, row in start_rows.iterrows()]]
verdict = [(question, *evaluation.recognised(row, len(N))) for question, row in questions]

# %%
original = accuracy(targets.named("original"))
too_many = metrics.rate(negative_draws - inside, negative_draws)[1] > 1 - metrics.LEVEL
verdict += [("Is it free? Accuracy given up", f"{100 * (original - goal):.1f} points: "
             f"{original:.1%} on the original, {goal:.1%} condensed",
             "no" if original - goal > 0.01 else "nearly"),
            ("(test of the test) random memberships", f"{inside} of {negative_draws} intervals "
             "hold 50 %", "suspicious" if too_many else "sound"),
            ("(test of the test) planted leak", f"TPR at 1 % FPR {tables.percent(*found)}",
             "found" if found[1] > 0.9 else "missed")]
study.table(pd.DataFrame(verdict, columns=["question", "this run", "answer"]), "verdict")

# %% [markdown]
# The same questions on MNIST, from the committed run of the profile `mnist-small` (`figures/mnist-small`): with 15,000 people
# on either side the intervals are narrow enough to tell small leaks from luck.

# %%
tables.shown(committed("mnist-small", "verdict")[0])

# %% [markdown]
# **How to read it.** "Protects" would mean: members of the condensed model cannot be told by the attacker who condenses
# too, *while* those of an equally accurate model of real images can, counted in the same way. If neither can be told, or
# both equally well, few training images or modest accuracy explain the protection just as well, and a random subset is the
# simpler method. A subset exposes the few it used; if exposing nobody much matters more than accuracy, that speaks for
# condensing. None of this is a guarantee: a guarantee needs noise and a proof (differential privacy), and "cannot be told"
# is the verdict of these attacks with so many models on so many people.
#
# ## Summary
#
# - An attack should do to its reference models whatever the owner did to the target.
# - Protection has to be compared with what is simpler: fewer images, and equal accuracy.
# - Synthetic images that start from real ones can carry these with them.
# - A test that cannot find a planted leak, or finds one where none is, proves nothing.
#
# ## Exercises
#
# 1. (easy) How does the informed attacker's AUC grow with the number of models? Use the first 4, 6, 8.
# 2. (medium) The synthetic images themselves are published. Use minus the distance to the nearest of them as an attack.
#    Does it find members?
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
# - N. Carlini et al., *Membership inference attacks from first principles*, IEEE S&P 2022.
# - E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson, *Comparing the areas under two or more correlated receiver operating
#   characteristic curves: a nonparametric approach*, Biometrics 1988.
# - C. Zhang et al., *Understanding deep learning requires rethinking generalization*, ICLR 2017 (random labels).
