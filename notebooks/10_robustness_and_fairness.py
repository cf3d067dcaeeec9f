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
# # 10. Robustness and fairness
#
# > *Where we are.* Part I, the experiment: 1 2 3 4 5; part II, the doubt: 6 7 8; part III, further: 9 **10** 11 12.<br>
# > **Last time** methods were compared by accuracy and leak; **this time** robustness and fairness join them. **Next time** we ask for a
# > guarantee instead of an attack that fails.
#
# **Question.** What else changes when a model is trained on condensed images? Is it easier to fool, is it right less evenly over
# the classes, and is the class that suffers also the one that leaks?
#
# Chen et al. (2023) judge condensed data by four things: how *accurate* its models are, how much they *leak*, how *robust* they are against
# images made to fool them, and how *fair*, that is, how evenly right over the classes. They see harm in the last three. Here all four are measured on
# the same models.
#
# **In this notebook you will learn** three ideas, each with a picture:
#
# 1. *An adversarial image is one gradient away*; an attack that fails proves nothing, and robust may only mean less accurate.
# 2. *Part of every unfairness is luck*, of a training or of an evaluation set, and it can be measured.
# 3. *The hardest class need not be the one that leaks*, and ten classes say little about it.
#
# Then one picture has all four properties, here, on MNIST and on colour images. Tables for looking things up stand at the end of the page.
#
# **You need** notebooks 1 to 3, 6 and 9, and to know what a gradient is. Reading takes about 25 minutes; running takes
# two to four minutes at the quick scale.
#
# > **Threat model.** There are two attackers. The one of notebook 6 asks who was a *member*, sees the outputs of one model, and holds the
# > pool and reference models. The other wants the model to *err*. They hold one image that it has right, know the weights (a "white
# > box") and may change each pixel by at most $\varepsilon$, where black is 0 and white is 1. This $\varepsilon$ has nothing to do with
# > that of differential privacy in notebook 6.

# %% tags=["parameters"]
profile: str = "quick"      # name of this run; its files are in results/<profile>
dataset: str = "digits"     # must be what 01_data_split divided
seed: int = 0               # must be what 01_data_split used
device: str = "auto"        # cpu, cuda, mps, or auto
n_pictures: int = 10        # non-members of every class that are changed to fool a model
epsilons: list = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5]  # how far a pixel may move, of 0 to 1
epsilon: float = 0.05       # the one of these that the tables are about
pgd_steps: int = 10         # gradient steps of PGD
strong_pictures: int = 10   # pictures, of all classes together, that AutoAttack tries
queries: int = 100          # questions of its attack without gradients; its authors: 5,000
rivals: int = 2             # wrong classes that its others aim at; its authors: 9
extra_targets: list = []    # files of answers or weights of models made elsewhere

# %%
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from dcpriv_lib import limits, metrics, parameters
from dcpriv_lib.attacks import suites
from dcpriv_lib.attacks.attack import Answers
from dcpriv_lib.attacks.shadow_models import membership_matrix
from dcpriv_lib.condensation.defaults import settings_of
from dcpriv_lib.evaluation import attack_results, controls, examination, fairness, robustness
from dcpriv_lib.external import files
from dcpriv_lib.jobs import Training, each
from dcpriv_lib.models.training import epochs_for
from dcpriv_lib.results import against_chen, attack_tables, comparison, plots, tables, voice
from dcpriv_lib.results.kept import committed, committed_figure
from dcpriv_lib.study import Study

study = Study(**parameters.check(globals()))

# %% [markdown]
# ## The models
#
# Everything below goes through one list: a name, and the models of that name. First the targets of notebook 2: models of all members, of
# random subsets and of condensed images.

# %%
targets, M, N = study.results.load_models("targets"), study.members, study.non_members
y, classes = study.labels[N].numpy(), study.classes      # labels of the evaluation set, [n]
names = list(targets.table["target"].unique())
at_the_end = {}                                          # tables, under "All tables"
models = {name: targets[(targets.table["target"] == name).to_numpy()] for name in names}
made_of = {name: "all" if name == "original" else "real" if name.startswith("subset") else
           "condensed" for name in names}                # of each training set: of whose images
runs = len(models["original"])

# %% [markdown]
# Then the methods of notebook 9, and its choices of real images, with the settings
# that they were compared with there; `DC-10` are ten images a class by gradient matching. And because a less accurate model has less to lose,
# models of few *real* images, of every class as many, that reach the accuracies in between.

# %% tags=["plumbing"]
examined = study.results.load_table("leaks")             # of notebook 9
examined.index = examined["method"] + "-" + examined["ipc"].astype(str)
examined = examined[examined["ipc"] >= examined["ipc"].iloc[0]]
made = study.results.record_of("leaks")["inputs"]["parameters"]
limits.check("10_robustness_and_fairness", study, control_ipc=made["control_ipc"],
             other_ipc=made["other_ipc"])
