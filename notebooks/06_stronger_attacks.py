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
n_references: int = 64      # reference models, an even number; each image is a member of half of them
epochs: int = 60            # passes over a model's members, like the target's
shift: int = 0              # pixels of the shifted copies each model is asked about too; 0: none
reference_processes: int = -1  # reference models trained at the same time; -1: one per core

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from tqdm import tqdm

from dcpriv_lib import artefacts, attacks, audit, data, lira, metrics, networks, paths, plots, rmia, training
from dcpriv_lib.seeding import derive, generator
from dcpriv_lib.shadow import membership_matrix

plots.style()
results = paths.results(profile)
device = training.device(device)
if n_references < 6 or n_references % 2:
    raise ValueError(f"n_references = {n_references}: choose an even number of at least 6, two for the rehearsal and "
                     "four to fit the attacks with")

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
split = data.load_split(results, profile=profile, dataset=dataset, seed=seed)
targets = artefacts.load_table(results / "targets.csv", split.inputs, "notebooks/02_condensation.ipynb")
pool = np.concatenate([split.indices["members"], split.indices["non_members"]])
is_member = np.repeat([True, False], [len(split.indices[part]) for part in ("members", "non_members")])
keep = membership_matrix(len(pool), n_references, np.random.default_rng(derive(seed, "pool")))
print(f"keep: {keep.shape[0]} models x {keep.shape[1]:,} images; each image is in {set(keep.sum(0).tolist())}")

# %%
figure, ax = plt.subplots(figsize=(6, 2.2))
ax.imshow(keep[:16, :60], cmap="Greys", aspect="auto", interpolation="nearest")
ax.set(xlabel="image in the pool (the first 60)", ylabel="reference model", title="black: the image was a member")
plots.save(figure, results, "membership_matrix")

# %% [markdown]
# Each model is asked about every image of the pool, and about the attacker's own images, which were in no model
# (RMIA needs them). With `shift` above 0 it is asked about shifted copies too.

# %%
images, labels = split.rows(pool)
others, other_labels = split.part("attacker")
moves = [(0, 0), *[(shift, 0), (-shift, 0), (0, shift), (0, -shift)][:4 * (shift > 0)]]

def ask(network) -> dict[str, np.ndarray]:
    """Return logits [n, queries, classes] for the pool and for the attacker's images."""
    return {name: np.stack([training.predict(network, some.roll(move, (2, 3))).numpy() for move in moves], axis=1)
            for name, some in (("pool", images), ("population", others))}

# %%
def train_reference(j: int, unfinished) -> dict:
    chosen = torch.as_tensor(keep[j])
    network = networks.initialise(networks.PaperCNN(*split.shape), generator(seed, "reference", j)).to(device)
    training.train(network, images[chosen].to(device), labels[chosen].to(device), epochs=epochs,
                   generator=generator(seed, "reference order", j), checkpoint=unfinished)
    return ask(network) | {"members": keep[j]}

def reference(j: int) -> dict:
    inputs = split.inputs | {"reference": j, "members": data.digest(keep[j]), "epochs": epochs, "shift": shift}
    path = results / "references" / f"reference{j}"
    return artefacts.cached(path, inputs, lambda unfinished: train_reference(j, unfinished)) | {
        "file": artefacts.cached_path(path, inputs).name}

# %% [markdown]
# Models that do not depend on each other are trained at the same time, one per core.

# %%
answers = list(tqdm(Parallel(n_jobs=reference_processes, return_as="generator")(
    delayed(reference)(j) for j in range(n_references)), total=n_references, desc="reference models"))
pool_logits = np.stack([one["pool"] for one in answers])              # [models, n, queries, classes]
population_logits = np.stack([one["population"] for one in answers])
files = pd.DataFrame({"reference": range(n_references), "file": [one["file"] for one in answers]})
artefacts.save_table(results / "references.csv", files, split.inputs | {"epochs": epochs, "shift": shift})

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
phi = np.stack([lira.logit_confidence(one, labels) for one in pool_logits])   # [models, n, queries]
(mu_in, sigma_in), (mu_out, sigma_out) = (lira.gaussian(phi, where[:, :, None], fixed_variance=True)
                                          for where in (keep, ~keep))
gap = ((mu_in - mu_out) / np.sqrt((sigma_in**2 + sigma_out**2) / 2))[:, 0]
most, least = np.argsort(-gap)[:4], np.argsort(np.abs(gap))[:4]

figure, axes = plt.subplots(2, 8, figsize=(11, 3.8), height_ratios=(1, 1.4))
for column, x in enumerate([*most, *least]):
    name = split.dataset.classes[labels[x]]
    plots.images(axes[0, column], split.grey_levels(images[x:x + 1]), 1, f"labelled {name},\ngap {gap[x]:z.1f}")
    bins = np.histogram_bin_edges(phi[:, x, 0], 16)
    for where, colour in ((keep, plots.MEMBER), (~keep, plots.NON_MEMBER)):
        axes[1, column].hist(phi[where[:, x], x, 0], bins, color=colour, alpha=0.6)
    axes[1, column].set(xlabel=r"$\phi$", yticks=[])
