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
# # Solutions to notebook 10
#
# Needs the files of notebooks 1 and 2 of the same profile, and trains nothing.

# %% tags=["parameters"]
profile: str = "quick"      # name of the run whose files are used
dataset: str = "digits"     # must be what 01_data_split divided
seed: int = 0               # must be what 01_data_split used
n_pictures: int = 5         # non-members of every class that are changed
epsilons: list = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5]  # how far a pixel may move, of 0 to 1
epsilon: float = 0.05       # the one of these that exercises 2 to 4 are about
pgd_steps: int = 10         # gradient steps of PGD
queries: int = 50           # questions of the attack without gradients

# %%
import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch import nn

from dcpriv_lib import metrics, parameters
from dcpriv_lib.evaluation import robustness
from dcpriv_lib.results import plots, tables
from dcpriv_lib.study import Study

study = Study(**parameters.check(globals()))

# %%
targets = study.results.load_models("targets")
firsts = targets[(targets.table["run"] == targets.table["run"].min()).to_numpy()]
networks = dict(zip(firsts.table["target"], study.on_pixels(firsts)))
pictures = study.choose_balanced(study.non_members, n_pictures, "attacked")
x, y = study.grey_pixels(pictures), study.labels[pictures]

# %% [markdown]
# ## Exercise 1
#
# One adversarial image for a condensed model, of the picture of which it is most sure.

# %%
theta = networks[next(name for name in networks if name.startswith("condensed"))]
with torch.no_grad():
    sure = theta(x).softmax(1)[range(len(y)), y].argmax()[None]
figure, axes = plt.subplots(1, len(epsilons), figsize=(1.7 * len(epsilons), 2.2))
for ax, e in zip(axes, epsilons):
    moved = robustness.fgsm(theta, x[sure], y[sure], e)
    with torch.no_grad():
        p = theta(moved).softmax(1)[0]
    plots.images(ax, moved, 1,
                 f"$\\varepsilon$ = {e:g}\n\"{study.classes[p.argmax()]}\", {p.max():.0%}")
plots.show(figure, "one_image_for_a_condensed_model",
           f"One picture at {len(epsilons)} values of epsilon from {min(epsilons):g} to "
           f"{max(epsilons):g}, with what a condensed model says above each.")

# %% [markdown]
# Does it take a larger $\varepsilon$ than the original, or a smaller one? One picture decides nothing, so ask all of them: which is the
# first of the $\varepsilon$ that fools each of the two models?

# %%
def first_fooled(network):
    """Number of the smallest epsilon that fools a network, for every picture."""
    right = torch.stack([robustness.is_right(network, robustness.fgsm(network, x, y, e), y)
                         for e in epsilons])
    return right.int().cumprod(0).sum(0)

original = networks["original"]
both = robustness.is_right(theta, x, y) & robustness.is_right(original, x, y)
of_condensed, of_original = (first_fooled(network)[both] for network in (theta, original))
smaller, larger = ((of_condensed < of_original).sum().item(),
                   (of_condensed > of_original).sum().item())
print(f"Of {len(of_condensed)} pictures that both have right, {smaller} fool the condensed "
      f"model at a smaller epsilon than the original, {larger} at a larger one.")
if smaller + larger:
    rate, low, high = metrics.rate(smaller, smaller + larger)
    print("Of those that differ, a smaller one is enough for", tables.percent(rate, low, high),
          "- so it takes", "a smaller one." if low > 0.5 else "a larger one." if high < 0.5
          else "neither, as far as so few pictures can show.")

# %% [markdown]
# Note that the direction is another one than for the original: the two models look at different pixels.

# %% [markdown]
# ## Exercise 2
#
# A standardised pixel is $z = (255 x - \mu) / \sigma$ with the deviation $\sigma$ in grey levels. So $\varepsilon$ in $x$ is $255\,
# \varepsilon / \sigma$ in $z$, and whoever takes $\varepsilon$ itself on that scale moves a pixel only by

# %%
sigma = study.split.scale[1].flatten()
print("the same move in z:", (255 * epsilon / sigma).tolist())
print("epsilon in z is, in x:", (epsilon * sigma / 255).tolist())

# %%
rows = []
for name, network in networks.items():
    right = {title: metrics.rate(int(robustness.is_right(
        network, robustness.fgsm(network, x, y, e), y).sum()), len(y))
        for title, e in (("epsilon", epsilon),
                         ("taken for it", float(epsilon * sigma.mean() / 255)))}
    rows.append({"trained on": name} | {title: tables.percent(*one)
                                        for title, one in right.items()})
pd.DataFrame(rows)

# %% [markdown]
# The wrong scale makes every model look more robust than it is, and by how much depends on the data set. If the attack also cuts
# the standardised image to 0..1, it destroys part of the picture, and the two errors may even hide each other.

# %% [markdown]
# ## Exercise 3
#
# Do adversarial images travel? They are made on one model and shown to another, among the pictures that both had right.

# %%
made = {name: robustness.pgd(network, x, y, epsilon, steps=pgd_steps,
                             generator=study.generator("travel", name))
        for name, network in networks.items()}
clean = {name: robustness.is_right(network, x, y) for name, network in networks.items()}
table = {}
for source, moved in made.items():
    both = {name: clean[name] & clean[source] for name in networks}
    fooled = {name: both[name] & ~robustness.is_right(network, moved, y)
              for name, network in networks.items()}
    table[f"made on {source}"] = {
        f"shown to {name}": tables.percent(*metrics.rate(int(fooled[name].sum()),
                                                         int(both[name].sum())))
        for name in networks}
pd.DataFrame(table)

# %% [markdown]
# On the diagonal a model meets its own adversarial images. Beside it stands what an attacker achieves who does not know the weights
# but can train a model of the same kind. Without a change none of these images would be wrong.

# %%
counts = {True: [0, 0], False: [0, 0]}                   # own images or not: fooled, shown
for source, moved in made.items():
    for name, network in networks.items():
        shown = clean[name] & clean[source]
        fooled = shown & ~robustness.is_right(network, moved, y)
        counts[name == source][0] += fooled.sum().item()
        counts[name == source][1] += shown.sum().item()
(own, shown), (others, shown_others) = counts[True], counts[False]
print(f"Of its own images {own / max(1, shown):.0%} fool a model, of the others' "
      f"{others / max(1, shown_others):.0%}, counted over all of them. So they",
      "travel." if others else "do not travel here.")

# %% [markdown]
# ## Exercise 4
#
# Rounding has a gradient of zero nearly everywhere. The answers hardly change, and the gradients are gone.

# %%
class Rounded(nn.Module):
    """A network that is shown pixels of whole grey levels only."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, pixels):
        return self.network((255 * pixels).round() / 255 + 0 * pixels)

hidden, draw = Rounded(theta), study.generator("hidden")
examined = robustness.examine(hidden, x, y, epsilons=epsilons, steps=pgd_steps, generator=draw)
strong = robustness.strongest(hidden, x, y, epsilon=epsilon, steps=pgd_steps, queries=queries,
                              rivals=1, generator=draw)
print(f"right after PGD: {examined['PGD'][epsilons.index(epsilon)].sum()} of "
      f"{examined['clean'].sum()}; after Square: {strong['Square'].sum()}")
print("gradients:", robustness.gradients(examined, strong))

# %% [markdown]
# PGD finds hardly anything beyond what its random start finds, and a careless report would call the model robust. The check sees
# that no picture has a gradient. And Square, which needs none, is not impressed by rounding.