scale = {name: made[name] for name in ("width", "real_batch", "effort")}
steps_each, sizes = made["training_steps"], sorted(made["real_sizes"])

def condensed(name, settings):
    """Models of sets that were made of all members."""
    sets = study.sets(name, dict.fromkeys(range(runs), (M, settings)))
    recipe = Training(epochs_for(steps_each, len(sets[0]["labels"])))
    return study.models(name, each(sets, recipe))

to_train = {}
for name, (method, ipc, factor) in examined[["method", "ipc", "factor"]].iterrows():
    settings = settings_of(method, ipc, factor=factor, **scale)
    to_train[name] = partial(condensed, name, settings)
    made_of[name] = "real" if method in parameters.CORESETS else "condensed"
models |= study.at_once(to_train)

# %% tags=["plumbing"]
few_real, to_train = {size: f"{size} a class" for size in sizes}, {}
for size, name in few_real.items():
    few = {run: study.choose_balanced(M, size, "real", size, run) for run in range(runs)}
    recipe = Training(epochs_for(steps_each, size * len(classes)))
    to_train[name] = partial(study.models, f"real images, {size}", each(few, recipe))
models |= study.at_once(to_train)
made_of |= dict.fromkeys(few_real.values(), "real")
elsewhere = extra_targets, study.split, study.device
answers, checksums = files.targets(*elsewhere)           # (name, 0) to what it answers
study.files |= checksums
made_of |= {name: "condensed" for name, _ in answers}    # or whatever else it may be

colour = {"all": "0.3", "real": plots.MEMBER, "condensed": plots.SYNTHETIC}
mark = {"all": "D", "real": "o", "condensed": "s"}

def explain(ax, place="best"):
    """Draw a legend of the three kinds of training sets."""
    for kind, title in (("all", "all members"), ("real", "some real images"),
                        ("condensed", "condensed images")):
        ax.plot([], [], mark[kind], color=colour[kind], markersize=4, label=title)
    ax.legend(fontsize=8, loc=place)

# %% [markdown]
# ## Idea 1: an adversarial image is one gradient away
#
# Training moves the *weights* so that the loss gets smaller. Now keep the weights and move the *pixels*, so that the loss of the
# true class $y$ gets larger. If every pixel of $x$ may move by at most
# $\varepsilon$, the loss of a linear model grows most when each moves by exactly $\varepsilon$, up or down, as the sign of its
# gradient says. This is the *fast gradient sign method*, FGSM (Goodfellow, Shlens and Szegedy 2015):
#
# $$x' = x + \varepsilon\, \mathrm{sign}\big(\nabla_x \ell(x, y)\big) .$$
#
# We take the first `original` model and a non-member of which it is 99 % sure. Before you run the cell: how large must
# $\varepsilon$ be until the model changes its mind, and do you still see the digit there?

# %%
theta = study.on_pixels(models[names[0]][:1])[0]         # takes pixels from 0 to 1
with torch.no_grad():
    p_y = theta(study.grey_pixels(N)).softmax(1)[range(len(y)), y]
sure = N[[int((p_y - 0.99).abs().argmin())]]
x, label = study.grey_pixels(sure), study.labels[sure]
sign = robustness.loss_gradient(theta, x, label).sign()
steps = {e: robustness.fgsm(theta, x, label, e) for e in [0.0, *epsilons[:-1]]}

# %% tags=["plumbing"]
figure, axes = plt.subplots(1, len(steps) + 1, figsize=(1.7 * (len(steps) + 1), 2.3))
plots.images(axes[0], (sign + 1) / 2, 1, "the direction")
for ax, (e, moved) in zip(axes[1:], steps.items()):
    with torch.no_grad():
        p = theta(moved).softmax(1)[0]
    says = f"\"{plots.in_figure(classes[p.argmax()], 12)}\", {p.max():.0%}"
    plots.images(ax, moved, 1, f"$\\varepsilon$ = {e:g}\n{says}")
study.figure(figure, "one_adversarial_image",
             f"The direction of the step, and one image at {len(steps)} values of epsilon from "
             f"0 to {max(steps):g}, with what the model says above each.")

# %% [markdown]
# In the left picture white pixels are to become lighter and black ones darker; grey ones do not matter. Above the others stands
# what the model says, and how sure it is. (The network was trained on *standardised* pixels, and the same $\varepsilon$ there is a different
# change for every data set. So the standardisation is part of the network here: $\varepsilon$ always belongs to pixels from 0 to 1. A published
# benchmark of condensed sets does otherwise, so its $\varepsilon$ cannot be compared with anybody's.)

# %%
deviation = study.split.scale[1].flatten().tolist()      # in grey levels, of every channel
print(f"epsilon = {epsilon:g} of a pixel from 0 to 1: {255 * epsilon:.1f} grey levels; "
      f"of a standardised one: {', '.join(f'{epsilon * one:.1f}' for one in deviation)}")

