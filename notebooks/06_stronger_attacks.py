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
# # 6. Stronger attacks
#
# > *Where we are.* Part I, the experiment: 1 2 3 4 5; part II, the doubt: **6** 7 8; part III, further: 9 10 11 12.<br>
# > **Last time** the paper's attacks met the paper's numbers; **this time** stronger ones compare each image with itself. **Next time** we ask whether
# > it is the condensing that protects.
#
# **Question.** The attacks of notebook 4 were right about half of the time. Was there nothing to find, or did they not
# know how to look?
#
# They judged everybody by one rule. But an image that every model gets right says little about membership, and one that a
# model gets right *only if it was trained on it* says a lot.
#
# **In this notebook you will learn** three ideas, each with a picture:
#
# 1. *Compare each image with itself*, in models with it and without it: LiRA and RMIA, each at work on one person.
# 2. *A verdict takes more than one number*: many models as targets, three measures, a correction for many questions, and a control in
#    which nothing can leak.
# 3. *Look where it hurts*: who can be accused with few false alarms, and what is left when members are rare.
#
# An appendix turns an attack into a lower bound on the $\varepsilon$ of differential privacy.
#
# **You need** notebooks 1 to 4, and to remember the bell curve. Reading takes about half an hour; running takes one to two
# minutes at the quick scale.
#
# > **Threat model.** The paper's "real-life attacker", stronger than that of notebook 4: they hold the *pool*, all images
# > that the judge may ask about, members and non-members in equal numbers, without knowing who is who. They also own the
# > attacker's images of notebook 1, know the architecture and the training, and may ask one model for its softmax.
# > They see neither the weights nor the condensed images, and train on real ones. So whatever is found or not found
# > in condensed models here holds for somebody who asks one model. Somebody who is given the images finds more (notebook 12).

# %% tags=["parameters"]
profile: str = "quick"      # name of this run; its files are in results/<profile>
dataset: str = "digits"     # must be what 01_data_split divided
seed: int = 0               # must be what 01_data_split used
device: str = "auto"        # cpu, cuda, mps, or auto
n_references: int = 16      # reference models, an even number; each image is in half of them
epochs: int = 60            # passes over a model's members, like the target's
shift: int = 0              # pixels of shifted copies that each model is asked about; 0: none
extra_targets: list = []    # files of answers or weights of models made elsewhere

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from dcpriv_lib import metrics, parameters
from dcpriv_lib.attacks import lira, signals, suites
from dcpriv_lib.attacks.attack import Answers
from dcpriv_lib.attacks.shadow_models import membership_matrix
from dcpriv_lib.evaluation import attack_results, examination
from dcpriv_lib.external import files
from dcpriv_lib.jobs import Training, each
from dcpriv_lib.privacy import auditing
from dcpriv_lib.results import attack_tables, plots, tables, verdicts, voice
from dcpriv_lib.study import Study

study = Study(**parameters.check(globals()))

# %% [markdown]
# ## Idea 1: compare each image with itself
#
# The shadow models of notebook 3 were trained on the attacker's own images. A *reference model* is a shadow model that is
# trained on half of the pool, and so on some of the very people who are asked about. Three kinds of models, side by side:

# %% tags=["plumbing"]
figure, ax = plots.diagram(11.2, 3.4)
for y, whose, model, known, colour in (
        (2.9, "the members", "target model", "members: the question", plots.MEMBER),
        (1.7, "attacker's images", "shadow model", "members: known,\nnot asked about",
         plots.ATTACKER),
        (0.5, "half of the pool", "reference model", "members: known,\nand asked about",
         plots.NON_MEMBER)):
    plots.box(ax, (1.3, y), whose, colour, (2.2, 0.8))
    plots.box(ax, (5.0, y), model, colour, (2.2, 0.8))
    plots.box(ax, (9.2, y), known, size=(3.2, 0.9))
    plots.arrow(ax, (2.45, y), (3.85, y), "owner" if y > 2 else "attacker")
    plots.arrow(ax, (6.15, y), (7.55, y))
study.figure(figure, "three_models",
             "Diagram of three kinds of models: the target, of the owner's members; a shadow "
             "model, of other people's images; a reference model, of half of the people who "
             "are asked about.")

# %% [markdown]
# For reference models the attacker shuffles the pool and trains two models, one on each half; then shuffles again, and so on. The
# *membership matrix* remembers who was where, $\mathrm{member}_{jx} = 1$ if image $x$ was a member of model $j$. So for *every single
# image* there are outputs of models with it and of models without it.

