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
# # 1. Who holds what: members, non-members and the attacker
#
# > *Where we are.* Part I, the experiment: **1** 2 3 4 5; part II, the doubt: 6 7 8; part III, further: 9 10 11 12.<br>
# > **This time** we settle whose images are whose, and how small a leak they can show. **Next time** the owner condenses the members
# > and trains the models that will be attacked.
#
# **Question.** A hospital trains a model on its patients. Can somebody who may only *use* the
# model find out who was among those patients? That is *membership inference*, and this report
# asks whether *dataset condensation*, training on a few synthetic images instead of the real
# ones, prevents it.
#
# Before anything is trained, we must fix whose images are whose.
#
# **In this notebook you will learn**
#
# 1. what a *member* and a *non-member* are, and why the attack is judged on equally many of both;
# 2. which data the attacker owns, and why none of it may overlap with the target's;
# 3. which split produced every number of this report;
# 4. what a 95 % interval is, and how small an effect this split can show.
#
# **You need** some Python, and to know what it means to train a classifier. Reading takes a quarter of
# an hour; running takes seconds.
#
# > **Threat model.** The *owner* holds the target's data and trains on the members. The
# > *attacker* holds other images from the same source, knows the network's architecture, and may ask
# > *one model* for the class probabilities of any image. They never see the members, the model's weights, or
# > the synthetic images that it may have been trained on.
# >
# > **Which door?** Notebooks 1 to 10 watch this one: a model that may be asked. Whoever is *handed the
# > synthetic images* can train such a model alone, ask it, and do more besides. Nothing in these notebooks is a
# > statement about that attacker. Notebook 12 is about nobody else.

# %% tags=["parameters"]
profile: str = "quick"      # name of this run; its files go to results/<profile>
dataset: str = "digits"     # digits, mnist, fashion_mnist, cifar10, or the path of your own
seed: int = 0               # one seed for the whole report; 0 gives the paper's own MNIST split
pixels: str = "standard"    # standard (mean 0, deviation 1), unit (0 to 1) or raw (0 to 255)
n_images: int = 0           # images to use, chosen at random; 0: all of the data set

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from dcpriv_lib import parameters
from dcpriv_lib.results import plots
from dcpriv_lib.study import Study

study = Study.divide(**parameters.check(globals()))

# %% [markdown]
# ## The game
#
# Three parties play. The *owner* trains a model on the members: the *target*, the model that is attacked. The
# *judge* draws an image, with equal chance a member's or a non-member's, and shows this *query image* to the
# *attacker*. The attacker sends it to the target, looks at the output, and says "member" or "not a member". The
# judge, who knows the truth, counts how often that is right.

# %% tags=["plumbing"]
figure, ax = plots.diagram(9.4, 3.2)
plots.box(ax, (1.2, 2.5), "owner:\nthe members", plots.MEMBER)
plots.box(ax, (4.7, 2.5), "target model", plots.MEMBER)
plots.box(ax, (1.2, 0.7), "judge: draws a member\nor a non-member", plots.NON_MEMBER,
          (2.3, 0.9))
plots.box(ax, (4.7, 0.7), "attacker", plots.ATTACKER)
plots.box(ax, (8.2, 0.7), "judge: right\nor wrong?", plots.NON_MEMBER)
plots.arrow(ax, (2.35, 2.5), (3.55, 2.5), "train")
plots.arrow(ax, (2.4, 0.7), (3.55, 0.7), "an image")
plots.arrow(ax, (5.85, 0.7), (7.05, 0.7), "'member!'")
plots.arrow(ax, (4.4, 1.2), (4.4, 2.0))
plots.arrow(ax, (5.0, 2.0), (5.0, 1.2))
ax.text(4.3, 1.6, "query", ha="right", va="center", fontsize=8, color="0.25")
ax.text(5.1, 1.6, "output: a probability for each class", va="center", fontsize=8, color="0.25")
study.figure(figure, "the_game",
             "Diagram: the owner trains a model on the members; the judge shows the attacker "
             "an image, the attacker asks the model and says member or not, the judge counts.")

