"""Time a plain way and a fast way in turns, and say on what machine."""

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from statistics import median

import torch

from dcpriv_lib.engine import provenance

HEADER = "| what | plain: median (min-max), s | fast: median (min-max), s | ratio | floor, s |\n|---|---|---|---|---|"


def alternate(plain, fast, repeats: int, clock=time.perf_counter) -> tuple[list, list]:
    """Return the seconds of `repeats` calls of each function, called in turns: load falls on both.

    With ``clock=time.process_time`` they are those that the processor worked for this process.
    """
    times = [], []
    for _ in range(repeats):
        for call, own in zip((plain, fast), times):
            start = clock()
            call()
            own.append(clock() - start)
    return times


@contextmanager
def one_per_core():
    """Give a function ``pool(call, arguments)`` that makes the calls in one single-threaded process per core.

    The processes have the engine's environment, see the Snakefile.
    """
    os.environ.update(
        OMP_NUM_THREADS="1",
        GLIBC_TUNABLES="glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold="
        "33554432:glibc.malloc.trim_threshold=1073741824",
    )
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as executor:

        def pool(call, arguments):
            return [future.result() for future in [executor.submit(call, *some) for some in arguments]]

        pool(time.sleep, [(1,)] * os.cpu_count())  # start them all
        yield pool


def matmul_rate(threads: int, n: int = 1024, seconds: float = 1.0) -> float:
    """Return the best FLOP/s of float32 products of [n, n] matrices on `threads` threads."""
    before, a, best = torch.get_num_threads(), torch.randn(n, n), 0.0
    torch.set_num_threads(threads)
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        a @ a
        best = max(best, 2 * n**3 / (time.perf_counter() - start))
    torch.set_num_threads(before)
    return best


def hardware() -> str:
    """Return one line: processor, cores, threads, GPU, versions, commit."""
    now = provenance.of_this_process()
    versions = ", ".join(f"{name} {now[name]}" for name in ("python", "torch", "numpy", "scipy", "scikit-learn"))
    return (
        f"{now['processor']}, {now['cores']} cores, {now['threads']} threads, GPU: {now['gpu'] or 'none'}; "
        f"{versions}; commit {now['git_commit']}"
    )


def row(name: str, plain: list, fast: list, floor: float | None = None) -> str:
    """Return the table's row under `HEADER`; the ratio is of the medians, `floor` in seconds."""

    def shown(times):
        return f"{median(times):.3g} ({min(times):.3g}-{max(times):.3g})"

    return (
        f"| {name} | {shown(plain)} | {shown(fast)} | {median(plain) / median(fast):.1f} | "
        f"{'' if floor is None else f'{floor:.2g}'} |"
    )