# %%
# NBVAL_CHECK_OUTPUT
pool, is_member = study.pool, study.is_member            # members, then non-members: [n] each
member = membership_matrix(len(pool), n_references, study.rng("pool"))  # [models, n]
print(f"member: {member.shape[0]} models x {member.shape[1]:,} images; "
      f"each image is in {set(member.sum(0).tolist())}")

# %% tags=["plumbing"]
figure, ax = plt.subplots(figsize=(6, 2.2))
ax.imshow(member[:16, :60], cmap="Greys", aspect="auto", interpolation="nearest")
ax.set(xlabel="image in the pool (the first 60)", ylabel="reference model",
       title="black: the image was a member")
study.figure(figure, "membership_matrix",
             f"A grid of {min(16, len(member))} models and 60 images, black where the image "
             "was a member. Of every two rows one is the negative of the other.")

# %% [markdown]
# Two neighbouring rows are each other's negative, so every image is in as many models as out. Each model is asked about every image of
# the pool, and about the attacker's own images, which were in no model.

# %%
halves = {j: pool[member_j] for j, member_j in enumerate(member)}
models = study.models("reference", each(halves, Training(epochs)))
study.results.save("references", models)

# %%
targets, shadows = study.results.load_models("targets"), study.results.load_models("shadows")
labels, other_labels = study.labels[pool].numpy(), study.labels[study.attacker].numpy()
references = study.references(member, models, shift)

# %% [markdown]
# **On which scale?** Ask several models about the same image and the probabilities $p_y$ of its true class crowd at 1, where a good model
# cannot become any surer. So the attacks use a scale without a ceiling, with the logits $z$,
#
# $$\phi(x) = \log \frac{p_y(x)}{1 - p_y(x)} = z_y - \log \sum_{c \ne y} e^{z_c} .$$
#
# A probability of one half is $\phi = 0$; 0.999 is about 7, 0.001 about -7. Here is how far outputs of models without an image are from
# their mean on both scales. The line is the bell curve of the same spread. Which of the two does a bell curve describe?

# %% tags=["plumbing"]
close = []                               # share near the mean
figure, axes = plt.subplots(1, 2, figsize=(8, 2.4))
for ax, values, name in zip(axes, (references.p, references.phi), ("$p_y$", r"$\phi$")):
    without = np.where(member, np.nan, values[:, :, 0])  # [models, n]
    apart = (without - np.nanmean(without, axis=0))[~member]
    grid = apart.std() * np.linspace(-4, 4, 81)
    ax.hist(apart, grid, density=True, color=plots.NON_MEMBER, alpha=0.6)
    bell = np.exp(-(grid / apart.std())**2 / 2) / np.sqrt(2 * np.pi) / apart.std()
    ax.plot(grid, bell, color="0.2", linewidth=1.2)
    ax.set(xlabel=f"{name} less its mean for the image", yticks=[])
    close.append((np.abs(apart) < 0.1 * apart.std()).mean())
study.figure(figure, "two_scales",
             f"Two histograms with bell curves: {close[0]:.0%} of the probabilities and "
             f"{close[1]:.0%} of the phi lie within a tenth of a deviation of 0, where a bell "
             "curve has 8 %.")

# %% [markdown]
# On the left nearly everything is one spike; on the right the bell curve fits, roughly. That matters because LiRA, below, fits bell
# curves. For every image $\phi$ has two distributions over the models, with the image and without it. How far apart are their means, in
# units of the models' usual spread?

# %%
phi = references.phi[:, :, 0]                            # [models, n]
(mu_in, sigma_in), (mu_out, sigma_out) = (lira.gaussian(phi, where, fixed_variance=True)
                                          for where in (member, ~member))
gap = (mu_in - mu_out) / np.sqrt((sigma_in**2 + sigma_out**2) / 2)                     # [n]
most, least = np.argsort(-gap)[:4], np.argsort(np.abs(gap))[:4]

# %% tags=["plumbing"]
figure, axes = plt.subplots(2, 8, figsize=(11, 3.8), height_ratios=(1, 1.4))
low, high = phi[:, [*most, *least]].min(), phi[:, [*most, *least]].max()
for (above, below), x in zip(axes.T, [*most, *least]):
    title = f"labelled {plots.in_figure(study.classes[labels[x]], 12)},\ngap {gap[x]:z.1f}"
    plots.images(above, study.split.grey_levels(study.images[pool[[x]]]), 1, title)
    plots.with_and_without(below, phi[member[:, x], x], phi[~member[:, x], x])
    below.set(xlim=(low, high))
