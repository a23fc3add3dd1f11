"""A market's calendar as occasions: its campaigns and public holidays, each from local midnight to local midnight.

What repeats (`every_year`, `every_month`, public holidays) is resolved for the years 2024 to 2031; `dates` are taken
as given. Days of one campaign that follow each other are one occasion. The time zones are those of the package
tzdata, not those of the machine, so that the same configuration gives the same milliseconds everywhere.
"""

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import cache
from importlib.resources import files
from itertools import chain
from zoneinfo import ZoneInfo

import holidays

from config.schema import Campaign, Market, Occasion

FIRST_YEAR, LAST_YEAR = 2024, 2031
RANGE_DAYS_MAX = 366
DAY = timedelta(days=1)
_REMARK = re.compile(r" \([^)]*\)")  # "(observed)", "(estimated)", "(Second Day)"


def occasions(market: Market) -> list[Occasion]:
    """The calendar of a market, in order of time. It has passed the checks: a bad day here is a ValueError.

    >>> [one] = occasions(Market(currency="THB", time_zone="Asia/Bangkok", calendar=[
    ...     Campaign(name="Songkran", lift=0.8, dates=["2026-04-13..2026-04-15"])]))
    >>> one.name, one.start_ms, (one.end_ms - one.start_ms) / 3_600_000
    ('Songkran', 1776013200000, 72.0)
    """
    named = [(campaign.name, campaign.lift, days_of(campaign, market.country)) for campaign in market.calendar]
    others = [(name, market.holiday_lift, days) for name, days in unnamed_holidays(market).items()]
    zone = time_zone(market.time_zone)
    found = [
        Occasion(name=name, start_ms=_midnight_ms(first, zone), end_ms=_midnight_ms(last + DAY, zone), lift=lift)
        for name, lift, days in chain(named, others)
        for first, last in runs(days)
    ]
    return sorted(found, key=lambda one: (one.start_ms, one.end_ms, one.name))


def days_of(campaign: Campaign, country: str | None) -> set[date]:
    """Every local day of a campaign."""
    days = set(chain.from_iterable(days_between(text) for text in campaign.dates))
    years = range(FIRST_YEAR, LAST_YEAR + 1)
    for text in campaign.every_year:
        days |= set(yearly(text))
    days |= {monthly(year, month, day) for year in years for month in range(1, 13) for day in campaign.every_month}
    if campaign.holidays and country is not None:
        days |= {day for day, names in public_holidays(country).items() if _named(names, campaign.holidays)}
    return days


def days_between(text: str) -> list[date]:
    """The days of `2026-11-27` or `2026-11-27..2026-11-30`.

    >>> [str(day) for day in days_between("2026-02-27..2026-03-01")]
    ['2026-02-27', '2026-02-28', '2026-03-01']
    """
    first, _, last = text.partition("..")
    start, end = date.fromisoformat(first), date.fromisoformat(last or first)
    if not 2000 <= start.year <= end.year <= 2099:
        raise ValueError("expected days from 2000 to 2099, the first one first")
    if end < start or (end - start).days >= RANGE_DAYS_MAX:
        raise ValueError(f"expected the first day first, and at most {RANGE_DAYS_MAX} days")
    return [start + DAY * n for n in range((end - start).days + 1)]


def yearly(text: str) -> list[date]:
    """A day such as `11-11` in each of the years; 02-29 where the year has it.

    >>> [str(day) for day in yearly("02-29")]
    ['2024-02-29', '2028-02-29']
    """
    month, day = (int(part) for part in text.split("-"))
    date(FIRST_YEAR, month, day)  # a leap year: what it has not, no year has
    leap = (month, day) == (2, 29)
    return [date(year, month, day) for year in range(FIRST_YEAR, LAST_YEAR + 1) if not leap or year % 4 == 0]


def monthly(year: int, month: int, day: int) -> date:
    """A day of a month; in a shorter month its last.

    >>> monthly(2026, 2, 31), monthly(2026, 12, 31)
    (datetime.date(2026, 2, 28), datetime.date(2026, 12, 31))
    """
    last = date(year + month // 12, month % 12 + 1, 1) - DAY
    return min(last, date(year, month, min(day, last.day)))


def runs(days: Iterable[date]) -> list[tuple[date, date]]:
    """First and last day of each run of days that follow each other.

    >>> runs([date(2026, 1, 3), date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 9)])[0]
    (datetime.date(2026, 1, 1), datetime.date(2026, 1, 3))
    """
    found: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        if found and found[-1][1] + DAY == day:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def unnamed_holidays(market: Market) -> dict[str, list[date]]:
    """Public holidays of the market's country that no campaign names, by their name."""
    if market.country is None:
        return {}
    wanted = [name for campaign in market.calendar for name in campaign.holidays]
    found: dict[str, list[date]] = {}
    for day, names in public_holidays(market.country).items():
        if not _named(names, wanted):
            # a name without its remarks, so that a second day or a day in lieu goes on with the first
            said = ", ".join(dict.fromkeys(_REMARK.sub("", name) for name in names))
            found.setdefault(said, []).append(day)
    return found


@cache
def public_holidays(country: str) -> dict[date, tuple[str, ...]]:
    """The public holidays of a country in these years, with their English names. An unknown country is a ValueError."""
    if country not in countries():
        raise ValueError(f"no public holidays are known of {country}")
    years = range(FIRST_YEAR, LAST_YEAR + 1)
    found = holidays.country_holidays(country, years=years, language="en_US")
    return {day: tuple(found[day].split("; ")) for day in sorted(found)}


@cache
def countries() -> frozenset[str]:
    """The countries whose public holidays are known, by their code."""
    return frozenset(holidays.list_supported_countries(include_aliases=False))


@cache
def time_zones() -> frozenset[str]:
    """The names of all time zones."""
    return frozenset((files("tzdata") / "zones").read_text(encoding="utf-8").split())


@cache
def time_zone(name: str) -> ZoneInfo:
    """A time zone by its name. An unknown name is a ValueError."""
    if name not in time_zones():
        raise ValueError(f"no time zone {name}")
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def standard_offset_ms(name: str) -> int:
    """How far the clocks of a time zone are ahead of UTC in their standard time, as of 2026.

    >>> standard_offset_ms("Asia/Bangkok"), standard_offset_ms("America/New_York")
    (25200000, -18000000)
    """
    zone = time_zone(name)
    # the lesser of winter's and summer's, whichever half of the world it is; Dublin calls its winter the exception
    ahead = [datetime(2026, month, 1, tzinfo=zone).utcoffset() for month in (1, 7)]
    return min(round(offset.total_seconds() * 1000) for offset in ahead if offset is not None)


def _named(names: Iterable[str], wanted: Iterable[str]) -> bool:
    return any(part.casefold() in name.casefold() for name in names for part in wanted)


def _midnight_ms(day: date, zone: ZoneInfo) -> int:
    """Where clocks jump over midnight, the first moment of the day."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1000
