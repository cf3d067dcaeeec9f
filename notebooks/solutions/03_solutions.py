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
# # Solutions to notebook 3
#
# Needs the split of `01_data_split.ipynb` and, for exercise 3, the shadow models of `03_shadow_training.ipynb`,
# both of the same profile. Exercises 1 and 2 train a few shadow models of their own.

# %% tags=["parameters"]
profile: str = "quick"          # name of the run whose files are used
dataset: str = "digits"         # must be what 01_data_split divided
seed: int = 0                   # must be what 01_data_split used
ds: int = 299                   # members of a shadow model in exercise 1
small_ds: int = 100             # members of a shadow model in exercise 2
epochs: list = [5, 20, 60]      # training lengths to compare; exercise 2 takes the last one
n_shadows: int = 2              # shadow models for each setting

# %%
import matplotlib.pyplot as plt
import pandas as pd

from dcpriv_lib import metrics, parameters
from dcpriv_lib.attacks import attack, signals
from dcpriv_lib.attacks.shadow_models import shadow_split
from dcpriv_lib.engine import errors
from dcpriv_lib.jobs import Training, each
from dcpriv_lib.results import plots, tables
from dcpriv_lib.study import Study

study = Study(**parameters.check(globals()))
epochs = errors.as_list(epochs)

# %% [markdown]
# ## Exercise 1
#
# How does the distance between the members' and the non-members' losses change when shadow models are trained for
# 5, 20 and 60 epochs, and what does that tell an owner who wants privacy?
#
# The shadow models start as in the notebook.

# %%
splits = {size: [shadow_split(study.attacker, size, j, seed) for j in range(n_shadows)]
          for size in (ds, small_ds)}

def train_shadows(size, length):
    sets = {(size, j): inside for j, (inside, _) in enumerate(splits[size])}
    models = study.models("shadow", each(sets, Training(length)))
    return attack.Rehearsal.of(models.logits, study.labels, splits[size])

# %% [markdown]
# The outputs of all shadow models of one setting are put together, and the distance is measured by the AUC of the
# loss: the chance that a random member has a smaller loss than a random non-member. It is 50 % where the distributions
# coincide.

# %%
def auc_of_loss(losses, is_member):
    return metrics.auc(-losses, is_member, study.rng("auc"))

# %%
def summary(known):
    losses = signals.losses(known.logits, known.labels)
    right = known.logits.argmax(1) == known.labels
    return {"accuracy, members": right[known.is_member].mean(),
            "accuracy, non-members": right[~known.is_member].mean(),
            "loss, members": losses[known.is_member].mean(),
            "loss, non-members": losses[~known.is_member].mean(),
            "AUC of the loss": tables.percent(*auc_of_loss(losses, known.is_member))}

# %%
trained = {length: train_shadows(ds, length) for length in epochs}
pd.DataFrame(map(summary, trained.values()), index=pd.Index(trained, name="epochs"))

# %%
figure, axes = plt.subplots(1, len(trained), figsize=(11, 3), sharex=True, sharey=True,
                            squeeze=False)
for ax, (length, known) in zip(axes.flat, trained.items()):
    losses = signals.losses(known.logits, known.labels)
    plots.loss_histogram(ax, losses[known.is_member], losses[~known.is_member],
                         f"{length} epochs")
plots.show(figure, "solution_epochs",
           "Losses of members and of non-members after a short, a longer and a long "
           "training, a histogram each.")

# %% [markdown]
# At first a network learns what all images of a class have in common, and both distributions move to the left together.
# Later it lowers the members' losses further by learning what is particular to them. Their distribution keeps moving,
# while some of the non-members stay behind in a long tail of large losses: the ratio of the two mean losses grows
# from row to row. The AUC says the same in the attacker's terms. Compare its first and its last row; differences
# between the short trainings may be no more than luck.
#
# An AUC above 50 % after very few epochs need not be memory. With few shadow models, the members may simply
# happen to be the easier half. All rows share the same images and the same initial weights, so this luck is the
# same in each, and the *change* from row to row is due to the training. The intervals come from resampling
# images; as the shadow models share images, they are a little too narrow.
#
# For an owner: look at the accuracy on non-members, which is what a model is trained for. Epochs that no longer
# raise it pull the distributions apart and give nothing in return, so stopping before them is free. To stop earlier still
# is a trade of accuracy for privacy. The accuracies alone would hide part of the effect: the losses of the
# members go on falling when nearly every member is already classified correctly.

