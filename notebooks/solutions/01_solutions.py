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
# # Solutions to notebook 1
#
# Needs the split of notebook 1.

# %% tags=["parameters"]
profile: str = "quick"      # name of the run whose split is used
dataset: str = "digits"     # must be what 01_data_split divided
seed: int = 0               # must be what 01_data_split used

# %%
import math

import numpy as np

from dcpriv_lib import metrics, parameters
from dcpriv_lib.study import Study

study = Study(**parameters.check(globals()))
members, non_members = study.members, study.non_members

# %% [markdown]
# ## Exercise 1
#
# What are the precision and the recall of a guesser who calls everybody a member, and of one who tosses a coin?
#
# Precision is the share of true members among those who are called members. Recall is the share of the members
# who are called members.

# %%
is_member = np.repeat([True, False], [len(members), len(non_members)])   # [n]

def precision_and_recall(says_member):
    hits = (says_member & is_member).sum()
    return hits / says_member.sum(), hits / is_member.sum()

precision, recall = precision_and_recall(np.ones(len(is_member), dtype=bool))
print(f"everybody is a member: precision {precision:.1%}, recall {recall:.1%}")

# %% [markdown]
# A coin gives another answer every time, so it is tossed a thousand times for the whole list of images.

# %%
rng = study.rng("coin")
tosses = [precision_and_recall(rng.random(len(is_member)) < 0.5) for _ in range(1000)]
for name, values in zip(("precision", "recall"), np.transpose(tosses)):
    print(f"coin: {name:9} {values.mean():.1%} on average, "
          f"{values.min():.1%} to {values.max():.1%}")

# %% [markdown]
# Whoever calls everybody a member finds every member, so the recall is 1. Members and non-members are equally
# many, so the precision is exactly one half. The coin calls half of the members and half of the non-members, so
# both rates are one half on average.
#
# In general, a guesser who says "member" with probability $q$ has an expected recall of $q$, and the precision
# stays close to one half whatever $q$ is. A guesser can choose their recall freely. So a recall says nothing
# until one knows how often non-members are called members too.

# %% [markdown]
# ## Exercise 2
#
# On how many images must an attack be judged before an accuracy of 51.22 % differs from guessing at the 95 %
# level?
#
# A guesser's accuracy stays within $1.96\sqrt{0.25/n}$ of one half in 95 % of all cases. The excess $a -
# \tfrac12$ has to be larger:
#
# $$a - \tfrac12 > \frac{0.98}{\sqrt n} \quad\iff\quad n > \left(\frac{0.98}{a - 1/2}\right)^2 .$$

# %%
# NBVAL_CHECK_OUTPUT
accuracy = 0.5122
n = math.ceil((0.98 / (accuracy - 0.5)) ** 2)
print(f"n = {n:,}, that is {math.ceil(n / 2):,} members and as many non-members")

# %% [markdown]
# The formula replaces the binomial distribution by a normal one. The exact Clopper-Pearson interval, which this
# report uses elsewhere, is a little wider. From how many images on does it always exclude one half?

# %%
# NBVAL_CHECK_OUTPUT
sizes = range(6400, 6800, 2)
contains_half = [metrics.rate(round(accuracy * n), n)[1] <= 0.5 for n in sizes]
last = max(n for n, contains in zip(sizes, contains_half) if contains)
print(f"exact interval: always from n = {last + 2:,} on")

# %% [markdown]
# The two answers nearly agree. The split of the digits has 1,198 images, so on it an accuracy of 51.22 % would not
# be distinguishable from chance. The paper's 30,000 images are enough. Note that the number grows with the *square* of
# the inverse excess: half the effect needs four times the images.

# %% [markdown]
# ## Exercise 3
#
# If one member in a hundred had a copy among the non-members, what accuracy would be given to an attack that
# recognises members perfectly?
#
# The attack sees only the picture. It calls the copy a member, and this counts as a mistake.

# %%
copies = round(0.01 * len(members))
says_member = is_member.copy()
says_member[len(members):len(members) + copies] = True     # non-members that look like members
print(f"{copies} copies: accuracy {np.mean(says_member == is_member):.2%}, "
      f"precision {precision_and_recall(says_member)[0]:.2%}")

# %% [markdown]
# One non-member in a hundred is judged wrongly, and no member. As each group is half of the images, the accuracy
# is $1 - \tfrac12 \cdot 0.01 = 99.5\,\%$, up to rounding 1 % of the members to a whole number.
#
# The loss is the same in kind for every attack that only looks at the picture. Of a member and its copy exactly
# one answer is right, whatever the attack says. On those 1 % of the images the accuracy is one half, and an
# attack with accuracy $a$ on the rest is given $0.99\,a + 0.01 \cdot \tfrac12$. Copies pull every attack towards
# guessing, which makes the model look safer than it is. This is why the notebook counts copies before it trains
# anything.