axes[1, 0].set_ylabel("reference models")
axes[1, 0].legend(["with it", "without it"], fontsize=6)
figure.suptitle("Left: the four images with the largest gap. Right: four with a gap near zero.")
study.figure(figure, "vulnerable_images",
             "Eight images above histograms of phi, with and without the image: of four the "
             f"means lie {gap[most].min():.1f} spreads apart or more, of four "
             f"{np.abs(gap[least]).max():.2f} or less.")

# %% [markdown]
# On the left are unusual images: a model knows them only if it has seen them. On the right are images that every model
# knows equally well, seen or not. An average over all people hides the ones on the left.
#
# ### LiRA: two bell curves for every person
#
# Suppose we know how $\phi$ of *this* image spreads over models without it (orange) and with it (blue). The
# target's output is some $\phi$. Which of the two curves is higher there? The ratio of the two heights is the *likelihood
# ratio*, and no test can use the number better.

# %% tags=["plumbing"]
figure, ax = plt.subplots(figsize=(6, 2.6))
plots.two_gaussians(ax, (1.0, 1.5), (4.0, 1.5), 4.5).legend(fontsize=8)
study.figure(figure, "likelihood_ratio",
             "Two bell curves of phi, without and with the image, and a line at the target's "
             "output, where the curve of models with it is the higher one.")

# %% [markdown]
# **LiRA** (Carlini et al. 2022) does this for every image. It fits a Gaussian to each of the two distributions:
#
# $$\mathrm{score}(x) = \log \frac{\mathcal N(\phi_{\mathrm{target}}(x);\ \mu_{\mathrm{in}}(x), \sigma_{\mathrm{in}}^2)}
# {\mathcal N(\phi_{\mathrm{target}}(x);\ \mu_{\mathrm{out}}(x), \sigma_{\mathrm{out}}^2)} .$$
#
# *Online* LiRA uses both. *Offline* LiRA uses only models without $x$. That is all an attacker has who
# trained before hearing of $x$. The $\sigma$ may be each image's own, or one for all ("fixed"), which is steadier with few models. (This
# report has far fewer models than the authors' 64 to 256, and one query an image; exercise 3 compares their code with their paper.)
#
# Here it is at work on three people: the member and the non-member with the largest gaps, and somebody with none. The
# target is the first `original`. Guess before you look: for whom can the attack be sure?

# %%
target_phi = signals.logit_confidence(targets.named("original")[0][pool], labels)      # [n]
people = {"a vulnerable member": np.argmax(np.where(is_member, gap, -np.inf)),
          "a vulnerable non-member": np.argmax(np.where(~is_member, gap, -np.inf)),
          "somebody easy": least[0]}
log_in, log_out = (lira.log_density(target_phi, mu, sigma)
                   for mu, sigma in ((mu_in, sigma_in), (mu_out, sigma_out)))

figure, axes = plt.subplots(1, 3, figsize=(10, 2.8))
for ax, (name, x) in zip(axes, people.items()):
    plots.two_gaussians(ax, (mu_out[x], sigma_out), (mu_in[x], sigma_in), target_phi[x])
    plots.inset(ax, study.split.grey_levels(study.images[pool[[x]]]))
    ax.set_title(name)
axes[-1].legend(loc="upper right", fontsize=7)
study.figure(figure, "lira_on_one_person",
             "Two bell curves each for three people, and the target's output. Their means lie "
             + ", ".join(f"{gap[x]:z.1f} spreads apart ({name})"
                         for name, x in people.items()) + ".")

# %%
pd.DataFrame({name: {"phi of the target": target_phi[x].round(2),
                     "log N_in": log_in[x].round(2), "log N_out": log_out[x].round(2),
                     "score": (log_in - log_out)[x].round(2),
                     "score above 0": (log_in > log_out)[x], "member in truth": is_member[x]}
              for name, x in people.items()}).T

# %% [markdown]
# For the first two the curves lie apart, so one number decides, and it decides the right way unless the target is an
# exception. For the third the curves coincide: a score near 0 means "I cannot know", and large scores are rare.
#
# **With few models: a prior.** A variance from two models is mostly chance, and so is a score that divides by it. *Bayesian LiRA* lets
# all images together say what is usual, and an image counts as unusual only when its own models give enough evidence. (The idea of priors for
# LiRA is that of BaVarIA, 2026; `lira.bayesian` has the formulas.) Here it is with all reference models and with four, for the
# vulnerable member. Both curves say "member" where the score is above 0.