# %% [markdown]
# Whoever wins this game much more often than half of the time has learned something that the owner did not mean to
# tell: that this person's image is in the data, and so that this person was in the hospital.
#
# ## The data set
#
# The quick profile uses scikit-learn's digits: 1,797 real scans, small enough for a laptop and
# bundled, so nothing is downloaded. The `paper` profile uses MNIST. To use your own images, set
# `dataset` to the path of an `.npz` file in MedMNIST's layout or of a folder with one subfolder a
# class; nothing else changes. `n_images` keeps a random part of a large data set. The fewer people a
# model sees, the better it remembers each.

# %%
figure, ax = plt.subplots(figsize=(7, 1.8))
thirty = study.images[study.members[:30]]                          # [30, C, H, W]
plots.images(ax, study.split.grey_levels(thirty), columns=15, title="Thirty members")
study.figure(figure, "members",
             "Thirty members' images in two rows.")

# %% [markdown]
# ## The split
#
# Write $D$ for all images. The first part of $D$ is the *pool*, the people about whom the judge may ask; the rest
# are the *attacker's images* $A$. The pool is halved at random into *members* $M$, whom the model is trained
# on, and *non-members* $N$, whom it never sees:
#
# $$D = M \cup N \cup A, \qquad M \cap N = N \cap A = A \cap M = \emptyset, \qquad |M| = |N|.$$
#
# Because $|M| = |N|$, somebody who guesses is right half of the time, whatever they guess. Keep
# that number in mind: **an accuracy of 50 % is no attack at all.**
#
# For MNIST this is the paper's split to the index: images 0 to 29,999 in file order are the
# target's, and `train_test_split(test_size=0.5, random_state=42)` halves them into 15,000
# and 15,000. Other data are shuffled first: a folder is ordered by class, and the digits by
# writer. The digits set is so small that the target gets two thirds of it; otherwise a class would
# have fewer than 50 members.

# %%
# NBVAL_CHECK_OUTPUT
D, size = study.split.order, study.split.target_size     # all images; how many the target has
target, A = D[:size], D[size:]
M, N = train_test_split(target, test_size=0.5, random_state=42 + seed)
for name, rows in (("members M", M), ("non-members N", N), ("attacker A", A)):
    print(f"{name:13} {len(rows):6,} images")

# %% [markdown]
# The library made the same split when this notebook began, and every later notebook uses it.

# %%
figure, ax = plt.subplots(figsize=(7, 1.3))
plots.shares(ax, {"members": len(M), "non-members": len(N), "attacker": len(A)},
             [plots.MEMBER, plots.NON_MEMBER, plots.ATTACKER])
study.figure(figure, "who_holds_what",
             f"One bar in three parts: {len(M):,} members, {len(N):,} non-members, {len(A):,} "
             "images of the attacker.")

# %% [markdown]
# ## Checks
#
# A single image on both sides would make every later number too good or too bad. So we do not
# trust the split, we check it: the parts share no index and cover the data set, and
# every part has every class.

# %%
# NBVAL_CHECK_OUTPUT
together = np.concatenate([study.members, study.non_members, study.attacker])
print("as above:         ", np.array_equal(together, np.concatenate([M, N, A])))
print("disjoint:         ", len(np.unique(together)) == len(together))
print("covers everything:", len(together) == len(study.images))
print("balanced:         ", len(study.members) == len(study.non_members))

# %%
# NBVAL_CHECK_OUTPUT
counts = {name: np.bincount(study.labels[rows], minlength=len(study.classes))
          for name, rows in (("members", M), ("non-members", N), ("attacker", A))}
pd.DataFrame(counts, index=pd.Index(study.classes, name="class")).T

# %% [markdown]
# Disjoint indices do not rule out that the *same picture* is stored twice. A copy of a member
# among the non-members would be called a member with good reason, and count as a mistake. How
# many images of $N$ are byte for byte equal to one of $M$?

# %%
# NBVAL_CHECK_OUTPUT
as_bytes = [image.tobytes() for image in study.split.dataset.images.numpy()]
of_members = {as_bytes[i] for i in M}
print("non-members that are copies of a member:", sum(as_bytes[i] in of_members for i in N))