# %% [markdown]
# **Stronger attacks, and a curve.** **PGD**, *projected gradient descent* (Madry et al. 2018), takes many small steps from a random start, and
# after each returns to the box of all images within $\varepsilon$:
#
# $$x_{t+1} = \Pi_\varepsilon\big(x_t + \alpha\, \mathrm{sign}(\nabla_x \ell(x_t, y))\big) .$$
#
# All models get the same pictures, some non-members of every class. One number at one $\varepsilon$ can be chosen to please; a curve
# cannot. Guess: will the curve of the most accurate model stay on top?

# %%
pictures = study.choose_balanced(N, n_pictures, "attacked")
picture_labels = study.labels[pictures].numpy()
how = {"epsilons": epsilons, "steps": pgd_steps}

# %%
found = study.at_once({name: partial(study.attacked, some, pictures, robustness.examine, **how)
                       for name, some in models.items()})  # arrays [runs, ..., pictures]
for name, network in files.networks_on_pixels(*elsewhere)[0].items():
    if network is None:
        print(f"{name} has answers and no weights: its robustness is left out")
    else:
        draw = study.generator("attacked", name)
        one = robustness.examine(network, study.grey_pixels(pictures),
                                 study.labels[pictures], generator=draw, **how)
        found[name] = {key: value[None] for key, value in one.items()}

# %% tags=["plumbing"]
shown = [name for name in found if name not in few_real.values()]
figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), sharey=True)
for name in shown:
    clean = found[name]["clean"].mean()
    for ax, attack, whole in zip(axes, ("FGSM", "PGD", "PGD"), (1, 1, clean)):
        left = np.array([clean, *found[name][attack].mean((0, 2))]) / whole
        ax.plot(range(len(left)), 100 * left, mark[made_of[name]] + "-", alpha=0.8,
                markersize=3, color=colour[made_of[name]], linewidth=1)
        ax.set(title=f"{attack}{'' if whole == 1 else ', of those right'}",
               xlabel=r"$\varepsilon$")
        ax.set_xticks(range(len(left)), [f"{e:g}" for e in [0, *epsilons]])
axes[0].set_ylabel("right (%)")
explain(axes[-1])
study.figure(figure, "accuracy_by_epsilon",
             f"Curves of {len(shown)} training sets that fall with epsilon, by FGSM and by "
             "PGD. Of the original's pictures "
             f"{100 * found['original']['PGD'][:, 0].mean():.0f} % are right after PGD at "
             f"{epsilons[0]:g}, and {100 * found['original']['PGD'][:, -1].mean():.0f} % at "
             f"{epsilons[-1]:g}.")

# %% [markdown]
# Every curve falls to zero: none of these models was trained to withstand anything. PGD lies below FGSM, as a stronger attack
# must. (Which curve is whose does not matter here; a picture below has the names.)
#
# **DeepFool** (Moosavi-Dezfooli et al. 2016) asks the other way round: how far away is the *nearest* image that the model takes for
# something else? It treats the model as linear, walks to the nearest boundary, and starts again from there. A curve further to the right
# belongs to a more robust model:

# %% tags=["plumbing"]
figure, ax = plt.subplots(figsize=(6.5, 3.6))
distances = {name: np.where(of["clean"], of["DeepFool"], np.nan) for name, of in found.items()}
for name in shown:
    far = np.sort(distances[name][~np.isnan(distances[name])])
    ax.plot(far, 100 * np.arange(1, len(far) + 1) / len(far), mark[made_of[name]] + "-",
            markevery=0.1, markersize=4, alpha=0.8, color=colour[made_of[name]], linewidth=1)
ax.set(xlabel="distance of the adversarial picture", ylabel="right pictures (%)")
explain(ax)
study.figure(figure, "deepfool_distances",
             f"Curves of {len(shown)} training sets: the share of right pictures that DeepFool "
             "moves over a boundary within a distance; half of the original's within "
             f"{np.nanmedian(distances['original']):.2f}.")

# %% [markdown]
# **Did the attacks work?** A failed attack looks just like a robust model. If a model is so sure of itself that its gradient is zero,
# FGSM and PGD stand still: its gradients are *masked*, and it is not robust. Three signs give it away (Athalye, Carlini and Wagner 2018):
# right pictures without a gradient; pictures that survive even the largest $\varepsilon$; and an attack *without* gradients that flips
# what PGD could not. The last comes from *AutoAttack* (Croce and Hein 2020): its "Square" changes random squares and only looks
# at the answers. It is slow, so it gets a few pictures (`strong_pictures`) and the first model of each name.

# %%
few = pictures[np.linspace(0, len(pictures) - 1, strong_pictures).astype(int)]
last = study.at_once({name: partial(
    study.attacked, some[:1], few, robustness.strongest, epsilon=epsilon,
    steps=pgd_steps, queries=queries, rivals=rivals)
    for name, some in models.items()})                   # arrays [1, few]

# %% tags=["plumbing"]
checks = []
after = {"clean": "right without an attack"} | {
    attack: f"right after {attack}" for attack in ("PGD", "Square", "AutoAttack")}
