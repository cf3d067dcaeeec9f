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
# # Solutions to notebook 12
#
# Needs the files of notebooks 1 and 12 of the same profile. The sets are those of notebook 12, and a few more of the same halves.

# %% tags=["parameters"]
profile: str = "quick"      # name of the run whose files are used
dataset: str = "digits"     # must be what 01_data_split divided
seed: int = 0               # must be what 01_data_split used
training_steps: int = 80    # optimiser steps of every model, as in notebook 12

# %%
import numpy as np
import pandas as pd
import torch
from scipy.special import ndtr, ndtri

from dcpriv_lib import metrics, parameters
from dcpriv_lib.attacks import signals
from dcpriv_lib.attacks.released import calibration, suite
from dcpriv_lib.attacks.shadow_models import membership_matrix
from dcpriv_lib.condensation import defaults
from dcpriv_lib.engine.errors import as_list
from dcpriv_lib.evaluation import examination
from dcpriv_lib.jobs import Training, each
from dcpriv_lib.models.training import epochs_for
from dcpriv_lib.results import tables, verdicts
from dcpriv_lib.study import Study

study = Study(**parameters.check(globals()))

# %%
made = study.results.record_of("released")["inputs"]["parameters"]    # notebook 12's own
world, pool, n_sets = study.with_canaries(made["n_canaries"]), study.pool, made["n_sets"]
member = membership_matrix(len(pool), n_sets, study.rng("methods"))   # bool [sets, n]
inside, outside = member & ~world.canaries, ~member & ~world.canaries
factors = as_list(made["step_factors"])
factor_of = dict(zip(made["released"], factors * (len(made["released"]) // len(factors))))

def condensed(name, kind=None):
    """The sets of all halves by "METHOD" or "METHOD from START"; other kinds, other seeds."""
    method, _, start = name.partition(" from ")
    how = defaults.settings_of(method, made["control_ipc"], width=made["width"],
                               real_batch=made["real_batch"], effort=made["effort"],
                               factor=factor_of.get(name, 1), start=start or None)
    return world.sets(kind or name, each({j: pool[one] for j, one in enumerate(member)}, how))

def change(values, before):
    """The change of one value a set, in points, with its interval."""
    return tables.points(*examination.over_pairs(values - before))

# %% [markdown]
# ## Exercise 1
#
# The people with the largest weights in any image of a set, first in one set and then in all. Half of those who are asked about
# were condensed, so that guessing is right half of the time.

# %%
name = "DC from means"                                   # taken apart by hand in notebook 12
weights = world.scores({name: condensed(name)}, suite.SWIFT)[name]["unmixing"]   # [sets, n]
order = np.argsort(-weights, axis=1, kind="stable")
right = np.take_along_axis(member, order, 1).cumsum(1)   # members among the first k

def shared(values, trials):
    """One rate a set as a cell; the interval has a width even if all, or none, are right."""
    rate, *ends = examination.over_pairs(values)
    ends = metrics.beyond_none_and_all(*np.clip(ends, 0, 1), trials * n_sets // 2)
    return tables.percent(rate, *ends)

rows = []
for accused in sorted({10, 100, len(pool) // 4, len(pool) // 2}):
    hits = right[:, accused - 1]
    rows.append({"accused": accused, "members, one set": tables.count(hits[0]),
                 "rate, one set": tables.percent(*metrics.rate(int(hits[0]), accused)),
                 "rate, all sets": shared(hits / accused, accused),
                 "accused wrongly": tables.plain((accused - hits).mean(), "{:.1f}"),
                 "members found": shared(hits / member.sum(1), int(member[0].sum()))})
tables.shown(pd.DataFrame(rows))

# %%
of_ten, of_hundred = right[:, 9] / 10, right[:, 99] / 100
price, low, high = examination.over_pairs(of_ten - of_hundred)
told = ("a lower share" if low > 0 else "a higher share" if high < 0
        else "no detectably other share")
print(f"Of the first ten {of_ten.mean():.1%} were condensed, and {told} of the first hundred: "
      f"{of_hundred.mean():.1%}.\nWho accuses a hundred accuses "
      f"{100 * (1 - of_hundred.mean()):.1f} who were not, on average over the sets.")

# %% [markdown]
# The price is paid by those who are accused wrongly, and the last column says what the attacker gets for it. Where it rises is to be
# read off the table: a mixture has only so many ingredients, and once these are named the list goes on with guesses. In the world
# outside far fewer than half of all candidates are members; then the wrongly accused are more by as much. The weights also change with
# the candidates, since a mixture is shared out among everybody who is like it.

# %% [markdown]
# ## Exercise 2
#
# The middle and the spread of everybody's scores, and the direction among the attacks, come from sets of one start; the set that is
# attacked has another start. The pair of the attacked set is left out, as in notebook 12.

# %%
method, starts = made["factor_method"], ("means", "real")
swift = [name for name in suite.SWIFT if "networks" not in name]         # for speed
asked = world.scores({start: condensed(f"{method} from {start}") for start in starts}, swift)
scores = {start: np.stack([*asked[start].values()]) for start in starts}  # [attacks, sets, n]
telling = [which for which in range(len(swift))
           if all(np.ptp(one[which]) for one in scores.values())]

def against(owner, attacker):
    """What sets from the attacker's start say of the sets from the owner's."""
    shown, known = scores[owner][telling], scores[attacker][telling]
    return np.stack([
        calibration.combined_against(known[:, rest], member[rest], shown[:, j])
        for j in range(n_sets) for rest in [np.flatnonzero(np.arange(n_sets) // 2 != j // 2)]])

# %%
found = {(owner, attacker): against(owner, attacker) for owner in starts for attacker in starts}
rows, own = [], {}
for (owner, attacker), of_sets in found.items():
    own[owner, attacker] = examination.aucs(of_sets, inside, outside)
    right = examination.aucs(found[owner, owner], inside, outside)
    rows.append({"the owner starts from": owner, "the attacker from": attacker,
                 "change by a wrong start": "-" if owner == attacker else change(
                     own[owner, attacker], right)}
                | examination.examine(of_sets, inside, outside))
of_starts = pd.DataFrame(rows)
tables.shown(verdicts.examined_cells(of_starts).drop(columns="pairs"), verdicts.luck(of_starts))

# %%
right, wrong = (own["means", attacker].mean() - 0.5 for attacker in starts)
_, low, high = examination.over_pairs(own["means", "real"] - own["means", "means"])
said = ("A wrong start costs the attacker something." if high < 0 else
        "A wrong start helps the attacker." if low > 0 else "No difference is detected.")
print(f"From means, {100 * right:.1f} points above one half with the right start and "
      f"{100 * wrong:.1f} with the wrong one. {said}")

# %% [markdown]
# Two things can go wrong with a wrong start. Whoever was averaged into an image is found by other scores than who was shown as they
# are, so that the direction is learned for another leak. And everybody's middle is taken from sets of another kind; as far as it is off
# by the same for all people, their order does not change. What the attacker loses is what an owner can hope to gain by keeping the
# start secret, and whoever tries several starts on sets of their own and on the released images may win it back.

# %% [markdown]
# ## Exercise 3
#
# Noise of so many times the range from black to white, drawn anew for every set. The attacker knows that there is noise, and adds it
# to the sets of their own as well.

# %%
name, range_ = made["looked_at"], float(study.images.max() - study.images.min())
plain, levels = condensed(name), (0, 0.1, 0.5, 2)

def noisy(level):
    """The sets with noise on their pixels."""
    draw = study.generator("noise before publishing", level)
    return {j: one | {"images": one["images"] + level * range_ * torch.randn(
        one["images"].shape, generator=draw).numpy()} for j, one in plain.items()}

def accuracy_of(kind, sets):
    """The accuracy, on non-members, of one model of each of the first six sets."""
    first = {j: sets[j] for j in range(6)}
    recipe = Training(epochs_for(training_steps, len(sets[0]["labels"])))
    answers = world.models(kind, each(first, recipe)).logits[:, pool]
    return signals.accuracies(answers, world.labels[pool].numpy(), outside[:6])

with_noise = {level: noisy(level) for level in levels}

# %%
kinds = {level: f"{name}, noise {level}" if level else name for level in levels}
asked = world.scores({kinds[level]: sets for level, sets in with_noise.items()}, suite.SWIFT)
accuracy = {level: accuracy_of(kinds[level], sets) for level, sets in with_noise.items()}
rows, auc = [], {}
for (level, right), of_sets in zip(accuracy.items(), asked.values()):
    together = calibration.calibrated(of_sets, member)[calibration.TOGETHER]
    auc[level] = examination.aucs(together, inside, outside)
    rows.append({"noise": level, "accuracy": verdicts.rate_cell(right),
                 "AUC, change": "-" if level == 0 else change(auc[level], auc[0])}
                | examination.examine(together, inside, outside))
of_noise = pd.DataFrame(rows)
tables.shown(verdicts.examined_cells(of_noise).drop(columns="pairs"), verdicts.luck(of_noise))

# %%
leaks = [verdict.word == verdicts.RECOGNISED for verdict in verdicts.judged(of_noise)]
last = max((place for place, leak in enumerate(leaks) if leak), default=-1)
if last + 1 == len(levels):
    print("Members are recognised at every noise that was tried, up to "
          f"{levels[-1]:g} times the range.")
else:
    gone = levels[last + 1]
    print(f"From a noise of {gone:g} times the range on, no leak stands after the correction. "
          f"The models of such images have an accuracy of {accuracy[gone].mean():.0%}; "
          f"without noise it is {accuracy[0].mean():.0%}.")

# %% [markdown]
# That no leak stands does not say that it is gone: the last column says what would have been found. Noise on the finished images has no
# guarantee that this notebook could compute, because nobody knows how far one member moves an image of this method. Noise on sums with
# a known bound, as in notebook 11, has one.

# %% [markdown]
# ## Exercise 4
#
# The same halves are condensed once more under another name, which gives other seeds. Both sets of a half are calibrated by
# themselves. If both scores are normal, and have a correlation of $\rho$ among members and among non-members, the sum of the two turns an
# AUC of $\Phi(z)$ into one of $\Phi(z \sqrt{2 / (1 + \rho)})$.

# %%
again = condensed(name, f"{name}, another seed")
two = world.scores({name: plain, f"{name}, another seed": again}, suite.SWIFT)
first, second = (calibration.calibrated(of_sets, member)[calibration.TOGETHER]
                 for of_sets in two.values())
told = {"the first set": first, "the second set": second, "both, added": first + second}
own = {what: examination.aucs(scores, inside, outside) for what, scores in told.items()}
rows = [{"published": what, "more than one set": change(own[what], (
            own["the first set"] + own["the second set"]) / 2) if "both" in what else "-"}
        | examination.examine(scores, inside, outside) for what, scores in told.items()]
of_two = pd.DataFrame(rows)
tables.shown(verdicts.examined_cells(of_two).drop(columns="pairs"), verdicts.luck(of_two))

# %%
one, both = (own["the first set"] + own["the second set"]).mean() / 2, own["both, added"].mean()
alike = np.mean([np.corrcoef(first[j, who[j]], second[j, who[j]])[0, 1]
                 for who in (inside, outside) for j in range(n_sets)])
expected = [ndtr(ndtri(one) * np.sqrt(2 / (1 + correlation))) for correlation in (alike, 0)]
print(f"One set has an AUC of {one:.1%}, and both have one of {both:.1%}. The scores have a "
      f"correlation of {alike:.2f},\nfor which the formula has {expected[0]:.1%}; if they had "
      f"none, it would be {expected[1]:.1%}.")

# %% [markdown]
# The correlation says what the second set is worth. At 0 it is as good as new evidence, and at 1 it only repeats the first. Whoever publishes
# again spends again: a guarantee with a noise of its own would count both (notebook 11).
