"""What the paper says: constants copied from it, the only hard-coded results of the project.

Gujarathi & Gandhi, "Dataset Condensation for Data Privacy", Tables 1 and 2. Names of
targets are ours: "subset-10" is a random subset of the same size as "condensed-10". At the end the sentences of the
second source, Chen et al., "A comprehensive study on dataset distillation" (2023): its abstract, which has no number;
and what others report of condensing, with a guarantee and without.
"""

# Table 1, accuracy of the target models. The paper gives whole per cents, marked "~".
TABLE_1 = {"original": 0.99, "subset-10": 0.87, "condensed-10": 0.90, "condensed-50": 0.92}

# Table 2, the attack at ds = 15,000: precision, recall, accuracy.
TABLE_2 = {
    "original": {"precision": 0.5078, "recall": 0.7958, "accuracy": 0.5122},
    "condensed-10": {"precision": 0.5026, "recall": 0.2766, "accuracy": 0.5014},
    "condensed-50": {"precision": 0.5028, "recall": 0.3949, "accuracy": 0.5022},
}

# The same attack in the published result files, as fractions of four digits; the paper's 27.66 % is 27.57 % there.
ATTACK_FILES = {
    "original": {"precision": 0.5078, "recall": 0.7958, "accuracy": 0.5122},
    "condensed-10": {"precision": 0.5026, "recall": 0.2757, "accuracy": 0.5014},
    "condensed-50": {"precision": 0.5028, "recall": 0.3949, "accuracy": 0.5022},
}

# Target accuracies in the published result files: on members, on non-members.
RESULT_FILES = {"original": (0.9969, 0.9753), "condensed-10": (0.8846, 0.8815), "condensed-50": (0.8986, 0.8927)}

# Updates of the synthetic images: 1,000 iterations of 10 (10 per class) and of 50 (50 per class).
UPDATES = {"condensed-10": 10_000, "condensed-50": 50_000}

TEST_SIZE = 30_000  # members and non-members the attack was judged on

# Chen et al. 2023, from the abstract, word for word.
CHEN = {
    "leak": "use membership inference attacks to show that privacy risks still remain",
    "robustness": "dataset distillation can cause varying degrees of impact on model robustness",
    "fairness": "and amplify model unfairness across classes when making predictions",
}

# Accuracy on MNIST (60,000 people) with 10 and 50 synthetic images a class, epsilon 1, delta 1e-5, from a table that
# the authors of Dosser publish with their code; None where it has no number. Their own row is left out: that code draws
# new noise for the same sums in every step.
PRIVATE = {"DP-Sinkhorn": (0.317, 0.339), "DP-MERF": (0.750, 0.844), "PSG": (0.786, None), "NDPDC": (0.931, 0.941)}

# Accuracy on MNIST's test file with 1 and 10 synthetic images a class, condensed from the whole training file.
# ConvNet-3-128 but for KIP, which is judged by its own kernel (fully connected, one hidden layer). DSA: the authors'
# repository; KIP: Nguyen et al. 2021; DM and random real images: as quoted in later papers' tables.
PUBLISHED = {
    ("random", 1): 0.649,
    ("random", 10): 0.951,
    ("DM", 1): 0.897,
    ("DM", 10): 0.975,
    ("DSA", 1): 0.887,
    ("DSA", 10): 0.978,
    ("KIP", 1): 0.855,
    ("KIP", 10): 0.972,
}
