"""Which code made a result. Every record says it, beside the commit, and whoever reads a result of other code is told.

A commit is one name for the whole repository: it changes with every comment, and it says nothing of the code that a
result which was kept for later came from. So a record also holds a hash of each module that the computation passed
through, without comments, blank lines and docstrings. Which modules these are follows from the source: the module of
the function that computed, and all that it imports. Some modules only choose among others: there the one that was
chosen counts, and not its rivals. What keeps, finds, checks or draws results does not count. Nothing of this is part of
a cache's key: a result of older code is used, and said to be. So is one of another device (see `devices`) than the one
on which this process computes.
"""

import ast
import contextlib
import functools
import hashlib
import multiprocessing
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from . import devices, paths
from .paths import shown

LIBRARY = Path(__file__).parents[1]
FILES = {
    ".".join(path.relative_to(LIBRARY).with_suffix("").parts): path for path in LIBRARY.rglob("*.py")
}  # "data.split": file
SOURCES = {module: path.read_text() for module, path in FILES.items()}  # as they are while this process imports them
STAMPS = {module: path.stat().st_mtime_ns for module, path in FILES.items()}
HOUSE = {
    "__init__",
    "engine.ahead",
    "engine.checksums",
    "engine.cluster.connection",
    "engine.cluster.driver",
    "engine.cluster.meeting",
    "engine.cluster.scheduler",
    "engine.cluster.worker",
    "engine.store",
    "engine.checkpoint",
    "engine.devices",
    "engine.errors",
    "engine.fresh",
    "engine.origin",
    "engine.paths",
    "engine.progress",
    "engine.provenance",
    "engine.run_notebook",
    "engine.standing",
    "engine.stopping",
    "engine.workers",
    "parameters",
    "profiles",
    "results.committed",
    "results.findings",
    "results.kept",
    "results.notebook_outputs",
    "results.pages.claims",
    "results.pages.conf",
    "results.pages.extension",
    "results.pages.sources",
    "results.plots",
    "results.report",
    "stages",
}
CHOICES = {  # module: what it imports and only chooses from
    "attacks.released.suite": {
        f"attacks.released.{module}"
        for module in (
            "class_means",
            "density",
            "distances",
            "gradients",
            "kernel_regression",
            "own_models",
            "unmixing",
        )
    },
    "study": {"attacks.attack", "condensation.defaults", "privacy.noisy_embeddings"},
    "jobs": {
        "attacks.released.released_set",
        "attacks.released.suite",
        "condensation.condense",
        "models.published_protocol",
        "privacy.dp_sgd",
        "privacy.gan",
        "privacy.noisy_embeddings",
        "privacy.psg",
    },
    "condensation.starts": {"condensation.coresets", "condensation.multi_formation"},
}
METHODS = "condensation.condense"  # chooses among all modules of its folder that it imports, but for these:
FOR_ALL_METHODS = {"condensation.method", "condensation.starts"}
EDITED = "edited while it ran"  # in place of a hash
BY_HAND = "cells of no notebook"  # in place of a file
UNKNOWN = "code that is not on record"
NONE = "no commit"
INJECTED = "# Parameters"  # begins the cell that papermill adds
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

_under_way: list[dict] = [
    {}
]  # what was read of other code, by file: in this process, and in each computation that is under way
_elsewhere: list[set[str]] = [set()]  # likewise the other devices on which it was computed
_makers: list[tuple[Callable, ...]] = [()]  # the functions that compute
_told: set[Path | tuple[Path, str]] = set()
_read: dict[tuple[str, str], tuple[set[str], str]] = {}  # module and source: what it imports, its hash


# ---------------------------------------------------------------- from source to hash


def normalised(text: str) -> list[str]:
    """Return the statements of Python source without comments, blank lines and docstrings."""
    return _statements(ast.parse(text))


def _statements(tree: ast.Module) -> list[str]:
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return [ast.unparse(statement) for statement in tree.body]


def digest(statements: Iterable[str]) -> str:
    """Return 12 hexadecimal digits of `normalised` source."""
    return hashlib.sha256("\n".join(statements).encode()).hexdigest()[:12]


def imported(text: str, module: str = "") -> set[str]:
    """Return the modules of this library that source imports, at its top or inside of a function; `module` is its own
    name."""
    return _imported(ast.parse(text), module)


def _imported(tree: ast.Module, module: str) -> set[str]:
    found, own = set(), ["dcpriv_lib", *module.split(".")]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            parents = own[: -node.level] if node.level else []
            whole = [*parents, *(node.module or "").split(".")] if node.module else parents
            if whole[0] == "dcpriv_lib":
                found |= {".".join(whole[1:])} | {".".join([*whole[1:], name.name]) for name in node.names}
    return found & SOURCES.keys()


def _imports(module: str) -> set[str]:
    return _of_source(module)[0] - chosen_by(module) - HOUSE


