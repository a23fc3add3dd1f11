"""What another configuration would have told: alerts that appear, vanish or move, and creators hit and released. Pure.

    rows = changes(episodes under BASE, episodes under NEW)
    creators(rows), by_signal(rows)

An alert's id is made of when it opened, so the same finding that is told an hour earlier has another id. Two alerts
of a signal, creator and market are the same finding when they were on at the same time, or opened within a day of
each other; of several the nearest openings belong together. No alert is part of two pairs.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from streams.compare_rows import ChangeRow, CreatorRow, LabelRow, QualityRow, SignalRow
from streams.outcome import SEVERITIES
from streams.outcome_rows import EpisodeRow, ScoreRow
from streams.outcome_rows import LabelRow as Labelled
from streams.outcome_score import wilson
from streams.scorecard import HOUR_MS

NEAR_MS = 24 * HOUR_MS
FOREVER = 1 << 62  # of an alert that is open at the end


class Pair(NamedTuple):
    """The same finding under BASE and NEW, or under one of them."""

    base: EpisodeRow | None
    new: EpisodeRow | None
    within: EpisodeRow | None = None  # of the other configuration: it covers the time of one that is alone


def pairs(base: Iterable[EpisodeRow], new: Iterable[EpisodeRow]) -> list[Pair]:
    """Every episode in exactly one pair, by opening, creator, signal and market."""
    groups: dict[tuple[str, str, str], tuple[list[EpisodeRow], list[EpisodeRow]]] = defaultdict(lambda: ([], []))
    for side, rows in enumerate((base, new)):
        for row in rows:
            groups[row.creator_id, row.signal, row.market][side].append(row)
    found = [pair for one, other in groups.values() for pair in _paired(one, other)]
    return sorted(found, key=_order)


def _order(pair: Pair) -> tuple[int, str, str, str, str]:
    row = pair.new or pair.base
    assert row is not None
    return row.opened_at, row.creator_id, row.signal, row.market, row.alert_id


def _paired(base: Sequence[EpisodeRow], new: Sequence[EpisodeRow]) -> Iterator[Pair]:
    near = sorted(
        (abs(one.opened_at - other.opened_at), one.opened_at + other.opened_at, i, j)
        for i, one in enumerate(base)
        for j, other in enumerate(new)
        if abs(one.opened_at - other.opened_at) <= NEAR_MS or _overlap(one, other)
    )
    partner: dict[int, int] = {}
    for *_, i, j in near:
        if i not in partner and j not in partner.values():
            partner[i] = j
    for i, one in enumerate(base):
        if i in partner:
            yield Pair(one, new[partner[i]])
        else:
            yield Pair(one, None, next((other for other in new if _overlap(one, other)), None))
    for j in sorted(set(range(len(new))) - set(partner.values())):
        yield Pair(None, new[j], next((one for one in base if _overlap(one, new[j])), None))


def _overlap(one: EpisodeRow, other: EpisodeRow) -> bool:
    return one.opened_at <= (other.ended_at or FOREVER) and other.opened_at <= (one.ended_at or FOREVER)


# ---- rows ----------------------------------------------------------------------------------------------------


def changes(base: Iterable[EpisodeRow], new: Iterable[EpisodeRow]) -> list[ChangeRow]:
    """Of all episodes, also those aside; what is told under neither has no row."""
    return [_change(pair) for pair in pairs(base, new) if _told(pair.base) or _told(pair.new)]


def _told(row: EpisodeRow | None) -> bool:
    return row is not None and not row.shadow


def _change(pair: Pair) -> ChangeRow:
    base, new = (row if row is not None and not row.shadow else None for row in pair[:2])
    row = new or base
    assert row is not None
    if base is None or new is None:
        change = "vanished" if new is None else "appeared"
    else:
        same = (base.opened_at, base.severity) == (new.opened_at, new.severity)
        change = "unchanged" if same else "moved"
    return ChangeRow(
        change, row.signal, row.market, row.creator_id,
        severity_base=base.severity if base else None, severity_new=new.severity if new else None,
        opened_base=base.opened_at if base else None, opened_new=new.opened_at if new else None,
        moved_hours=(new.opened_at - base.opened_at) / HOUR_MS if base and new else None,
        ended_base=base.ended_at if base else None, ended_new=new.ended_at if new else None,
        verdict_base=base.verdict if base else None, verdict_new=new.verdict if new else None,
        aside=pair.base is not base or pair.new is not new,
        within=pair.within.alert_id if _told(pair.within) and pair.within else None,
        alert_base=base.alert_id if base else None, alert_new=new.alert_id if new else None, reason=row.reason,
    )  # fmt: skip


def by_signal(rows: Iterable[ChangeRow]) -> list[SignalRow]:
    """What changed, by signal in alphabetical order."""
    groups: dict[str, list[ChangeRow]] = defaultdict(list)
    for row in rows:
        groups[row.signal].append(row)
    return [_of_signal(signal, each) for signal, each in sorted(groups.items())]


def _of_signal(signal: str, rows: Sequence[ChangeRow]) -> SignalRow:
    hours = [row.moved_hours or 0.0 for row in rows]
    steps = [SEVERITIES.index(row.severity_new) - SEVERITIES.index(row.severity_base) for row in rows
             if row.severity_new is not None and row.severity_base is not None]  # fmt: skip
    kinds = [row.change for row in rows]
    return SignalRow(
        signal, len(rows) - kinds.count("appeared"), len(rows) - kinds.count("vanished"), kinds.count("appeared"),
        kinds.count("vanished"), sum(h < 0 for h in hours), sum(h > 0 for h in hours), sum(s > 0 for s in steps),
        sum(s < 0 for s in steps),
    )  # fmt: skip


def creators(rows: Iterable[ChangeRow]) -> list[CreatorRow]:
    """Creators with alerts under one of the two only: those hit, then those released, each by creator and market."""
    groups: dict[tuple[str, str], list[ChangeRow]] = defaultdict(list)
    for row in rows:
        groups[row.creator_id, row.market].append(row)
    found = []
    for (creator, market), each in groups.items():
        for change, needed in (("hit", "appeared"), ("released", "vanished")):
            if all(row.change == needed for row in each):
                found.append(_creator(change, creator, market, each))
    return sorted(found, key=lambda row: (row.change, row.creator_id, row.market))


def _creator(change: str, creator: str, market: str, rows: Sequence[ChangeRow]) -> CreatorRow:
    severities = [row.severity_new or row.severity_base or "info" for row in rows]
    opened = [at for row in rows for at in (row.opened_base, row.opened_new) if at is not None]
    signals = ", ".join(sorted({row.signal for row in rows}))
    return CreatorRow(change, creator, market, len(rows), max(severities, key=SEVERITIES.index), signals, min(opened))


# ---- beside labels -------------------------------------------------------------------------------------------


def label_changes(base: Sequence[Labelled], new: Sequence[Labelled]) -> list[LabelRow]:
    """The true episodes, in the order of both, which have the same."""
    words = {(True, True): "both", (True, False): "lost", (False, True): "won", (False, False): "neither"}
    return [
        LabelRow(
            words[bool(one.caught), bool(other.caught)], one.creator_id, one.market, one.kind, one.started_at,
            one.delay_hours, other.delay_hours,
        )
        for one, other in zip(base, new, strict=True)
        if not one.lookalike
    ]


def quality(under: str, rows: Iterable[ScoreRow]) -> list[QualityRow]:
    """Of a scorecard, what is about all, a signal or a market."""
    return [
        QualityRow(
            under, row.about, row.signal or row.market, row.alerts, row.false_alerts, row.precision, row.precision_low,
            row.precision_high, row.labels, row.caught, row.recall,
            *(wilson(row.caught, row.labels) if row.labels else (None, None)),
        )
        for row in rows
        if row.about in ("all", "signal", "market")
    ]
