"""How far a population of jobs is."""

from typing import NamedTuple


class Standing(NamedTuple):
    """How many jobs are done, run and wait, and how many workers there are; as text, what a progress bar adds."""

    done: int
    running: int
    waiting: int
    workers: int

    def __str__(self) -> str:
        if not self.workers:
            return "no worker yet"
        return f"{self.running} running, {self.waiting} waiting, {self.workers} worker{'s' * (self.workers > 1)}"