for name in last:
    first, strong = ({key: value[0] for key, value in of[name].items()} for of in (found, last))
    kept = {title: metrics.rate(int(strong[attack].sum()), len(few))
            for attack, title in after.items()}
    checks.append({"trained on": name, "pictures": len(few)}
                  | {title: tables.percent(*rate) for title, rate in kept.items()}
                  | {"gradients": robustness.gradients(first, strong)})
at_the_end["masked gradients"] = study.table(pd.DataFrame(checks), "gradient_checks")
voice.shown("gradient_checks", pd.DataFrame(checks))

# %% [markdown]
# **Robust, or only less accurate?** The original has more right to begin with, and more to lose. In the picture every recipe is a point: how
# accurate (to the right), and how much of it survives PGD (up). The line joins real images. What lies above the line withstands more
# than real images at equal accuracy do.

# %% tags=["plumbing"]
at = epsilons.index(epsilon)
pgd = {name: of["PGD"][:, at] for name, of in found.items()}                # [runs, pictures]
rows = []
for name, of in found.items():
    middle = metrics.bootstrap(np.nanmedian, [distances[name]], picture_labels,
                               study.rng("median", name))
    shares = {"right": metrics.mean_rate(of["clean"]),
              f"right after PGD, epsilon {epsilon:g}": metrics.mean_rate(pgd[name]),
              "that is, of those right": metrics.mean_rate(pgd[name], among=of["clean"])}
    rows.append({"trained on": name, "runs": len(of["clean"])}
                | {title: tables.percent(*share) for title, share in shares.items()}
                | {"median distance": tables.number(*middle)})
at_the_end["robustness"] = study.table(pd.DataFrame(rows), "robustness")
voice.shown("robustness", pd.DataFrame(rows))

# %% tags=["plumbing"]
line = [*few_real.values(), *(name for name in names if name == "original")]
real = [(found[name]["clean"], pgd[name]) for name in line]
figure, ax = plt.subplots(figsize=(9, 5.5))
ax.plot(*np.transpose([(100 * clean.mean(), 100 * kept.mean()) for clean, kept in real]),
        color="0.7", linewidth=1, zorder=0)
for name, of in found.items():
    middle, low, high = 100 * np.array(metrics.mean_rate(pgd[name]))
    kind = made_of[name]
    ax.errorbar(100 * of["clean"].mean(), middle, [[middle - low], [high - middle]],
                elinewidth=0.6, marker=mark[kind], linestyle="none", color=colour[kind])
explain(ax, "upper left")
ax.set(xlabel="right without an attack (%)", ylabel="right after PGD (%)", xlim=ax.get_xlim(),
       ylim=ax.get_ylim())
plots.name_points(ax, [(100 * of["clean"].mean(), 100 * pgd[name].mean())
                       for name, of in found.items()], [*found],
                  [colour[made_of[name]] for name in found])
study.figure(figure, "robustness_and_accuracy",
             f"A point for each of {len(found)} training sets: right without an attack to the "
             "right, right after PGD upwards, and a line through real images.")

# %% [markdown]
# ## Idea 2: part of every unfairness is luck
#
# A model that is right in 90 % of the cases may be right on 99 % of the ones and on 70 % of the eights. If a class is a kind of
# people, that is unfair. Here the evaluation set is all non-members. The targets of notebook 2, each beside the original in grey:

# %% tags=["plumbing"]
right = {name: some.logits[:, N].argmax(2) == y for name, some in models.items()}
right |= {name: answer.logits[None, ~study.is_member, 0].argmax(2) == y
          for (name, _), answer in answers.items()}      # [runs, n]
by_class = {name: fairness.by_class(of, y, classes) for name, of in right.items()}
judged_names = [name for name in right if name not in few_real.values()]
columns = ["accuracy", "accuracy_low", "accuracy_high"]
brought = [*names[1:], *(name for name, _ in answers)]
figure, axes = plots.panels(len(brought), 4)
for ax, name in zip(axes, brought):
    for one, tint, offset in ((names[0], "0.75", 0.2), (name, colour[made_of[name]], 0)):
        plots.intervals(ax, *100 * by_class[one][columns].to_numpy().T, classes, tint, offset,
                        markersize=4)
    ax.set(title=plots.in_figure(name), xlabel="right (%)")
axes[0].set_ylabel("class")
study.figure(figure, "accuracy_by_class",
             f"Accuracy in each class with intervals, a panel for each of {len(brought)} "
             "training sets, beside the original in grey.")

# %% [markdown]
# And all training sets in one picture: how many points each class is above (blue) or below (red) the same class of the original.

