#!/usr/bin/env bash
# The README's lines for a Slurm cluster, tried as they are written, and what befalls workers there: one is cancelled,
# one comes to the end of its time and is put into the queue again. Then every result is compared with a run without.
#
#   benchmarks/on_slurm.sh [PROFILE [FOLDER]]
#
# PROFILE  "tiny" unless given
# FOLDER   where results go; all nodes must see it. A run without Slurm that is there already is not repeated.
#
# Run it by hand in the environment of the project, where sbatch, squeue, scancel and scontrol are. A worker takes one
# core and MEMORY (2G). It says what it does, and ends with 0 if all bytes are equal.
set -euo pipefail
cd "$(dirname "$0")/.."
profile=${1:-tiny} folder=$(realpath -m "${2:-results/on_slurm}") cores=${CORES:-$(nproc)}
mkdir -p "$folder"
: > "$folder/submitted"
say() { printf '\n[%s] %s\n' "$(date +%T)" "$*"; }
workers() { squeue --noheader --name dcpriv --format '%i %T %r'; }
submit() {  # one more argument or more: of sbatch
    sbatch --parsable --job-name dcpriv --cpus-per-task 1 --mem "${MEMORY:-2G}" --output "$folder/worker-%A_%a.log" \
        "$@" --wrap "python -m dcpriv_lib.engine.cluster worker $profile" | tee -a "$folder/submitted"
}
until_() {  # until a command succeeds, a quarter of an hour at most
    for _ in $(seq 900); do if "$@"; then return; fi; sleep 1; done
    say "waited in vain for: $*"; exit 1
}
ready() { grep -q 'is ready' "$folder"/worker-"$1"*.log 2> /dev/null; }
state() { scontrol show job "$1" | grep -o "JobState=$2" > /dev/null; }

if [ ! -e "$folder/local/$profile/report/index.html" ]; then
    say "without Slurm: snakemake --cores $cores --config profile=$profile"
    DCPRIV_RESULTS=$folder/local snakemake --cores "$cores" --config "profile=$profile"
fi

export DCPRIV_RESULTS=$folder/slurm
say "python -m dcpriv_lib.engine.cluster scheduler $profile"
python -m dcpriv_lib.engine.cluster scheduler "$profile" ${LISTEN:+--listen "$LISTEN"} > "$folder/scheduler.log" 2>&1 &
scheduler=$!
trap 'kill $scheduler 2> /dev/null; scancel --quiet $(cat "$folder/submitted") 2> /dev/null || true' EXIT
until_ test -e "$DCPRIV_RESULTS/$profile/cluster/scheduler.json"
say "sbatch --array=1-2 ... worker $profile"
array=$(submit --array=1-2)
until_ ready "$array"
workers
say "snakemake --cores $cores --config profile=$profile"
snakemake --cores "$cores" --config "profile=$profile" > "$folder/run.log" 2>&1 &
run=$!
trained() { compgen -G "$DCPRIV_RESULTS/$profile/models/*.npz" > /dev/null; }
until_ trained
say "scancel ${array}_1, in the middle of a job"
scancel "${array}_1"
short=$(submit --time=1 --requeue)
say "another worker with a minute of time ($short)"
until_ state "$short" 'TIMEOUT\|NODE_FAIL\|PREEMPTED'
scontrol show job "$short" | grep -E 'JobState|RunTime'
scontrol requeue "$short"
say "scontrol requeue $short"
workers
code=0
wait $run || code=$?
say "the run ended with $code; it said:"
grep -vE 'it/s|s/it' "$folder/run.log" | tail -n "${LINES_OF_RUN:-60}"
say "the workers said:"
tail -n 3 "$folder"/worker-*.log
[ "$code" = 0 ] || exit "$code"

sums() { (cd "$1/$profile" && find . \( -name '*.npz' -o -name '*.csv' \) ! -name 'methods_seconds*' | sort | xargs sha256sum); }
say "the bytes of all artefacts and tables: without Slurm, and with it"
sums "$folder/local" > "$folder/local.sha256"
sums "$folder/slurm" > "$folder/slurm.sha256"
wc -l < "$folder/local.sha256"
diff "$folder/local.sha256" "$folder/slurm.sha256" && say "equal"