# %% tags=["plumbing"]
x, four = people["a vulnerable member"], slice(0, 4)
grid = np.linspace(target_phi[x] - 12, target_phi[x] + 6, 200)
figure, axes = plt.subplots(1, 2, figsize=(9, 2.8), sharey=True)
for ax, some, name in zip(axes, (slice(None), four), (f"{n_references} models", "4 models")):
    at = [np.where(np.arange(len(pool)) == x, value, target_phi) for value in grid]
    own = [lira.online(phi[some], member[some], one, fixed_variance=False)[x] for one in at]
    bayes = [lira.bayesian(phi[some], member[some], one)[x] for one in at]
    ax.plot(grid, own, label="own variance")
    ax.plot(grid, bayes, label="Bayesian")
    ax.axvline(target_phi[x], color="0.2", linestyle="--", linewidth=1.4, label="the target")
    ax.set(title=name, xlabel=r"$\phi$", ylim=(-25, 25))
axes[0].set_ylabel("score")
axes[0].legend(fontsize=8)
study.figure(figure, "bayesian_lira",
             f"The score against phi from {n_references} models and from four, a curve with "
             "the image's own variance and one with priors, and a line at the target's phi.")

# %% [markdown]
# ### RMIA: whom does it beat?
#
# Suppose the target gives an image's true class a probability of 0.9, where models usually give 0.6: it is 1.5 times as
# sure as usual. Is that much? Look at other people, who are known to be no members. If the target is less than 1.5 times as
# sure as usual of nine in ten of them, the image's score is 0.9. **RMIA** (Zarifzadeh et al. 2024) computes just that. With what one
# expects of $x$ from models at large, $p(x)$, and other people $z$,
#
# $$\mathrm{score}(x) = P_z\!\left( \frac{p_y(x \mid \theta) / p(x)}{p_y(z \mid \theta) / p(z)} > 1 \right),
# \qquad p(x) = \tfrac12 \big( (1 + a)\, p_{\mathrm{out}}(x) + (1 - a) \big) .$$
#
# The *offline* form, shown here, has no models with $x$ and guesses what they would say: with $a = 1$ that a member gains nothing, with $a = 0$
# that every member reaches probability 1. (The *online* form has them.) The attacker tries several $a$ on a reference model, whose members they know.

# %%
by_a = suites.rmia_by_a(references)
a = max(by_a, key=by_a.get)
print("AUC by a:", {value: round(auc, 3) for value, auc in by_a.items()}, "-> a =", a,
      "(an edge of what was tried)" if a in (min(by_a), max(by_a)) else "")

# %% [markdown]
# For the same vulnerable member: the histogram shows $p_y(z \mid \theta) / p(z)$ of the attacker's images $z$, the line the
# member's own ratio. The score is the share of the $z$ to its left.

# %% tags=["plumbing"]
x = people["a vulnerable member"]
target_p = signals.true_class(targets.named("original")[0][pool], labels)
other_p = signals.true_class(targets.named("original")[0][study.attacker], other_labels)
prior_x = ((1 + a) * references.p[:, x, 0].mean(where=~member[:, x]) + 1 - a) / 2
prior_z = ((1 + a) * references.other_p[:, :, 0].mean(axis=0) + 1 - a) / 2
ratio_x, ratio_z = target_p[x] / prior_x, other_p / prior_z

figure, ax = plt.subplots(figsize=(6, 2.6))
ax.hist(ratio_z, 60, color=plots.ATTACKER, label="other people's ratios")
beaten = np.mean(ratio_z < ratio_x)
ax.axvline(ratio_x, color=plots.MEMBER, label=f"the member's: beats {beaten:.1%}")
ax.set(xlabel=r"$p_y(\cdot \mid \theta)\, /\, p(\cdot)$", ylabel="images", yscale="log")
ax.legend(fontsize=8)
study.figure(figure, "rmia_on_one_person",
             f"Histogram of other people's ratios, and a line at the member's {ratio_x:.2f}, "
             f"which is larger than {beaten:.1%} of them.")

# %% [markdown]
# For comparison come the attacks that have one rule for everybody: the loss threshold of notebook 4, one threshold per
# class, and a logistic regression per class on the softmax (the *shadow classifier*). Every attack also needs a threshold above which it says
# "member"; it is found by attacking reference model 0 with the others. Nothing here has looked at a target.

