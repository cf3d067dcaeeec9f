"""What pytest says: one line a file or notebook that is done, with how far and how long still; see `Lines`."""

import re
import time
from collections import Counter

import nbval.kernel
import pytest

from dcpriv_lib.engine import paths
from dcpriv_lib.external import authors

SLOW = 20  # a test that takes longer has a line of its own
# Seconds that files take on two cores of 2026; others a few. Only their ratios matter: they are scaled by the pace.
SECONDS = {
    "notebooks/01_data_split.ipynb": 10,
    "notebooks/02_condensation.ipynb": 45,
    "notebooks/03_shadow_training.ipynb": 25,
    "notebooks/04_attack.ipynb": 25,
    "notebooks/05_results.ipynb": 10,
    "notebooks/06_stronger_attacks.ipynb": 60,
    "notebooks/07_controls.ipynb": 110,
    "notebooks/08_the_authors_models.ipynb": 300,
    "notebooks/09_methods.ipynb": 90,
    "notebooks/10_robustness_and_fairness.ipynb": 60,
    "notebooks/11_formal_privacy.ipynb": 130,
    "tests/test_end_to_end.py": 240,
    "tests/test_bad_input.py": 45,
    "tests/test_kills.py": 30,
    "tests/test_examination.py": 60,
    "tests/test_provenance.py": 60,
    "tests/test_study.py": 40,
    "tests/test_elsewhere.py": 30,
}
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
OTHERS = {"notebooks": 30, "tests": 8}


def start_new_kernel(*given, start=nbval.kernel.start_new_kernel, **named):
    """Start a kernel again if it died before it lived: another process may have taken a port that was to be its own."""
    for _ in range(2):
        try:
            return start(*given, **named)
        except RuntimeError as error:
            if "Kernel died before replying" not in str(error):
                raise
    return start(*given, **named)


nbval.kernel.start_new_kernel = start_new_kernel


class Lines:
    """Prints a line for every file whose tests are done, and at once what fails and how to repeat it."""

    def __init__(self, reporter):
        self.reporter, self.begun, self.errors = reporter, time.monotonic(), set()
        self.left, self.seconds, self.outcomes = {}, Counter(), {}

    def pytest_collection_finish(self, session):
        self.left = Counter(file_of(item.nodeid) for item in session.items)
        self.total, self.begun = len(self.left), time.monotonic()
        self.reporter.showfspath = False

    def pytest_runtest_logreport(self, report):
        file = file_of(report.nodeid)
        self.seconds[file] += report.duration
        if report.when == "call" or report.outcome != "passed":
            self.outcomes.setdefault(file, Counter())[report.outcome] += 1
        if report.duration > SLOW and not file.endswith(".ipynb"):
            self.say(
                f"{report.nodeid} ({'its preparation' if report.when == 'setup' else report.outcome}): "
                f"{duration(report.duration)}"
            )
        if report.when == "teardown":
            self.left[file] -= 1
            if not self.left[file]:
                self.done(file)

    def pytest_exception_interact(self, node, call, report):
        file = file_of(node.nodeid)
        notebook = file.endswith(".ipynb")
        if report.when == "collect" or (notebook and file in self.errors):
            return  # the cells after a failed one fail for its sake
        self.errors.add(file)
        source = getattr(getattr(node, "cell", None), "source", "").splitlines()
        code = [line for line in source if line.strip() and not line.startswith("#")]
        begins = f", which begins: {code[0]}" if code else ""
        text = COLOURS.sub("", str(report.longrepr) if notebook else call.excinfo.exconly())
        said = [line for line in text.splitlines() if line.strip()]
        error = "\n  ".join(line[:300] for line in (said[-1:] if notebook else said[:2]))
        again = "make check-notebooks" if notebook else f"python -m pytest '{node.nodeid}'"
        self.say(f"FAILED: {node.nodeid}{begins}\n  {error}\n  again: {again}")

    def done(self, file):
        finished = self.total - sum(left > 0 for left in self.left.values())
        counts = ", ".join(f"{number} {outcome}" for outcome, number in self.outcomes[file].items())
        todo = sum(expected(other) for other, left in self.left.items() if left)
        known = sum(expected(other) for other, left in self.left.items() if not left)
        about = f", about {duration((time.monotonic() - self.begun) * todo / known)} left" if todo else ""
        self.say(f"{finished} of {self.total}  {file}: {counts}, {duration(self.seconds[file])}{about}")

    def say(self, line):
        self.reporter.write_line(line)
        self.reporter.flush()


def pytest_collection_modifyitems(items):
    """Skip notebook 8 and its solutions, by name, where the authors' models are not."""
    if not (paths.data() / authors.NAME).is_dir():
        for item in items:
            if file_of(item.nodeid).split("/")[-1].startswith("08_") and file_of(item.nodeid).endswith(".ipynb"):
                item.add_marker(
                    pytest.mark.skip(reason=f"needs, beside MNIST in {paths.shown(paths.data())}: {authors.GET}")
                )


def file_of(nodeid):
    return nodeid.split("::")[0]


def expected(file):
    return SECONDS.get(file, OTHERS[file.split("/")[0]])


def duration(seconds):
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session):
    reporter = session.config.pluginmanager.getplugin("terminalreporter")
    if reporter and session.config.get_verbosity() == 0:
        session.config.pluginmanager.register(Lines(reporter))


@pytest.hookimpl(wrapper=True)
def pytest_report_teststatus(report, config):
    """Leave out the letter a test that pytest prints; with -v its own lines stay."""
    category, letter, word = yield
    return category, "" if config.get_verbosity() == 0 else letter, word
