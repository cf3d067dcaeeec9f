"""One seed, many independent random streams."""

import hashlib

import torch


def derive(seed: int, *purpose) -> int:
    """Return a 63-bit seed that depends on `seed` and on what it is for.

    ``derive(0, "target", "original", 2)`` and ``derive(0, "shadow", 2)`` are unrelated,
    so no two parts of the report share random numbers by accident.
    """
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *purpose) -> torch.Generator:
    """Return a CPU generator for one purpose.

    Numbers are always drawn on the CPU and then moved, so that every device sees the
    same initial weights, batches and noise (what that costs: `mechanism.noise`).
    """
    return torch.Generator().manual_seed(derive(seed, *purpose))
