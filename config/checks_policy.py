"""Checks of what changes a signal's policy, and of the files beside the signals: engine, markets, groups."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise

from config.calendar import countries, days_between, public_holidays, time_zones, yearly
from config.documents import At
from config.problems import Problem, one_of, shown
from config.schema import (
    Campaign,
    Change,
    EngineSettings,
    Group,
    Market,
    Outcome,
    Ratio,
    Series,
    Severity,
    Share,
    Signal,
    Test,
    millis,
)

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
SETS = (
    "status", "severity", "severity_add", "minimum", "minimum_of", "effect", "hysteresis", "resolve_after", "cooldown",
)  # fmt: skip


def severity_problems(at: At, severity: Severity) -> Iterator[Problem]:
    marks = [(name, getattr(severity, name)) for name in ("info", "warning", "critical")]
    given = [(name, mark) for name, mark in marks if mark is not None]
    if not given:
        yield Problem(at, "has no score; expected one for info, warning or critical: this test never alerts")
    for (low, mark), (high, above) in pairwise(given):
        if mark >= above:
            yield Problem((*at, high), f"{above:g} is not over {low} ({mark:g}); expected rising scores")


def change_problems(at: At, change: Change, tests: Sequence[Test]) -> Iterator[Problem]:
    """Whether a change fits the signal with these tests."""
    if all(getattr(change, field) is None for field in SETS):
        yield Problem(at, f"changes nothing; expected one of: {', '.join(SETS)}")
    for i, number in enumerate(change.tests):
        if number > len(tests):
            yield Problem((*at, "tests", i), f"{number}; expected a test of the signal, which has {len(tests)}")
    if change.severity is not None:
        yield from severity_problems((*at, "severity"), change.severity)
    chosen = [test for number, test in enumerate(tests, start=1) if not change.tests or number in change.tests]
    if change.minimum_of is not None and not any(isinstance(test, Outcome | Share | Ratio | Series) for test in chosen):
        yield Problem((*at, "minimum_of"), "none of these tests has it; expected it only for outcome, share and ratio")
    if change.effect is not None and any(isinstance(test, Series) for test in chosen):
        text = "one of these tests is a series, which adds up by its own; "
        text += "expected 'tests' without it, or severity instead"
        yield Problem((*at, "effect"), text)


def reference_problems(at: At, names: Sequence[str], known: Collection[str], what: str) -> Iterator[Problem]:
    """Names that are none of the known."""
    for i, name in enumerate(names):
        if name not in known:
            yield Problem((*at, i), f"{shown(name)} is not {what}; {one_of(name, known)}")


def engine_problems(engine: EngineSettings) -> Iterator[Problem]:
    if HOUR_MS % millis(engine.pane):
        yield Problem(("pane",), f"{engine.pane!r}; expected a length that divides an hour, such as 15m")
    if millis(engine.ahead) < HOUR_MS:
        yield Problem(("ahead",), f"{engine.ahead!r}; expected at least 1h")
    elif millis(engine.ahead) <= millis(engine.lateness) + millis(engine.pane):
        text = f"{engine.ahead!r}; expected more than 'lateness' and a pane ({engine.lateness} and {engine.pane}): "
        yield Problem(("ahead",), text + "an event that may close a pane has to be believed first")
    if millis(engine.inactive_after) < DAY_MS:
        yield Problem(("inactive_after",), f"{engine.inactive_after!r}; expected at least 1d, or nobody has a past")


def group_problems(group: Group, signals: Collection[str]) -> Iterator[Problem]:
    yield from reference_problems(("exempt_from",), group.exempt_from, signals, "a signal of signals/")
    seen: set[tuple[str, str | None]] = set()
    for i, member in enumerate(group.members):
        if (key := (member.creator, member.market)) in seen:
            yield Problem(("members", i, "creator"), f"{shown(member.creator)} stands twice; expected it once")
        seen.add(key)
        if not is_date(member.until):
            yield Problem(("members", i, "until"), f"{member.until!r} is no day of the calendar; expected one")


def market_problems(market: Market, names: Collection[str], signals: Mapping[str, Signal]) -> Iterator[Problem]:
    """`names` are those of all signals, `signals` those that could be read."""
    if market.time_zone not in time_zones():
        text = f"{shown(market.time_zone)} is no time zone; {_zone_hint(market.time_zone)}"
        yield Problem(("time_zone",), text)
    known = market.country is None or market.country in countries()
    if not known:
        text = f"{market.country!r}: no public holidays are known of it; expected a country such as TH, or none"
        yield Problem(("country",), text)
    seen: set[str] = set()
    for i, campaign in enumerate(market.calendar):
        at: At = ("calendar", i)
        if campaign.name in seen:
            yield Problem((*at, "name"), f"{shown(campaign.name)} stands twice; expected a name for each campaign")
        seen.add(campaign.name)
        yield from campaign_problems(at, campaign)
        if known:
            yield from _holiday_problems((*at, "holidays"), campaign.holidays, market.country)
    for name, change in market.thresholds.items():
        if name not in names:
            yield Problem(("thresholds", name), f"is not a signal of signals/; {one_of(name, names)}")
        elif name in signals:
            yield from change_problems(("thresholds", name), change, signals[name].tests)


def campaign_problems(at: At, campaign: Campaign) -> Iterator[Problem]:
    if not (campaign.dates or campaign.every_year or campaign.every_month or campaign.holidays):
        yield Problem(at, "names no day; expected dates, every_year, every_month or holidays")
    for i, text in enumerate(campaign.dates):
        try:
            days_between(text)
        except ValueError as error:
            said = str(error) if str(error).startswith("expected") else "is no day of the calendar; expected one"
            yield Problem((*at, "dates", i), f"{text!r}: {said}")
    for i, text in enumerate(campaign.every_year):
        try:
            yearly(text)
        except ValueError:
            yield Problem((*at, "every_year", i), f"{text!r} is no day of any year; expected month-day, such as 11-11")


def _holiday_problems(at: At, wanted: list[str], country: str | None) -> Iterator[Problem]:
    if country is None:
        if wanted:
            yield Problem(at, "this market has no public holidays; expected a 'country' beside 'calendar'")
        return
    names = sorted({name for day in public_holidays(country).values() for name in day})
    for i, part in enumerate(wanted):
        if not part.strip() or not any(part.casefold() in name.casefold() for name in names):
            yield Problem((*at, i), f"{shown(part)} is in no public holiday of {country}; {one_of(part, names)}")


def _zone_hint(name: str) -> str:
    text = one_of(name, time_zones())
    return text if text.startswith("did") else "expected a name such as Asia/Bangkok"


def is_date(text: str) -> bool:
    """
    >>> is_date("2026-02-28"), is_date("2026-02-30")
    (True, False)
    """
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
