"""Numbers, times and shares as a page says them. Pure."""

import re
from collections.abc import Sequence

import numpy as np

from streams.reasons import number, percent

PARTS = ("share", "ratio")  # units that are said in percent, as reasons say them
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_PARTS_MS = (86_400_000, 3_600_000, 60_000, 1_000)


def day(days: int) -> str:
    """Days since the epoch as a date.

    >>> day(20_458)
    '2026-01-05'
    """
    return str(np.datetime64(days, "D"))


def minute(ms: int | None) -> str:
    """A time in UTC; what has none is not over.

    >>> minute(1_767_571_200_000), minute(None)
    ('2026-01-05 00:00', '')
    """
    return "" if ms is None else str(np.datetime64(ms, "ms").astype("datetime64[m]")).replace("T", " ", 1)


def hours(value: float | None) -> str:
    """A length of time that a person can picture.

    >>> hours(0.25), hours(1), hours(26.4), hours(200), hours(None)
    ('15 min', '1 h', '26 h', '8.3 days', '')
    """
    if value is None:
        return ""
    if value < 1:
        return f"{60 * value:.0f} min"
    return f"{number(value)} h" if value < 72 else f"{number(value / 24)} days"


def measured(value: float | None, unit: str) -> str:
    """What was measured, in the unit of an alert.

    >>> measured(0.38, "share"), measured(1.2, "ratio"), measured(1234, "THB"), measured(7, "events")
    ('38\\xa0%', '120\\xa0%', 'THB 1,234', '7')
    """
    if value is None:
        return ""
    if unit in PARTS:
        return share(value)
    return f"{unit} {number(value)}" if len(unit) == 3 and unit.isupper() else number(value)


def usual(low: float | None, high: float | None, unit: str) -> str:
    """
    >>> usual(2, 9, "events"), usual(None, 0.1, "share"), usual(3, None, "events"), usual(None, None, "steps")
    ('2 to 9', 'up to 10\\xa0%', '3 or more', '')
    """
    if low is None and high is None:
        return ""
    if low is None:
        return f"up to {measured(high, unit)}"
    return f"{measured(low, unit)} or more" if high is None else f"{measured(low, unit)} to {measured(high, unit)}"


def share(value: float) -> str:
    """A share whose sign stays beside it where a line ends.

    >>> share(0.38)
    '38\\xa0%'
    """
    return percent(value).replace(" ", "\u00a0")


def within(low: float | None, high: float | None) -> str:
    """An interval of a share.

    >>> within(0.21, 1.0), within(None, None)
    ('21\\xa0% to 100\\xa0%', '')
    """
    return "" if low is None or high is None else f"{share(low)} to {share(high)}"


def many(n: int, one: str, more: str = "") -> str:
    """
    >>> many(1, "alert"), many(1_200, "alert"), many(2, "day of events", "days of events")
    ('1 alert', '1,200 alerts', '2 days of events')
    """
    return f"{n:,} {one if n == 1 else more or one + 's'}"


def were(n: int) -> str:
    """
    >>> were(0), were(1), were(1_200)
    ('none were', '1 was', '1,200 were')
    """
    return "none were" if n == 0 else f"{n:,} {'was' if n == 1 else 'were'}"


def listed(parts: Sequence[str]) -> str:
    """
    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def duration_ms(iso: str) -> int | None:
    """The length of a window from its ISO 8601 duration; None where it is none.

    >>> duration_ms("PT24H"), duration_ms("P7D"), duration_ms("PT15M"), duration_ms("a day")
    (86400000, 604800000, 900000, None)
    """
    found = _DURATION.fullmatch(iso)
    if found is None:
        return None
    return sum(int(part) * size for part, size in zip(found.groups(), _PARTS_MS, strict=True) if part)
