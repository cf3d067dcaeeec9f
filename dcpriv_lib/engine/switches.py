"""One set of instructions for every x86-64 processor: the switches of the libraries that compute, set before these are
loaded.

torch, oneDNN, MKL, OpenBLAS and numpy choose their code by the processor; sums are then added in another order, and
training amplifies the last digit. Each has a documented switch that names the instructions to use, and reads it when it
is loaded or first used. So `dcpriv_lib` sets them as the first thing it does. What they achieve, `arithmetic` measures.
"""

import os
import platform
import sys

# AVX2: every server of the last ten years has it, with or without AVX-512. MKL's own AVX2 code is for Intel only, and
# elsewhere another one runs; COMPATIBLE is the same for all, and slow: networks leave their products to OpenBLAS
# (`models/products.py`). See benchmarks/README.md for what that costs, and for what was compared.
SWITCHES = {
    "ATEN_CPU_CAPABILITY": "avx2",  # torch's own kernels and random numbers
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # torch's convolutions ("CPU Dispatcher Control" in oneDNN's guide)
    "MKL_CBWR": "COMPATIBLE",  # torch's other products ("Conditional Numerical Reproducibility" in MKL's guide)
    "OPENBLAS_CORETYPE": "Haswell",  # products of networks, numpy, scipy and scikit-learn (OpenBLAS's README)
    "NPY_DISABLE_CPU_FEATURES": "X86_V4,AVX512_ICL,AVX512_SPR",  # numpy's exp and log ("CPU/SIMD Optimizations")
}

# A process computes with one thread: small networks gain nothing from a second, and results then do not depend on the
# number of cores. The tunables let glibc keep the memory that every step of a training frees and asks for again.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=33554432"
    ":glibc.malloc.trim_threshold=1073741824",
}


def begin_with_one_thread(command: list[str]) -> None:
    """Replace this process by `command`, which started it, unless `ONE_THREAD` was set when it began."""
    if not ONE_THREAD.items() <= os.environ.items():
        os.execve(command[0], command, os.environ | ONE_THREAD)


def switch() -> None:
    """Set the switches that nobody has set, on x86-64; say so on stderr where that is too late for what is loaded.

    What a process starts inherits them, so only the first one can be too late, and the line is printed once.
    """
    if platform.machine() not in ("x86_64", "AMD64"):
        return
    missing = {name: value for name, value in SWITCHES.items() if name not in os.environ}
    loaded = [name for name in ("numpy", "torch") if name in sys.modules]
    if missing and loaded and "snakemake" not in sys.modules:  # the engine only starts what computes
        print(
            f"{' and '.join(loaded)} had been imported before dcpriv_lib could set {', '.join(missing)}: the last "
            "digits may be other ones here. For Jupyter, this helps once for all: "
            "python -m dcpriv_lib.arithmetic kernel",
            file=sys.stderr,
        )
    os.environ.update(missing)