# %% tags=["plumbing"]
accuracy = {name: of["accuracy"].to_numpy() for name, of in by_class.items()}
above = 100 * np.array([accuracy[name] - accuracy["original"] for name in judged_names[1:]])
figure, ax = plt.subplots(figsize=(0.62 * len(classes) + 1.5, 0.32 * len(above) + 0.8))
ax.imshow(above, cmap="RdBu", vmin=-40, vmax=40, aspect="auto")
for (row, column), value in np.ndenumerate(above):
    ax.text(column, row, f"{value:+.0f}", ha="center", va="center", fontsize=7,
            color="white" if abs(value) > 25 else "black")
ax.set_yticks(range(len(above)), map(plots.in_figure, judged_names[1:]))
ax.set_xticks(range(len(classes)), [plots.in_figure(name, 12) for name in classes],
              rotation=30 * (max(map(len, classes)) > 2))
ax.set(xlabel="class")
ax.grid(False)
study.figure(figure, "classes_against_the_original",
             "A grid of points above or below the original, a row a training set and a column "
             f"a class, from {above.min():+.0f} to {above.max():+.0f}.")

# %% [markdown]
# One number for it is the *spread*, the standard deviation of the accuracies $a_c$ over the $C$ classes; its ratio to the original's is
# the *amplification*:
#
# $$s = \sqrt{\tfrac1C \sum_c (a_c - \bar a)^2} , \qquad \text{amplification} = \frac{s_{\mathrm{condensed}}}{s_{\mathrm{original}}} .$$
#
# But another training would have other hard classes; another evaluation set, other hard images. Both kinds of luck can be seen in the
# outputs: how much a class's accuracy differs between the runs of *one* recipe, and how much its images differ. What is left is the
# classes' own. Guess: how large a part of a subset's spread is luck of the run, if each run has a subset of its own?

# %%
def spread(of):
    return fairness.spread(fairness.class_accuracies(of, y, len(classes))).mean()

rows, amplified = [], {}
for name, of in right.items():
    rng, worst = study.rng("fairness", name), by_class[name]["accuracy"].idxmin()
    amplified[name] = fairness.amplification(of, right[names[0]], y, len(classes), rng)
    luck = fairness.shares_of_the_spread(of, y, len(classes))
    rows.append({"trained on": name, "accuracy": tables.percent(*metrics.mean_rate(of)),
                 "worst class": tables.sentence("{}: {}", classes[worst], tables.percent(
                     *by_class[name].loc[worst, columns])),
                 "spread (points)": tables.plain(spread(of), "{:.1 of 100}"),
                 "amplification": "-" if name == names[0] else tables.number(*amplified[name])}
                | {title: "unknown" if np.isnan(share) else tables.plain(share, "{:.1 %}")
                   for title, share in luck.items()})
spreads = pd.DataFrame(rows)
at_the_end["fairness"] = study.table(spreads, "fairness")
voice.shown("fairness", spreads)

# %% tags=["plumbing"]
parts = ["luck of the run", "luck of the evaluation set", "classes"]
known = spreads[[not isinstance(one, str) for one in spreads[parts[0]]]]
if len(known):                                           # not of single runs
    shares = known[parts].map(lambda cell: 100 * cell.numbers[0])
    least, most = shares.min(), shares.max()
    figure, ax = plt.subplots(figsize=(7, 0.28 * len(known) + 0.9))
    left = np.zeros(len(known))
    for part, tint in zip(parts, (plots.NON_MEMBER, "0.75", plots.MEMBER)):
        ax.barh(range(len(known))[::-1], shares[part], left=left, color=tint, label=part)
        left += shares[part].to_numpy()
    ax.set_yticks(range(len(known))[::-1], map(plots.in_figure, known["trained on"]),
                  fontsize=7)
    ax.set(xlabel="share of the squared spread (%)", xlim=(0, 100))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
    study.figure(figure, "shares_of_the_spread",
                 f"A bar in three parts for each of {len(known)} training sets: "
                 + ", ".join(f"{part} is {least[part]:.0f} to {most[part]:.0f} %"
                             for part in parts[:2]) + " of the squared spread.")

# %% [markdown]
# With sixty images a class the evaluation set alone makes a spread of several points. (Where all runs share one condensed set, what
# another condensation would have changed is counted with the classes.) And less accurate models have more room for a spread: an
# amplification is a finding about *condensing* only if real images at equal accuracy, in the last rows, do not show it too.
#
# ## Idea 3: is the hardest class the one that leaks?
#
# For the methods the leak is that of notebook 9, class by class. The targets of notebook 2 are asked by notebook 6's best attacks. Part of
# what these find in a class is luck of the split. Shadow models saw nobody here, so their AUC is pure luck; we subtract it. For the original there is a better
# witness, the reference models of notebook 6, each a target of the others.

# %% tags=["plumbing"]
pool, is_member, labels = study.pool, study.is_member, study.labels[study.pool].numpy()
trained, shadows = study.results.load_models("references"), study.results.load_models("shadows")
member = membership_matrix(len(pool), len(trained), study.rng("pool"))
shift = trained.settings["parameters"]["shift"]
references = study.references(member, trained, shift)
every_model = study.results.load_table("every_model")
best = examination.best_attacks(every_model, suites.CANDIDATES)  # by measure
prepared = {name: suites.STRONG[name](references) for name in dict.fromkeys(best.values())}
print(f"the AUC is read by {best['auc']}, rates by {best['tpr']}")

