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
# # 6. Attacks that would notice
#
# **Question.** The attacks of notebook 4 were right half of the time. Was there nothing to find, or did they not know how
# to look?
#
# They judged everybody by one rule. But an image that every model gets right says little about membership, and
# one that a model gets right *only if it was trained on it* says a lot. The attacks of this notebook compare the
# target's answer with what models *with* and *without this very image* answer.
#
# **In this notebook you will learn**
#
# 1. how one membership matrix tells which image was in which reference model;
# 2. two modern attacks, LiRA and RMIA, each from its equation;
# 3. how to judge an attack where it hurts: true positives at a *low* false positive rate, and what precision is left
#    when members are rare;
# 4. how an attack becomes a lower bound on $\varepsilon$, and what that bound does not show.
#
# > **Threat model.** The paper's "real-life attacker", stronger than that of notebook 4: they hold a *pool* of images
# > in which the members and as many non-members are hidden, without knowing who is who. They also own the attacker's
# > images of notebook 1, know the architecture and the training, and may ask the target for its
# > softmax. They still see neither the weights nor the condensed images, and train on real ones.

# %% tags=["parameters"]
profile: str = "quick"      # name of this run; its files are in results/<profile>
dataset: str = "digits"     # must be what 01_data_split divided
seed: int = 0               # must be what 01_data_split used
device: str = "auto"        # cpu, cuda, mps, or auto
n_references: int = 32      # reference models, an even number; each image is in half of them
epochs: int = 60            # passes over a model's members, like the target's
shift: int = 0              # pixels of shifted copies that each model is asked about; 0: none

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from dcpriv_lib import attacks, audit, evaluation, lira, metrics, parameters, plots, tables
from dcpriv_lib.shadow import membership_matrix
from dcpriv_lib.study import Study

study = Study(**parameters.check(globals()))

# %% [markdown]
# ## Reference models and their membership matrix
#
# The attacker shuffles the pool and trains two models, one on each half; then shuffles again, and so on. The matrix
# `keep` remembers who was where:
#
# $$\mathrm{keep}_{jx} = 1 \iff \text{image } x \text{ was a member of reference model } j .$$
#
# Every image is in exactly half of the models, so for *every single image* there are answers with it and answers
# without it.

# %%
targets, shadows = study.load("targets"), study.load("shadows")
pool, is_member = study.pool, study.is_member            # members, then non-members: [n] each
keep = membership_matrix(len(pool), n_references, study.rng("pool"))         # [models, n]
print(f"keep: {keep.shape[0]} models x {keep.shape[1]:,} images; "
      f"each image is in {set(keep.sum(0).tolist())}")

# %%
figure, ax = plt.subplots(figsize=(6, 2.2))
ax.imshow(keep[:16, :60], cmap="Greys", aspect="auto", interpolation="nearest")
ax.set(xlabel="image in the pool (the first 60)", ylabel="reference model",
       title="black: the image was a member")
study.figure(figure, "membership_matrix")

# %% [markdown]
# Each model is asked about every image of the pool, and about the attacker's own images, which were in no model
# (RMIA needs them). With `shift` above 0 it is asked about shifted copies too.

# %%
halves = {j: pool[keep_j] for j, keep_j in enumerate(keep)}
models = study.population("reference", halves, epochs)
study.save("references", models)

# %%
labels, other_labels = study.labels[pool].numpy(), study.labels[study.attacker].numpy()
answers = study.ask(models, shift)                       # [models, N, queries, classes]
references = attacks.References(keep, answers[:, pool], labels,
                                answers[:, study.attacker], other_labels)

# %% [markdown]
# ## What a single image gives away
#
# The attacks look at the confidence in the true class $y$ on a scale that has no ceiling,
#
# $$\phi(x) = \log \frac{p_y(x)}{1 - p_y(x)} = z_y - \log \sum_{c \ne y} e^{z_c},$$
#
# with the logits $z$. For every image it has two distributions over the models: with the image and without it. How far
# apart are their means, in units of the models' usual spread?

# %%
phi = references.phi[:, :, 0]                            # [models, n]
(mu_in, sigma_in), (mu_out, sigma_out) = (lira.gaussian(phi, where, fixed_variance=True)
                                          for where in (keep, ~keep))
gap = (mu_in - mu_out) / np.sqrt((sigma_in**2 + sigma_out**2) / 2)           # [n]
most, least = np.argsort(-gap)[:4], np.argsort(np.abs(gap))[:4]

