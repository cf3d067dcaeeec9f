"""The state of a long computation, kept so that a stopped one goes on where it was."""

import contextlib
import signal
import sys
import threading
import time
from pathlib import Path

from . import stopping, store
from .paths import shown

stop_others = threading.Event()  # whether computations outside of the main thread, which gets no signals, are to stop


class Checkpoint:
    """A file with the last state of the computation inside a ``with`` block.

    The state is saved now and then, and whenever the block is left by an exception. Ctrl-C,
    SIGTERM and SIGHUP (see `stopping`) all arrive as KeyboardInterrupt, so
    each stops cleanly. A signal during a save waits for its end, and those after the first
    are ignored until the state is saved. The file outlives the block; whoever keeps the result
    deletes it (`store.cached`), so that a kill between the two loses nothing. Signals are Python's main thread's: in
    another thread only exceptions save.

    Parameters
    ----------
    path : the file, or None to keep nothing.
    inputs : what the computation depends on; a state of other inputs is refused.
    keep_last : whether a block that ends well saves the last state too, to go on from later.
    seconds : least time between two saves; what a kill without warning loses.
    """

    def __init__(self, path: Path | None, inputs: dict, keep_last: bool = False, seconds: float = 30.0):
        self.path, self.inputs, self.keep_last, self.seconds = path, inputs, keep_last, seconds
        self.state: dict | None = None
        self.saved_at = time.monotonic()
        self.unsaved = self.busy = self.stopped = False
        self.handlers: dict = {}

    def load(self) -> dict | None:
        """Return the saved state as a dict of numpy arrays; None if there is none, or only a damaged one.

        Raises
        ------
        ArtefactError
            If the state was made from other inputs, or cannot be read.
        """
        return store.load_if_whole(self.path, self.inputs, "starting afresh") if self.path else None

    def keep(self, state: dict) -> None:
        """Take `state` (named arrays or tensors that nobody changes afterwards) as the last one."""
        self.state, self.unsaved = state, True
        if stop_others.is_set() and threading.current_thread() is not threading.main_thread():
            raise KeyboardInterrupt
        if time.monotonic() - self.saved_at > self.seconds:
            self.busy = True
            self._save()
            self.busy = False
            if self.stopped:
                raise KeyboardInterrupt

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():  # only there may signals be handled
            for number in stopping.heeded():
                self.handlers[number] = signal.signal(number, self._stop)
        return self

    def __exit__(self, kind, error, traceback):
        self.busy = True
        try:
            if kind is not None or self.keep_last:
                self._save()
        finally:
            for number, handler in self.handlers.items():
                signal.signal(number, handler or signal.SIG_DFL)
        if self.path and kind is not None and self.state is not None:
            with contextlib.suppress(OSError):  # whoever read it may be gone, and be the reason for this
                print(f"stopped; {shown(self.path)} holds the state, the same run goes on from there", file=sys.stderr)
        if self.stopped and kind is None:
            raise KeyboardInterrupt

    def _stop(self, *_) -> None:
        """Handle a signal: the first one stops the block, at once or at the end of a save."""
        first, self.stopped = not self.stopped, True
        if first and not self.busy:
            raise KeyboardInterrupt

    def _save(self) -> None:
        if self.path and self.unsaved and self.state is not None:
            store.save_state(self.path, self.state, self.inputs)
            self.unsaved = False
        self.saved_at = time.monotonic()