# %%
suite = {name: prepare(references) for name, prepare in suites.STRONG.items()}
at_the_end = {}                                          # tables, under "All tables"
list(suite)

# %% [markdown]
# ## Idea 2: a verdict takes more than one number
#
# **Every model a target.** A reference model is a target whose members the attacker knows. So each of them is attacked by all others, except
# its *partner*. (The partner was trained on exactly the other half, so it would betray the answer; it is left out.) That gives not one
# examination but one for each model, each with members chosen by coins of its own.
#
# **Three measures.** Suppose that an attack knows a share $f$ of the members for certain and nothing about anybody else:
#
# $$\mathrm{AUC} = \tfrac12 + \tfrac f2, \qquad \mathrm{TPR\ at\ FPR\ }\alpha = f + (1 - f)\,\alpha .$$

# %%
f = 10 / is_member.sum()
print(f"ten of {is_member.sum():,} members exposed: AUC {0.5 + f / 2:.2%} instead of 50 %")
for alpha in (0.01, 0.001):
    print(f"  TPR at {100 * alpha:g} % FPR: {f + (1 - f) * alpha:.2%} instead of {alpha:.1%}")

# %% [markdown]
# The AUC hardly moves. The *true positive rate* (TPR), how many members are found while a given share of the non-members is
# accused (the *false positive rate*, FPR), shows the ten. But if everybody is exposed a little, the AUC is what shows it. So a verdict reads the
# AUC, the TPR at 1 % and, where there are enough non-members, at 0.1 % FPR.
#
# **Many questions find something.** Three measures of ten attacks are thirty questions. Each compares a number with what
# a guesser has and asks how often luck alone gives so much: the *p-value*. A leak counts where that is below 2.5 %. *Holm's correction*
# multiplies the smallest of $m$ p-values by $m$, the next by $m - 1$, and so on. Guess: of a thousand tables of thirty questions, filled by luck, how many
# contain a "leak"?

# %%
p = study.rng("nothing leaks").random((1000, 30))          # p-values where nothing leaks
corrected = np.apply_along_axis(examination.holm, 1, p)
print(f"tables with a 'leak': {(p < 0.025).any(1).mean():.0%} as they are, "
      f"{(corrected < 0.025).any(1).mean():.1%} with Holm's correction")

# %% [markdown]
# So a verdict *recognised* names the measures whose corrected p-value is below 2.5 %. Otherwise it is *no leak detected*,
# with the values from which on a leak would have been detected in 8 of 10 repetitions. That is not "no leak".
#
# **Members against members.** How do we know that the examination itself is right? Call half of each model's members
# "members" and run the same attack. All of them were trained on, so the AUC of this *A/A control* must be 50 %.
#
# Guess: will the newer attacks win, and by which measure?

# %%
by_model = examination.leave_pair_out(references, suites.STRONG)     # scores [models, n]
examined = pd.DataFrame([{"attack": name} | examination.examine(score, member, ~member)
                         for name, score in by_model.items()])
study.results.save("every_model", examined)
texts = verdicts.examined_cells(examined)
at_the_end["every model a target"] = study.table(texts, "every_model", verdicts.luck(examined))
voice.shown("every_model", texts)

# %% tags=["plumbing"]
measures = {m: name for m, name in examination.MEASURES.items()
            if examined[f"{m}_p"].notna().any()}
figure, axes = plt.subplots(1, len(measures), figsize=(1 + 4 * len(measures), 3.4), sharey=True)
for ax, (measure, name) in zip(axes, measures.items()):
    found = 100 * examined[[measure, measure + "_low", measure + "_high"]]
    plots.intervals(ax, *found.to_numpy().T, examined["attack"], plots.MEMBER)
    ax.axvline(100 * examined[measure + "_chance"][0], color="0.6", linestyle=":", linewidth=1)
    ax.set_xlabel(f"{name} (%)")
study.figure(figure, "every_model",
             "Intervals of every attack, a panel for each measure: " + ", ".join(
    f"{name} from {examined[m].min():.1%} to {examined[m].max():.1%}"
    for m, name in measures.items()) + ".")

# %% [markdown]
# Each panel is a measure, the dotted line a guesser. The intervals, by Student's $t$ over the pairs of models, are far narrower than
# those of a single target: this is what many small examinations buy. (The models are each other's references, and the intervals allow for the worst case
# of that.)
#
# **Against the targets.** Every target of notebook 2, asked about everybody in the pool; and, as a control, an *unrelated* model: the
# first shadow model, which was trained on nobody here. (Models made elsewhere join them, if `extra_targets` names any.)

