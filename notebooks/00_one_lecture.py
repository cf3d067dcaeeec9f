# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,slideshow,jupyter,-all
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

# %% [markdown] slideshow={"slide_type": "slide"}
# # 0. One lecture: who was in the training data?
#
# **Question.** A hospital trains a model on pictures of its patients. Can a stranger who may only *ask* the model
# find out whose pictures they were? And does it help to train on a hundred *synthetic* pictures instead?

# %% [markdown] slideshow={"slide_type": "skip"}
# This notebook stands alone. It needs `torch`, `scikit-learn`, `scipy`, `numpy` and `matplotlib`, reads no file, and runs
# in under a minute on one core. It is a lecture of 45 minutes, with slides, and a lab. The last section is for the teacher.
#
# **In this notebook you will learn**
#
# 1. what a *member* is, and the game that an attack has to win;
# 2. how to draw a ROC curve with a pencil, and why an average hides the people who are worst off;
# 3. how an attacker rehearses with models of their own, and why $\log p / (1 - p)$ makes bell curves;
# 4. what *dataset condensation* is, and why its protection must be compared with as many real images;
# 5. whether whoever is given the synthetic images sees more than whoever may ask a model of them.
#
# **You need** some Python, and to know what it means to train a classifier. Notebooks 1 to 12 go through all of this slowly.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The game
#
# 1. The *owner* trains a model, the *target*, on the **members**.
# 2. The *judge* shows a picture: a member's or a **non-member's**, with equal chance.
# 3. The *attacker* asks the target about it, and says "member" or "not a member".
#
# Whoever guesses is right half of the time.
#
# > **Threat model.** The attacker may ask *one model* for its class probabilities, unrounded. They hold the pictures of everybody whom
# > the judge may show and do not know who is a member. They know how the owner trains. Only near the end are
# > they given the synthetic images too, and it is said there.

# %% slideshow={"slide_type": "skip"} tags=["parameters"]
seed: int = 0               # one seed for all that is drawn
n_models: int = 48          # networks: the target, its partner, and the attacker's own; even
steps: int = 200            # optimiser steps of every network
width: int = 32             # hidden units of every network
ipc: int = 10               # synthetic images per class
updates: int = 200          # updates of the synthetic images
fpr: float = 0.01           # share of the non-members who may be accused

# %% slideshow={"slide_type": "skip"} tags=["plumbing"]
import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import Markdown, display
from scipy import optimize, special, stats
from sklearn.datasets import load_digits

torch.set_num_threads(1)

# %% slideshow={"slide_type": "skip"} tags=["plumbing"]
for name, value, least, most in (
        ("seed", seed, 0, 2**32 - 1), ("n_models", n_models, 8, 1000),
        ("steps", steps, 1, 10_000), ("width", width, 2, 1000), ("ipc", ipc, 1, 50),
        ("updates", updates, 1, 10_000)):
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} = {value!r}: expected a whole number, {least} to {most:,}")
if n_models % 2:
    raise ValueError(f"n_models = {n_models}: expected an even number: they come in pairs")
if not 0.005 <= fpr <= 0.5:
    raise ValueError(f"fpr = {fpr!r}: expected a number from 0.005 to 0.5")

# %% [markdown] slideshow={"slide_type": "skip"}
# Two helpers: one shows a figure with a sentence that says what is to be seen, one shows pictures side by side.

# %% slideshow={"slide_type": "skip"} tags=["plumbing"]
MEMBER, OTHER, SYNTHETIC = "#0072B2", "#D55E00", "#009E73"
plt.rcParams.update({"figure.dpi": 110, "figure.constrained_layout.use": True,
                     "axes.spines.top": False, "axes.spines.right": False,
                     "legend.frameon": False, "image.cmap": "gray", "font.size": 10})

def show(figure, seen):
    """Show a figure; the sentence is its caption, and its text for whoever cannot see it."""
    display(figure, metadata={"image/png": {"alt": seen}})
    plt.close(figure)
    display(Markdown(f"*{seen}*"))

# %% slideshow={"slide_type": "skip"} tags=["plumbing"]
def picture(ax, pixels, title="", colour="black"):
    """Draw one picture, float [64] from 0 to 1, with a frame in a colour."""
    ax.imshow(np.asarray(pixels).reshape(8, 8), vmin=0, vmax=1)
    ax.set_title(title, fontsize=9, color=colour)
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(visible=True, color=colour, linewidth=2.5)

# %% [markdown] slideshow={"slide_type": "skip"}
# And the intervals. A number from few people or few models is partly luck. Its *95 % interval* holds the true values that
# could well have given it. A share $k/n$ gets the exact interval of Clopper and Pearson. A mean over networks
# gets Student's $t$ over *pairs* of networks, which are trained on opposite halves. It is widened, because the networks
# are each other's yardstick (notebook 6 has the argument). Where an interval contains what chance gives, we do not say
# "nothing is there". We say *no leak detected*, and how large a leak would have been detected in eight of ten repetitions.
# One interval in twenty misses the truth and we ask a dozen questions, so one that begins just above chance is weak evidence.

# %% slideshow={"slide_type": "skip"} tags=["plumbing"]
def share(k, n):
    """Return k/n and its exact 95 % interval."""
    return k / n, *stats.binomtest(int(k), int(n)).proportion_ci(method="exact")

def over_pairs(values):
    """Return the mean of one value a network, its 95 % interval, and the detectable effect."""
    pairs = np.reshape(values, (-1, 2)).mean(1)
    P, mean = len(pairs), pairs.mean()
    error = pairs.std(ddof=1) * np.sqrt(2 * (P - 1) / (P * (P - 2)))
    reach, more = stats.t.ppf([0.975, 0.8], P - 1) * error
    return mean, mean - reach, mean + reach, reach + more