# %% [markdown]
# ## Exercise 2
#
# With `ds = 100` the shadow models see a third of the images. Do they leak more or less?
#
# A third, that is, of the notebook's 299. A smaller training set has fewer batches, so the same number of epochs
# makes fewer steps. We show the steps too, so that the two sizes can be compared at equal epochs and at equal
# steps.

# %%
def steps(size, length, batch_size=128):
    return length * -(-size // batch_size)                 # epochs times batches, rounded up

small = train_shadows(small_ds, epochs[-1])

# %%
rows = [(ds, length, known) for length, known in trained.items()]
rows.append((small_ds, epochs[-1], small))
pd.DataFrame([{"ds": size, "epochs": length, "steps": steps(size, length)} | summary(known)
              for size, length, known in rows]).set_index(["ds", "epochs"])

# %% [markdown]
# Compare the last row with the row of as many *steps*: the smaller training set leaks more. Its generalisation
# gap, the difference of the two accuracies, is the widest of the table. The fewer images there are, the more each
# one counts in the gradient, and the easier it is to learn them by heart instead of what they have in common. An
# owner with little data loses twice: compared at equal epochs, the accuracy on non-members is lower as well.
#
# The row of as many *epochs* mixes two effects. The gap is wider for the smaller set there too, but the larger
# set has made more steps, which also drives members' losses down (exercise 1). The AUC of these two rows can come
# out in either order, and with so few images the intervals are wide.
#
# For the attacker this is a warning. Shadow models with fewer members than the target overfit more than the
# target does, and what works on them may not work on it.

# %% [markdown]
# ## Exercise 3
#
# How much of the difference between the two distributions comes from examples the model gets *wrong*?
#
# Here we use the shadow models of notebook 3.

# %%
shadows = study.results.load_models("shadows")
own_splits = [shadow_split(study.attacker, shadows.settings["parameters"]["ds"], j, seed)
              for j in shadows.table["model"]]
known = attack.Rehearsal.of(shadows.logits, study.labels, own_splits)
losses, is_member = signals.losses(known.logits, known.labels), known.is_member

# %% [markdown]
# The difference of the mean losses is a sum over examples, so it splits exactly into what wrongly classified
# examples add and what correctly classified ones add.

# %%
wrong = known.logits.argmax(1) != known.labels
gap = losses[~is_member].mean() - losses[is_member].mean()
from_wrong = (losses * wrong)[~is_member].mean() - (losses * wrong)[is_member].mean()
print(f"wrong: {wrong[is_member].mean():.1%} of the members, "
      f"{wrong[~is_member].mean():.1%} of the non-members")
print(f"difference of the mean losses {gap:.3f} nats, of which {from_wrong / gap:.0%} "
      "from wrong examples")

# %% [markdown]
# The mean is dominated by a few large losses. The AUC only counts who is larger, so we compare it with and
# without the wrong examples.

# %%
for name, rows in (("all examples", wrong | ~wrong), ("only correct ones", ~wrong)):
    auc = auc_of_loss(losses[rows], is_member[rows])
    print(f"AUC of the loss, {name:17}: {tables.percent(*auc)}")

# %% [markdown]
# When a model has learned its members by heart, the wrong examples are almost all non-members. They are few, and
# their losses are so much larger than the others' that most of the difference of the *means* is theirs. This part
# of the leak needs no softmax: whether the predicted class is right already shows it (notebook 4, exercise 1).
#
# The second AUC is what remains among the correctly classified images, for an attacker who sees how sure the
# model is. As far as it lies above 50 %, hiding mistakes would not be enough to hide membership. So the answer
# depends on the measure: compare the share of the mean that comes from mistakes with the part of the AUC's excess
# over 50 % that disappears without them.
