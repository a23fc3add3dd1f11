"""What `ripcurrent compare` shows on the command line."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from streams.compare_rows import QualityRow, SettingRow, SignalRow, VolumeRow
from streams.compare_volume import ALL
from streams.dead_letters import escaped
from streams.page_words import many
from streams.sweep_score import curve
from streams.what_if import DRAWS, SEED, Asked, Days, day_text

CREATORS_SHOWN = 5


def _table(title: str, first: str, columns: Sequence[str]) -> Table:
    table = Table(title=title)
    table.add_column(first, overflow="fold")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def signals_table(rows: Sequence[SignalRow]) -> Table:
    """Alerts by signal, and what became of them; signals where nothing changed are together."""
    fields = ("alerts_base", "alerts_new", "appeared", "vanished", "earlier", "later", "raised", "lowered")
    table = _table("Alerts", "signal", ("BASE", "NEW", *fields[2:]))
    changed = [row for row in rows if any(getattr(row, field) for field in fields[2:])]
    others = [row for row in rows if row not in changed]
    for name, each in [*((row.signal, [row]) for row in changed), ("others, unchanged", others), (ALL, rows)]:
        if name == ALL:
            table.add_section()
        if each:
            table.add_row(name, *(_count(sum(getattr(row, field) for row in each)) for field in fields))
    return table


def _count(n: int) -> str:
    return f"{n:,}" if n else ""


def volume_table(rows: Sequence[VolumeRow]) -> Table:
    """Alerts and reviewer hours a day, and the week to come, by market."""
    columns = ("BASE a day", "NEW a day", "difference", "hours a day", "next week, NEW")
    table = _table("Volume, with 95 % intervals", "market", columns)
    by = {(row.market, row.under): row for row in rows}
    for market in dict.fromkeys(row.market for row in rows):
        base, new, more = (by[market, under] for under in ("base", "new", "difference"))
        table.add_row(
            escape(market), *(span(row.per_day, row.per_day_low, row.per_day_high) for row in (base, new)),
            span(more.per_day, more.per_day_low, more.per_day_high, "+"),
            span(new.hours_per_day, new.hours_per_day_low, new.hours_per_day_high),
            span(new.next_week, new.next_week_low, new.next_week_high),
        )  # fmt: skip
    return table


def span(value: float | None, low: float | None, high: float | None, sign: str = "") -> str:
    """A value and its interval.

    >>> span(2.0, 1.25, 3.1), span(1.0, -0.5, 2.0, "+"), span(38.0, 21.0, 57.0), span(None, None, None)
    ('2.0 (1.2 to 3.1)', '+1.0 (-0.5 to +2.0)', '38 (21 to 57)', '')
    """
    if value is None or low is None or high is None:
        return ""
    digits = 0 if max(abs(value), abs(low), abs(high)) >= 10 else 1
    said = [f"{round(one, digits) + 0.0:{sign if one else ''},.{digits}f}" for one in (value, low, high)]
    return f"{said[0]} ({said[1]} to {said[2]})"


def share(value: float | None, low: float | None, high: float | None) -> str:
    """
    >>> share(0.9, 0.81, 0.952)
    '90 % (81 to 95)'
    """
    if value is None or low is None or high is None:
        return ""
    return f"{100 * value:.0f} % ({100 * low:.0f} to {100 * high:.0f})"


def quality_table(rows: Sequence[QualityRow]) -> Table:
    """Recall and precision under both."""
    table = _table("Beside the labels", "under", ("caught", "recall", "false alerts", "precision"))
    for row in (row for row in rows if row.about == ALL):
        table.add_row(
            row.under.upper(), f"{row.caught} of {row.labels}", share(row.recall, row.recall_low, row.recall_high),
            f"{row.false_alerts} of {row.alerts}", share(row.precision, row.precision_low, row.precision_high),
        )  # fmt: skip
    return table


def compared_lines(rows: Mapping[str, Sequence[Any]]) -> list[str]:
    """What tables leave out: creators by name, and labels won and lost."""
    lines = [_creators(rows["creators"], "hit", "newly hit"), _creators(rows["creators"], "released", "released")]
    if "label_changes" in rows:
        changes = [row.change for row in rows["label_changes"]]
        shed = sum(row.change == "vanished" and row.verdict_base == "false" for row in rows["changes"])
        added = sum(row.change == "appeared" and row.verdict_new == "false" for row in rows["changes"])
        lines.append(f"episodes: {changes.count('won')} won, {changes.count('lost')} lost; "
                     f"false alerts: {added} added, {shed} shed")  # fmt: skip
    return lines


def _creators(rows: Sequence[Any], change: str, said: str) -> str:
    mine = [row for row in rows if row.change == change]
    names = ", ".join(escaped(row.creator_id) for row in mine[:CREATORS_SHOWN])
    more = f" and {len(mine) - CREATORS_SHOWN:,} more" if len(mine) > CREATORS_SHOWN else ""
    return f"{many(len(mine), 'creator')} {said}" + (f": {names}{more}" if mine else "")


def made_of(days: Days, asked: Asked) -> str:
    """Of which days volumes are, and how."""
    if len(days.counted) < 2:
        return f"no volume: {len(days.whole)} whole days of events, {len(days.counted)} of which count, are too few"
    first, last = day_text(days.counted[0]), day_text(days.counted[-1])
    left_out = len(days.whole) - len(days.counted)
    said = f"volume of {len(days.counted)} days, {first} to {last}"
    said += f", without the {left_out} before them, when levels are learned" if left_out else ""
    return f"{said}; {asked.minutes_per_case:g} minutes a case; {DRAWS:,} draws, seed {SEED}"


def sweep_table(rows: Sequence[SettingRow], limits: Mapping[str, float]) -> Table:
    """Each setting: alerts a day in all and where there is a budget, and beside labels recall and false alarms."""
    asked = [market for market in limits if market != ALL]
    labelled = any(row.labels is not None for row in rows)
    columns = ["alerts a day", *(f"in {market}" for market in asked), "hours a day"]
    columns += ["recall", "false per 1,000"] if labelled else []
    table = _table("Settings", "setting", [*columns, "kept"] if limits else columns)
    best_at = {row.setting for row in curve(rows)}
    for row in (row for row in rows if row.market == ALL):
        there = {one.market: one for one in rows if one.setting == row.setting}
        cells = [span(row.per_day, row.per_day_low, row.per_day_high)]
        cells += [span(one.per_day, one.per_day_low, one.per_day_high) for one in (there[m] for m in asked)]
        cells.append("" if row.hours_per_day is None else f"{row.hours_per_day:.1f}")
        if labelled:
            star = "*" if row.setting in best_at else " "
            cells += [share(row.recall, row.recall_low, row.recall_high) + f" {star}",
                      span(row.false_per_1000, row.false_per_1000_low, row.false_per_1000_high)]  # fmt: skip
        if limits:
            cells.append("yes" if row.within_budget else "no")
        table.add_row(escape(row.values), *cells, style="bold" if row.chosen else None)
    return table


def curve_lines(rows: Sequence[SettingRow]) -> list[str]:
    return ["* on the curve: no other setting catches as many with fewer false alerts"] if curve(rows) else []


def budget_lines(rows: Sequence[SettingRow], limits: Mapping[str, float]) -> list[str]:
    """The setting that meets the budgets, and why it and no other."""
    if not limits:
        return []
    asked = ", ".join(f"{most:g} alerts a day in {'all markets' if market == ALL else market}"
                      for market, most in limits.items())  # fmt: skip
    chosen = [row for row in rows if row.chosen and row.market == ALL]
    if not chosen:
        return [f"at most {asked}: no setting keeps to it"]
    why = "tells" if chosen[0].labels is None else "catches"
    return [f"at most {asked}: {chosen[0].values} (it {why} most of those that keep to it)"]
