# The engine: every notebook of `dcpriv_lib/stages.py` is a step, run by papermill once what it reads is there. The
# notebooks know nothing of this. A step depends on its notebook's .py, the source: new outputs in the .ipynb are no
# reason to run it again.
#
#   snakemake --cores all --config profile=quick
import os
import shlex
import sys

from snakemake.logging import logger

from dcpriv_lib import profiles, stages
from dcpriv_lib.engine import paths, progress, stopping

MAIN = workflow.is_main_process and not workflow.output_settings.dryrun
if MAIN:
    AGAIN = os.environ.get("DCPRIV_AGAIN") or shlex.join(["snakemake", *sys.argv[1:]])
    FAILURES = progress.attach(logger, AGAIN)
    stopping.stop_steps_on_signals(FAILURES.notice)
    stopping.end_with_the_parent()
try:
    NAME = profiles.named(config, sys.argv)
    PROFILE = profiles.read(NAME)
    RESULTS = paths.results(NAME)
    STAGES = stages.in_profile(PROFILE)
    paths.check_braces(paths.REPOSITORY, RESULTS, *stages.made_elsewhere(PROFILE["02_condensation"]))

    if MAIN:
        if left_out := [str(stage.number) for stage in stages.STAGES if stage not in STAGES]:
            print(f"notebooks {' and '.join(left_out)} are left out: nobody here can condense as the maker of synthetic_sets did")
        for stage in stages.remove_other(RESULTS, PROFILE):
            print(f"what notebook {stage.number} left in {paths.shown(RESULTS)} was made with other settings than this "
                  "profile's: it runs again")
except (ValueError, OSError, RuntimeError) as error:  # a sentence for whoever started this; without the way through the code
    if MAIN:
        FAILURES.notice()
    sys.exit(str(error))

# The engine itself asks MKL and OpenBLAS for a thread a core; every process here has one. The tunables
# let glibc keep the memory that every training step frees and asks for again, in huge pages. The
# long steps show their progress and the time left. `dcpriv_lib`, imported above, has set its switches for every job.
# A notebook trains models in as many processes as it has threads; one that runs beside another, in half as many; none
# in more than LOKY_MAX_CPU_COUNT, where that is set. A shell that is told to stop waits for its step, which is told too.
MOST = min(workflow.cores or 1, int(os.environ.get("LOKY_MAX_CPU_COUNT") or sys.maxsize))
shell.prefix("set -euo pipefail; trap 'exit 1' INT TERM HUP; "
             f"export {stopping.PARENT}={os.getpid()} OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "
             f"LOKY_MAX_CPU_COUNT={max(1, min(MOST, (workflow.cores or 1) // 2))} "
             "GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=33554432"
             ":glibc.malloc.trim_threshold=1073741824; ")
REPORT = "python -m dcpriv_lib.results.report {params.name:q}"


def notebook(stage):
    """Return the command that runs one notebook, without its output."""
    arguments = shlex.quote(profiles.arguments(stage.name, PROFILE[stage.name]))
    return f"python -m dcpriv_lib.engine.run_notebook -y {arguments} {shlex.quote(str(paths.NOTEBOOKS / stage.name))}.ipynb"


def cores(stage):
    """Return how many cores a notebook keeps from others: none if it runs beside them, else all."""
    return 0 if stage.beside and PROFILE[stage.name].get("processes", 1) == 1 else workflow.cores


onstart:
    stopping.stop_steps_on_signals(FAILURES.notice)  # Snakemake's own way, by now, is to wait for the running steps


rule report:
    input:
        expand(RESULTS / "notebooks/{stage}.ipynb", stage=[stage.name for stage in STAGES]),
    output:
        RESULTS / "report/index.html",
    message:
        "writing the report"
    params:
        name=NAME,
        arithmetic=RESULTS / "tables/arithmetic.json",
    shell:
        REPORT + " && python -m dcpriv_lib.arithmetic {params.arithmetic:q}"


for stage in STAGES:

    rule:
        name:
            stage.rule
        input:
            paths.NOTEBOOKS / f"{stage.name}.py",
            [RESULTS / stages.file_of(name) for name in stage.reads],
            stages.made_elsewhere(PROFILE[stage.name]),
        output:
            RESULTS / "notebooks" / f"{stage.name}.ipynb",
            [RESULTS / stages.file_of(name) for name in stage.leaves],
        message:
            f"{stage.number}. {stage.message}"
        threads: cores(stage)
        priority: int(stage.beside)
        params:
            run=notebook(stage),
            name=NAME,
            most=MOST,
        shell:
            "LOKY_MAX_CPU_COUNT=$(({threads} ? {params.most} : LOKY_MAX_CPU_COUNT)) {params.run} {output[0]:q}"
            + (" && " + REPORT if stage.page_early else "")


# Who is a member, alone: for whoever condenses with tools of their own, and comes back.
rule split:
    input:
        RESULTS / stages.file_of("split"),
