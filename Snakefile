# The engine: which notebook runs when. Every step is one papermill run; a step that is divided runs
# the same notebook with fewer targets or shadow models, and the whole notebook then finds their
# files. The notebooks know nothing of this. A step depends on its notebook's .py, the source: new
# outputs in the .ipynb are no reason to run it again.
#
#   snakemake --cores all --config profile=quick
import shlex

from dcpriv_lib import paths, profiles

PROFILE = profiles.read(config.get("profile", "quick"))
JOBS = PROFILE["jobs"]
NAME = PROFILE["01_data_split"]["profile"]
RESULTS = paths.results(NAME)
CONDENSATION, SHADOWS = PROFILE["02_condensation"], PROFILE["03_shadow_training"]
IPC = profiles.as_list(CONDENSATION["ipc"])
N_SETS, ITERATIONS = (profiles.per_ipc(key, CONDENSATION[key], IPC) for key in ("condensed_sets", "iterations"))

def parts(total, each):
    """Return the first numbers of the jobs that share `total` pieces of work, `each` at a time."""
    return range(0, total, each) if each else []

def notebook(stage, **changes):
    """Return the papermill command of one notebook, without its output; one with changes is a part, and logs."""
    arguments = shlex.quote(profiles.arguments(stage, PROFILE[stage] | changes))
    log = "--log-output " if changes else ""
    return f"python -m dcpriv_lib.step --no-progress-bar {log}-y {arguments} {shlex.quote(str(paths.NOTEBOOKS / stage))}.ipynb"

KINDS = [kind for kind in CONDENSATION["training_sets"] if kind != "condensed"]
TARGETS = expand(RESULTS / "steps/target_{kind}_run{run}.ipynb", kind=KINDS,
                 run=parts(CONDENSATION["n_runs"], JOBS["runs"]))
# Run r is trained on set r mod the number of sets, and condenses it: one job for each set's first run.
SETS = [RESULTS / f"steps/condensed_ipc{ipc}_run{run}.ipynb" for ipc in IPC
        for run in parts(min(N_SETS[ipc], CONDENSATION["n_runs"]), JOBS["sets"])]
GROUPS = expand(RESULTS / "steps/shadows_from{first}.ipynb", first=parts(SHADOWS["n_shadows"], JOBS["shadows"]))

# A job's notebook uses as many processes as the job has threads, each with one thread of its own. (The engine itself
# asks MKL and OpenBLAS for a thread a core.) The tunables let glibc keep the memory that every training step frees and
# asks for again, in huge pages. The long steps log their progress and the time left.
shell.prefix("set -euo pipefail; export TQDM_MININTERVAL=30 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "
             "GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=33554432"
             ":glibc.malloc.trim_threshold=1073741824; ")


rule report:
    input:
        expand(RESULTS / "notebooks/{stage}.ipynb", stage=profiles.STAGES),
    output:
        RESULTS / "report/index.html",
    params:
        name=NAME,
    shell:
        "python -m dcpriv_lib.report {params.name:q}"


rule split:
    input:
        paths.NOTEBOOKS / "01_data_split.py",
    output:
        RESULTS / "notebooks/01_data_split.ipynb",
        RESULTS / "split.npz",
    params:
        run=notebook("01_data_split"),
    shell:
        "LOKY_MAX_CPU_COUNT={threads} {params.run} {output[0]:q}"


rule condense:
    input:
        RESULTS / "split.npz",
    output:
        RESULTS / "steps/condensed_ipc{ipc}_run{run}.ipynb",
    params:
        run=lambda w: notebook("02_condensation", training_sets=["condensed"], ipc=[int(w.ipc)],
                               iterations=[ITERATIONS[int(w.ipc)]], condensed_sets=[N_SETS[int(w.ipc)]],
                               first_run=int(w.run), n_runs=min(JOBS["sets"], N_SETS[int(w.ipc)] - int(w.run))),
    shell:
        "LOKY_MAX_CPU_COUNT={threads} {params.run} {output:q}"


rule target:
    input:
        RESULTS / "split.npz",
    output:
        RESULTS / "steps/target_{kind}_run{run}.ipynb",
    params:
        run=lambda w: notebook("02_condensation", training_sets=[w.kind], first_run=int(w.run),
                               n_runs=min(JOBS["runs"], CONDENSATION["n_runs"] - int(w.run))),
    shell:
        "LOKY_MAX_CPU_COUNT={threads} {params.run} {output:q}"


rule shadows:
    input:
        RESULTS / "split.npz",
    output:
        RESULTS / "steps/shadows_from{first}.ipynb",
    params:
        run=lambda w: notebook("03_shadow_training", first_shadow=int(w.first),
                               n_shadows=min(JOBS["shadows"], SHADOWS["n_shadows"] - int(w.first))),
    shell:
        "LOKY_MAX_CPU_COUNT={threads} {params.run} {output:q}"


rule condensation:
    input:
        paths.NOTEBOOKS / "02_condensation.py",
        RESULTS / "split.npz",
        SETS,
        TARGETS,
    output:
        RESULTS / "notebooks/02_condensation.ipynb",
        RESULTS / "targets.csv",
    params:
        run=notebook("02_condensation"),
    shell:
        "LOKY_MAX_CPU_COUNT={threads} {params.run} {output[0]:q}"


rule shadow_training:
    input:
        paths.NOTEBOOKS / "03_shadow_training.py",
        RESULTS / "split.npz",
        GROUPS,
    output:
        RESULTS / "notebooks/03_shadow_training.ipynb",
        RESULTS / "shadows.csv",
    params:
        run=notebook("03_shadow_training"),
    shell:
        "LOKY_MAX_CPU_COUNT={threads} {params.run} {output[0]:q}"


rule attack:
    input:
        paths.NOTEBOOKS / "04_attack.py",
        RESULTS / "targets.csv",
        RESULTS / "shadows.csv",
    output:
        RESULTS / "notebooks/04_attack.ipynb",
        RESULTS / "attacks.csv",
    threads: workflow.cores
    priority: 1  # the paper's notebooks before the others
    params:
        run=notebook("04_attack"),
    shell:
        "LOKY_MAX_CPU_COUNT={threads} {params.run} {output[0]:q}"


rule results:
    input:
        paths.NOTEBOOKS / "05_results.py",
        RESULTS / "targets.csv",
        RESULTS / "attacks.csv",
    output:
        RESULTS / "notebooks/05_results.ipynb",
    priority: 1
    params:
        run=notebook("05_results"),
    shell:
        "LOKY_MAX_CPU_COUNT={threads} {params.run} {output:q}"


rule stronger_attacks:
    input:
        paths.NOTEBOOKS / "06_stronger_attacks.py",
        RESULTS / "targets.csv",
        RESULTS / "shadows.csv",
    output:
        RESULTS / "notebooks/06_stronger_attacks.ipynb",
        RESULTS / "references.csv",
    threads: workflow.cores
    params:
        run=notebook("06_stronger_attacks"),
    shell:
        "LOKY_MAX_CPU_COUNT={threads} {params.run} {output[0]:q}"


rule controls:
    input:
        paths.NOTEBOOKS / "07_controls.py",
        RESULTS / "targets.csv",
        RESULTS / "references.csv",
    output:
        RESULTS / "notebooks/07_controls.ipynb",
    threads: workflow.cores
    params:
        run=notebook("07_controls"),
    shell:
        "LOKY_MAX_CPU_COUNT={threads} {params.run} {output:q}"
