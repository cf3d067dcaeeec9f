"""When, where and with what a result was computed: recorded beside it, and part of no key."""

import functools
import importlib.metadata
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from . import devices
from .paths import REPOSITORY
from .switches import SWITCHES


def of_this_process(seconds: float | None = None) -> dict:
    """Return when, where and with what this process computes (JSON-serialisable).

    "device", with its settings, is there only where it is not the CPU (see `devices.settings`); "gpu" is one that is
    present, whether it is used or not.
    """
    import torch  # here, because importing it takes seconds and reading an artefact does without

    return {
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": None if seconds is None else round(seconds, 3),
        **_environment(),
        "threads": torch.get_num_threads(),
        "switches": {name: os.environ.get(name) for name in SWITCHES},
        **({"device": device} if (device := devices.settings()) else {}),
    }


@functools.cache
def _environment() -> dict:
    import torch

    packages = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "pandas")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "git_commit": git_commit(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpu": gpu,
    }


def git_commit() -> str | None:
    """Return the commit, with ``+changes`` if library, notebooks, profiles or benchmarks differ from it."""

    def git(*command):
        return subprocess.run(
            ["git", "-C", str(REPOSITORY), *command], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changes = git("status", "--porcelain", "--", "dcpriv_lib", "notebooks/*.py", "profiles", "benchmarks")
        return git("rev-parse", "HEAD") + ("+changes" if changes else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
