# The engine: which notebook runs when. Every step is one notebook run by papermill; a step that is
# divided runs the same notebook with fewer targets or shadow models, and the whole notebook then
# finds their files. The notebooks know nothing of this. A step depends on its notebook's .py, the
# source: new outputs in the .ipynb are no reason to run it again.
#
#   snakemake --cores all --config profile=quick
import os
import shlex
import sys

from snakemake.logging import logger

from dcpriv_lib import profiles
from dcpriv_lib.engine import paths, progress, store

NAME = config.get("profile", "quick")
MAIN = workflow.is_main_process and not workflow.dryrun
if MAIN:
    progress.attach(logger)
PROFILE = profiles.read(NAME)
JOBS = PROFILE["jobs"]
RESULTS = paths.results(NAME)
TARGETS, SHADOWS = PROFILE["02_condensation"], PROFILE["03_shadow_training"]
IPC = profiles.as_list(TARGETS["ipc"])
SYNTHETIC, EXTRA = ([paths.REPOSITORY / file for file in profiles.as_list(PROFILE[stage][name])] for stage, name in (
    ("02_condensation", "synthetic_sets"), ("04_attack", "extra_targets")))
N_SETS, ITERATIONS = (profiles.per_ipc(key, TARGETS[key], IPC) for key in ("condensed_sets", "iterations"))


def parts(total, each):
    """Return the first numbers of the jobs that share `total` pieces of work, `each` at a time."""
    return range(0, total, each) if each else []


def notebook(stage, **changes):
    """Return the command that runs one notebook, without its output; one with changes is a part."""
    arguments = shlex.quote(profiles.arguments(stage, PROFILE[stage] | changes))
    return f"python -m dcpriv_lib.engine.run_notebook -y {arguments} {shlex.quote(str(paths.NOTEBOOKS / stage))}.ipynb"


# Run r is trained on set r mod the number of sets, and condenses it: one job for each set's first
# run. The other runs on condensed images take seconds; the whole notebook trains them. Sets that were
# made elsewhere are only read, and notebooks 7 and 11, which condense as their maker did, are left out.
CONDENSED = [RESULTS / f"steps/condensed_ipc{ipc}_run{run}.ipynb" for ipc in IPC if not SYNTHETIC
             for run in parts(min(N_SETS[ipc], TARGETS["n_runs"]), JOBS["sets"])]
TRAINED = expand(RESULTS / "steps/{kind}_run{run}.ipynb", run=parts(TARGETS["n_runs"], JOBS["runs"]),
                 kind=[kind for kind in TARGETS["training_sets"] if kind != "condensed"])
GROUPS = expand(RESULTS / "steps/shadows_from{first}.ipynb", first=parts(SHADOWS["n_shadows"], JOBS["shadows"]))
CONDENSING = ("07_controls", "11_formal_privacy")
STAGES = [stage for stage in profiles.STAGES if stage not in CONDENSING or not SYNTHETIC]
LEFT_BEHIND = {"01_data_split": "split.npz", "02_condensation": "targets.npz", "03_shadow_training": "shadows.npz",
               "04_attack": "attacks.npz", "06_stronger_attacks": "references.npz", "07_controls": "controls.npz",
               "09_methods": "methods.npz", "10_robustness_and_fairness": "properties.npz",
               "11_formal_privacy": "formal_privacy.npz"}


def made_with(file):
    """Return the parameters that an artefact was made with; nothing if that is not on record."""
    inputs = store.inputs_of(RESULTS / file)
    return inputs.get("parameters", inputs)


if MAIN and SYNTHETIC:
    print("notebooks 7 and 11 are left out: nobody here can condense as the maker of synthetic_sets did")