# %% [markdown]
# ## How small an effect can this split show?
#
# Suppose the attacker tosses a coin. On $n = |M| + |N|$ images they will seldom be right exactly half of the time. How
# far from one half can luck take them? Make a guess, and then let a thousand attackers toss coins.

# %%
n = len(M) + len(N)
right = study.rng("guessers").binomial(n, 0.5, size=1000)                  # of n images
low, high = 100 / n * np.quantile(right, [0.025, 0.975])                   # per cent
step = max(1, round(n**0.5 / 8))           # whole images, a quarter of a standard deviation
edges = np.arange(right.min(), right.max() + step + 1, step) - 0.5

figure, ax = plt.subplots(figsize=(6, 2.6))
ax.hist(100 / n * right, 100 / n * edges, color=plots.ATTACKER)
for end in (low, high):
    ax.axvline(end, color=plots.NON_MEMBER, linestyle="--")
ax.set(xlabel="accuracy of an attacker who tosses a coin (%)", ylabel="attackers of 1,000")
study.figure(figure, "guessers",
             "Histogram of a thousand attackers who toss coins, around 50 %: the middle 950 "
             f"are right in {low:.1f} to {high:.1f} % of the cases.")

# %% [markdown]
# Between the dashed lines lie the middle 950 of the thousand. No simulation is needed to know where they are: the
# deviation of such a share is $\sqrt{0.25/n}$, and 95 % of a bell curve lie within 1.96 deviations of its middle.

# %%
# NBVAL_CHECK_OUTPUT
margin = 98 / n**0.5                                     # 1.96 * sqrt(0.25 / n), in points
print(f"n = {n:,}: 95 % of guessers score between {50 - margin:.2f} % and {50 + margin:.2f} %")

# %% [markdown]
# Now turn the question around. An attack was right 51 % of the time: what do we know about its true accuracy?
# The *95 % interval* holds every true value that could well have given this result, and a procedure that makes
# such intervals is wrong in one case of twenty. This report writes it behind each number,
# "51.0 % [48.1, 53.9]". An interval that contains one half says: not distinguishable from chance, *with so many images*.
# For a share of a count, such as an accuracy, it is the exact interval of Clopper and Pearson. Other numbers get
# theirs where they first appear.
#
# With the 1,198 digits the range of luck is wide, so the quick profile can show only strong effects. With the
# paper's 30,000 images it is about ±0.57 points, which will matter in notebook 5.
#
# ## Summary
#
# - Members train the target model, non-members are their honest counterpart, the attacker has
#   data of their own, and nobody shares an image.
# - Members and non-members are equally many, so guessing scores 50 %.
# - Every number has a 95 % interval; one that contains one half is not distinguishable from chance.
# - The attacker of these notebooks asks one model. Somebody who is given the synthetic images is another attacker.
# - The split lies in `results/<profile>/split.npz`, and every later notebook checks that it is this one.
#
# ## Exercises
#
# 1. (easy) What would a guesser's *precision* and *recall* be if they call everybody a member? And if
#    they toss a coin? Check your answer with `numpy`.
# 2. (medium) How many images does an attack have to be judged on before an accuracy of 51.22 % differs
#    from guessing at the 95 % level?
# 3. (hard) Suppose one member in a hundred had a copy among the non-members, and an attack recognised
#    members perfectly. What accuracy would it be given?
#
# Solutions: `solutions/01_solutions.ipynb`.
#
# ## References
#
# - R. Shokri, M. Stronati, C. Song, V. Shmatikov, *Membership inference attacks against machine
#   learning models*, IEEE S&P 2017.
# - Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, *Gradient-based learning applied to document
#   recognition*, Proceedings of the IEEE 1998 (MNIST).
# - C. J. Clopper, E. S. Pearson, *The use of confidence or fiducial limits illustrated in the case of the
#   binomial*, Biometrika 1934.
# - Gujarathi & Gandhi, *Dataset Condensation for Data Privacy* (the paper this report reproduces).
