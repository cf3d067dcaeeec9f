"""One thread a process: models are what runs at the same time."""

import torch
from threadpoolctl import threadpool_limits


def use_one() -> None:
    """Let torch and numpy's products (`models.products`) compute with one thread from now on, in this process.

    Small networks gain nothing from a second one, and results then do not depend on the number of cores. Whoever starts
    a Jupyter of their own has told neither so in the environment (`switches.ONE_THREAD`).
    """
    torch.set_num_threads(1)
    threadpool_limits(1, user_api="blas")