figure.suptitle("the four images with the largest gap, and the four with the one nearest zero; blue: with, orange: without")
plots.save(figure, results, "vulnerable_images")

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
#
# Both see a target through the differences between images: `models` says which reference models an attack may use.

# %%
def true_class(logits, truth) -> np.ndarray:
    """Return the softmax probability of the true class, [n, queries], of logits [n, queries, classes]."""
    return np.take_along_axis(softmax(logits.astype(float), axis=-1), np.asarray(truth)[:, None, None], -1)[..., 0]

p = np.stack([true_class(one, labels) for one in pool_logits])
z = np.stack([true_class(one, other_labels) for one in population_logits])
never = np.zeros((n_references, len(others)), dtype=bool)

def lira_scores(asked: dict, models=slice(None)) -> dict[str, np.ndarray]:
    confidence = lira.logit_confidence(asked["pool"], labels)
    return {f"LiRA {name}, {'fixed' if fixed else 'own'} variance": attack(phi[models], keep[models], confidence,
                                                                         fixed_variance=fixed)
            for name, attack in (("online", lira.online), ("offline", lira.offline)) for fixed in (True, False)}

def rmia_scores(asked: dict, a: float, models=slice(None)) -> np.ndarray:
    return rmia.scores(true_class(asked["pool"], labels), rmia.offline_prior(p[models], keep[models], a),
                       true_class(asked["population"], other_labels), rmia.offline_prior(z[models], never[models], a))

# %% [markdown]
# For comparison the attacks that have one rule for everybody: the loss threshold of notebook 4, one threshold per
# class, and a logistic regression per class on the softmax. They are fitted to the same reference models.

# %%
class_of, member_of = np.tile(labels, n_references), keep.ravel()
model_losses = np.concatenate([attacks.losses(one[:, 0], labels) for one in pool_logits])
model_softmax = softmax(pool_logits[:, :, 0], axis=-1).reshape(len(class_of), -1)
tau = attacks.loss_threshold_per_class(model_losses, class_of, member_of)
logistic = attacks.fit_per_class(LogisticRegression(max_iter=1000), model_softmax, class_of, member_of)

def rule_scores(asked: dict) -> dict[str, np.ndarray]:
    logits = asked["pool"][:, 0]
    loss = attacks.losses(logits, labels)
    return {"loss threshold": -loss,
            "loss threshold per class": attacks.score_loss_per_class(tau, loss, labels.numpy()),
            "shadow classifier": attacks.score_per_class(logistic, softmax(logits, axis=1), labels.numpy())}

# %% [markdown]
# **Rehearsal.** The attacker attacks reference model 0, whose members they know, with the others. (Its partner is left
# out too: who is missing there was a member here.) That gives RMIA's $a$, and for every attack the threshold above which
# it will say "member".

# %%
others_only = slice(2, None)
rehearsal = {a: metrics.auc(rmia_scores(answers[0], a, others_only), keep[0], np.random.default_rng(0))[0]
             for a in (0.0, 0.25, 0.5, 0.75, 1.0)}
a = max(rehearsal, key=rehearsal.get)
print("AUC of RMIA by a:", {key: round(float(value), 3) for key, value in rehearsal.items()}, "-> a =", a)

def all_scores(asked: dict, models=slice(None)) -> dict[str, np.ndarray]:
    return rule_scores(asked) | lira_scores(asked, models) | {"RMIA": rmia_scores(asked, a, models)}

threshold = {name: -attacks.loss_threshold(-score[keep[0]], -score[~keep[0]])
             for name, score in all_scores(answers[0], others_only).items()}

# %% [markdown]
# ## Against the targets
#
# Every target of notebook 2, asked about everybody in the pool; and, as in notebook 4, an *unrelated* model as a
# control: the first shadow model, which was trained on nobody here.

# %%
shadows = artefacts.load_table(results / "shadows.csv", split.inputs, "notebooks/03_shadow_training.ipynb")
asked_models = [(row.target, row.run, results / "targets" / row.file) for row in targets.itertuples()]
asked_models.append(("unrelated", 0, results / "shadows" / shadows["file"][0]))

def network_of(path):
    network = networks.PaperCNN(*split.shape)
    network.load_state_dict({name.removeprefix("weights."): torch.as_tensor(value) for name, value in
                             artefacts.load_arrays(path, split.inputs, "notebooks 2 and 3").items()
                             if name.startswith("weights.")})
    return network

scores = {(target, run): all_scores(ask(network_of(path))) for target, run, path in tqdm(asked_models, desc="targets")}