# %% slideshow={"slide_type": "skip"} tags=["plumbing"]
def percent(value, digits=1):
    return f"{100 * value:.{digits}f} %"

def cell(found, unit="%"):
    """Return a number and its interval as text: "51.0 % [48.1, 53.9]"."""
    middle, low, high = (100 * value for value in found[:3])
    return f"{middle:.1f} {unit} [{low:.1f}, {high:.1f}]"

# %% slideshow={"slide_type": "skip"} tags=["plumbing"]
def verdict(found, chance):
    """Return in words how a mean over networks compares with what chance gives."""
    _, low, high, detectable = found
    return ("more than chance" if low > chance else "less than chance" if high < chance else
            f"no leak detected (detectable: {percent(chance + detectable)})")

# %% slideshow={"slide_type": "skip"} tags=["plumbing"]
def table(*rows):
    """Show rows of text as a table; the first row is its heading."""
    lines = [" | ".join(map(str, row)) for row in rows]
    lines.insert(1, " | ".join("---" for _ in rows[0]))
    display(Markdown("\n".join(f"| {line} |" for line in lines)))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The people
#
# Small scans of handwritten digits. For today, **each of them is a person**. Half of them are members.

# %% slideshow={"slide_type": "skip"}
digits = load_digits()
n = len(digits.target) // 2 * 2                          # an even number of people
x = torch.tensor(digits.data[:n] / 16, dtype=torch.float32)    # [n, 64]: 0 is black, 1 white
y = torch.tensor(digits.target[:n])                            # [n]
rng, draw = np.random.default_rng(seed), torch.Generator().manual_seed(seed)

# %% [markdown] slideshow={"slide_type": "skip"}
# The target is network 0. All other networks are the attacker's own. For each pair of them a coin is tossed for everybody:
# network $2i$ is trained on one half of the people, network $2i + 1$ on the other. So the attacker knows, of their own
# networks, who was in and who was out. The partner of the target is never used: it was trained on exactly the others,
# and would betray the answer.

