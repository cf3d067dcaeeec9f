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
epochs: list = [5, 20, 60]      # training lengths to compare; exercise 2 trains for the last one
n_shadows: int = 2              # shadow models for each setting

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from dcpriv_lib import artefacts, attacks, data, metrics, networks, paths, plots, training
from dcpriv_lib.seeding import derive, generator
from dcpriv_lib.shadow import shadow_split

plots.style()
results = paths.results(profile)
split = data.load_split(results, profile=profile, dataset=dataset, seed=seed)

# %% [markdown]
# ## Exercise 1
#
# How does the distance between the members' and the non-members' losses change when shadow models are trained for
# 5, 20 and 60 epochs, and what does that tell an owner who wants privacy?
#
# The shadow models start as in the notebook.

# %%
def train_shadow(number, ds, epochs):
    inside, outside = (split.rows(part) for part in shadow_split(split.indices["attacker"], ds, number, seed))
    network = networks.initialise(networks.PaperCNN(*split.shape), generator(seed, "shadow", number))
    training.train(network, *inside, epochs=epochs, generator=generator(seed, "shadow order", number))
    return {part: (training.predict(network, images).numpy(), labels.numpy())
            for part, (images, labels) in (("members", inside), ("non_members", outside))}

# %% [markdown]
# The answers of all shadow models of one setting are put together, and the distance is measured by the AUC of the
# loss: the chance that a random member has a smaller loss than a random non-member. It is 50 % where the hills
# coincide.

# %%
def together(shadows):
    return {part: tuple(map(np.concatenate, zip(*(shadow[part] for shadow in shadows))))
            for part in ("members", "non_members")}        # part: (logits [n, classes], labels [n])

def auc_of_loss(member_losses, non_member_losses):
    scores = -np.concatenate([member_losses, non_member_losses])
    is_member = np.repeat([True, False], [len(member_losses), len(non_member_losses)])
    return metrics.auc(scores, is_member, np.random.default_rng(derive(seed, "auc")))

# %%
def summary(answers):
    m, n = (attacks.losses(*answers[part]) for part in ("members", "non_members"))
    return {"accuracy, members": training.accuracy(*answers["members"]),
            "accuracy, non-members": training.accuracy(*answers["non_members"]),
            "loss, members": m.mean(), "loss, non-members": n.mean(),
            "AUC of the loss": metrics.percent(*auc_of_loss(m, n))}

# %%
trained = {length: together([train_shadow(number, ds, length) for number in range(n_shadows)])
           for length in epochs}
pd.DataFrame({length: summary(answers) for length, answers in trained.items()}).T.rename_axis("epochs")

# %%
figure, axes = plt.subplots(1, len(trained), figsize=(11, 3), sharex=True, sharey=True)
for ax, (length, answers) in zip(axes, trained.items()):
    losses = [attacks.losses(*answers[part]) for part in ("members", "non_members")]
    plots.loss_histogram(ax, *losses, f"{length} epochs")
plt.show()

# %% [markdown]
# At first a network learns what all images of a class have in common, and both hills move to the left together.
# Later it lowers the members' losses further by learning what is particular to them. Their hill keeps moving,
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
# raise it pull the hills apart and give nothing in return, so stopping before them is free. To stop earlier still
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

small = together([train_shadow(number, small_ds, epochs[-1]) for number in range(n_shadows)])

# %%
settings = [(ds, length, answers) for length, answers in trained.items()] + [(small_ds, epochs[-1], small)]
pd.DataFrame([{"ds": size, "epochs": length, "steps": steps(size, length)} | summary(answers)
              for size, length, answers in settings]).set_index(["ds", "epochs"])

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
# How much of the difference between the hills comes from examples the model gets *wrong*?
#
# Here we use the shadow models of notebook 3.

# %%
made_by = "notebooks/03_shadow_training.ipynb"
table = artefacts.load_table(results / "shadows.csv", split.inputs, made_by)
files = [artefacts.load_arrays(results / "shadows" / file, split.inputs, made_by) for file in table["file"]]
answers = together([{"members": (s["members"], s["member_labels"]),
                     "non_members": (s["non_members"], s["non_member_labels"])} for s in files])

# %% [markdown]
# The difference of the mean losses is a sum over examples, so it splits exactly into what wrongly classified
# examples add and what correctly classified ones add.

# %%
losses = {part: attacks.losses(*answers[part]) for part in answers}
wrong = {part: logits.argmax(1) != labels for part, (logits, labels) in answers.items()}
gap = losses["non_members"].mean() - losses["members"].mean()
from_wrong = np.mean(losses["non_members"] * wrong["non_members"]) - np.mean(losses["members"] * wrong["members"])
print(f"wrong: {wrong['members'].mean():.1%} of the members, {wrong['non_members'].mean():.1%} of the non-members")
print(f"difference of the mean losses {gap:.3f} nats, of which {from_wrong / gap:.0%} from wrong examples")

# %% [markdown]
# The mean is dominated by a few large losses. The AUC only counts who is larger, so we compare it with and
# without the wrong examples.

# %%
right = [losses[part][~wrong[part]] for part in ("members", "non_members")]
for name, pair in (("all examples", losses.values()), ("only correct ones", right)):
    print(f"AUC of the loss, {name:17}: {metrics.percent(*auc_of_loss(*pair))}")

# %% [markdown]
# When a model has learned its members by heart, the wrong examples are almost all non-members. They are few, and
# their losses are so much larger than the others' that most of the difference of the *means* is theirs. This part
# of the leak needs no softmax: whether the predicted class is right already shows it (notebook 4, exercise 1).
#
# The second AUC is what remains among the correctly classified images, for an attacker who sees how sure the
# model is. As far as it lies above 50 %, hiding mistakes would not be enough to hide membership. So the answer
# depends on the measure: compare the share of the mean that comes from mistakes with the part of the AUC's excess
# over 50 % that disappears without them.
