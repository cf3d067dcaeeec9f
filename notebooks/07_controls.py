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
n_informed: int = 8         # reference models of the attacker who condenses too, at most those of notebook 6
n_controls: int = 3         # models per control, and of strangers
negative_draws: int = 20    # random memberships in the negative control
planted: int = 100          # members with random labels in the positive control
planted_epochs: int = 300   # passes over them
reference_processes: int = -1  # reference models made at the same time; -1: one per core

# %%
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown
from joblib import Parallel, delayed
from scipy.spatial.distance import cdist
from tqdm import tqdm

from dcpriv_lib import artefacts, attacks, condensation, data, lira, metrics, networks, paths, plots, training
from dcpriv_lib.seeding import derive, generator

plots.style()
results = paths.results(profile)
device = training.device(device)

# %% [markdown]
# From the notebooks before: the targets and the settings they were made with, and the reference models.

# %%
split = data.load_split(results, profile=profile, dataset=dataset, seed=seed)
targets = artefacts.load_table(results / "targets.csv", split.inputs, "notebooks/02_condensation.ipynb")
made = artefacts.read_sidecar(results / "targets.csv")["inputs"]
references = artefacts.load_table(results / "references.csv", split.inputs, "notebooks/06_stronger_attacks.ipynb")
condensed_name, subset_name = f"condensed-{control_ipc}", f"subset-{control_ipc}"
if not {condensed_name, subset_name, "original"} <= set(targets["target"]):
    raise ValueError(f"control_ipc = {control_ipc}: notebook 2 made no such targets, only "
                     f"{', '.join(targets['target'].unique())}: choose another, or run it with this ipc")
if not 4 <= n_informed <= len(references) or n_informed % 2:
    raise ValueError(f"n_informed = {n_informed}: choose an even number between 4 and the {len(references)} reference "
                     "models of notebook 6")

# %%
members, member_labels = split.part("members")
pool = np.concatenate([split.indices["members"], split.indices["non_members"]])
is_member = np.repeat([True, False], [len(members), len(pool) - len(members)])
images, labels = split.rows(pool)
epochs, place = made["epochs"], made["ipc"].index(control_ipc)
outer, inner = made["loops"][place]
settings = dict(ipc=control_ipc, iterations=made["iterations"][place], outer=outer, inner=inner,
                real_batch=made["real_batch"], image_lr=made["image_lr"])
print(f"{condensed_name}: {settings}, {epochs} epochs of the target")

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
def condense(some, their_labels, name: str, initial=None) -> torch.Tensor:
    """Return synthetic images, made as notebook 2 makes them."""
    inputs = split.inputs | settings | {"width": made["width"], "name": name, "images": data.digest(some, their_labels)}
    return condensation.condense(
        some.to(device), their_labels.to(device), **settings, initial=initial, seed=derive(seed, "controls", name),
        make_network=lambda: networks.ConvNet(*split.shape, width=made["width"]),
        checkpoint=artefacts.cached_path(results / "controls" / f"state-{name}", inputs))["images"]

def fit(some, their_labels, name: str, epochs: int = epochs) -> np.ndarray:
    """Train a target model on images; return its logits [n, classes] for the pool."""
    network = networks.initialise(networks.PaperCNN(*split.shape), generator(seed, "controls", name)).to(device)
    training.train(network, some.to(device), their_labels.to(device), epochs=epochs,
                   generator=generator(seed, "controls order", name))
    return training.predict(network, images).numpy()

# %%
synthetic_labels = torch.arange(len(split.dataset.classes)).repeat_interleave(control_ipc)

def make_informed(j: int, half: torch.Tensor) -> dict:
    return {"logits": fit(condense(images[half], labels[half], f"informed{j}"), synthetic_labels, f"informed{j}")}