# %% tags=["plumbing"]
def ask(logits):                                         # [N, queries, classes]
    return Answers(logits[pool], labels, logits[study.attacker], other_labels)

asked = {key: ask(logits)
         for (key, _), logits in zip(targets.items(), study.query(targets, shift))}
asked["unrelated", 0] = ask(study.query(shadows[:1], shift)[0])
extra, checksums = files.targets(extra_targets, study.split, study.device)
asked |= extra
study.files |= checksums
measure = attack_results.strong(is_member, study.rng)
scores, judged = attack_results.judge(asked, suite, is_member, measure)
study.results.save("strong_judged", judged)
for key in asked:
    if missing := [name for name in suite if (*key, name) not in scores]:
        print(f"{key[0]} does not answer for the attacker's images, which is what "
              f"{' and '.join(missing)} would need")

# %% [markdown]
# The AUC, mean over the runs of a target. Before you look: which rows will be above 50 % in the column `unrelated`?

# %%
mean = attack_tables.mean_over_runs(judged)
order = {"index": list(suite), "columns": mean.index.unique("target")}
mean["auc, text"].unstack("target").reindex(**order).fillna("-")

# %%
voice.shown("attacked_targets", mean["auc, text"].rename("AUC").reset_index())

# %% [markdown]
# Rows that leave 50 % in the last column do so by luck: nothing can leak from a model that saw nobody here. Allow for the same
# luck in the other columns. Compare every condensed column with the subset's of the same size: it matters how many images a
# model saw. Whether condensing matters too, notebook 7 asks.

# %% [markdown]
# ## Idea 3: look where it hurts
#
# An attack that says "member" to a thousand people and is right 501 times is barely better than a coin, and harms nobody in
# particular. One that names ten people and is right each time does. Here are two made-up attacks of the same AUC, 60 %. One moves
# everybody's score a little. The other knows one member in five for certain and nothing of the rest.

# %% tags=["plumbing"]
fpr = np.geomspace(1e-4, 1, 200)
shift_of_all = np.sqrt(2) * ndtri(0.6)     # between two unit Gaussians it gives an AUC of 60 %
curves = {"everybody a little": ndtr(ndtri(fpr) + shift_of_all),
          "one in five for certain": 0.2 + 0.8 * fpr}
figure, axes = plt.subplots(1, 2, figsize=(8, 3.2))
for ax, scale in zip(axes, ("linear", "log")):
    for name, tpr in curves.items():
        ax.plot(fpr, tpr, label=name)
    ax.plot(fpr, fpr, color="0.6", linestyle=":", linewidth=1)
    ax.set(xscale=scale, yscale=scale, xlabel="false positive rate",
           ylabel="true positive rate")
axes[0].legend(fontsize=8)
study.figure(figure, "same_auc",
             "Two made-up ROC curves of the same area. On logarithmic axes one stays at 20 % "
             "at the left end, and the other falls to nearly nothing.")

# %% [markdown]
# On ordinary axes the two look alike. On logarithmic axes the second stays at 20 % however few false alarms are allowed.
# So how many members do the attacks find while they accuse 1 % of the others? (Guessing finds 1 %. Where fewer than five of the non-members may be
# accused, no interval can be trusted, and no rate is printed.)

# %% tags=["plumbing"]
low_fpr = attack_tables.at_low_fpr(judged)
at_the_end["attacks on the targets"] = study.table(low_fpr, "strong_attacks")
at_1_percent = low_fpr.pivot(index="attack", columns="target", values="TPR at 1 % FPR")
at_the_end["TPR at 1 % FPR"] = at_1_percent.reindex(**order).fillna("-")
at_the_end["balanced accuracy of the best threshold, by somebody who knows the members"] = (
    100 * mean["best_balanced_accuracy"]).round(1).unstack("target").reindex(**order)
voice.shown("strong_attacks", low_fpr)

# %% tags=["plumbing"]
shown = ("loss threshold", "shadow classifier", "Bayesian LiRA", "RMIA online")
first = judged.groupby("target", sort=False)["run"].min()                    # of every target
figure, axes = plots.panels(len(first))
for ax, (target, run) in zip(axes, first.items()):
    for attack in shown:
        if (target, run, attack) in scores:
            plots.roc_log(ax, scores[target, run, attack], is_member, attack)
    ax.set_title(plots.in_figure(target))