# %% tags=["plumbing"]
asked = {(name, run): Answers(logits[pool], labels, logits[study.attacker],
                              study.labels[study.attacker].numpy())
         for name, some in (models | {"unrelated": shadows}).items()
         if name not in examined.index
         for run, logits in enumerate(study.query(some, shift))}
scores, judged = attack_results.judge(asked | answers, prepared, is_member,
                                      attack_results.strong(is_member, study.rng))
ends = ("", "_low", "_high")
by_runs = attack_tables.mean_over_runs(judged)
by_auc, by_tpr = (by_runs.xs(best[measure], level="attack").reindex([*right, "unrelated"])
                  for measure in ("auc", "tpr"))         # RMIA is left out for some answers
judged = by_auc.assign(**{f"tpr_at_0.01{end}": by_tpr[f"tpr_at_0.01{end}"] for end in ends})
for mine, theirs in (("auc", "auc"), ("tpr_at_0.01", "tpr")):
    for end in ends:
        judged.loc[examined.index, mine + end] = examined[theirs + end]

# %%
def auc_by_class(scores, member):
    return examination.aucs_by_class(scores, member, ~member, labels, len(classes)).mean(0)

by_name = {}
for (name, _, attack), score in scores.items():
    if attack == best["auc"]:
        by_name.setdefault(name, []).append(score)           # [runs, people]
leaks = {name: auc_by_class(np.array(of), np.tile(is_member, (len(of), 1)))
         for name, of in by_name.items()}
luck = leaks.pop("unrelated")                            # [classes]
leaks = {name: of - luck for name, of in leaks.items()}
attack = best["auc"]
by_coins = examination.leave_pair_out(references, {attack: suites.STRONG[attack]})[attack]
leaks["original"] = auc_by_class(by_coins, member) - 0.5
per_class = [f"auc of {name}" for name in classes]
leaks |= {name: of.to_numpy() - 0.5 for name, of in examined[per_class].iterrows()}

# %% tags=["plumbing"]
withstand = {name: fairness.class_accuracies(of, picture_labels, len(classes)).mean(0)
             for name, of in pgd.items()}
most_accurate = sorted(examined.index, key=lambda name: -accuracy[name].mean())[:3]
joined = [name for name in dict.fromkeys([*names[:3], *most_accurate])
          if name in accuracy and name in withstand and name in leaks]
figure, axes = plt.subplots(2, len(joined), figsize=(2.1 * len(joined), 4.8), sharey=True,
                            sharex="row", squeeze=False)
for row, measure, title in zip(axes, (accuracy, withstand), ("right", "right after PGD")):
    for ax, name in zip(row, joined):
        for c, of_class in enumerate(classes):
            ax.scatter(100 * measure[name][c], 100 * leaks[name][c], s=45,
                       color=colour[made_of[name]], marker=plots.sign(of_class))
        ax.axhline(0, color="0.6", linestyle=":", linewidth=1)
        ax.set(title=plots.in_figure(name), xlabel=f"{title} (%)")
    row[0].set_ylabel("AUC above luck (points)")
study.figure(figure, "classes_joined",
             "Panels with a sign for each class: leak upwards, accuracy to the right above, "
             "robustness to the right below; one column each for " + ", ".join(joined) + ".")

# %% [markdown]
# Each panel is a training set and each sign a class; on top the classes' accuracy, below how many of them withstand PGD. If the
# hardest class were the one that leaks, the signs would fall from left to right. Is there an order in it? Spearman's rank
# correlation is 1 if the two orders of the classes agree and -1 if one is the other's reverse. Its interval asks whether it
# would hold for *other classes* like these.

# %% tags=["plumbing"]
pairs = {"accuracy and leak": (accuracy, leaks), "robustness and leak": (withstand, leaks),
         "accuracy and robustness": (accuracy, withstand)}
related = {(name, title): fairness.rank_correlation(a[name], b[name])
           for name in judged_names for title, (a, b) in pairs.items()
           if name in a and name in b}
rows = [{"trained on": name} | {
    title: tables.number(*related[name, title]) if (name, title) in related else "-"
    for title in pairs} for name in judged_names]
at_the_end["rank correlations"] = study.table(
    pd.DataFrame(rows), "rank_correlations", comparison.luck(related.values()))
voice.shown("rank_correlations", pd.DataFrame(rows))

# %% tags=["plumbing"]
above = {}                                               # intervals above 0
figure, axes = plt.subplots(1, len(pairs), figsize=(10, 0.28 * len(judged_names) + 0.9))
for ax, title in zip(axes, pairs):
    of = {name: one for (name, which), one in related.items() if which == title}
    above[title] = sum(low > 0 for _, low, _ in of.values())
    plots.intervals(ax, *np.array([*of.values()]).T, [*of], plots.MEMBER, markersize=4)
    ax.axvline(0, color="0.6", linestyle=":", linewidth=1)
    ax.set(xlabel=f"rank correlation of\n{title}", xlim=(-1, 1))
