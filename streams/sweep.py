"""A sweep: the same events under every combination of some values, and how many alerts a day may be told.

    axes(["refund_rate.severity_add=-0.5,0.5", "refund_rate.tests[0].effect=2,3"])    # 4 settings
"""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import NamedTuple

from config.documents import DocumentError, parsed
from config.edits import EXAMPLE, Edit, EditError, Place, place
from config.problems import shown
from streams.compare_volume import ALL
from streams.errors import RipcurrentError

SETTINGS_MAX = 500
AS_IS = "as it is"


class SweepError(RipcurrentError):
    """What is to be tried, or kept to, makes no sense: what was expected."""


class Axis(NamedTuple):
    """The values that a place is to have."""

    place: Place
    values: list[object]


def axes(texts: Iterable[str]) -> list[Axis]:
    """Of `signal.field=a,b,c`; values are written as in a file.

    >>> axes(["refund_rate.tests[0].windows=[24h by 1h],[7d by 6h, 24h by 1h]"])[0].values
    [['24h by 1h'], ['7d by 6h', '24h by 1h']]
    """
    found: dict[Place, Axis] = {}
    for text in texts:
        axis = _axis(text)
        if axis.place in found:
            raise SweepError(f"{axis.place} stands twice; expected all its values together: a,b,c")
        found[axis.place] = axis
    return list(found.values())


def _axis(text: str) -> Axis:
    name, _, values = text.partition("=")
    try:
        where = place(name.strip())
        given = parsed(f"[{values}]", "").value
    except EditError as error:
        raise SweepError(f"{error}=2,3") from None
    except DocumentError as error:
        raise SweepError(f"{shown(text)}: {error}; expected values such as {EXAMPLE}=2,3") from None
    if not isinstance(given, list) or not given:
        raise SweepError(f"{shown(text)} has no values; expected some, such as {EXAMPLE}=2,3")
    if repeated := [value for i, value in enumerate(given) if value in given[:i]]:
        raise SweepError(f"{where}: {shown(repeated[0])} stands twice; expected each value once")
    return Axis(where, given)


def grid(each: Sequence[Axis]) -> list[list[Edit]]:
    """Every combination, the last axis changing fastest; before them, nothing changed."""
    n = 1
    for axis in each:
        n *= len(axis.values)
    if n > SETTINGS_MAX:
        raise SweepError(f"{n:,} settings; expected at most {SETTINGS_MAX}: fewer values or fewer fields")
    return [[], *([Edit(axis.place, value) for axis, value in zip(each, values, strict=True)]
                  for values in product(*(axis.values for axis in each)))]  # fmt: skip


def budgets(texts: Iterable[str], markets: Iterable[str]) -> dict[str, float]:
    """At most so many alerts a day, by market: of `TH=40`, or of `40` for all together.

    >>> budgets(["TH=40", "90"], ["TH", "VN"])
    {'TH': 40.0, 'all': 90.0}
    """
    known, found = [ALL, *sorted(markets)], {}
    for text in texts:
        name, equals, _ = text.rpartition("=")
        market = name if equals else ALL
        if market not in known:
            raise SweepError(f"{shown(text)}: no events of {shown(market)}; expected one of: {', '.join(known)}")
        if market in found:
            raise SweepError(f"{market} has two budgets; expected one")
        found[market] = limit(text)
    return found


def limit(text: str) -> float:
    """The number of a budget."""
    number = text.rpartition("=")[2]
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise SweepError(f"{shown(text)}; expected at most so many alerts a day, such as TH=40, or 40 for all")
    return value


def said(edits: Sequence[Edit]) -> str:
    """A setting in words."""
    return ", ".join(str(edit) for edit in edits) or AS_IS
