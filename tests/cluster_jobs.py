"""Jobs that other processes do, as tests want them: quick ones, stubborn ones, ones that kill."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_info

from dcpriv_lib import jobs
from dcpriv_lib.engine.checkpoint import Checkpoint
from support import wait_for


def data(folder: Path) -> jobs.Data:
    """Return what jobs are given, without images."""
    return jobs.Data(folder, {}, 0, torch.device("cpu"), None, torch.zeros(2, 1, 1, 1), torch.zeros(2))


def job(name: str, make, *arguments) -> jobs.Job:
    """Return a job of one of these functions."""
    return jobs.Job(f"once/{name}", {"name": name}, make, arguments)


def by_whom(data, number, **_):
    """Return which process did this, and with how many threads."""
    return {"pid": np.array(os.getpid()), "threads": np.array(max(threads())), "number": np.array(number)}


def threads() -> set[int]:
    """Return with how many threads this process computes: torch, and each library of numpy's and scipy's products."""
    return {torch.get_num_threads(), *(one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas")}


def meet(data, own, others, folder, **_):
    """Begin, wait until so many others have begun too, and end; and note both in a file."""
    folder = Path(folder)
    note(folder / "log", f"{os.getpid()} begins")
    (folder / own).touch()
    met = wait_for(lambda: all((folder / other).exists() for other in others))
    note(folder / "log", f"{os.getpid()} ends")
    return {"met": np.array(met)}


def note(file, line):
    """Add a line to a file."""
    with open(file, "a") as log:
        log.write(f"{line}\n")


def walk(data, steps, seconds, log, *, checkpoint, **_):
    """Add random numbers step by step, and note in a file where each attempt began and by whom."""
    with Checkpoint(checkpoint, {"walk": steps}, seconds=0.2) as kept:
        found = kept.load() or {"step": np.array(0), "sum": np.array(0.0)}
        step, total = int(found["step"]), float(found["sum"])
        note(log, f"{os.getpid()} {step}")
        while step < steps:
            total += np.random.default_rng(step).random()
            step += 1
            time.sleep(seconds)
            kept.keep({"step": np.array(step), "sum": np.array(total)})
    return {"sum": np.array(total)}


def fail(data, error, message, log, **_):
    """Fail."""
    note(log, os.getpid())
    raise error(message)


def die(data, log, **_):
    """End the process as the kernel does when there is no memory left."""
    note(log, os.getpid())
    os.kill(os.getpid(), signal.SIGKILL)
