"""What is shown of Snakemake's own lines: which step begins, how many are done, every error that nobody has told."""

import logging

from snakemake_interface_logger_plugins.common import LogEvent

SHOWN = LogEvent.JOB_INFO, LogEvent.PROGRESS
NOTHING = "Nothing to be done"
TOLD = "exit status 1."  # with which `run_notebook` ends after it has said what failed, and where


def worth_reading(record: logging.LogRecord) -> bool:
    """Return whether a line is shown. What repeats the whole command of a failed step (`JOB_ERROR`) is not."""
    event, text = getattr(record, "event", None), record.getMessage().strip()
    if record.levelno >= logging.ERROR:
        return event != LogEvent.JOB_ERROR and not text.endswith(TOLD)
    return event in SHOWN or text.startswith(NOTHING)


def attach(logger: logging.Logger) -> None:
    """Let Snakemake's handler for the screen show what is worth reading; its log file keeps all."""
    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler":
            handler.addFilter(worth_reading)
