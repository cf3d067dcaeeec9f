"""The device on which a process computes, and the one place where its settings are made.

What the CPU computes has the same bits on many processors (see `switches`), so its results are named by their inputs
alone. Another device has last digits of its own, which training amplifies: its name is part of the names of its results
and of their record, and whoever reads results of several devices is told.
"""

import os
from typing import Any

CPU = "cpu"
_used = None  # what `use` was told last: the name of the device on which this process computes


def name(device) -> str:
    """Return the name of a ``torch.device``: "cpu", "mps", or what the maker calls it, "NVIDIA H200"."""
    if device.type != "cuda":
        return device.type
    import torch  # here and below, because it takes seconds, and reading a result does without

    return torch.cuda.get_device_name(device)


def use(device) -> None:
    """Note that this process computes on a ``torch.device``, and let a GPU compute in full float32 and repeat itself.

    TensorFloat-32, of which cuDNN makes use unasked, keeps 10 of the 23 binary digits of a float32. Of an operation
    torch takes a deterministic algorithm where it has one, and warns where it has none: of what is used here, going by
    torch's documentation, that is the gradient of ``grid_sample``, which DSA and DM-DSA need to rotate and to scale
    images. So on CUDA their last digits may differ from run to run. None of this was tried on a GPU, and nothing of it
    touches what is computed where the device is the CPU.
    """
    global _used
    _used = name(device)
    if device.type == CPU:
        return
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # "Results Reproducibility" in the guide of cuBLAS
    backends: Any = torch.backends  # whose types lack what is set here
    for precision in (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn):
        precision.fp32_precision = "ieee"
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.use_deterministic_algorithms(True, warn_only=True)


def used() -> str | None:
    """Return the name of the device on which this process computes; None before anybody has said."""
    return _used


def settings() -> dict:
    """Return the device on which this process computes, with its settings as they now are; nothing for the CPU, whose
    settings are `switches.SWITCHES`."""
    if _used in (None, CPU):
        return {}
    import torch

    backends: Any = torch.backends
    return {
        "device": _used,
        "precision of products": backends.cuda.matmul.fp32_precision,
        "precision of convolutions": backends.cudnn.conv.fp32_precision,
        "deterministic": torch.are_deterministic_algorithms_enabled() and backends.cudnn.deterministic,
        "cuda": torch.version.cuda,
        "cudnn": backends.cudnn.version() if torch.cuda.is_available() else None,
    } | {name: os.environ.get(name) for name in ("CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE")}


def key(device) -> dict:
    """Return what of a ``torch.device`` is part of the key of a result: its name, and nothing for the CPU, whose
    results have the same bits everywhere."""
    return {} if device.type == CPU else {"device": name(device)}