# %%
figure, axes = plt.subplots(2, 8, figsize=(11, 3.8), height_ratios=(1, 1.4))
for (above, below), x in zip(axes.T, [*most, *least]):
    title = f"labelled {study.classes[labels[x]]},\ngap {gap[x]:z.1f}"
    plots.images(above, study.split.grey_levels(study.images[pool[[x]]]), 1, title)
    plots.with_and_without(below, phi[keep[:, x], x], phi[~keep[:, x], x])
figure.suptitle("the four images with the largest gap, and the four with a gap nearest zero; "
                "blue: with, orange: without")
study.figure(figure, "vulnerable_images")

# %% [markdown]
# On the left the unusual images: a model knows them only if it has seen them. On the right those that every model
# knows equally well, seen or not. An average over all people hides the ones on the left.
#
# ## The attacks
#
# **LiRA** (Carlini et al. 2022) fits a Gaussian to each of the two heaps of every image, and asks which of them the
# target's $\phi$ looks like:
#
# $$\mathrm{score}(x) = \log \frac{\mathcal N(\phi_{\mathrm{target}}(x);\ \mu_{\mathrm{in}}(x), \sigma_{\mathrm{in}}^2)}
# {\mathcal N(\phi_{\mathrm{target}}(x);\ \mu_{\mathrm{out}}(x), \sigma_{\mathrm{out}}^2)} .$$
#
# *Online* uses both heaps; *offline* only the models without $x$, as one must whose models were trained before $x$ was
# known. The $\sigma$ may be each image's own, or one for all ("fixed"), which is steadier with few models.
#
# **RMIA** (Zarifzadeh et al. 2024) asks how many other people $z$ the image beats:
#
# $$\mathrm{score}(x) = P_z\!\left( \frac{p_y(x \mid \theta) / p(x)}{p_y(z \mid \theta) / p(z)} > \gamma \right),
# \qquad p(x) = \tfrac12 \big( (1 + a)\, p_{\mathrm{out}}(x) + (1 - a) \big) .$$
#
# $p_{\mathrm{out}}$ is the mean probability by models without $x$; $a$ says how much a member is expected to gain.

# %% [markdown]
# For comparison the attacks that have one rule for everybody: the loss threshold of notebook 4, one threshold per
# class, and a logistic regression per class on the softmax. They are fitted to the same reference models.

# %% [markdown]
# **Rehearsal.** The attacker attacks reference model 0, whose members they know, with the others. (Its partner is left
# out too: who is missing there was a member here.) That gives RMIA's $a$, and for every attack the threshold above which
# it will say "member".

# %%
by_a = attacks.rmia_by_a(references)
print("AUC of RMIA by a:", {a: round(auc, 3) for a, auc in by_a.items()},
      "-> a =", max(by_a, key=by_a.get))
suite = {name: prepare(references) for name, prepare in attacks.STRONG.items()}

# %% [markdown]
# ## Against the targets
#
# Every target of notebook 2, asked about everybody in the pool; and, as in notebook 4, an *unrelated* model as a
# control: the first shadow model, which was trained on nobody here.

# %%
def ask(logits):                                         # [N, queries, classes]
    return attacks.Answers(logits[pool], labels, logits[study.attacker], other_labels)

asked = {key: ask(logits)
         for (key, _), logits in zip(targets.items(), study.ask(targets, shift))}
asked["unrelated", 0] = ask(study.ask(shadows[:1], shift)[0])
scores, judged = evaluation.judge(asked, suite, is_member, evaluation.strong(study))

# %% [markdown]
# The columns of the paper first: mean over the runs, with the mean interval of one run. There are as many members as
# non-members, so this is the balanced accuracy too. Its last column is the best that *any* threshold could have reached,
# chosen by somebody who knows the answer: not an attack, but a ceiling.

# %%
mean = evaluation.mean_over_runs(judged)
usual = mean[[f"{name}, text" for name in metrics.RATES]]
best = (100 * mean["best_balanced_accuracy"]).map("{:.1f} %".format)
usual.assign(**{"best threshold": best})

# %% [markdown]
# An attack that says "member" to a thousand people and is right 501 times harms nobody in particular. One that names ten
# people and is right each time does. So the columns to read are the true positive rates at a *low* false positive rate.
# With $n$ non-members no rate below $1/n$ can be measured, and none is printed. The spread is the standard deviation of the
# AUC over the runs of a target, in points.

# %%
study.save("strong_judged", judged)
study.table(evaluation.at_low_fpr(judged), "strong_attacks")

# %% [markdown]
# ## ROC curves on logarithmic axes
#
# The same curves as in notebook 4, with the corner enlarged that matters. The band is the pointwise 95 % interval; on
# the dotted line an attack is guessing.

