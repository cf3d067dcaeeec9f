"""The state of a long computation, kept so that a stopped one goes on where it was."""

import signal
import sys
import threading
import time
from pathlib import Path

from . import artefacts
from .paths import shown


class Checkpoint:
    """A file with the last state of the computation inside a ``with`` block.

    The state is saved now and then, and whenever the block is left by an exception. Ctrl-C
    and SIGTERM (what a cluster sends before it kills) both arrive as KeyboardInterrupt, so
    either stops cleanly. A block that ends well deletes the file, or saves the last state.

    Parameters
    ----------
    path : the file, or None to keep nothing.
    inputs : what the computation depends on; a state of other inputs is refused.
    delete : whether a block that ends well deletes the file.
    seconds : least time between two saves; what a kill without warning loses.
    """

    def __init__(self, path: Path | None, inputs: dict, delete: bool = True, seconds: float = 30.0):
        self.path, self.inputs, self.delete, self.seconds = path, inputs, delete, seconds
        self.state, self.saved_at = None, time.monotonic()

    def load(self) -> dict | None:
        """Return the saved state as a dict of numpy arrays, None if there is none.

        Raises
        ------
        ArtefactError
            If the file is damaged or was made from other inputs.
        """
        if self.path is None or not self.path.exists():
            return None
        return artefacts.load_arrays(self.path, self.inputs, "the same notebook")

    def keep(self, state: dict) -> None:
        """Take `state` (named arrays or tensors that nobody changes afterwards) as the last one."""
        self.state = state
        if time.monotonic() - self.saved_at > self.seconds:
            self._save()

    def __enter__(self):
        self.in_main_thread = threading.current_thread() is threading.main_thread()
        if self.in_main_thread:  # only there may signals be handled
            self.handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
        return self

    def __exit__(self, kind, error, traceback):
        if self.in_main_thread:
            signal.signal(signal.SIGTERM, self.handler or signal.SIG_DFL)
        if self.path is None:
            return
        if kind is None and self.delete:
            for file in (self.path, artefacts.sidecar(self.path)):
                file.unlink(missing_ok=True)
        elif self.state is not None:
            self._save()
        if kind is not None and self.state is not None:
            print(f"stopped; {shown(self.path)} holds the state, the same run goes on from there",
                  file=sys.stderr)

    def _save(self) -> None:
        if self.path is not None:
            artefacts.save_arrays(self.path, self.state, self.inputs)
        self.saved_at = time.monotonic()