def chosen_by(module: str) -> set[str]:
    """Return the modules that a module imports and only chooses from; `computing` is told which one was chosen."""
    if module == METHODS:
        folder = METHODS.rpartition(".")[0] + "."
        return {name for name in _of_source(module)[0] if name.startswith(folder)} - FOR_ALL_METHODS
    return CHOICES.get(module, set())


def _digest(module: str) -> str:
    return _of_source(module)[1]


def _of_source(module: str) -> tuple[set[str], str]:
    """Return what a module imports, and its hash; its source is read only once, for that takes a while."""
    known = module, SOURCES[module]
    if known not in _read:
        tree = ast.parse(SOURCES[module])
        _read[known] = _imported(tree, module), digest(_statements(tree))
    return _read[known]


def read_so_far() -> dict:
    """Return what this process knows of the sources that it read, for `read_already` of another one."""
    return dict(_read)


def read_already(found: dict) -> None:
    """Take over what another process read; of a source that was edited since, nothing is taken."""
    _read.update(found)


def closure(modules: Iterable[str]) -> list[str]:
    """Return modules and all that they import, in order, as the module's docstring says; and what the package itself
    imports."""
    found, waiting = set(), set(modules) & SOURCES.keys() - HOUSE
    waiting |= _imports("__init__") if waiting else set()
    while waiting:
        found |= waiting
        waiting = set().union(*map(_imports, waiting)) - found
    return sorted(found)


# ---------------------------------------------------------------- what a record holds


def code(*makers: Callable) -> dict[str, str]:
    """Return file to hash of all code that functions pass through.

    Parameters
    ----------
    makers : the functions that compute. Those of a notebook or a script stand for the whole of it.
    """
    modules = [getattr(maker, "func", maker).__module__ for maker in makers]
    own = [module.removeprefix("dcpriv_lib.") for module in modules if module.startswith("dcpriv_lib.")]
    return _hashes(own) | (_of_this_process() if "__main__" in modules else {})


@contextlib.contextmanager
def computing(*makers: Callable):
    """Let what is saved inside of this block say that these functions made it."""
    _under_way.append({})
    _elsewhere.append(set())
    _makers.append(makers)
    try:
        yield
    finally:
        _under_way.pop()
        _elsewhere.pop()
        _makers.pop()


def of_what_is_saved() -> dict:
    """Return "code", file to hash, and if results of other code were read for it "other_code", file to whose they
    were; "other_devices", if some of what was read was computed there."""
    made = code(*_makers[-1]) if len(_makers) > 1 else _of_this_process()
    others = {"other_code": dict(_under_way[-1]), "other_devices": sorted(_elsewhere[-1])}
    return {"code": made} | {name: found for name, found in others.items() if found}


def _hashes(modules: Iterable[str]) -> dict[str, str]:
    return {
        f"dcpriv_lib/{module.replace('.', '/')}.py": EDITED if _edited(module) else _digest(module)
        for module in closure(modules)
    }


def _edited(module: str) -> bool:
    """Return whether the file is another one than when this process began, so that nobody can tell which was
    imported."""
    path = FILES[module]
    return not path.exists() or (path.stat().st_mtime_ns != STAMPS[module] and path.read_text() != SOURCES[module])


def _of_this_process() -> dict[str, str]:
    """Return the code of a notebook or script and of what it imports; else of all modules that are loaded."""
    executed, main = _executed(), Path(getattr(sys.modules["__main__"], "__file__", None) or "/")
    if executed:
        whole = running_notebook()
        text = whole.read_text() if whole else "\n".join(sorted(executed))
        return {shown(whole) if whole else BY_HAND: digest(_cells(text))} | _hashes(imported(text) | {"results.tables"})
    if main.parent == paths.REPOSITORY / "benchmarks":
        return {shown(main): digest(normalised(main.read_text()))} | _hashes(imported(main.read_text()))
    return _hashes(name.removeprefix("dcpriv_lib.") for name in list(sys.modules))


def running_notebook() -> Path | None:
    """Return which notebook has what this process has executed so far; None outside of one, or if it was changed."""
    executed = _executed()
    if not executed:
        return None
    return next((path for path in _notebooks() if executed <= set(_cells(path.read_text()))), None)


