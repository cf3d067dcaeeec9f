"""Does dataset condensation protect the people in the training data?

The notebooks tell the story; these folders hold what they repeat.
"""

from .engine import switches

switches.switch()  # before anything imports numpy or torch

__version__ = "0.1.0"