study.figure(figure, "correlations_of_classes",
             "Intervals of three rank correlations over the classes, a row a training set. "
             + "; ".join(f"{title}: {n} lie above 0" for title, n in above.items()) + ".")

# %% [markdown]
# **What it does not show.** Ten classes are ten points: only a very strong relation can be detected, and noise in the points pulls every
# correlation towards zero. A single interval without zero says little, a whole column of one sign says more. And a correlation between classes
# says nothing about people: the exposed ones of notebook 6 are single images in all classes.
#
# ## Four properties, one picture
#
# Accuracy on the non-members; leak as the AUC of the attack (for the methods that of notebook 9, whose attacker condenses too); robustness as
# the share of right pictures that withstand PGD; fairness as the spread over the classes. Grey is the original, blue are real images, green are
# condensed ones. Which green row lies apart from all blue ones of its accuracy?

# %% tags=["plumbing"]
rows = []
for name, of in right.items():
    row = {"accuracy": metrics.mean_rate(of)}
    row["leak"] = judged.loc[name, ["auc" + end for end in ends]]
    row["TPR"] = judged.loc[name, ["tpr_at_0.01" + end for end in ends]]
    row["withstands"] = (metrics.mean_rate(pgd[name], among=found[name]["clean"])
                         if name in found else (np.nan,) * 3)
    row["spread"] = metrics.bootstrap(spread, [of], y, study.rng("spread", name))
    rows.append({"trained on": name, "runs": len(of)} | {
        measure + end: value for measure, triple in row.items()
        for end, value in zip(ends, triple)})
properties = pd.DataFrame(rows)
study.results.save("properties", properties)
titles = {"accuracy": "accuracy", "leak": "leak (AUC)", "TPR": "TPR at 1 % FPR",
          "withstands": f"withstands PGD, epsilon {epsilon:g}", "spread": "spread over classes"}
texts = properties[["trained on", "runs"]].assign(**{
    title: tables.rates(properties, measure) for measure, title in titles.items()})
at_the_end["four properties"] = study.table(texts, "four_properties")
voice.shown("four_properties", texts)

# %% tags=["plumbing"]
better = {"accuracy": "right is better", "leak": "left is better",
          "withstands": "right is better", "spread": "left is better"}
figure, axes = plt.subplots(1, 4, figsize=(11, 0.35 * len(properties) + 1), sharey=True)
for ax, (measure, which) in zip(axes, better.items()):
    values = 100 * properties[[measure, f"{measure}_low", f"{measure}_high"]].to_numpy()
    for i, (row, name) in enumerate(zip(values, properties["trained on"])):
        plots.intervals(ax, *row[:, None], [""], colour[made_of[name]], len(values) - 1 - i)
    ax.set(yticks=range(len(values))[::-1], title=f"{measure}: {which}",
           yticklabels=map(plots.in_figure, properties["trained on"]),
           xlabel={"leak": "AUC (%)", "spread": "points"}.get(measure, "%"))
axes[1].axvline(50, color="0.6", linestyle=":", linewidth=1)
study.figure(figure, "four_properties",
             f"Intervals of accuracy, leak, robustness and spread, a row for each of "
             f"{len(properties)} training sets; grey is the original, blue real, green "
             "condensed.")

# %% [markdown]
# Read a row from left to right: that is what this training set costs and gives. Where a green row lies beside a blue one of the same accuracy,
# condensing changed nothing that counts here. A model that leaks less because it learned less stands left in the first panel too.
#
# **The verdict.** Chen et al. (2023) can be quoted with three sentences; their abstract has no numbers. The rules are fixed: a 95 % interval on
# one side of "no effect" gives a verdict, any other "no difference detected". "At equal accuracy" compares with the line of the real
# images. For how many training sets was which verdict given?

# %% tags=["plumbing"]
def kept(of, clean, other, other_clean):
    return of.sum() / clean.sum() - other.sum() / other_clean.sum()

measured, of_real = {}, [(right[one], right[one]) for one in line]
base = found["original"]["clean"]
for name in (name for name in shown if made_of[name] == "condensed"):
    own, rng = found[name]["clean"], study.rng("verdict", name)
    measured[name] = {
        "leak": tuple(judged.loc[name, ["auc", "auc_low", "auc_high"]]),
        "kept": metrics.bootstrap(kept, [pgd[name], own, pgd["original"], base],
                                  picture_labels, rng),
        "robustness, equal": controls.above_as_accurate(own, pgd[name], real, np.mean,
                                                        picture_labels, rng),
        "amplification": amplified[name],
        "spread, equal": controls.above_as_accurate(
            right[name], right[name], of_real, spread, y, rng)}
