"""Whether a notebook runs ahead of what it reads: as far as it comes without, to train what needs nothing else.

The engine starts it so on a cluster (`run_notebook`), and then again, as a whole.
"""

import os

VARIABLE = "DCPRIV_AHEAD"  # in the environment of the kernel


def running() -> bool:
    """Return whether this process does so: only what is trained is kept."""
    return VARIABLE in os.environ
