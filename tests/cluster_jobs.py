"""Jobs that other processes do, as tests want them: quick ones, stubborn ones, ones that kill."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import torch

from dcpriv_lib import jobs
from dcpriv_lib.engine.checkpoint import Checkpoint


def data(folder: Path) -> jobs.Data:
    """Return what jobs are given, without images."""
    return jobs.Data(folder, {}, 0, torch.device("cpu"), None, torch.zeros(2, 1, 1, 1), torch.zeros(2))


def job(name: str, make, *arguments) -> jobs.Job:
    """Return a job of one of these functions."""
    return jobs.Job(f"once/{name}", {"name": name}, make, arguments)


def by_whom(data, number, **_):
    """Return which process did this, and with how many threads."""
    return {"pid": np.array(os.getpid()), "threads": np.array(torch.get_num_threads()), "number": np.array(number)}


def sleep(data, seconds, **_):
    """Take a while."""
    begun = time.time()
    time.sleep(seconds)
    return {"times": np.array([begun, time.time()]), "pid": np.array(os.getpid())}


def walk(data, steps, seconds, log, *, checkpoint, **_):
    """Add random numbers step by step, and note in a file where each attempt began and by whom."""
    with Checkpoint(checkpoint, {"walk": steps}, seconds=0.2) as kept:
        found = kept.load() or {"step": np.array(0), "sum": np.array(0.0)}
        step, total = int(found["step"]), float(found["sum"])
        with open(log, "a") as file:
            file.write(f"{os.getpid()} {step}\n")
        while step < steps:
            total += np.random.default_rng(step).random()
            step += 1
            time.sleep(seconds)
            kept.keep({"step": np.array(step), "sum": np.array(total)})
    return {"sum": np.array(total)}


def fail(data, error, message, log, **_):
    """Fail."""
    with open(log, "a") as file:
        file.write(f"{os.getpid()}\n")
    raise error(message)


def die(data, log, **_):
    """End the process as the kernel does when there is no memory left."""
    with open(log, "a") as file:
        file.write(f"{os.getpid()}\n")
    os.kill(os.getpid(), signal.SIGKILL)