axes[min(2, len(first) - 1)].legend(loc="upper left", bbox_to_anchor=(1, 1))
study.figure(figure, "roc_log",
             f"ROC curves of {len(shown)} attacks on logarithmic axes, a panel for each of "
             f"{len(first)} targets, with 95 % bands and the dotted line of guessing.")

# %% [markdown]
# The band is the pointwise 95 % interval, and on the dotted line an attack is guessing. A curve that is above the line at its
# left end can name people with confidence.
#
# **Who is accused?** These are the ten people of the pool with the highest score of LiRA, for the original and for a condensed model. A tick
# marks a member, a cross a false accusation. A guesser names five members of ten on average.

# %% tags=["plumbing"]
ours = [name for name in targets.table["target"].unique() if not name.startswith("subset")]
accusers = [name for name in first.index if name in ours][:2]
right = {}                                               # members of the ten
figure, axes = plt.subplots(len(accusers), 1, figsize=(8, 1.7 * len(accusers)), squeeze=False)
for ax, target in zip(axes.flat, accusers):
    ten = np.argsort(-scores[target, first[target], "Bayesian LiRA"])[:10]
    plots.images(ax, study.split.grey_levels(study.images[pool[ten]]), 10)
    plots.ticks_and_crosses(ax, is_member[ten])
    right[target] = is_member[ten].sum()
    ax.set_title(f"{plots.in_figure(target)}: {right[target]} of 10 are members",
                 fontsize=9, pad=18)
study.figure(figure, "accused",
             "The ten people accused first, a tick for each member: " + "; ".join(
    f"{name}, {ticks} of 10" for name, ticks in right.items()) + ".")

# %% [markdown]
# **If members are rare.** Here one in two is a member. In a city, one in a hundred may have been in the hospital's data. With a prior
# $\pi$, the share of people who are members, the share of right accusations is
#
# $$\mathrm{precision}(\pi) = \frac{\pi\,\mathrm{TPR}}{\pi\,\mathrm{TPR} + (1 - \pi)\,\mathrm{FPR}} .$$
#
# The attacker accuses at the threshold of 1 % false positives. Guess: of the people accused in that city, how many were in the data?

# %% tags=["plumbing"]
def precision_row(target, attack):
    score = scores[target, first[target], attack]
    accused = score > metrics.threshold_at_fpr(score, is_member, 0.01)
    precision = {pi: metrics.precision_at_prior(accused, is_member, pi)
                 for pi in metrics.PRIORS}
    return {"target": target, "attack": attack} | {
        f"prior {100 * pi:g} %": tables.percent(*found) for pi, found in precision.items()}

rows = [precision_row(target, attack) for target in first.index if target != "unrelated"
        for attack in ("loss threshold", "Bayesian LiRA", "RMIA online")
        if (target, first[target], attack) in scores]
rows = pd.DataFrame(rows)
at_the_end["precision"] = study.table(rows, "precision_at_priors")
voice.shown("precision_at_priors", rows)

# %% [markdown]
# The rarer members are, the more of the accused are innocent, whatever the attack.
#
# ## Summary
#
# - Attacks that compare an image with itself, in models with it and without it, find what one rule for everybody misses.
# - The average over all people hides the few who are exposed; the true positive rate at a low false positive rate does not.
# - A verdict reads both, corrects for the number of questions, says what it could have detected, and has an A/A control.
# - An attack can refute a claim of privacy and never prove one. These attacks ask one model; nobody was given the images.
# - Where even these attacks fail on condensed *and* on subset models, the protection may come from training on few
#   images, not from condensing them. Notebook 7 puts that to the test.
#
# ## Exercises
#
# 1. (easy) Repeat the attack on `original` with the first 4, 8, 16, ... reference models. Which attack needs the fewest?
# 2. (medium) Attack a reference model instead of a target (leave out its partner). Why may the result differ from the one
#    on `original`?
# 3. (medium) LiRA's published code differs from its paper: it takes medians instead of means and squares divided by $n$
#    instead of $n - 1$, one spread for all images without taking out their means, and offline it counts a $\phi$ far *below*
#    the middle like one far above. Write it, and examine both on every model. Which finds more here?
# 4. (hard) Remove the ten images with the largest gap from the members. What happens to the true positive rate at 1 %?
#
# Solutions: `solutions/06_solutions.ipynb`.
#
# ## References
#
# - *BaVarIA*, arXiv 2603.11799, 2026 (priors for LiRA with few models).
# - N. Carlini, S. Chien, M. Nasr, S. Song, A. Terzis, F. Tramèr, *Membership inference attacks from first principles*,
#   IEEE S&P 2022.
# - S. Zarifzadeh, P. Liu, R. Shokri, *Low-cost high-power membership inference attacks*, ICML 2024.
# - S. Holm, *A simple sequentially rejective multiple test procedure*, Scandinavian Journal of Statistics 1979.
# - C. Dwork, F. McSherry, K. Nissim, A. Smith, *Calibrating noise to sensitivity in private data analysis*, TCC 2006.
# - P. Kairouz, S. Oh, P. Viswanath, *The composition theorem for differential privacy*, ICML 2015.
# - T. Steinke, M. Nasr, M. Jagielski, *Privacy auditing with one (1) training run*, NeurIPS 2023.

