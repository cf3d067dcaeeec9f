"""What the engine says on the screen: a line when a step begins, and one when it is done."""

import json
import logging
import time

from snakemake_interface_logger_plugins.common import LogEvent

from . import paths, store

RECORD = "core_seconds.json"  # what each kind of step took in the last whole run: rule to core-seconds


class Screen(logging.Handler):
    """Turns Snakemake's events into lines for people, with an honest "about" for what is left.

    A step costs its duration times its cores. What is left is the cost of the steps that are not
    done, as the last whole run of this profile recorded it (here, or the committed one), scaled by
    how fast the finished steps went, over the cores.

    Parameters
    ----------
    profile : its name.
    cores : that the engine may use.
    """

    def __init__(self, profile: str, cores: int):
        super().__init__()
        self.profile, self.cores = profile, cores
        self.begun, self.running, self.seconds = time.monotonic(), {}, {}
        self.waiting, self.total, self.done = {}, 0, 0
        self.expected = recorded(profile)
        self.spent = self.spent_as_expected = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Print what a person wants to know of an event, if anything."""
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO:
            self._plan(record.stats)
        elif event == LogEvent.JOB_INFO:
            self._begin(record)
        elif event == LogEvent.JOB_FINISHED:
            self._finish(record.job_id)
        elif record.getMessage().startswith("Nothing to be done"):
            self._say(f"{self.profile}: everything is done")
        elif record.levelno >= logging.ERROR and not self.running and "At least one job" not in record.getMessage():
            print(record.getMessage(), flush=True)  # of the engine itself; a step says why it failed

    def _plan(self, stats: dict) -> None:
        self.waiting = {rule: jobs for rule, jobs in stats.items() if rule != "total"}
        self.total = sum(self.waiting.values())
        self._say(f"{self.profile}: {count(self.total, 'step')} on {count(self.cores, 'core')}{self._left()}")

    def _begin(self, job) -> None:
        self.running[job.jobid] = job.rule_name, job.rule_msg or job.rule_name, max(job.threads, 1), time.monotonic()
        self._say(f"  begun   {self.running[job.jobid][1]}")

    def _finish(self, number: int) -> None:
        rule, words, threads, begun = self.running.pop(number)
        took = time.monotonic() - begun
        self.seconds.setdefault(rule, []).append(took * threads)
        self.waiting[rule] -= 1
        self.done += 1
        if rule in self.expected:
            self.spent += took * threads
            self.spent_as_expected += self.expected[rule]
        self._say(f"  {self.done} of {self.total}  {words}: {duration(took)}{self._left()}")
        if self.done == self.total and "data_split" in self.seconds:
            self._record()

    def _left(self) -> str:
        """Return ", about 4 min left", or nothing where no whole run tells."""
        todo = {rule: jobs for rule, jobs in self.waiting.items() if jobs}
        if not todo or not todo.keys() <= self.expected.keys():
            return ""
        running = sum(threads * (time.monotonic() - begun) for *_, threads, begun in self.running.values())
        pace = self.spent / self.spent_as_expected if self.spent_as_expected else 1
        cost = pace * sum(jobs * self.expected[rule] for rule, jobs in todo.items())
        return f", about {duration(max(cost - running, 1) / self.cores)} left"

    def _record(self) -> None:
        means = {rule: round(sum(costs) / len(costs), 1) for rule, costs in self.seconds.items()}
        store.write(paths.results(self.profile) / RECORD, (json.dumps(means, indent=1) + "\n").encode())

    def _say(self, line: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self.begun), 60)
        print(f"{minutes:3}:{seconds:02}  {line}", flush=True)


def recorded(profile: str) -> dict[str, float]:
    """Return the core-seconds of one step of each rule; nothing for a profile that was never run as a whole."""
    for folder in (paths.results(profile), paths.FIGURES / profile):
        if (folder / RECORD).exists():
            return json.loads((folder / RECORD).read_text())
    return {}


def duration(seconds: float) -> str:
    """Return "9 s", "4 min" or "2 h 10 min"."""
    if seconds < 100:
        return f"{max(seconds, 1):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def count(number: int, what: str) -> str:
    """Return "1 step" or "8 steps"."""
    return f"{number} {what}{'s' * (number != 1)}"


def attach(logger: logging.Logger, profile: str, cores: int) -> None:
    """Let a `Screen` print instead of Snakemake itself."""
    for handler in logger.handlers[:]:
        if handler.name == "DefaultStreamHandler" or isinstance(handler, Screen):
            logger.removeHandler(handler)
    logger.addHandler(Screen(profile, cores))