def informed(j: int, keep_j: np.ndarray) -> dict:
    inputs = split.inputs | settings | {"width": made["width"], "epochs": epochs, "model": j, "members": data.digest(keep_j)}
    path = results / "controls" / f"informed{j}"
    return artefacts.cached(path, inputs, lambda _: make_informed(j, torch.as_tensor(keep_j))) | {
        "file": artefacts.cached_path(path, inputs).name}

# %%
naive_models = [artefacts.load_arrays(results / "references" / file, split.inputs, "notebooks/06_stronger_attacks.ipynb")
                for file in references["file"][:n_informed]]
keep = np.stack([one["members"] for one in naive_models])
work = Parallel(n_jobs=reference_processes, return_as="generator")
informed_models = list(tqdm(work(delayed(informed)(j, keep[j]) for j in range(n_informed)), total=n_informed,
                            desc="condensing as the owner did"))
through = np.stack([one["logits"] for one in informed_models])
files = pd.DataFrame({"model": range(n_informed), "file": [one["file"] for one in informed_models]})
artefacts.save_table(results / "informed.csv", files, split.inputs | settings | {"width": made["width"], "epochs": epochs})

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
others, other_labels = split.part("attacker")

def some_of(candidates: np.ndarray, size: int, name: str) -> np.ndarray:
    """Return a random choice of `size` candidates."""
    return np.random.default_rng(derive(seed, "some of", name)).permutation(candidates)[:size]

def strangers(i: int) -> np.ndarray:
    chosen = some_of(np.arange(len(others)), len(members), f"strangers {i}")
    synthetic = condense(others[chosen], other_labels[chosen], f"strangers {i}")
    return fit(synthetic, synthetic_labels, f"strangers {i}")

# %%
def phi_of(logits) -> np.ndarray:
    """Return phi [models, n] of logits [models, n, classes]."""
    return np.stack([lira.logit_confidence(one, labels) for one in logits])

def answers_of(name: str) -> list[np.ndarray]:
    loaded = [artefacts.load_arrays(results / "targets" / file, split.inputs, "notebooks/02_condensation.ipynb")
              for file in targets.loc[targets["target"] == name, "file"]]
    return [np.concatenate([one["members"], one["non_members"]]) for one in loaded]

def judge(attack, models: list[np.ndarray], truth: np.ndarray, rows=slice(None)) -> dict:
    """Return the AUC, by how much it exceeds luck, and the TPR at 1 % FPR: means over the models, with intervals."""
    rng = np.random.default_rng(derive(seed, "bootstrap of controls"))
    scores, luck = ([attack(lira.logit_confidence(logits, labels))[rows] for logits in some]
                    for some in (models, strangers_models))
    found = [metrics.auc(score, truth[rows], rng) + metrics.tpr_at_fpr(score, truth[rows], 0.01) for score in scores]
    names = [name + end for name in ("auc", "tpr", "above") for end in ("", "_low", "_high")]
    return dict(zip(names, [*np.mean(found, axis=0), *metrics.auc_above(scores, luck, truth[rows])]))

# %%
phi_naive, phi_through = phi_of([one["pool"][:, 0] for one in naive_models]), phi_of(through)
strangers_models = list(work(delayed(strangers)(i) for i in range(n_controls)))

def lira_on(name: str, phi: np.ndarray, attacker: str) -> dict:
    def attack(confidence):
        return lira.online(phi, keep, confidence, fixed_variance=True)
    return {"target": name, "attacker": attacker, **judge(attack, answers_of(name), is_member)}

attackers = pd.DataFrame([lira_on("original", phi_naive, "naive"), lira_on(condensed_name, phi_naive, "naive"),
                          lira_on(condensed_name, phi_through, "condenses too")])

# %%
def points(value: float, low: float, high: float) -> str:
    """Return "+1.2 points [-0.3, 2.7]" for differences of rates."""
    return f"{100 * value:+z.1f} points [{100 * low:z.1f}, {100 * high:z.1f}]"