# Whoever ran a notebook by hand with other settings in this folder replaced what it leaves to the next
# one, and so did a part of it, if the engine was stopped before the whole notebook. That is removed;
# the notebook, which runs again, finds its models as they were.
for stage, file in LEFT_BEHIND.items() if MAIN else ():
    found = made_with(file)
    if (RESULTS / file).exists() and any(found.get(name) != value for name, value in PROFILE[stage].items()):
        if (RESULTS / "notebooks" / f"{stage}.ipynb").exists():  # else it is only what a part left
            print(f"{paths.shown(RESULTS / file)} was made with other settings than this profile's: notebook "
                  f"{int(stage[:2])} runs again")
        (RESULTS / file).unlink()

# The engine itself asks MKL and OpenBLAS for a thread a core; every process here has one. The tunables
# let glibc keep the memory that every training step frees and asks for again, in huge pages. The
# long steps log their progress and the time left. `dcpriv_lib`, imported above, has set its switches for every job.
shell.prefix("set -euo pipefail; export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "
             "GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=33554432"
             ":glibc.malloc.trim_threshold=1073741824; ")
# A notebook trains models in as many processes as its job has threads.
RUN = "LOKY_MAX_CPU_COUNT=$(({threads} > 1 ? {threads} : 1)) {params.run} {output[0]:q}"


onerror:
    again = os.environ.get("DCPRIV_AGAIN") or shlex.join(["snakemake", *sys.argv[1:]])
    print(f"\nWhat was finished is kept. To go on from there: {again}", flush=True)


rule report:
    input:
        expand(RESULTS / "notebooks/{stage}.ipynb", stage=STAGES),
    output:
        RESULTS / "report/index.html",
    message:
        "writing the report"
    params:
        name=NAME,
        arithmetic=RESULTS / "tables/arithmetic.json",
    shell:
        "python -m dcpriv_lib.results.report {params.name:q} && python -m dcpriv_lib.engine.arithmetic {params.arithmetic:q}"


rule split:
    input:
        paths.NOTEBOOKS / "01_data_split.py",
    output:
        RESULTS / "notebooks/01_data_split.ipynb",
        RESULTS / "split.npz",
    message:
        "1. dividing the images among owner, others and attacker"
    params:
        run=notebook("01_data_split"),
    shell:
        RUN


rule condensed:
    input:
        RESULTS / "split.npz",
    output:
        RESULTS / "steps/condensed_ipc{ipc}_run{run}.ipynb",
    message:
        "2. condensing {wildcards.ipc} images a class, from run {wildcards.run}"
    params:
        run=lambda w: notebook("02_condensation", training_sets=["condensed"], ipc=[int(w.ipc)],
                               iterations=[ITERATIONS[int(w.ipc)]], condensed_sets=[N_SETS[int(w.ipc)]],
                               first_run=int(w.run), n_runs=min(JOBS["sets"], N_SETS[int(w.ipc)] - int(w.run))),
    shell:
        RUN


rule trained:
    input:
        RESULTS / "split.npz",
    output:
        RESULTS / "steps/{kind,original|subset}_run{run}.ipynb",
    message:
        "2. training targets on: {wildcards.kind}, from run {wildcards.run}"
    params:
        run=lambda w: notebook("02_condensation", training_sets=[w.kind], first_run=int(w.run),
                               n_runs=min(JOBS["runs"], TARGETS["n_runs"] - int(w.run))),
    shell:
        RUN


rule shadows:
    input:
        RESULTS / "split.npz",
    output:
        RESULTS / "steps/shadows_from{first}.ipynb",
    message:
        "3. training shadow models, from number {wildcards.first}"
    params:
        run=lambda w: notebook("03_shadow_training", first_shadow=int(w.first),
                               n_shadows=min(JOBS["shadows"], SHADOWS["n_shadows"] - int(w.first))),
    shell:
        RUN


rule condensation:
    input:
        paths.NOTEBOOKS / "02_condensation.py",
        RESULTS / "split.npz",
        CONDENSED,
        TRAINED,
        SYNTHETIC,
    output:
        RESULTS / "notebooks/02_condensation.ipynb",
        RESULTS / "targets.npz",
    message:
        "2. condensing the members, training the targets"
    threads: workflow.cores
    params:
        run=notebook("02_condensation"),
    shell:
        RUN


