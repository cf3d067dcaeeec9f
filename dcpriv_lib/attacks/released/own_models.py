"""What do models say that the attacker trains on the released set, as many as there is time for?"""

import numpy as np

from ...engine.seeding import generator
from ...models import networks, training
from ..signals import logit_confidence
from .released_set import Known, Labelled, number_of_classes

MODELS = 2
STEPS = 200  # of training, each


def confidence(released: Labelled, people: Labelled, known: Known, models: int = MODELS) -> np.ndarray:
    """Return the mean logit of the confidence in the candidate's label over own models, float64 [n].

    One model answers with the luck of its training; the mean of several has less of it.
    """
    classes = number_of_classes(released, people)
    labels = released.labels if released.labels.ndim > 1 else released.classes
    total = np.zeros(len(people))
    for number in range(models):
        draw = generator(known.seed, "model of somebody with the images", number)
        channels, size, _ = released.images.shape[1:]
        network = networks.initialise(networks.PaperCNN(channels, size, classes), draw)
        training.train(
            network, released.images, labels, epochs=training.epochs_for(STEPS, len(released)), generator=draw
        )
        total += logit_confidence(training.predict(network, people.images).numpy(), people.classes.numpy())
    return total / models
