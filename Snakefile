# The engine: every notebook of `dcpriv_lib/stages.py` is a step, run by papermill once what it reads is there. The
# notebooks know nothing of this. A step depends on its notebook's .py, the source: new outputs in the .ipynb are no
# reason to run it again.
#
#   snakemake --cores all --config profile=quick
import os
import shlex
import subprocess
import sys
from pathlib import Path

from snakemake.logging import logger

from dcpriv_lib import profiles, stages
from dcpriv_lib.engine import paths, progress, stopping, store
from dcpriv_lib.engine.cluster import meeting

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
    if workflow.cores == 0:  # Snakemake would wait for ever
        raise ValueError("--cores 0: expected 1 or more, or all")
    STAGES = stages.in_profile(PROFILE)
    CLUSTER = meeting.is_there(RESULTS)
    paths.check_for_the_engine(paths.REPOSITORY, RESULTS, *stages.made_elsewhere(PROFILE["02_condensation"]))

    if MAIN:
        if left_out := [str(stage.number) for stage in stages.STAGES if stage not in STAGES]:
            print(f"notebooks {' and '.join(left_out)} are left out: nobody here can condense as the maker of synthetic_sets did")
        for folder in ("metadata", "incomplete", "locks", "log"):  # Snakemake's own
            if wrong := store.misplaced(Path(".snakemake", folder, "any")):
                raise wrong
        paths.check_writable(Path(".snakemake").absolute(), "Snakemake's folder ")
        for line in stages.remove_damaged(RESULTS, PROFILE):
            print(line)
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
# Where a cluster trains (`dcpriv_lib.engine.cluster`), notebooks only wait, and all run that can.
MOST = min(workflow.cores or 1, int(os.environ.get("LOKY_MAX_CPU_COUNT") or sys.maxsize))
shell.prefix("set -euo pipefail; trap 'exit 1' INT TERM HUP; "
             f"export {stopping.PARENT}={os.getpid()} OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "
             f"DCPRIV_MOST={MOST} LOKY_MAX_CPU_COUNT={max(1, min(MOST, (workflow.cores or 1) // 2))} "
             "GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=33554432"
             ":glibc.malloc.trim_threshold=1073741824; ")
REPORT = f"python -m dcpriv_lib.results.report {NAME}"
LIMITS = f"python -m dcpriv_lib.limits {NAME} ${{DCPRIV_STAGES:-}}"
EARLY = f"python -m dcpriv_lib.external.early {NAME}"


def notebook(stage):
    """Return the command that runs one notebook, without its output."""
    arguments = shlex.quote(profiles.arguments(stage.name, PROFILE[stage.name]))
    return f"python -m dcpriv_lib.engine.run_notebook -y {arguments} {shlex.quote(str(paths.NOTEBOOKS / stage.name))}.ipynb"


def cores(stage):
    """Return how many cores a notebook keeps from others: none if it runs beside them, else all."""
    return 0 if CLUSTER or stage.beside and PROFILE[stage.name].get("processes", 1) == 1 else workflow.cores


onstart:
    if workflow.non_local_exec:
        raise WorkflowError("the engine runs on one machine, and gives models to workers on others: leave --executor out, and "
                            "see \"More than one machine\" in README.md. Nothing was computed")
    stopping.stop_steps_on_signals(FAILURES.notice)  # Snakemake's own way, by now, is to wait for the running steps
    # As soon as there is a split, all that it does not allow is said, of every notebook that will run.
    will_run = {job.rule.name for job in workflow.dag.needrun_jobs()}
    will_run = [stage.name for stage in STAGES if stage.rule in will_run]
    os.environ["DCPRIV_STAGES"] = " ".join(will_run)
    if (RESULTS / stages.file_of("split")).exists() and will_run:
        if subprocess.run([sys.executable, "-m", "dcpriv_lib.limits", NAME, *will_run]).returncode:
            raise WorkflowError("nothing was computed")


rule report:
    input:
        expand(RESULTS / "notebooks/{stage}.ipynb", stage=[stage.name for stage in STAGES]),
    output:
        RESULTS / "report/index.html",
    message:
        "writing the report"
    params:
        arithmetic=RESULTS / "tables/arithmetic.json",
    shell:
        "python -m dcpriv_lib.arithmetic {params.arithmetic:q} && " + REPORT


def trained_ahead(stage):
    """Return what is there once a notebook was run ahead; nothing if it is not."""
    return [RESULTS / "notebooks" / f"ahead-{stage.name}.ipynb"] if CLUSTER and stage.ahead else []


for stage in filter(trained_ahead, STAGES):

    rule:
        name:
            f"{stage.rule}_ahead"
        input:
            paths.NOTEBOOKS / f"{stage.name}.py",
            RESULTS / stages.file_of("split"),
        output:
            temp(trained_ahead(stage)),
        message:
            f"{stage.number}. training what waits for no other notebook"
        threads: 0
        params:
            run=notebook(stage),
        shell:
            "{params.run} --ahead {output:q}"


for stage in STAGES:

    rule:
        name:
            stage.rule
        input:
            paths.NOTEBOOKS / f"{stage.name}.py",
            [RESULTS / stages.file_of(name) for name in stage.reads],
            stages.made_elsewhere(PROFILE[stage.name]),
            ancient(trained_ahead(stage)),
        output:
            RESULTS / "notebooks" / f"{stage.name}.ipynb",
            [RESULTS / stages.file_of(name) for name in stage.leaves],
        message:
            f"{stage.number}. {stage.message}"
        threads: cores(stage)
        priority: 100 * (1 + stage.beside) - stage.number  # in the order of reading
        params:
            run=notebook(stage),
            # These are not in the shell's line, which is made when all rules are: `stage` is the last one then.
            # Models made elsewhere are judged after hours, and read before them.
            first=f"{EARLY} && " if stage.number == 2 and any(one.get("extra_targets") for one in PROFILE.values()) else "",
            then=(f" && {LIMITS}" if "split" in stage.leaves else "") + (f" && {REPORT}" if stage.page_early else ""),
        shell:
            "{params.first}LOKY_MAX_CPU_COUNT=$(({threads} ? DCPRIV_MOST : LOKY_MAX_CPU_COUNT)) {params.run} {output[0]:q}{params.then}"


# Who is a member, alone: for whoever condenses with tools of their own, and comes back.
rule split:
    input:
        RESULTS / stages.file_of("split"),