claims = against_chen.chen_claims(measured)
at_the_end["Chen et al., set by set"] = study.table(claims, "chen_claims_by_set",
                                                    against_chen.chen_luck(measured))

# %%
study.table(against_chen.chen_in_short(claims), "chen_claims")

# %% [markdown]
# Look at the controls, too: what holds for real images at equal accuracy is no finding about condensing. And where all verdicts of a
# control are on one side, that says more than each of them.
#
# ### On MNIST
#
# The committed run of the profile `mnist-small`, where 15,000 people train the original and all methods condense them:

# %% tags=["plumbing"]
committed_figure("mnist-small", "four_properties",
                 "Intervals of accuracy, leak, robustness and spread on MNIST, a row a "
                 "training set. The original is the most accurate, leaks most and is the most "
                 "even; k-center and KIP-labels are the easiest to fool.")

# %% tags=["plumbing"]
of_mnist = committed("mnist-small", "four_properties")[0]
at_the_end["four properties, MNIST"] = tables.shown(of_mnist)
at_the_end["Chen et al., MNIST"] = tables.shown(committed("mnist-small", "chen_claims")[0])
voice.shown("four_properties", of_mnist)

# %% [markdown]
# The spread over the classes is many times the original's in every condensed set, 3.50 to 22.98 times, so the sentence about
# fairness is supported. That is mostly not condensing: models of 5 to 100 real images a class have 3.88 to 25.61 times the
# original's. At equal accuracy three of the twelve condensed sets, of IDC and IDM, are less fair than real images and none is
# fairer; one is less robust and none is more robust. Two training sets are out of line in robustness: k-center, which picks the oddest
# images of every class, and KIP with labels that move (`KIP-labels`), whose models fall to a small change of the pixels. Their
# gradients are sound, so this is no artefact of masking.
#
# ### On colour images
#
# Models of thousands of digits hardly know anybody by heart. The profile `cifar-small` has 1,000 members among
# 4,000 photographs (CIFAR-10, JPEG copy: its images were compressed anew, so its numbers are not those of CIFAR-10 itself). The
# original has nearly all of its members right and four of ten others, so there is much to leak.

# %% tags=["plumbing"]
of_cifar = committed("cifar-small", "four_properties")[0]
at_the_end["four properties, CIFAR-10"] = tables.shown(of_cifar)
at_the_end["Chen et al., CIFAR-10"] = tables.shown(committed("cifar-small", "chen_claims")[0])
voice.shown("four_properties", of_cifar)

# %% [markdown]
# Where the original is overfitted, it is the one that is easily fooled, and condensing helps against that. But so does training
# on as few real images: at equal accuracy no difference was detected. And the leak goes down with the number of images, not with
# condensing.
#
# ## Summary
#
# - An adversarial image is one gradient away, and a curve over $\varepsilon$ says how fast a model falls. $\varepsilon$ belongs to pixels
#   from 0 to 1.
# - An attack that fails proves nothing; look for masked gradients before calling a model robust.
# - Part of every unfairness is luck of a training or of an evaluation set. Measure it, or it will be taken for a finding.
# - Robustness and fairness, like privacy, are to be compared at equal accuracy.
# - Ten classes cannot say much about how two properties hang together.
#
# ## Exercises
#
# 1. (easy) Make the picture of the one adversarial image for a condensed model. Does it take a larger or a smaller $\varepsilon$?
# 2. (medium) Attack on the standardised scale: which $\varepsilon$ there moves no pixel farther than `epsilon` does here? What would somebody
#    report who took the two for the same?
# 3. (medium) Do adversarial images of one model fool another? Make them on an `original` and show them to all the others.
# 4. (hard) Take the condensed model and hide its gradients by rounding the pixels before the network sees them. What does PGD find, and
#    what does the check say?
#
# Solutions: `solutions/10_solutions.ipynb`.
#
# ## References
#
# - Z. Chen et al., *A comprehensive study on dataset distillation: performance, privacy, robustness and fairness*, arXiv 2305.03355, 2023.
# - I. Goodfellow, J. Shlens, C. Szegedy, *Explaining and harnessing adversarial examples*, ICLR 2015 (FGSM).
# - A. Madry et al., *Towards deep learning models resistant to adversarial attacks*, ICLR 2018 (PGD).
# - S.-M. Moosavi-Dezfooli, A. Fawzi, P. Frossard, *DeepFool: a simple and accurate method to fool deep neural networks*, CVPR 2016.
# - A. Athalye, N. Carlini, D. Wagner, *Obfuscated gradients give a false sense of security*, ICML 2018.
# - F. Croce, M. Hein, *Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks*, ICML 2020
#   (AutoAttack).
# - D. Bonett, T. Wright, *Sample size requirements for estimating Pearson, Kendall and Spearman correlations*, Psychometrika 2000.

# %% [markdown]
# ## All tables
#
# Those of which the text above gave a sentence or a picture only.

# %% tags=["appendix"]
for name, table in at_the_end.items():
    print(name)
    display(table)
