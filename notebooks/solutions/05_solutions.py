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
# # Solutions to notebook 5
#
# Needs the split of `01_data_split.ipynb` and `attacks.csv` of `04_attack.ipynb`, both of the same profile.
# Exercises 1 and 3 are arithmetic on the paper's numbers.

# %% tags=["parameters"]
profile: str = "quick"      # name of the run whose files are used
dataset: str = "digits"     # must be what 01_data_split divided
seed: int = 0               # must be what 01_data_split used

# %%
import math

import numpy as np
import pandas as pd
from scipy.stats import binom, norm

from dcpriv_lib import metrics, parameters
from dcpriv_lib.results import literature, tables
from dcpriv_lib.study import Study

study = Study(**parameters.check(globals()))
judged = study.results.load_table("attacks")

# %% [markdown]
# ## Exercise 1
#
# With what probability would a guesser, judged on 30,000 images, score 50.22 % or more?
#
# The number of correct guesses $K$ is binomial: $n = 30\,000$ tosses of a fair coin. We want $P(K \ge
# 0.5022\,n)$.

# %%
# NBVAL_CHECK_OUTPUT
n = literature.TEST_SIZE
for name, row in literature.TABLE_2.items():
    correct = round(row["accuracy"] * n)
    print(f"{name:13} {row['accuracy']:.2%}: a guesser gets {correct:,} or more right "
          f"with probability {binom.sf(correct - 1, n, 0.5):.2g}")

# %% [markdown]
# More than one guesser in five does as well as the attack on `condensed-50`. So its 50.22 % is no sign of an
# attack that works, and neither is the 50.14 % on `condensed-10`. The original's 51.22 % would be very rare for a
# guesser. `binom.sf(k - 1, ...)` is the probability of *at least* $k$; `sf(k, ...)` would leave $k$ itself out.

# %% [markdown]
# ## Exercise 2
#
# Which attack has recall 100 %, which one has precision near 100 %, both useless to the attacker, and which
# column of Table 2 exposes each?
#
# The first calls everybody a member. The second calls nobody a member but one person, of whom the attacker
# happens to know it from elsewhere.

# %%
is_member = study.is_member
everybody = np.ones(len(is_member), dtype=bool)
one_person = np.arange(len(is_member)) == 0                # row 0 is a member

# %%
guessers = {"calls everybody": everybody, "calls one person": one_person}
found = pd.DataFrame([metrics.evaluate(says_member.astype(float), says_member, is_member,
                                       study.rng("auc", name))
                      for name, says_member in guessers.items()], index=list(guessers))
pd.DataFrame({rate: tables.rates(found, rate) for rate in metrics.RATES}, index=found.index)

# %% [markdown]
# Calling everybody is exposed by the *precision*, which is exactly one half, the share of members. Calling one
# known person is exposed by the *recall*, which is close to zero, and by the *interval* of its precision: one hit
# in one attempt is compatible with nearly every precision. Accuracy and AUC expose both, being one half or as
# good as one half. This is why precision and recall should be read only together, and why Table 2 shows an AUC.
#
# High precision at low recall is not harmless in general. An attack that names *twenty* people and is right about
# all of them is a breach for these twenty. The second attack is useless because it learned its one name from
# elsewhere and can name nobody else. Is there something like the first attack in our own table? These are the
# rows with the highest recall:

# %%
mean = judged.groupby(["target", "attack"], sort=False)[list(metrics.RATES)].mean()
(100 * mean.sort_values("recall", ascending=False).head(3)).round(1)

# %% [markdown]
# A high recall in such a row is worth what its precision is above one half, and no more.

# %% [markdown]
# ## Exercise 3
#
# How many members and non-members would the paper have needed for 50.22 % to be significant?
#
# As in notebook 1, exercise 2: the excess over one half has to exceed $1.96\sqrt{0.25/n} = 0.98/\sqrt n$.

# %%
# NBVAL_CHECK_OUTPUT
excess = literature.TABLE_2["condensed-50"]["accuracy"] - 0.5
needed = math.ceil((0.98 / excess) ** 2)
print(f"n = {needed:,}, that is {math.ceil(needed / 2):,} members and as many non-members, "
      f"{needed / literature.TEST_SIZE:.1f} times the paper's {literature.TEST_SIZE:,}")

# %% [markdown]
# All of MNIST has 70,000 images, so the data set cannot show an effect of this size, whatever the attack. That is
# no proof of privacy: it says that the experiment could not have seen such a leak.
#
# This $n$ is also optimistic. It supposes that the measured accuracy comes out at 50.22 % exactly. If 50.22 % is
# the *true* accuracy, the measured one falls below it in half of all experiments, and these then find nothing.
# How many images are needed to succeed four times in five?

# %%
# NBVAL_CHECK_OUTPUT
z = norm.ppf(0.975) + norm.ppf(0.8)
print(f"n = {math.ceil((z * 0.5 / excess) ** 2):,}")

# %% [markdown]
# About twice the number above. Anybody who plans an experiment should choose $n$ this way, before looking at any result.
