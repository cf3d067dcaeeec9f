"""The rooms of the library: who may ask whom. Imports go one way, so that a room is understood with those below it."""

from graphlib import TopologicalSorter

import pytest

from dcpriv_lib.engine import origin

ROOMS = {module.partition(".")[0] for module in origin.SOURCES if "." in module}


def arrows(rooms: bool) -> dict[str, set[str]]:
    """Return what every module imports, also late; or the same of rooms, a module at the top being one of its own."""
    found: dict[str, set[str]] = {}
    for module, source in origin.SOURCES.items():
        for other in origin.imported(source, module):
            ends = [name.partition(".")[0] if rooms else name for name in (module, other)]
            if ends[0] != ends[1] and not ends[1].endswith("__init__"):
                found.setdefault(ends[0], set()).add(ends[1])
    return found


@pytest.mark.parametrize("rooms", [False, True])
def test_imports_make_no_circle(rooms):
    order = list(TopologicalSorter(arrows(rooms)).static_order())  # raises CycleError, which names one
    assert ROOMS <= set(order) if rooms else "study" in order


def test_a_circle_is_found():
    with pytest.raises(ValueError, match="cycle"):
        list(TopologicalSorter(arrows(True) | {"engine": {"study"}}).static_order())


def test_the_ground_floor_knows_nothing_of_images():
    assert arrows(True).get("engine", set()) == set()


@pytest.mark.parametrize("face", sorted(ROOMS))
def test_the_face_of_a_room_is_empty(face):
    """Else every kernel would pay for all that is in the room."""
    assert origin.SOURCES[f"{face}.__init__"].strip() == ""
