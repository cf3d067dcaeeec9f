"""``python -m dcpriv_lib.step`` is the ``papermill`` command; SIGTERM stops it as Ctrl-C does.

Papermill that is interrupted interrupts its kernel, which saves its state (see `checkpoint`);
papermill that is terminated leaves the kernel to be killed. Clusters terminate.
"""

import signal

from papermill.cli import papermill

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    papermill()
