"""Of a replay's report: alerts by day, severity, signal and market, and the time that their review takes. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence

from streams.outcome import DAY_MS, SEVERITIES, grouped
from streams.outcome_rows import EpisodeRow, GroupRow
from streams.page import Figure, figures, paragraphs
from streams.page_charts import Bar, Part, bar, stacked
from streams.page_html import Html, joined, tag
from streams.page_table import Cell, Heading, Row, table
from streams.page_words import day, hours, many, share
from streams.reasons import number

BARS_MAX = 62  # two months of days; what is longer is shown by the week, or by more days
REACHED = tuple(reversed(SEVERITIES))  # the most severe first
PARTS = [Part(severity, severity) for severity in REACHED]


def amount(n: int) -> Cell:
    return Cell(f"{n:,}", n)


def alerts(told: Sequence[EpisodeRow], titles: Mapping[str, str]) -> Html:
    """By day, by severity, by signal, by market. `titles` of signals by their name."""
    if not told:
        return tag("p", "There were none.", class_="empty")
    return joined(
        by_day(told),
        _groups("signals", "Alerts by signal", "Signal", told, "signal", titles),
        _groups("markets", "Alerts by market", "Market", told, "market", {}),
        _severities(told),
    )


def by_day(told: Sequence[EpisodeRow]) -> Html:
    """A bar for each day or more; behind it the days as a table."""
    days = Counter((row.opened_at // DAY_MS, row.severity) for row in told)
    first, last = min(at for at, _ in days), max(at for at, _ in days)
    wide = width_of_bars(last - first + 1)
    bars = []
    for start in range(first, last + 1, wide):
        values = [sum(days[at, one] for at in range(start, start + wide)) for one in REACHED]
        bars.append(Bar(day(start), values))
    each = "day" if wide == 1 else f"{wide} days"
    busiest = max(bars, key=lambda one: sum(one.values))
    said = f"A bar for each {each}, from {day(first)} to {day(last)}. The most, {sum(busiest.values):,.0f}, opened " + (
        f"on {busiest.label}." if wide == 1 else f"in the {wide} days from {busiest.label}."
    )
    chart = stacked("by-day", "Alerts by the day they opened", said, PARTS, bars)
    return joined(chart, tag("details", tag("summary", "Days as a table"), _days(days)))


def width_of_bars(days: int) -> int:
    """Days in a bar: one, or as many whole weeks as it takes.

    >>> width_of_bars(62), width_of_bars(63), width_of_bars(1_000)
    (1, 7, 21)
    """
    return 1 if days <= BARS_MAX else 7 * -(-days // (7 * BARS_MAX))


def _days(counts: Mapping[tuple[int, str], int]) -> Html:
    days = sorted({at for at, _ in counts})
    headings = [Heading("Day", "time"), Heading("Alerts", "number")]
    headings += [Heading(one.capitalize(), "number") for one in REACHED]
    rows: list[Row] = []
    for at in days:
        reached = [counts.get((at, one), 0) for one in REACHED]
        rows.append([Cell(day(at)), amount(sum(reached)), *map(amount, reached)])
    return table("days", "Alerts by day", headings, rows, "Days without any are left out.")


def _groups(
    name: str, caption: str, label: str, told: Sequence[EpisodeRow], by: str, titles: Mapping[str, str]
) -> Html:
    headings = [
        Heading(label), Heading("Alerts", "number"), Heading("Creators", "number"),
        *(Heading(one.capitalize(), "number", title="alerts that reached it and no more") for one in REACHED),
        Heading("Open", "number", title="still open at the end"),
        Heading("Median duration", "number", title="of those that ended"),
    ]  # fmt: skip
    groups = grouped(told, by)
    most = max(group.alerts for group in groups)
    return table(name, caption, headings, [_group(group, most, titles) for group in groups])


def _group(group: GroupRow, most: int, titles: Mapping[str, str]) -> Row:
    reached = (group.critical, group.warning, group.info)
    return [
        Cell(titles.get(group.name, group.name)),
        Cell(f"{group.alerts:,}", group.alerts, bar(reached, most, REACHED)), amount(group.creators),
        *map(amount, reached), amount(group.open), Cell(hours(group.median_hours), group.median_hours),
    ]  # fmt: skip


def _severities(told: Sequence[EpisodeRow]) -> Html:
    headings = [Heading("Severity", "mark"), Heading("Alerts", "number"), Heading("Share", "number"),
                Heading("Creators", "number"), Heading("Open", "number"),
                Heading("Median duration", "number")]  # fmt: skip
    groups = sorted(grouped(told, "severity"), key=lambda group: REACHED.index(group.name))
    rows = [
        [Cell(g.name, SEVERITIES.index(g.name)), amount(g.alerts), Cell(share(g.alerts / len(told)), g.alerts),
         amount(g.creators), amount(g.open), Cell(hours(g.median_hours), g.median_hours)]
        for g in groups
    ]  # fmt: skip
    return table("severities", "Alerts by severity", headings, rows, "The highest that an alert reached.")


# ---- review ------------------------------------------------------------------------------------------------


def review(
    told: Sequence[EpisodeRow], titles: Mapping[str, str], days: float | None, minutes: float
) -> Html:
    """Hours at so many minutes a case; a case is an alert that was told, however often it was revised."""
    if not told:
        return tag("p", "There is nothing to review.", class_="empty")
    total = len(told) * minutes / 60
    by_day = Counter(row.opened_at // DAY_MS for row in told)
    busiest, most = min(by_day.items(), key=lambda one: (-one[1], one[0]))
    each = [Figure("Hours in all", number(total), many(len(told), "case"))]
    if days:
        each.append(Figure("Hours a week", number(7 * total / days), f"over {number(days)} days"))
    when = f"{day(busiest)}: {many(most, 'case')}"
    each.append(Figure("Hours on the busiest day", number(most * minutes / 60), when))
    wrong = sum(row.verdict == "false" for row in told)
    if any(row.verdict != "unlabelled" for row in told):
        each.append(Figure("Hours on false alarms", number(wrong * minutes / 60), many(wrong, "case")))
    said = (
        f"Reckoned at {minutes:g} minutes a case, as --minutes-per-case says. A case is an alert that was told, "
        "however often it was revised."
    )
    return joined(paragraphs(said), figures(each), _review_by_signal(told, titles, days, minutes))


def _review_by_signal(
    told: Sequence[EpisodeRow], titles: Mapping[str, str], days: float | None, minutes: float
) -> Html:
    wrong = Counter(row.signal for row in told if row.verdict == "false")
    labelled = any(row.verdict != "unlabelled" for row in told)
    groups = grouped(told, "signal")
    most = groups[0].alerts * minutes / 60
    headings = [Heading("Signal"), Heading("Cases", "number"), Heading("Hours", "number")]
    headings += [Heading("Hours a week", "number")] if days else []
    headings += [Heading("Hours on false alarms", "number")] if labelled else []
    rows: list[Row] = []
    for group in groups:
        spent = group.alerts * minutes / 60
        row = [Cell(titles.get(group.name, group.name)), amount(group.alerts)]
        row += [Cell(number(spent), spent, bar([spent], most))]
        row += [Cell(number(7 * spent / days), spent)] if days else []
        row += [Cell(number(wrong[group.name] * minutes / 60), wrong[group.name])] if labelled else []
        rows.append(row)
    return table("review-signals", "Hours of review by signal", headings, rows)