rule shadow_training:
    input:
        paths.NOTEBOOKS / "03_shadow_training.py",
        RESULTS / "split.npz",
        GROUPS,
    output:
        RESULTS / "notebooks/03_shadow_training.ipynb",
        RESULTS / "shadows.npz",
    message:
        "3. training the shadow models"
    threads: 1 if JOBS["shadows"] else 0  # 0: beside notebook 2
    params:
        run=notebook("03_shadow_training"),
    shell:
        RUN


rule attack:
    input:
        paths.NOTEBOOKS / "04_attack.py",
        RESULTS / "targets.npz",
        RESULTS / "shadows.npz",
        EXTRA,
    output:
        RESULTS / "notebooks/04_attack.ipynb",
        RESULTS / "attacks.npz",
    message:
        "4. attacking every target as the paper does"
    threads: 0 if PROFILE["04_attack"]["processes"] == 1 else workflow.cores  # 0: beside notebook 6
    priority: 1
    params:
        run=notebook("04_attack"),
    shell:
        RUN


rule results:
    input:
        paths.NOTEBOOKS / "05_results.py",
        RESULTS / "targets.npz",
        RESULTS / "attacks.npz",
    output:
        RESULTS / "notebooks/05_results.ipynb",
    message:
        "5. comparing with the paper, writing the pages of 1 to 5"
    threads: 0  # seconds, beside notebook 6
    priority: 1
    params:
        run=notebook("05_results"),
        name=NAME,
    shell:
        RUN + " && python -m dcpriv_lib.results.report {params.name:q}"


rule stronger_attacks:
    input:
        paths.NOTEBOOKS / "06_stronger_attacks.py",
        RESULTS / "targets.npz",
        RESULTS / "shadows.npz",
        EXTRA,
    output:
        RESULTS / "notebooks/06_stronger_attacks.ipynb",
        RESULTS / "references.npz",
    message:
        "6. training reference models, attacking with LiRA and RMIA"
    threads: workflow.cores
    params:
        run=notebook("06_stronger_attacks"),
    shell:
        RUN


rule controls:
    input:
        paths.NOTEBOOKS / "07_controls.py",
        RESULTS / "targets.npz",
        RESULTS / "references.npz",
    output:
        RESULTS / "notebooks/07_controls.ipynb",
        RESULTS / "controls.npz",
    message:
        "7. checking what protects: controls of equal size and accuracy"
    threads: workflow.cores
    params:
        run=notebook("07_controls"),
    shell:
        RUN


rule methods:
    input:
        paths.NOTEBOOKS / "09_methods.py",
        RESULTS / "references.npz",
    output:
        RESULTS / "notebooks/09_methods.ipynb",
        RESULTS / "methods.npz",
        RESULTS / "leaks.npz",
    message:
        "9. comparing methods of condensation: accuracy and leak"
    threads: workflow.cores
    params:
        run=notebook("09_methods"),
    shell:
        RUN


rule robustness_and_fairness:
    input:
        paths.NOTEBOOKS / "10_robustness_and_fairness.py",
        RESULTS / "targets.npz",
        RESULTS / "shadows.npz",
        RESULTS / "references.npz",
        RESULTS / "leaks.npz",
        EXTRA,
    output:
        RESULTS / "notebooks/10_robustness_and_fairness.ipynb",
        RESULTS / "properties.npz",
    message:
        "10. fooling every model, class by class, and all four properties"
    threads: workflow.cores
    params:
        run=notebook("10_robustness_and_fairness"),
    shell:
        RUN


rule formal_privacy:
    input:
        paths.NOTEBOOKS / "11_formal_privacy.py",
        RESULTS / "targets.npz",
        RESULTS / "references.npz",
        RESULTS / "controls.npz",  # trains some of the same models
    output:
        RESULTS / "notebooks/11_formal_privacy.ipynb",
        RESULTS / "formal_privacy.npz",
    message:
        "11. training and condensing with guarantees, auditing them"
    threads: workflow.cores
    params:
        run=notebook("11_formal_privacy"),
    shell:
        RUN
