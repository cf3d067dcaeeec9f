"""What is shown of Snakemake's own lines: which step begins, how many are done, every error that nobody has told; and
after an error the command that goes on."""

import atexit
import logging
import re

from snakemake_interface_logger_plugins.common import LogEvent

from . import stopping

SHOWN = LogEvent.JOB_INFO, LogEvent.PROGRESS
NOTHING = "Nothing to be done"
TOLD = (
    "exit status 1.",  # with which `run_notebook` ends after it has said what failed, and where
    "Exiting because a job execution failed. Look above for error messages",
    "At least one job did not complete successfully.",
)
ENDED = re.compile(r"Command '.*' (returned non-zero exit status|died with) (.*)\.", re.DOTALL)
TRACEBACK = "Traceback (most recent call last)"
PLACE = re.compile(r'^WorkflowError in file ".*", line \d+:\n|^ *File ".*", line \d+, in .*\n?', re.MULTILINE)
KILLED = "137", "<Signals.SIGKILL: 9>"  # how the shell says it of its command, and Python of the shell


def worth_reading(record: logging.LogRecord) -> bool:
    """Return whether a line is shown. What repeats the whole command of a failed step (`JOB_ERROR`) is not."""
    event, text = getattr(record, "event", None), record.getMessage().strip()
    if record.levelno >= logging.ERROR:
        return event != LogEvent.JOB_ERROR and not text.endswith(TOLD)
    return event in SHOWN or text.startswith(NOTHING)


def in_words(text: str) -> str:
    """Return a line as it is shown: of a step's command, which may be long, only how it ended, and of an error of
    Python's only what it says. Snakemake's log file has the way through the code."""
    if TRACEBACK in text:
        text = text.strip().splitlines()[-1]
    text = PLACE.sub("", text)
    if ended := ENDED.search(text):
        return f"the step {stopping.KILLED if ended[2] in KILLED else ' '.join(ended.groups())}"
    return text


class _InWords(logging.Formatter):
    def __init__(self, formatter: logging.Formatter):
        super().__init__()
        self.formatter = formatter

    def format(self, record: logging.LogRecord) -> str:
        return in_words(self.formatter.format(record) or "")


class Failures(logging.Handler):
    """Notices errors, and in the end says how to go on from them."""

    def __init__(self, again: str):
        super().__init__(logging.ERROR)
        self.again, self.any = again, False
        atexit.register(self.tell)

    def emit(self, _: logging.LogRecord) -> None:
        self.notice()

    def notice(self) -> None:
        """Take it that something failed, or was stopped."""
        self.any = True

    def tell(self) -> None:
        if self.any:
            print(f"\nWhat was finished is kept. To go on from there: {self.again}", flush=True)


def attach(logger: logging.Logger, again: str) -> Failures:
    """Let Snakemake's handler for the screen show what is worth reading; its log file keeps all.

    When the process ends after an error, it says that the command `again` goes on. What Snakemake does not log, the
    handler that is returned has to be told.
    """
    logging.raiseExceptions = False  # on a full disk each line for the log file would be a traceback on the screen
    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler":
            handler.addFilter(worth_reading)
            handler.setFormatter(_InWords(handler.formatter or logging.Formatter()))
    logger.addHandler(failures := Failures(again))
    return failures