# %%
shown = ("loss threshold", "shadow classifier", "LiRA online, fixed variance", "RMIA")
first = judged.groupby("target", sort=False)["run"].min()                    # of every target
figure, axes = plots.panels(len(first))
for ax, (target, run) in zip(axes, first.items()):
    for attack in shown:
        plots.roc_log(ax, scores[target, run, attack], is_member, attack)
    ax.set_title(target)
axes[0].legend(loc="upper left", fontsize=7)
study.figure(figure, "roc_log")

# %% [markdown]
# ## If members are rare
#
# Here one in two is a member. In a city, one in a hundred may have been in the hospital's data. With a prior $\pi$ the
# share of right accusations is
#
# $$\mathrm{precision}(\pi) = \frac{\pi\,\mathrm{TPR}}{\pi\,\mathrm{TPR} + (1 - \pi)\,\mathrm{FPR}} .$$
#
# The attacker accuses at the threshold of 1 % false positives. The intervals combine the ends of those of TPR and FPR.

# %%
def precision_row(target, attack):
    score = scores[target, first[target], attack]
    accused = score > metrics.threshold_at_fpr(score, is_member, 0.01)
    precision = {pi: metrics.precision_at_prior(accused, is_member, pi)
                 for pi in metrics.PRIORS}
    return {"target": target, "attack": attack} | {
        f"prior {100 * pi:g} %": tables.percent(*found) for pi, found in precision.items()}

rows = [precision_row(target, attack) for target in first.index if target != "unrelated"
        for attack in ("loss threshold", "LiRA online, fixed variance", "RMIA")]
study.table(pd.DataFrame(rows), "precision_at_priors")

# %% [markdown]
# ## From an attack to a bound on epsilon
#
# If training were $\varepsilon$-differentially private, no attack could have $\mathrm{TPR} > e^{\varepsilon}\,\mathrm{FPR}$. So
# an attack that does refutes every smaller $\varepsilon$:
#
# $$\varepsilon \ge \ln \frac{\mathrm{TPR}_{\mathrm{low}} - \delta}{\mathrm{FPR}_{\mathrm{high}}},$$
#
# and the same with the roles of members and non-members exchanged. The threshold is chosen on one half of the people
# and judged on the other.

# %%
half = is_member.sum() // 2
print("smallest over the runs; no attack on so few people could prove more than "
      f"{audit.lower_bound(half, half, 0, half):.2f}")
epsilon = judged.pivot_table(index="attack", columns="target", values="epsilon", aggfunc="min",
                             sort=False)
study.table(epsilon.round(2).reset_index(), "epsilon")

# %% [markdown]
# **What it shows.** A claim that this training has a smaller $\varepsilon$ would be refuted, at 95 % confidence for each
# single number. Two reservations: the people of one model are not independent examinations, so read it as an estimate; and
# of this many numbers a few will be above zero by luck (the column *unrelated* cannot be above zero for any other reason).
# Even a loss threshold that finds no member can score here, by the mirrored form: a model that is right on all its members
# betrays whom it gets wrong as a *non*-member.
#
# **What it does not show.** An upper bound. A zero says that these attacks prove nothing; all these models
# were trained without noise, and have no finite $\varepsilon$ at all.
#
# ## Summary
#
# - Attacks that compare an image with itself, in models with it and without it, see what one rule for everybody misses.
# - The average over all people hides the few who are exposed; the true positive rate at a low false positive rate does not.
# - Where even these attacks fail on condensed *and* on subset models, the protection may come from training on few
#   images, not from condensing them. Notebook 7 puts that to the test.
#
# ## Exercises
#
# 1. (easy) Repeat the attack on `original` with the first 4, 8, 16, ... reference models. Which attack needs the fewest?
# 2. (medium) Attack a reference model instead of a target (leave out its partner). Why may the result differ from the one on
#    `original`?
# 3. (hard) Remove the ten images with the largest gap from the members. What happens to the true positive rate at 1 %?
#
# Solutions: `solutions/06_solutions.ipynb`.
#
# ## References
#
# - N. Carlini, S. Chien, M. Nasr, S. Song, A. Terzis, F. Tramèr, *Membership inference attacks from first principles*,
#   IEEE S&P 2022.
# - S. Zarifzadeh, P. Liu, R. Shokri, *Low-cost high-power membership inference attacks*, ICML 2024.
# - P. Kairouz, S. Oh, P. Viswanath, *The composition theorem for differential privacy*, ICML 2015.
# - T. Steinke, M. Nasr, M. Jagielski, *Privacy auditing with one (1) training run*, NeurIPS 2023.