def _executed() -> set[str]:
    """Return the statements that this notebook has executed so far, without its parameters; none outside of a
    notebook."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    found: set[str] = set()
    if shell is None:
        return found
    for cell in shell.user_ns.get("In", []):
        with contextlib.suppress(SyntaxError):  # of a cell that never ran
            found |= set(_cells(shell.transform_cell(cell))) if not cell.startswith(INJECTED) else set()
    return found


@functools.lru_cache(maxsize=200)
def _cells(text: str) -> tuple[str, ...]:
    """Return the `normalised` statements of a notebook less its parameters: names with a type and a literal.

    A result has the values of these among its inputs.
    """
    return tuple(one for one in normalised(text) if not isinstance(ast.parse(one).body[0], ast.AnnAssign))


def _notebooks() -> list[Path]:
    return sorted(paths.NOTEBOOKS.glob("*.py")) + sorted(paths.NOTEBOOKS.glob("solutions/*.py"))


# ---------------------------------------------------------------- whoever reads


def noticed(path: Path, record: dict) -> None:
    """Note that a result was read, and say so on stderr if other code than today's or another device made it: once a
    folder.

    What is saved afterwards says that it rests on it. Committed tables are left out: they show their commit where they
    are shown.
    """
    if Path(path).is_relative_to(paths.FIGURES):
        return
    others = other_code(record)
    for file, whose in others.items():
        for read in _under_way:
            read[file] = sorted({*read.get(file, []), *whose})
    elsewhere = {one for one in devices_of(record) if devices.used() not in (None, one)}
    for read_there in _elsewhere:
        read_there |= elsewhere
    folder = Path(path).parent
    profile = record["inputs"].get("profile")
    again = f"; `make fresh PROFILE={profile}` starts anew" if profile else ""
    if others and folder not in _told and multiprocessing.parent_process() is None:
        _told.add(folder)
        print(
            f"{shown(folder)}: other code than today's made some of this ({listed(sorted(others))}){again}",
            file=sys.stderr,
        )
    if elsewhere and (folder, "devices") not in _told:
        _told.add((folder, "devices"))
        print(
            f"{shown(folder)}: some of this was computed on {listed(sorted(elsewhere))}, and this notebook computes on "
            f"{devices.used()}: their last digits differ, and what is made now mixes both{again}",
            file=sys.stderr,
        )


def devices_of(record: dict) -> set[str]:
    """Return the names of the devices on which a result was computed; none of what does not depend on one.

    A record names its device where that is not the CPU. Where it names none, what a notebook was told to do on a device
    was done on the CPU.
    """
    named = record.get("provenance", {}).get("device", {}).get("device")
    on_cpu = {devices.CPU} if "device" in record["inputs"].get("parameters", {}) else set()
    return ({named} if named else on_cpu) | set(record.get("other_devices", []))


def other_code(record: dict) -> dict[str, list[str]]:
    """Return file to versions, as "hash of commit", of the code by which a result was made and that is not today's."""
    commit = record.get("provenance", {}).get("git_commit") or NONE
    if "code" not in record:
        return {UNKNOWN: [commit]}
    others = {file: [f"{found} of {commit}"] for file, found in record["code"].items() if found != _today(file)}
    for file, whose in record.get("other_code", {}).items():
        others[file] = sorted({*others.get(file, []), *whose})
    return others


def _today(file: str) -> str | None:
    """Return the hash of a file as this process imports it; None if there is no such file any more."""
    path = paths.REPOSITORY / file
    if file.startswith("dcpriv_lib/"):
        module = ".".join(Path(file).with_suffix("").parts[1:])
        return _digest(module) if module in SOURCES else None
    if not path.is_file():
        return None
    return digest(_cells(path.read_text()) if path.is_relative_to(paths.NOTEBOOKS) else normalised(path.read_text()))


# ---------------------------------------------------------------- whoever reads a page


def short(commit: str | None) -> str:
    """Return a commit in ten digits, with its mark: "cdee8705a1+changes"."""
    number, mark, changes = (commit or "unknown").partition("+")
    return number[:10] + mark + changes


def of_run(records: list[dict]) -> str:
    """Return when, on what and by which commits a run was made, and `mixture`; `records` lie beside its tables."""
    made = [record["provenance"] for record in records]
    days, commits = (
        sorted(set(values))
        for values in ([one["written"][:10] for one in made], [short(one["git_commit"]) for one in made])
    )
    text = (
        f"run on {' to '.join(days[:: len(days) - 1 or 1])} on "
        f"{listed(sorted({str(one['processor']) for one in made}))}, "
        f"commit{'s' * (len(commits) > 1)} {listed(commits)}."
    )
    return f"{text} {mixture(records)}".strip()


def mixture(records: list[dict]) -> str:
    """Return how many devices, commits and versions of the code made a run, in a sentence or two; "" where one of each
    did."""
    return f"{_of_devices(records)} {_of_code(records)}".strip()


def _of_devices(records: list[dict]) -> str:
    found = sorted(set().union(*map(devices_of, records)))
    return f"It mixes devices: {listed(found)}." if len(found) > 1 else ""


def _of_code(records: list[dict]) -> str:
    commits = {record["provenance"]["git_commit"] for record in records}
    versions: dict[str, set[str]] = {}
    for record in records:
        for file, found in record.get("code", {}).items():
            versions.setdefault(file, set()).add(found)
        for file, whose in record.get("other_code", {}).items():
            versions.setdefault(file, set()).update(one.split(" of ")[0] for one in whose)
    mixed = [f"{file} in {len(found)} versions" for file, found in sorted(versions.items()) if len(found) > 1]
    if UNKNOWN in versions:
        mixed.append("results whose code is not on record")
    if mixed:
        return f"It mixes code: {listed(mixed)}."
    if len(commits) < 2:
        return ""
    known = all("code" in record for record in records)
    return f"Its tables are of {len(commits)} commits, " + (
        "which differ in nothing that they passed through."
        if known
        else "and what differs between these is not on record."
    )


def listed(names: list[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
