"""All attacks on a released set: each makes one score of everybody, from one set and nothing else."""

from . import class_means, density, distances, gradients, kernel_regression, own_models, unmixing

# name: ``score(released, people, known)`` -> float64 [n], higher for "member"
SCORES = {
    "nearest image": distances.nearest,
    "nearer than to own images": distances.nearest_against_own,
    "soft nearest": distances.soft_nearest,
    "density": density.log_ratio,
    "unmixing": unmixing.largest_weight,
    "class mean, pixels": class_means.in_pixels,
    "class mean, random networks": class_means.in_random_networks,
    "kernel regression, error": kernel_regression.squared_error,
    "kernel regression, margin": kernel_regression.margin,
    "learned labels": kernel_regression.of_the_labels,
    "gradient": gradients.alignment,
    "own models": own_models.confidence,
    "update of a known start": class_means.of_the_update,
}
SLOW = ("gradient", "own models")  # each takes longer than all others together
NEEDS_START = {"update of a known start"}  # these are for who knows what the condensation started from
SWIFT = [name for name in SCORES if name not in NEEDS_START and name not in SLOW]