def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with its rates as text."""
    columns = [("auc", "AUC", metrics.percent), ("above", "above luck", points), ("tpr", "TPR at 1 % FPR", metrics.percent)]
    texts = {text: [show(*row) for row in table[[name, f"{name}_low", f"{name}_high"]].to_numpy()]
             for name, text, show in columns}
    return table[[name for name in table if not name.startswith(("auc", "above", "tpr"))]].assign(**texts)

def save(table: pd.DataFrame, name: str) -> pd.DataFrame:
    artefacts.save_table(results / "tables" / f"{name}.csv", table, split.inputs | settings | {"n_informed": n_informed})
    artefacts.write(results / "tables" / f"{name}.md", (table.to_markdown(index=False) + "\n").encode())
    return table

save(as_text(attackers), "through_condensation")

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
def few_images(candidates: np.ndarray, size: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return who was used, bool [n], and the logits [n, classes] of a model of so few images."""
    chosen = some_of(candidates, size, name)
    return np.isin(np.arange(len(pool)), chosen), fit(images[chosen], labels[chosen], name)

@cache
def random_members(size: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return [few_images(np.flatnonzero(is_member), size, f"{size} members {i}") for i in range(n_controls)]

def mean_accuracy(models) -> float:
    return np.mean([training.accuracy(logits[~is_member], labels[~is_member]) for _, logits in models])

# %%
goal = targets.loc[targets["target"] == condensed_name, "non_members"].mean()
sizes = [len(split.dataset.classes) * n for n in (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100)]
for size in [size for size in sizes if size < len(members)] + [len(members)]:
    if mean_accuracy(random_members(size)) >= goal:
        break
print(f"{condensed_name} is right on {goal:.1%} of the non-members, "
      f"models of {size} real images on {mean_accuracy(random_members(size)):.1%}")

# %% [markdown]
# The attacker knows this too and trains reference models on as few images of each half. Hardly any image is in two
# of them, so the attack is *offline* LiRA: only models without the image are needed. A model's members are here the images
# that it *used*.

# %%
def reference_set(size: int) -> tuple[np.ndarray, np.ndarray]:
    made = [few_images(np.flatnonzero(keep[j]), size, f"few{size}-{j}") for j in range(n_informed)]
    return phi_of([logits for _, logits in made]), np.stack([used for used, _ in made])

def control_rows(name: str, phi, where, models: list) -> list[dict]:
    """Judge models, pairs of who was used and logits, on everybody and on those used."""
    def attack(confidence):
        return lira.offline(phi, where, confidence, fixed_variance=True)
    common = {"target": name, "real images": int(models[0][0].sum()),
              "accuracy": mean_accuracy(models)}
    only_used = [judge(attack, [logits], is_member, ~is_member | used) for used, logits in models]
    return [common | {"members": "all"} | judge(attack, [logits for _, logits in models], is_member),
            common | {"members": "those used"} | pd.DataFrame(only_used).mean().to_dict()]

# %%
small = control_ipc * len(split.dataset.classes)
rows = [control_rows(condensed_name, phi_through, keep, [(is_member, one) for one in answers_of(condensed_name)])[0]]
names = {small: f"{small} random members", size: f"{size} random members (matched)"}
for size, name in names.items():
    rows += control_rows(name, *reference_set(size), random_members(size))
controls = pd.DataFrame(rows)

# %%
shown = as_text(controls).assign(accuracy=controls["accuracy"].map("{:.1%}".format))
save(shown, "matched_controls")

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
by_class = [np.flatnonzero(is_member & (labels.numpy() == c)) for c in range(len(split.dataset.classes))]
start = np.concatenate([some_of(rows, control_ipc, f"start {c}") for c, rows in enumerate(by_class)])
started = list(work(delayed(condense)(members, member_labels, f"real start {i}", images[start]) for i in range(n_controls)))
published = artefacts.load_arrays(results / "condensed_sets.npz", split.inputs, "notebooks/02_condensation.ipynb")
from_noise = torch.as_tensor(published[f"ipc{control_ipc}-set0"])

# %%
def nearest(synthetic) -> tuple[np.ndarray, np.ndarray]:
    """Return each synthetic image's nearest member and nearest non-member, as rows of the pool, and their distances."""
    distance = cdist(synthetic.flatten(1), images.flatten(1))
    found = [np.where(kind, distance, np.inf).argmin(1) for kind in (is_member, ~is_member)]
    return np.stack(found), np.stack([distance[np.arange(len(distance)), one] for one in found])

def near_row(name: str, synthetic) -> dict:
    (member, _), (to_member, to_other) = nearest(synthetic)
    return {"start": name, "nearer to a member": metrics.percent(*metrics.rate((to_member < to_other).sum(), len(member))),
            "nearest member is the one it started from": "-" if name == "noise" else metrics.percent(
                *metrics.rate((member == start).sum(), len(member)))}

near = save(pd.DataFrame([near_row("noise", from_noise), near_row("real images", started[0])]), "nearest_images")
near

# %%
first = np.arange(0, len(start), control_ipc)          # one synthetic image a class
figure, axes = plt.subplots(2, 1, figsize=(6, 4.6))
for ax, name, synthetic in ((axes[0], "from noise", from_noise), (axes[1], "from real images", started[0])):
    (member, other), _ = nearest(synthetic[first])
    strip = torch.cat([synthetic[first], images[member], images[other]])
    plots.images(ax, split.grey_levels(strip), len(first), f"{name}: synthetic, nearest member, nearest non-member")
plots.save(figure, results, "nearest_images")

# %% [markdown]
# With as many members as non-members, half of the images should be nearer to a member if nothing of a single image
# stays. And do the models trained on them give the starting images away?

# %%
real_start_models = [fit(one, synthetic_labels, f"real start {i}") for i, one in enumerate(started)]
is_start = np.isin(np.arange(len(pool)), start)

def start_row(name: str, who: np.ndarray) -> dict:
    def attack(confidence):
        return lira.offline(phi_through, keep, confidence, fixed_variance=True)
    return {"members": name, "n": int(who.sum()), **judge(attack, real_start_models, is_member, who | ~is_member)}

starts = pd.DataFrame([start_row("images it started from", is_start), start_row("other members", is_member & ~is_start)])
save(as_text(starts), "real_start")

# %% [markdown]
# ## Testing the test
#
# **Negative control.** Give the attacker a *random* membership matrix: every image keeps its answers, and gets the
# memberships of another. Nothing should be left, and the 95 % intervals should miss one half about once in twenty.

# %%
target_phi = lira.logit_confidence(answers_of("original")[0], labels)

def without_knowledge(draw: int) -> tuple[float, float, float]:
    rng = np.random.default_rng(derive(seed, "negative control", draw))
    shuffled = keep[:, rng.permutation(len(pool))]
    return metrics.auc(lira.online(phi_naive, shuffled, target_phi, fixed_variance=True), is_member, rng)

negative = np.array([without_knowledge(draw) for draw in range(negative_draws)])
inside = int(((negative[:, 1] <= 0.5) & (negative[:, 2] >= 0.5)).sum())
print(f"{inside} of {negative_draws} intervals hold one half; mean AUC {negative[:, 0].mean():.1%}")

# %%
figure, ax = plt.subplots(figsize=(6, 2.6))
draws = np.arange(negative_draws)
error = np.abs(negative[:, 1:].T - negative[:, 0])
ax.errorbar(draws, 100 * negative[:, 0], 100 * error, fmt="o", capsize=2, color=plots.ATTACKER, label="random memberships")
ax.axhline(100 * attackers["auc"][0], color=plots.MEMBER, label="the true ones")
ax.axhline(50, color="0.6", linestyle=":")
ax.set(xlabel="draw", ylabel="AUC on original (%)", xticks=draws[::5])
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plots.save(figure, results, "negative_control")

# %% [markdown]
# **Positive control.** Plant a leak that must be found: a model that learned *random labels* can only know them by heart.
# Then the plainest attack, the loss on those labels, must find nearly everybody.

# %%
rng = np.random.default_rng(derive(seed, "planted leak"))
random_labels = torch.as_tensor(rng.integers(0, len(split.dataset.classes), len(pool)))
known = some_of(np.flatnonzero(is_member), planted, "planted leak")
leaky = fit(images[known], random_labels[known], "planted leak", epochs=planted_epochs)
rows = np.isin(np.arange(len(pool)), known) | ~is_member
found = metrics.tpr_at_fpr(-attacks.losses(leaky, random_labels)[rows], is_member[rows], 0.01)
print("planted leak: TPR at 1 % FPR", metrics.percent(*found))

# %% [markdown]
# ## The verdict on "privacy for free"
#
# Each question with its answer by a fixed rule. Members are *recognised* where the interval of "above luck" lies above
# zero, or that of the TPR at 1 % FPR above anything the false positive rate can be. Each single answer is wrong in up to one
# case of twenty, and the answers share their strangers, so do not build on one row alone.

# %%
n_others = int((~is_member).sum())
most_false_alarms = metrics.rate(int(0.01 * n_others), n_others)[2]   # the upper end of the false positive rate

def recognised(row) -> tuple[str, str]:
    auc, above, tpr = (show(*(row[name + end] for end in ("", "_low", "_high"))) for name, show in
                       (("auc", metrics.percent), ("above", points), ("tpr", metrics.percent)))
    found = row["above_low"] > 0 or row["tpr_low"] > most_false_alarms
    return f"AUC {auc}, {above} above luck, TPR at 1 % FPR {tpr}", "recognised" if found else "cannot be told"

original = targets.loc[targets["target"] == "original", "non_members"].mean()
questions = [("Members of the original model, naive attacker", attackers.iloc[0]),
             ("Members of the condensed model, naive attacker", attackers.iloc[1]),
             ("Members of the condensed model, attacker who condenses too", attackers.iloc[2]),
             ("The same with offline LiRA, as the rows below", controls.iloc[0]),
             *[(f"Members of a model of {row['target']}: {row['members']}", row) for _, row in controls[1:].iterrows()],
             *[(f"Condensed from real images: {row['members']}", row) for _, row in starts.iterrows()]]

# %%
verdict = pd.DataFrame([(question, *recognised(row)) for question, row in questions],
                       columns=["question", "this run", "answer"])
price = f"{100 * (original - goal):.1f} points: {original:.1%} on the original, {goal:.1%} condensed"
verdict.loc[len(verdict)] = ("Is it free? Accuracy given up", price, "no" if original - goal > 0.01 else "nearly")
too_many = metrics.rate(negative_draws - inside, negative_draws)[1] > 1 - metrics.LEVEL
verdict.loc[len(verdict)] = ("(test of the test) random memberships", f"{inside} of {negative_draws} intervals hold 50 %",
                             "suspicious" if too_many else "sound")
verdict.loc[len(verdict)] = ("(test of the test) planted leak", f"TPR at 1 % FPR {metrics.percent(*found)}",
                             "found" if found[1] > 0.9 else "missed")
Markdown(save(verdict, "verdict").to_markdown(index=False))

# %% [markdown]
# The same questions on MNIST, from the committed run of the profile `mnist-small` (`figures/mnist-small`): with 15,000 people
# on either side the intervals are narrow enough to tell small leaks from luck.

# %%
committed = paths.FIGURES / "mnist-small" / "verdict.csv"
on_mnist = artefacts.load_table(committed, {"profile": "mnist-small", "dataset": "mnist"}, "make mnist-small figures")
Markdown(on_mnist.to_markdown(index=False))

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
# 1. How does the informed attacker's AUC grow with the number of models? Use the first 4, 6, 8.
# 2. The synthetic images themselves are published. Use minus the distance to the nearest of them as an attack.
#    Does it find members?
# 3. Start a condensation from real images and look after 1, 2, 5 ... iterations: how long is the nearest member the
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