# %%
def judge(target: str, run: int, attack: str) -> dict:
    score, rng = scores[target, run][attack], np.random.default_rng(derive(seed, "strong", target, run, attack))
    low_fpr = {f"tpr_at_{fpr}": metrics.tpr_at_fpr(score, is_member, fpr) for fpr in metrics.LOW_FPRS}
    return {"target": target, "run": run, "attack": attack, "non_members": int((~is_member).sum()),
            **metrics.evaluate(score, score >= threshold[attack], is_member, rng),
            **{name + end: value for name, triple in low_fpr.items() for end, value in zip(("", "_low", "_high"), triple)},
            "best_balanced_accuracy": metrics.best_balanced_accuracy(score, is_member),
            "epsilon": audit.epsilon(score, is_member, rng)}

judged = pd.DataFrame([judge(*key, attack) for key in scores for attack in scores[key]])
settings = {"n_references": n_references, "epochs": epochs, "shift": shift, "rmia_a": a}
artefacts.save_table(results / "strong_attacks.csv", judged, split.inputs | settings)

# %% [markdown]
# The columns of the paper first: mean over the runs, with the mean interval of one run. There are as many members as
# non-members, so this is the balanced accuracy too. Its last column is the best that *any* threshold could have reached,
# chosen by somebody who knows the answer: not an attack, but a ceiling.

# %%
mean = metrics.mean_over_runs(judged)
usual = mean[[f"{name}, text" for name in metrics.RATES]].rename(columns=lambda name: name.removesuffix(", text"))
usual.assign(**{"best threshold": (100 * mean["best_balanced_accuracy"]).map("{:.1f} %".format)})

# %% [markdown]
# An attack that says "member" to a thousand people and is right 501 times harms nobody in particular. One that names ten
# people and is right each time does. So the columns to read are the true positive rates at a *low* false positive rate.
# With $n$ non-members no rate below $1/n$ can be measured, and none is printed. The spread is the standard deviation of the
# AUC over the runs of a target, in points.

# %%
def at_low_fpr(row: pd.Series, name: str) -> str:
    return metrics.percent_at_fpr(row[name], row[name + "_low"], row[name + "_high"], int(row["non_members"]))

spread = judged.groupby(["target", "attack"], sort=False)["auc"].std()
shown = pd.DataFrame({"AUC": mean["auc, text"], "spread": (100 * spread).map("± {:.1f}".format).replace("± nan", "-")} | {
    f"TPR at {100 * fpr:g} % FPR": [at_low_fpr(row, f"tpr_at_{fpr}") for _, row in mean.iterrows()]
    for fpr in metrics.LOW_FPRS})
artefacts.save_table(results / "tables" / "strong_attacks.csv", shown.reset_index(), split.inputs | settings)
artefacts.write(results / "tables" / "strong_attacks.md", (shown.reset_index().to_markdown(index=False) + "\n").encode())
shown

# %% [markdown]
# ## ROC curves on logarithmic axes
#
# The same curves as in notebook 4, with the corner enlarged that matters. The band is the pointwise 95 % interval; on
# the dotted line an attack is guessing.

# %%
first_run = {}
for (target, run), found in scores.items():
    first_run.setdefault(target, found)

# %%
kinds = list(targets["target"].unique())
columns = min(3, len(kinds))
figure, axes = plt.subplots(-(-len(kinds) // columns), columns, figsize=(3.4 * columns, 3.4 * -(-len(kinds) // columns)),
                            sharex=True, sharey=True, squeeze=False, layout="constrained")
for ax, target in zip(axes.flat, kinds):
    for attack in ("loss threshold", "shadow classifier", "LiRA online, fixed variance", "RMIA"):
        plots.roc_log(ax, first_run[target][attack], is_member, attack)
    ax.set_title(target)
for ax in axes.flat[len(kinds):]:
    ax.set_visible(False)
axes[0, 0].legend(loc="upper left", fontsize=7)
plots.save(figure, results, "roc_log")

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
def precision_row(target: str, attack: str) -> dict:
    score = first_run[target][attack]
    accused = score > metrics.threshold_at_fpr(score, is_member, 0.01)
    return {"target": target, "attack": attack, **{
        f"prior {100 * prior:g} %": metrics.percent(*metrics.precision_at_prior(accused, is_member, prior))
        for prior in metrics.PRIORS}}

priors = pd.DataFrame([precision_row(target, attack) for target in kinds
              for attack in ("loss threshold", "LiRA online, fixed variance", "RMIA")])
artefacts.save_table(results / "tables" / "precision_at_priors.csv", priors, split.inputs | settings)
priors

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
limit = audit.lower_bound(is_member.sum() // 2, is_member.sum() // 2, 0, (~is_member).sum() // 2)
bounds = judged.pivot_table(index="attack", columns="target", values="epsilon", aggfunc="min", sort=False).round(2)
artefacts.save_table(results / "tables" / "epsilon.csv", bounds.reset_index(), split.inputs | settings)
print(f"smallest over the runs; no attack on so few people could prove more than {float(limit):.2f}")
bounds

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
# 1. Repeat the attack on `original` with the first 4, 8, 16, ... reference models. Which attack needs the fewest?
# 2. Attack a reference model instead of a target (leave out its partner). Why may the result differ from the one on
#    `original`?
# 3. Remove the ten images with the largest gap from the members. What happens to the true positive rate at 1 %?
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
