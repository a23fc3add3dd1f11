"""Other values at places of a signal, to try them: `refund_rate.tests[0].severity.warning` = 5. Pure.

A place is written as `ripcurrent check` does, with the signal's name for its `$`. One name stands in no file:
`refund_rate.severity_add` adds to every mark of all tests that score, so that one number moves a whole signal.
"""

import re
from typing import Any, NamedTuple

from msgspec import convert, to_builtins
from msgspec.structs import replace

from config.conform import misfits
from config.documents import At, path_text
from config.problems import one_of, shown
from config.schema import Signal

SEVERITY_ADD = "severity_add"
EXAMPLE = "refund_rate.tests[0].effect"
_PART = re.compile(r"\.([A-Za-z_][A-Za-z0-9_-]*)|\[([0-9]{1,3})\]")
_PLACE = re.compile(r"([a-z][a-z0-9_]*)((?:" + _PART.pattern.replace("(", "(?:") + r")+)")


class EditError(ValueError):
    """The place is none, or takes no such value: what was expected."""


class Place(NamedTuple):
    """A place in a signal's file."""

    signal: str
    at: At

    def __str__(self) -> str:
        return self.signal + path_text(self.at)[1:]


class Edit(NamedTuple):
    """Another value at a place."""

    place: Place
    value: Any

    def __str__(self) -> str:
        return f"{self.place}={self.value if isinstance(self.value, str) else shown(self.value)}"


def place(text: str) -> Place:
    """
    >>> place("refund_rate.tests[0].severity.warning")
    Place(signal='refund_rate', at=('tests', 0, 'severity', 'warning'))
    """
    found = _PLACE.fullmatch(text)
    if found is None:
        raise EditError(f"{shown(text)}; expected a signal and a field of it, such as {EXAMPLE}")
    parts = _PART.finditer(found[2])
    return Place(found[1], tuple(part[1] if part[1] is not None else int(part[2]) for part in parts))


def edited(signal: Signal, edit: Edit) -> Signal:
    """The signal with another value at this place; whether its parts still make sense together is not looked at."""
    whole = to_builtins(signal)  # all fields, also those that are not written down
    whole.pop("measured", None)  # decides nothing
    places = _add(whole, edit.value) if edit.place.at == (SEVERITY_ADD,) else [_set(whole, edit)]
    if problems := misfits(whole, Signal):
        raise EditError(problems[0].text)
    changed = convert(whole, Signal)
    for at in places:
        signal = _grafted(signal, changed, at)
    return signal


def _grafted(old: Any, new: Any, at: At) -> Any:
    """The old with what is new at this place only: what is not written down stays so, as the version's hash sees it."""
    if not at:
        return new
    part, *rest = at
    if isinstance(old, list | dict):
        same: Any = old.copy()
        same[part] = _grafted(same[part], new[part], tuple(rest))
        return same
    if part not in old.__struct_fields__:  # which of several types it is
        return new
    name = str(part)
    return replace(old, **{name: _grafted(getattr(old, name), getattr(new, name), tuple(rest))})


def _set(whole: Any, edit: Edit) -> At:
    value = whole
    *path, last = edit.place.at
    for part in path:
        value = value[_known(value, part, whole)]
    value[_known(value, last, whole)] = edit.value
    return edit.place.at


def _known(value: Any, part: str | int, whole: Any) -> Any:
    """The part, which is there; else what may have been meant."""
    if isinstance(value, dict):
        if part not in value:
            raise EditError(f"there is no {part}; {_meant(part, value, whole)}")
    elif isinstance(value, list):
        if not isinstance(part, int) or part >= len(value):
            raise EditError(f"there is no [{part}]; expected [0]" + (f" to [{len(value) - 1}]" if value[1:] else ""))
    else:
        raise EditError(f"there is no {part} in {shown(value)}; expected a field that has parts")
    return part


def _meant(part: str | int, value: Any, whole: Any) -> str:
    """The nearest name; of a signal itself also among those of its tests, with the way there."""
    if value is not whole:
        return one_of(part, value)
    names: dict[str, str] = {}
    for i, test in reversed(list(enumerate(whole["tests"]))):  # the first test that has it wins
        names |= {name: f"tests[{i}].severity.{name}" for name in test["severity"]}
        names |= {name: f"tests[{i}].{name}" for name in test}
    names |= {name: name for name in (SEVERITY_ADD, *whole)}
    hint = one_of(part, names)
    near = hint.removeprefix("did you mean ").rstrip("?")
    return f"did you mean {names[near]}?" if near in names else one_of(part, [SEVERITY_ADD, *whole])


def _add(whole: Any, more: Any) -> list[At]:
    """To the marks of the tests whose scores say how rare something is, which are there; rules count, and stay."""
    if isinstance(more, bool) or not isinstance(more, int | float):
        raise EditError(f"{shown(more)}; expected a number, to be added to each mark")
    scored = [i for i, test in enumerate(whole["tests"]) if "detector" in test]
    if not scored:
        raise EditError("none of its tests scores how rare something is; expected a mark itself, such as "
                        "tests[0].severity.warning")  # fmt: skip
    for i in scored:
        marks = whole["tests"][i]["severity"]
        marks |= {name: round(mark + more, 6) for name, mark in marks.items() if mark is not None}
    return [("tests", i, "severity") for i in scored]