# %% slideshow={"slide_type": "skip"}
coins = [rng.permutation(n) < n // 2 for _ in range(n_models // 2)]
member = np.array([half for coin in coins for half in (coin, ~coin)])      # bool [models, n]
rows = torch.tensor(np.array([np.flatnonzero(half) for half in member]))    # [models, n / 2]
print(f"{n:,} people: {member[0].sum()} members of the target, {(~member[0]).sum()} others")

# %% [markdown] slideshow={"slide_type": "skip"}
# ## Many networks at once
#
# A network with one hidden layer: $z = V\,\mathrm{relu}(W x + b) + c$. The weights of all networks lie in one array, so
# that all are trained in one loop.

# %% slideshow={"slide_type": "skip"}
def new_weights(models, draw):
    """Draw weights of so many networks: [models, inputs, outputs]."""
    return [torch.randn(models, 64, width, generator=draw) / 8, torch.zeros(models, 1, width),
            torch.randn(models, width, 10, generator=draw) / width**0.5,
            torch.zeros(models, 1, 10)]

def logits(theta, x):
    W, b, V, c = theta
    return torch.relu(x @ W + b) @ V + c                 # [..., images, classes]

# %% slideshow={"slide_type": "skip"}
def train(x, y, draw):
    """Train one network for each training set; x [models, m, 64], y [models, m]."""
    theta = [weight.requires_grad_() for weight in new_weights(len(x), draw)]
    optimiser = torch.optim.Adam(theta, lr=0.01, fused=True)    # equal bits on all processors
    for _ in range(steps):
        loss = torch.nn.functional.cross_entropy(
            logits(theta, x).flatten(0, 1), y.flatten(), reduction="sum") / x.shape[1]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return [weight.detach() for weight in theta]

# %% slideshow={"slide_type": "skip"} tags=["nbval-check-output"]
theta = train(x[rows], y[rows], draw)
z = logits(theta, x)                                                 # [models, n, classes]
right = (z.argmax(2) == y).numpy()
print(f"the target is right about {percent(right[0, member[0]].mean())} of its members, "
      f"{percent(right[0, ~member[0]].mean())} of the non-members")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What a stranger gets
#
# The target's last layer gives ten numbers $z$. The *softmax* makes probabilities of them, $p_c = e^{z_c} / \sum_k e^{z_k}$,
# and that is what a service returns.
#
# **Guess first: two of these four people were members. Which?**

# %% slideshow={"slide_type": "fragment"} tags=["plumbing"]
four = np.concatenate([rng.choice(np.flatnonzero(who), 2, replace=False)
                       for who in (member[0], ~member[0])])[rng.permutation(4)]
softmax = z[0].softmax(1).numpy()                                    # [n, classes]
figure, axes = plt.subplots(2, 4, figsize=(8, 3.4), height_ratios=[1, 1.2])
for name, person, (above, below) in zip("ABCD", four, axes.T):
    picture(above, x[person], f"person {name}")
    below.bar(range(10), softmax[person], color="0.5")
    below.set(xticks=range(10), ylim=(0, 1.05), xlabel="class")
axes[1, 0].set_ylabel("probability")
show(figure, "Four people, and what the target answers about them: " + "; ".join(
    f"{name} {percent(softmax[person].max())} for class {softmax[person].argmax()}"
    for name, person in zip("ABCD", four)) + ".")

# %% slideshow={"slide_type": "fragment"} tags=["plumbing"]
who = [name for name, person in zip("ABCD", four) if member[0, person]]
own = softmax[np.arange(n), y]                           # probability of the true class
display(Markdown(
    f"{who[0]} and {who[1]} were. On average the target gives the true class "
    f"{percent(own[member[0]].mean())} where it was trained on the person, and "
    f"{percent(own[~member[0]].mean())} where it was not."))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The loss tells
#
# Training makes the loss $-\log p_y$ small **on the members**. On everybody else it becomes small only as far as the model
# generalises.

# %% slideshow={"slide_type": "skip"}
own_z = z.gather(2, y.expand(len(z), n)[..., None])[..., 0]
others = z.masked_fill(torch.nn.functional.one_hot(y, 10).bool(), -torch.inf)
phi = own_z.numpy() - special.logsumexp(others.numpy(), 2)   # log p / (1 - p), [models, n]
loss = np.logaddexp(0, -phi)                             # -log p

# %% slideshow={"slide_type": "fragment"} tags=["plumbing"]
figure, ax = plt.subplots(figsize=(6, 2.6))
bins = np.geomspace(max(loss[0].min(), 1e-6), max(loss[0].max(), 1e-5), 40)
for who, name, colour, line in ((member[0], "members", MEMBER, "-"),
                                (~member[0], "non-members", OTHER, "--")):
    ax.hist(np.clip(loss[0, who], bins[0], None), bins, histtype="step", color=colour,
            linestyle=line, linewidth=1.8, label=name)
ax.set(xscale="log", xlabel="loss of the target", ylabel="people")
ax.legend()
of_members, of_others = (np.median(loss[0, who]) for who in (member[0], ~member[0]))
show(figure, f"How many people have which loss: half of the members have one below "
     f"{of_members:.2g}, half of the non-members one below {of_others:.2g}.")

# %% [markdown] slideshow={"slide_type": "subslide"}
# Two rules, the same for everybody:
#
# - **gap:** "member" if the target gets the person right;
# - **loss threshold:** "member" if the loss is below a threshold. The attacker finds it by *rehearsing*: on a network of their
#   own, of which they know the members. Such a network is called a **shadow model**.

# %% slideshow={"slide_type": "skip"}
shadow = 2                                               # a network of the attacker's own
tried = np.quantile(loss[shadow], np.linspace(0, 1, 201))
gains = [(loss[shadow] < t) == member[shadow] for t in tried]
threshold = tried[np.argmax([gain.mean() for gain in gains])]
says = {"gap": right[0], "loss threshold": loss[0] < threshold}

# %% slideshow={"slide_type": "fragment"} tags=["plumbing"]
correct = {rule: share((said == member[0]).sum(), n) for rule, said in says.items()}
table(("rule", "right about the target's people"),
      *((rule, cell(found)) for rule, found in correct.items()))
display(Markdown("Guessing is right half of the time. " + " ".join(
    f"The {rule} rule is {'better than' if low > 0.5 else 'not distinguishable from'} a coin."
    for rule, (_, low, _) in correct.items())))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A ROC curve with a pencil
#
# Five people, sorted by a score (high: "member!"). Accuse from the top, one after the other.
#
# | score | truth | members found | non-members accused |
# |---|---|---|---|
# | 9 | member | 1 of 3 | 0 of 2 |
# | 7 | member | 2 of 3 | 0 of 2 |
# | 6 | non-member | 2 of 3 | 1 of 2 |
# | 4 | member | 3 of 3 | 1 of 2 |
# | 2 | non-member | 3 of 3 | 2 of 2 |
#
# A step up for a member, a step right for a non-member. The area below, the **AUC**, is the share of pairs in which the member
# scores higher: here 5 of 6. Members found: *true positive rate*, TPR. Non-members accused: *false positive rate*, FPR.

# %% slideshow={"slide_type": "skip"}
def roc(score, who):
    """Return the false and true positive rate at every threshold."""
    truth = who[np.argsort(-score, kind="stable")]
    return [np.append(0, np.cumsum(kind) / kind.sum()) for kind in (~truth, truth)]

def auc(score, who):
    """Return how often a member scores above a non-member; half for a tie."""
    rank, k = stats.rankdata(score), who.sum()
    return (rank[who].sum() - k * (k + 1) / 2) / (k * (~who).sum())

# %% slideshow={"slide_type": "skip"}
def bootstrapped(score, who, draws=400):
    """Return the AUC on one target and its 95 % interval, had other people been asked."""
    again = [rng.integers(0, len(who), len(who)) for _ in range(draws)]
    others = [auc(score[some], who[some]) for some in again]
    return auc(score, who), *np.quantile(others, [0.025, 0.975])

# %% slideshow={"slide_type": "fragment"} tags=["plumbing"]
five = np.array([9, 7, 6, 4, 2]), np.array([True, True, False, True, False])
figure, axes = plt.subplots(1, 2, figsize=(7, 3.2))
for ax, data, title in zip(axes, (five, (-loss[0], member[0])), ("five people", "the loss")):
    ax.step(*roc(*data), where="post", color=MEMBER)
    ax.plot([0, 1], [0, 1], ":", color="0.5")
    ax.set(xlabel="non-members accused (FPR)", title=title)
axes[0].set_ylabel("members found (TPR)")
show(figure, f"Two ROC curves. With the pencil the AUC is 5/6, {percent(auc(*five))}. Of the "
     f"target's loss it is {cell(bootstrapped(-loss[0], member[0]))}. The dotted lines are "
     "guessing: 50 %.")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## One person, many models
#
# One rule for everybody is unfair to the attacker: some pictures are easy for every model. So ask about **one** person:
# what do models say that were trained *with* them, and what do models *without* them?
#
# The attacker can find out, with shadow models of their own: each person is in half of them.

# %% slideshow={"slide_type": "skip"}
def with_and_without(phi, member):
    """Return everybody's mean phi over the models with and without them, and the spread."""
    inside, outside = (np.average(phi, axis=0, weights=who) for who in (member, ~member))
    rest = phi - np.where(member, inside, outside)
    return inside, outside, np.sqrt((rest**2).sum(0) / (len(phi) - 2))

inside, outside, spread = with_and_without(phi[2:], member[2:])
apart = (inside - outside) / spread                      # how far apart, in spreads
easy = outside > 0                                       # models without them get them right
most = int(np.argmax(np.where(easy, apart, -np.inf)))    # of these whom models tell best

# %% slideshow={"slide_type": "fragment"} tags=["plumbing"]
def two_histograms(ax, values, label):
    """Draw the answers of models with and without the person."""
    bins = np.histogram_bin_edges(values, 14)
    for who, name, colour in ((of, "with the person", MEMBER), (~of, "without", OTHER)):
        ax.hist(values[who], bins, color=colour, alpha=0.6, label=name)
    ax.set(xlabel=label, yticks=[])

of, of_phi = member[2:, most], phi[2:, most]
of_p = stats.logistic.cdf(of_phi)

# %% slideshow={"slide_type": "fragment"} tags=["plumbing"]
figure, axes = plt.subplots(1, 3, figsize=(9, 2.6), width_ratios=[1, 2, 2])
picture(axes[0], x[most], f"class {y[most]}")
two_histograms(axes[1], of_p, "$p$")
two_histograms(axes[2], of_phi, r"$\phi = \log\, p / (1 - p)$")
axes[1].legend(loc="upper center")
with_p, without_p = (percent(np.median(of_p[who]), 2) for who in (of, ~of))
show(figure, f"One person, asked of {of.sum()} models with and {(~of).sum()} without them. "
     f"Middle: the probability p, medians {with_p} and {without_p}. Right: the same as phi.")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Why $\phi = \log p / (1 - p)$?
#
# - $p$ cannot pass 1: sure answers are squeezed against that wall. 0.99 and 0.9999 look the same.
# - $\phi$ has no wall: 0.99 is 4.6, and 0.9999 is 9.2.
# - Values without a wall often look like **bell curves**, and a bell needs two numbers only, a middle and a width. Some dozens
#   of models can give these.
#
# How bell-like are they? Take everybody's distances from the middle, and measure how lopsided they are: a bell has a *skewness*
# of 0.

# %% slideshow={"slide_type": "fragment"} tags=["plumbing"]
def lopsided(values, who):
    """Return the median over people of the absolute skewness over models without them."""
    some = np.ma.masked_where(who, values)
    return float(np.ma.median(np.abs(stats.mstats.skew(some, axis=0))))

skewness = [lopsided(values, member[2:]) for values in (stats.logistic.cdf(phi[2:]), phi[2:])]
display(Markdown(f"Skewness over the models without a person, median over people: "
                 f"{skewness[0]:.2f} for $p$, {skewness[1]:.2f} for $\\phi$."))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## LiRA: which bell?
#
# The *likelihood ratio attack*: the target says $\phi$ about person $x$. Is that likelier on the bell of models with $x$, or on
# the bell of models without?
#
# $$\mathrm{score}(x) = \log \mathcal N(\phi;\, \mu_{\mathrm{in}}, \sigma) - \log \mathcal N(\phi;\, \mu_{\mathrm{out}}, \sigma)$$

# %% slideshow={"slide_type": "skip"}
def lira(phi, member, target):
    """Return a score for everybody: reference models' phi [models, n], the target's [n]."""
    inside, outside, spread = with_and_without(phi, member)
    spread = np.maximum(spread, 1e-6)
    with_x, without_x = (stats.norm.logpdf(target, mean, spread) for mean in (inside, outside))
    return with_x - without_x

score = lira(phi[2:], member[2:], phi[0])                # of the target's people

# %% slideshow={"slide_type": "fragment"} tags=["plumbing"]
def two_bells(ax, person):
    """Draw the two bells of a person, and the target's answer."""
    middle = (inside[person] + outside[person]) / 2
    grid = np.linspace(middle - 9 * spread[person], middle + 9 * spread[person], 200)
    for mean, label, colour, line in ((inside, "with", MEMBER, "-"),
                                      (outside, "without", OTHER, "--")):
        bell = stats.norm.pdf(grid, mean[person], spread[person])
        ax.plot(grid, bell, line, color=colour, label=label)
    ax.axvline(phi[0, person], color="0.2", linestyle=":", label="the target")
    ax.set(xlabel=r"$\phi$", yticks=[], title=f"score {score[person]:.1f}")

# %% slideshow={"slide_type": "fragment"} tags=["plumbing"]
order = np.argsort(-apart)                               # whom models tell best comes first
three = order[[0, n // 10, n // 2]]
figure, axes = plt.subplots(1, 3, figsize=(10, 2.6))
for ax, person in zip(axes, three):
    two_bells(ax, person)
axes[0].legend(fontsize=8)
truth = ["a member" if member[0, person] else "a non-member" for person in three]
gaps = ", ".join(f"{apart[person]:.1f}" for person in three)
show(figure, "Two bells and the target's answer: the person whom models tell best, one whom "
     "they tell better than nine in ten others, and one in the middle. Their bells are "
     f"{gaps} spreads apart. In truth they are {', '.join(truth)}.")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Whom does the attack accuse first?
#
# Chance gives five of ten. **Guess first.**

# %% slideshow={"slide_type": "fragment"} tags=["plumbing"]
accused = np.argsort(-score)[:10]
figure, axes = plt.subplots(1, 10, figsize=(10, 1.5))
for ax, person in zip(axes, accused):
    true = member[0, person]
    picture(ax, x[person], "member" if true else "no", MEMBER if true else OTHER)
hits = int(member[0, accused].sum())
show(figure, f"The ten people of whom the attack is surest: {hits} of 10 were members "
     f"({cell(share(hits, 10))}; chance gives 50 %).")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## An average hides them
#
# Is this luck of one target? Every network can be a target, attacked with all others but its partner. That gives one number
# a network, and a mean with an interval.
#
# Read two numbers: the AUC, about everybody; and how many members are found while only few non-members are accused, about the
# people who are worst off.

# %% slideshow={"slide_type": "skip"}
def every_target(phi):
    """Return the LiRA score of everybody, each network in turn the target, [models, n]."""
    pair = np.arange(len(phi)) // 2
    return np.array([lira(phi[pair != p], member[:len(phi)][pair != p], phi[j])
                     for j, p in enumerate(pair)])

def tpr(score, who):
    """Return the share of members above all but the allowed share of the non-members."""
    allowed = int(fpr * (~who).sum())
    return np.mean(score[who] > np.sort(score[~who])[::-1][allowed])

# %% slideshow={"slide_type": "skip"}
def examined(scores):
    """Return AUC and TPR over all targets, each with its interval and detectable effect."""
    return [over_pairs([measure(one, who) for one, who in zip(scores, member)])
            for measure in (auc, tpr)]

by_loss, by_lira = examined(-loss), examined(every_target(phi))

# %% slideshow={"slide_type": "fragment"} tags=["plumbing"]
found = f"members found at {100 * fpr:g} % FPR"
table(("attack", "AUC", found), ("guessing", "50 %", f"{100 * fpr:g} %"),
      ("loss, one rule for all", *map(cell, by_loss)),
      ("LiRA, each person's own bells", *map(cell, by_lira)))
display(Markdown(
    f"The AUC of LiRA: {verdict(by_lira[0], 0.5)}. Members found: {verdict(by_lira[1], fpr)}, "
    f"{by_lira[1][0] / fpr:.1f} times what chance gives; by the loss "
    f"{by_loss[1][0] / fpr:.1f} times."))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Can synthetic images hide people?
#
# **Dataset condensation**: replace the members by a few images per class from which a network learns nearly as much. *Gradient
# matching* wants it to move in the same direction on both: it starts from noise and repeats:
#
# 1. draw a new network;
# 2. of each class: the gradient on real members, and the gradient on the synthetic images;
# 3. change the *images* so that the two gradients point the same way.

# %% slideshow={"slide_type": "skip"}
classes = torch.arange(10)

def gradients(theta, x, create_graph=False):
    """Return the gradients of the loss for each set and class; x [sets, classes, m, 64]."""
    y = classes[None, :, None].expand(x.shape[:3])
    loss = torch.nn.functional.cross_entropy(
        logits(theta, x).flatten(0, 2), y.flatten(), reduction="sum") / x.shape[2]
    return torch.autograd.grad(loss, theta, create_graph=create_graph)

def distance(one, two):
    """Return 1 - cosine between gradients, summed over units, classes and sets."""
    return sum((1 - torch.cosine_similarity(a, b, dim=-2)).sum() for a, b in zip(one, two))

# %% slideshow={"slide_type": "skip"}
def some_members(member, many=64):
    """Draw members of every class for each set, rows [sets, classes, many]."""
    return torch.tensor(np.array([[rng.choice(np.flatnonzero(half & (y.numpy() == c)), many)
                                   for c in range(10)] for half in member]))

# %% slideshow={"slide_type": "skip"}
def update(images, optimiser, member):
    """One update of the synthetic images of all sets."""
    theta = [weight[:, None].expand(-1, 10, -1, -1).clone().requires_grad_()
             for weight in new_weights(len(member), draw)]
    real = gradients(theta, x[some_members(member)])
    optimiser.zero_grad()
    distance(real, gradients(theta, images, create_graph=True)).backward()
    optimiser.step()
    images.data.clamp_(0, 1)                             # they stay pictures

# %% slideshow={"slide_type": "skip"}
def condense(images, member, film=()):
    """Condense every half into images [sets, classes, ipc, 64], which are also the start."""
    images, kept = images.clone().requires_grad_(), {}
    optimiser = torch.optim.Adam([images], lr=0.02, fused=True)
    for done in range(updates + 1):
        if done in film:
            kept[done] = images[0].detach().clone()
        if done < updates:
            update(images, optimiser, member)
    return images.detach(), kept

# %% slideshow={"slide_type": "skip"}
noise = torch.rand(n_models, 10, ipc, 64, generator=draw)
film = sorted({0, updates // 20, updates // 4, updates})
synthetic, kept = condense(noise, member, film)

# %% slideshow={"slide_type": "subslide"} tags=["plumbing"]
figure, axes = plt.subplots(len(kept), 10, figsize=(8, 0.85 * len(kept)))
for (done, images), row in zip(kept.items(), np.reshape(axes, (-1, 10))):
    for ax, image in zip(row, images[:, 0]):
        picture(ax, image, colour=SYNTHETIC)
    row[0].set_ylabel(done, rotation=0, ha="right", va="center")
show(figure, f"One synthetic image of each class, after {', '.join(map(str, kept))} updates: "
     "the first row is noise.")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Attack the model of the synthetic images
#
# Every half was condensed, so the attacker can rehearse this too. And a **control**: networks trained on *as many real images*,
# chosen at random from the members.
#
# **Guess first.** Real members in the training set: does their model leak more?

# %% slideshow={"slide_type": "skip"}
subset = torch.tensor(np.array([[rng.choice(np.flatnonzero(half & (y.numpy() == c)), ipc, False)
                                 for c in range(10)] for half in member]))   # [models, 10, ipc]
of_class = classes.repeat_interleave(ipc).expand(n_models, -1)

def asked(images):
    """Train on sets of images [models, classes, ipc, 64]; return phi, and who is right."""
    z = logits(train(images.flatten(1, 2), of_class, draw), x)
    own = z.gather(2, y.expand(len(z), n)[..., None])[..., 0]
    rest = z.masked_fill(torch.nn.functional.one_hot(y, 10).bool(), -torch.inf)
    right = (z.argmax(2) == y).numpy()
    return own.numpy() - special.logsumexp(rest.numpy(), 2), right

# %% slideshow={"slide_type": "skip"}
accuracy, leak, aucs = {}, {}, {}
few = 10 * ipc
for name, (answers, is_right) in (("all members", (phi, right)),
                                  (f"{few} synthetic images", asked(synthetic)),
                                  (f"{few} real images", asked(x[subset]))):
    scores = every_target(answers)
    accuracy[name] = over_pairs([one[~who].mean() for one, who in zip(is_right, member)])
    leak[name] = examined(scores)
    aucs[name] = np.array([auc(one, who) for one, who in zip(scores, member)])

# %% slideshow={"slide_type": "fragment"} tags=["plumbing"]
table(("trained on", "accuracy", "AUC of LiRA", found, "verdict on the AUC"),
      *((name, cell(accuracy[name]), *map(cell, leak[name]), verdict(leak[name][0], 0.5))
        for name in leak))

# %% slideshow={"slide_type": "fragment"} tags=["plumbing"]
_, made, real = aucs
change = over_pairs(aucs[made] - aucs[real])
said = ("a model of synthetic images leaks more" if change[1] > 0 else
        "a model of synthetic images leaks less" if change[2] < 0 else
        f"no difference detected (detectable: {100 * change[3]:.1f} points)")
display(Markdown(f"Synthetic beside real: {cell(change, 'points')} of AUC; {said}."))

# %% [markdown] slideshow={"slide_type": "notes"}
# A row of synthetic images alone may look like protection. Only the control tells what protects. A random subset cannot leak
# much, whatever the attack: whoever was not chosen is not in it. With $k$ of $m$ members chosen, the AUC is at most
# $\frac12 + \frac{k}{2m}$ on average over the draw. For condensed images no such theorem is known: all members had a part in them.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## And if the images are given away?
#
# Sharing the images is what condensation is praised for. Then there is no model between the people and the attacker. **The
# attacker of this section holds the images.**
#
# *Unmixing*: write a synthetic image $s$ as a mixture of the people of its class, with weights that are not negative,
#
# $$w = \underset{w \ge 0}{\mathrm{arg\,min}} \left\| s - \sum_i w_i\, x_i \right\|^2 .$$
#
# The score of a person is their largest weight in any image.

# %% slideshow={"slide_type": "skip"}
def unmixed(images):
    """Return everybody's largest weight in one set, images [classes, ipc, 64]."""
    weights = np.zeros(n)
    for c in range(10):
        people = np.flatnonzero(y.numpy() == c)
        candidates = x[people].double().numpy().T                    # [64, people]
        weights[people] = np.max([optimize.nnls(candidates, image)[0]
                                  for image in images[c].double().numpy()], axis=0)
    return weights

weights = np.array([unmixed(images) for images in synthetic])        # [sets, n]
by_images = examined(weights)

# %% slideshow={"slide_type": "fragment"} tags=["plumbing"]
top = np.argsort(-weights[0])[:8]
figure, axes = plt.subplots(1, 8, figsize=(9, 1.6))
for ax, person in zip(axes, top):
    true = member[0, person]
    picture(ax, x[person], f"{'member' if true else 'no'}\n{weights[0, person]:.2f}",
            MEMBER if true else OTHER)
hits_of_images = int(member[0, top].sum())
show(figure, f"The eight people with the largest weights in the first set: {hits_of_images} "
     f"of 8 were condensed ({cell(share(hits_of_images, 8))}; chance gives 50 %).")

# %% slideshow={"slide_type": "fragment"} tags=["plumbing"]
table(("the attacker", "AUC", found, "verdict on the AUC"),
      ("asks a model of the images", *map(cell, leak[made]), verdict(leak[made][0], 0.5)),
      ("holds the images", *map(cell, by_images), verdict(by_images[0], 0.5)))

# %% slideshow={"slide_type": "fragment"} tags=["plumbing"]
more = over_pairs([auc(one, who) for one, who in zip(weights, member)] - aucs[made])
door = ("The images say more than a model of them" if more[1] > 0 else
        "The images say less than a model of them, by this attack" if more[2] < 0 else
        "No difference detected between the two doors "
        f"(detectable: {100 * more[3]:.1f} points)")
display(Markdown(f"{door}: {cell(more, 'points')} of AUC."))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we found
#
# Computed from the numbers above, of these networks and these digits and of nothing else.

# %% slideshow={"slide_type": "fragment"} tags=["plumbing"]
def sentence(found, chance, yes, no):
    """Return the sentence that a mean over networks allows."""
    return yes if found[1] > chance else f"{no} ({verdict(found, chance)})"

accepted = f"{100 * fpr:g} %"

# %% slideshow={"slide_type": "fragment"} tags=["plumbing"]
easier = by_lira[0][1] > by_loss[0][2]
lines = [
    sentence(by_lira[0], 0.5, "A model that was trained as usual tells its members from others",
             "Of a model that was trained as usual we cannot say that it tells its members")
    + f": AUC {cell(by_lira[0])}.",
    f"{'Comparing' if easier else 'We cannot say that comparing'} a person with themselves "
    f"finds more than one rule for all: {cell(by_lira[0])} against {cell(by_loss[0])}.",
]

# %% slideshow={"slide_type": "fragment"} tags=["plumbing", "nbval-check-output"]
lines += [
    f"If {accepted} of the non-members may be accused, LiRA finds {cell(by_lira[1])} of the "
    f"members; chance gives {accepted}.",
    f"A model of {made}: AUC {cell(leak[made][0])}, {verdict(leak[made][0], 0.5)}. A model of "
    f"{real}: {cell(leak[real][0])}, {verdict(leak[real][0], 0.5)}. Between them: {said}.",
    f"The price: {cell(accuracy[made])} accuracy instead of {cell(accuracy['all members'])}; "
    f"as many real images have {cell(accuracy[real])}.",
    f"{door}: AUC {cell(by_images[0])} against {cell(leak[made][0])}.",
]
display(Markdown("\n".join(f"{i}. {line}" for i, line in enumerate(lines, 1))))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Summary: how to judge a claim of privacy
#
# - **Who attacks?** Somebody who may ask a model, or somebody who holds the images?
# - **The strongest attack**, not the first one. A weak attack makes everything look safe.
# - **The worst-off people**, at few false alarms, not only the average.
# - **A control**: what does the simplest alternative do, at the same size and accuracy?
# - **"No leak detected"** comes with what would have been detected. It is not "no leak". A promise takes a proof (notebook 11).

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercises
#
# 1. (easy) Accuse the 10, 50, 200 and 800 people with the highest scores. What share of them are members?
# 2. (medium) How many shadow models does LiRA need? Use the first 4, 8, 16, ... of the attacker's own.
# 3. (medium) The owner rounds all probabilities to two digits before giving them out. What is left of LiRA?
# 4. (hard) Start the condensation from real members instead of noise, for the first eight halves. What do the images say then
#    about those who were shown, and about all other members?
#
# Solutions: folded below.

# %% [markdown] slideshow={"slide_type": "skip"}
# ### Solution of exercise 1

# %% slideshow={"slide_type": "skip"} tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
best = np.argsort(-score)
hits_of = {k: share(member[0, best[:k]].sum(), k) for k in (10, 50, 200, 800)}
table(("accused", "of these members"), *((k, cell(found)) for k, found in hits_of.items()))
falling = hits_of[10][0] > hits_of[800][0]
display(Markdown(
    f"The share {'falls' if falling else 'does not fall'} from the first ten to eight hundred: "
    f"{percent(hits_of[10][0], 0)} and {percent(hits_of[800][0], 0)}. A score near 0 means "
    "that the attack cannot know. Where members are rare among all who are asked, these shares "
    "are lower."))

# %% [markdown] slideshow={"slide_type": "skip"}
# ### Solution of exercise 2

# %% slideshow={"slide_type": "skip"} tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
counts = [k for k in (4, 8, 16, 32, 64) if k < n_models - 2] + [n_models - 2]
by_count = {k: lira(phi[2:2 + k], member[2:2 + k], phi[0]) for k in counts}
table(("shadow models", "AUC on the target"),
      *((k, cell(bootstrapped(one, member[0]))) for k, one in by_count.items()))

# %% slideshow={"slide_type": "skip"} tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
gains = []
for some in (rng.integers(0, n, n) for _ in range(400)):    # the same people for both
    fewest, all_ = (auc(by_count[k][some], member[0, some]) for k in (counts[0], counts[-1]))
    gains.append(all_ - fewest)
low, high = np.quantile(gains, [0.025, 0.975])
helps = "They help" if low > 0 else "They hurt" if high < 0 else "No gain detected"
display(Markdown(
    f"From {counts[0]} to {counts[-1]} models: {cell((np.mean(gains), low, high), 'points')} "
    f"of AUC. {helps}. From few models the middle and the width of a bell are partly luck."))

# %% [markdown] slideshow={"slide_type": "skip"}
# ### Solution of exercise 3

# %% slideshow={"slide_type": "skip"} tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
rounded = np.clip(stats.logistic.cdf(phi).round(2), 0.005, 0.995)    # phi needs a limit
after = every_target(np.log(rounded / (1 - rounded)))
after_aucs = [auc(one, who) for one, who in zip(after, member)]
lost = over_pairs(after_aucs - aucs["all members"])
table(("probabilities", "AUC of LiRA", found), ("as they are", *map(cell, by_lira)),
      ("two digits", *map(cell, examined(after))))
effect = ("costs the attacker something" if lost[2] < 0 else "even helps this attack"
          if lost[1] > 0 else "costs the attacker nothing that was detected")

# %% slideshow={"slide_type": "skip"} tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
same = (rounded[0] == 0.995).mean()
display(Markdown(
    f"Rounding {effect}: {cell(lost, 'points')} of AUC. The target then gives "
    f"{percent(same, 0)} of all people 1.00, but of whom one would *expect* less that still "
    "says something. The attacker rounds likewise when they rehearse."))

# %% [markdown] slideshow={"slide_type": "skip"}
# ### Solution of exercise 4

# %% slideshow={"slide_type": "skip"} tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
moved, _ = condense(x[subset[:8]], member[:8])
told = np.array([unmixed(images) for images in moved])
shown = np.array([np.isin(np.arange(n), one.flatten()) for one in subset[:8]])
groups = {"shown at the start": shown, "all other members": member[:8] & ~shown}
of_groups = {}
for name, group in groups.items():                       # against the same non-members
    asked_about = group | ~member[:8]
    of_groups[name] = over_pairs([auc(one[rows_], own_[rows_]) for one, own_, rows_
                                  in zip(told, group, asked_about)])

# %% slideshow={"slide_type": "skip"} tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
table(("members", "AUC of unmixing", "verdict"),
      *((name, cell(found_), verdict(found_, 0.5)) for name, found_ in of_groups.items()))
first, second = of_groups.values()
above = "lies" if first[1] > second[2] else "does not lie"
display(Markdown(
    f"The interval of those who were shown {above} above that of the others: {cell(first)} and "
    f"{cell(second)}. Whoever starts from real people publishes them at first; how many "
    "updates it takes to wash them out, `updates` can show."))

# %% [markdown] slideshow={"slide_type": "skip"}
# ## For the teacher
#
# **Before.** The students need: what a classifier, a gradient and a bell curve are. No privacy, no deep learning. Run all cells
# once before the lecture; the notebook needs no network. Slides: `make lecture`, or `jupyter nbconvert --to slides --no-input
# 00_one_lecture.ipynb` (without `--no-input` they have the code). A browser that shows them loads their script, reveal.js,
# from the network, unless `--reveal-prefix` names a copy. Without a network show this notebook's page of `make site`, section by
# section: it loads nothing, and has its equations. Press `s` for the notes. Whoever has no Python can upload this file to a
# notebook service such as Google Colab: it imports only what these have.
#
# | minutes | part | the one thing to get across |
# |---|---|---|
# | 5 | the game, the people | a member is somebody whose picture was trained on |
# | 5 | what a stranger gets | vote on A to D before the answer; the answers look alike, which is the point |
# | 6 | the loss tells | how far one rule for everybody takes us |
# | 6 | ROC with a pencil | on the board, with five students as the five people |
# | 8 | one person, many models | the two histograms: why $\phi$ |
# | 6 | LiRA, the ten accused | guess the number of hits first; then AUC beside TPR |
# | 5 | synthetic images, the control | hide the control's row first: "does it protect?", then show it |
# | 4 | the images themselves, what we found | which door is open? |
#
# The lab, 45 minutes: exercises 1 and 2 alone, 3 and 4 in pairs. The interactive picture of the two bells goes well with the
# sixth part.
#
# **What to change in class.** `width = 4` (a small network: what happens to the leak?), `steps = 20` (trained less), `ipc = 1` and
# `ipc = 50` (fewer and more images: compare the accuracies too), `seed` (is it luck?), `n_models = 16` (faster, and wider intervals). Let them say what they
# expect before you run it. Every sentence that carries a number is made from the numbers, so it stays true.
#
# **What will go wrong.** Somebody will say that an AUC near 50 % means nothing leaks: show the ten accused. Somebody will say that
# synthetic images protect: show the control. Somebody will say that 50.x % is *no* leak: ask what would have been detected. With
# `n_models` near 8 the intervals are so wide that hardly anything is detected, which is a lesson too. On a slow machine set
# `n_models = 16` first. Results repeat bit for bit on one machine with the same `torch`, and may differ a little on another.

# %% [markdown] slideshow={"slide_type": "skip"}
# ## References
#
# - R. Shokri, M. Stronati, C. Song, V. Shmatikov, *Membership inference attacks against machine learning models*, IEEE S&P 2017
#   (shadow models).
# - N. Carlini, S. Chien, M. Nasr, S. Song, A. Terzis, F. Tramèr, *Membership inference attacks from first principles*, IEEE S&P
#   2022 (LiRA).
# - B. Zhao, K. R. Mopuri, H. Bilen, *Dataset condensation with gradient matching*, ICLR 2021.
# - C. L. Lawson, R. J. Hanson, *Solving least squares problems*, 1974 (non-negative least squares).
# - E. Alpaydin, C. Kaynak, *Optical recognition of handwritten digits*, UCI 1998 (the digits).

# %% [markdown] slideshow={"slide_type": "skip"}
# The interactive picture shows twelve of these people, from those of whom models say most to those of whom they say
# nothing. Its data are the output of this cell.

# %% slideshow={"slide_type": "skip"} tags=["plumbing", "bell_curves"]
def of_person(i):
    """Return what the picture needs of a person, as plain numbers."""
    some = phi[2:, i].astype(float).round(2)
    return {"label": int(y[i]), "image": (16 * x[i]).int().tolist(),
            "inside": some[member[2:, i]].tolist(), "outside": some[~member[2:, i]].tolist(),
            "target": round(float(phi[0, i]), 2), "member": bool(member[0, i])}

ranks = np.unique(np.geomspace(1, n, 12).round().astype(int)) - 1
people = {"seed": seed, "of": n, "people": [of_person(i) for i in order[ranks]]}
display({"application/json": people, "text/plain": f"{len(ranks)} people"}, raw=True)
