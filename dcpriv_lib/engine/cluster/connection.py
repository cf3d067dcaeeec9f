"""How scheduler, workers and notebooks talk: Dask over TLS, and the settings that all of them share."""

import logging
from pathlib import Path

import dask
import distributed

from . import meeting

ATTEMPTS = 3  # of a job, until the run has failed
PATIENCE = 20  # seconds until somebody who does not answer is not there
dask.config.set(
    {
        "distributed.scheduler.allowed-failures": ATTEMPTS - 1,
        "distributed.scheduler.worker-saturation": 1.0,  # a worker is given a job when it has none
        "distributed.scheduler.work-stealing": False,  # so there is nothing to steal
        "distributed.scheduler.http.routes": [],  # neither of them needs pages
        "distributed.worker.http.routes": [],
        "distributed.comm.timeouts.connect": PATIENCE,
        "distributed.admin.large-graph-warning-threshold": "100GB",  # many jobs hold many names of images
    }
)
for logger in [name for name in logging.root.manager.loggerDict if name.split(".")[0] == "distributed"]:
    logging.getLogger(logger).setLevel(logging.CRITICAL)  # what matters is said by those who use it


def make_certificate(place: Path) -> None:
    """Write a certificate and its key, for this scheduler and those whom it meets."""
    made = distributed.Security.temporary()
    meeting.write_privately(place / meeting.CERTIFICATE, made.tls_ca_file)
    meeting.write_privately(place / meeting.KEY, made.tls_scheduler_key)


def security(results: Path) -> distributed.Security:
    """Return how to talk: by the certificate of the scheduler, unless it was told to make none.

    Who has it has its key, on both sides: it is its own authority, and there is no other one.
    """
    place = results / meeting.FOLDER
    certificate, key = (str(place / name) for name in (meeting.CERTIFICATE, meeting.KEY))
    if not (place / meeting.CERTIFICATE).exists():
        return distributed.Security(require_encryption=False)
    return distributed.Security(
        require_encryption=True,
        tls_ca_file=certificate,
        **{f"tls_{role}_cert": certificate for role in ("client", "scheduler", "worker")},
        **{f"tls_{role}_key": key for role in ("client", "scheduler", "worker")},
    )