# %% [markdown]
# ## Appendix: differential privacy, and what an attack says about it
#
# Take two data sets that differ in one person, train on each, and look at the two models. If nobody who sees a model can say
# which of the two data sets it came from, that person is safe. *Differential privacy* makes this precise: training is
# $\varepsilon$-differentially private if no outcome becomes more than $e^{\varepsilon}$ times as likely by adding or
# removing one person. At $\varepsilon = 0$ the person makes no difference; at 1 a factor of 2.7, at 4 one of 55. It is a
# promise about the *training*, for every person and every attack, and it has to be built in by adding noise (notebook 11).
#
# For an attacker the promise is a wall. Whoever says "member" to a share FPR of the non-members can say it to at most
# $e^{\varepsilon}\,\mathrm{FPR}$ of the members; and the same holds with the roles exchanged:
#
# $$\mathrm{TPR} \le e^{\varepsilon}\,\mathrm{FPR}, \qquad 1 - \mathrm{FPR} \le e^{\varepsilon}\,(1 - \mathrm{TPR}).$$

# %% tags=["plumbing"]
figure, ax = plt.subplots(figsize=(5, 4))
plots.epsilon_walls(ax, (1, 2, 4))
for attack in ("Bayesian LiRA", "loss threshold per class"):
    score = scores["original", first["original"], attack]
    plots.roc(ax, score, is_member, f"original: {attack}")
ax.legend(loc="lower right", fontsize=7)
study.figure(figure, "epsilon_walls",
             "ROC curves of two attacks on the original, and three grey walls, those of "
             "epsilon 1, 2 and 4, above which a training with this guarantee allows no curve.")

# %% [markdown]
# Each grey line is the wall of one $\varepsilon$. An attack that crosses a wall, by more than luck, refutes that $\varepsilon$ and every
# smaller one. We solve for $\varepsilon$ and take the cautious ends of both intervals; the threshold is chosen on one half of the people and judged on
# the other:
#
# $$\varepsilon \ge \max\left( \ln \frac{\mathrm{TPR}_{\mathrm{low}}}{\mathrm{FPR}_{\mathrm{high}}},\;
# \ln \frac{1 - \mathrm{FPR}_{\mathrm{high}}}{1 - \mathrm{TPR}_{\mathrm{low}}} \right).$$

# %% tags=["plumbing"]
half = is_member.sum() // 2
print("smallest over the runs; no attack on so few people could prove more than "
      f"{auditing.lower_bound(half, half, 0, half):.2f}")
epsilon = judged.pivot_table(index="attack", columns="target", values="epsilon", aggfunc="min",
                             sort=False)
epsilon = epsilon.round(2).reset_index()
at_the_end["lower bounds on epsilon"] = study.table(epsilon, "epsilon")
voice.shown("epsilon", epsilon)

# %% [markdown]
# **What it shows.** A claim that this training has a smaller $\varepsilon$ would be refuted, at 95 % confidence for each
# single number. Two reservations: the people of one model are not independent trials, so read it as an estimate; and
# of this many numbers a few are above zero by luck. Even a loss threshold that finds no member can score here, by the second form. If a
# model misclassifies almost no member, whoever it does misclassify was no member. "We can be sure that you were not in it" is also a
# disclosure. **What it does not show** is an upper bound. All these models were trained without noise, and come with no guarantee of any $\varepsilon$.
#
# ## All tables
#
# Those of which the text above gave a sentence or a picture only.

# %% tags=["appendix"]
for name, table in at_the_end.items():
    print(name)
    display(table)
