"""How good alerts were beside labels, as rows: each label, and precision by signal, market and creator size. Pure."""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from streams.outcome_rows import EpisodeRow, LabelRow, ScoreRow
from streams.records import Alert
from streams.scorecard import COVERED, HOUR_MS, LOOKALIKE, Label, false_alarm_rate, is_episode, is_of_lookalike, is_true
from streams.windows import NEVER

Z_95 = 1.959963984540054  # of the normal distribution, two-sided
SIZES = ((1.0, "under 1"), (10.0, "1 to 10"), (100.0, "10 to 100"), (1_000.0, "100 to 1,000"), (math.inf, "over 1,000"))

Kinds = Mapping[str, Collection[str]]


class Replayed(Protocol):
    """What is needed of a replay's result."""

    @property
    def alerts(self) -> list[Alert]: ...
    @property
    def shadow(self) -> list[Alert]: ...
    @property
    def entities(self) -> Collection[tuple[str, str]]: ...
    @property
    def volumes(self) -> Mapping[str, int]: ...
    @property
    def days(self) -> float: ...
    @property
    def warm_at(self) -> int: ...
    @property
    def warm(self) -> "Replayed": ...


def true_labels(labels: Iterable[Label]) -> dict[str, list[Label]]:
    """The true episodes of each creator."""
    found: dict[str, list[Label]] = defaultdict(list)
    for label in labels:
        if is_episode(label):
            found[label.creator_id].append(label)
    return found


def labelled(
    told: Iterable[Alert], labels: Sequence[Label], kinds: Kinds, warm_at: int = NEVER
) -> list[LabelRow]:
    """Each label and what became of it, by start, creator and kind; not where somebody looked."""
    alerts: dict[str, list[Alert]] = defaultdict(list)
    for alert in told:
        alerts[alert.entity.id].append(alert)
    mine = true_labels(labels)
    true = {
        alert.alert_id
        for creator, each in mine.items()
        for alert in alerts.get(creator, ())
        if any(is_true(alert, label, kinds.get(label.kind, ())) for label in each)
    }
    rows = [
        _label(label, alerts.get(label.creator_id, ()), true, kinds, warm_at)
        for label in labels if label.kind != COVERED
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (row.started_at, row.creator_id, row.kind, row.market, row.ended_at))


def _label(
    label: Label, alerts: Iterable[Alert], true: Collection[str], kinds: Kinds, warm_at: int
) -> LabelRow:
    alike = label.kind.startswith(LOOKALIKE)
    if alike:
        about = [a for a in alerts if a.alert_id not in true and is_of_lookalike(a, label)]
    else:
        about = [a for a in alerts if is_true(a, label, kinds.get(label.kind, ()))]
    first = min(about, key=lambda a: (a.window_end, a.alert_id), default=None)
    delay = None if first is None or alike else (first.window_end - label.start_ms) / HOUR_MS
    return LabelRow(
        label.creator_id, label.market, label.kind, label.start_ms, label.end_ms, alike,
        None if alike else first is not None, None if first is None else first.alert_id,
        None if first is None else first.signal, delay, label.start_ms < warm_at,
    )  # fmt: skip


def wilson(hits: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """Wilson's interval of a share: within 0 and 1, and wide where there is little.

    >>> tuple(round(end, 3) for end in wilson(8, 10))
    (0.49, 0.943)
    """
    share, spread = hits / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half))


def size_of(records: int | None, days: float) -> str | None:
    """A creator's size by its records a day; None if they are not known.

    >>> size_of(140, 14.0), size_of(None, 14.0)
    ('10 to 100', None)
    """
    if records is None or days <= 0:
        return None
    return next(name for below, name in SIZES if records / days < below)


class _Fact(NamedTuple):
    """An alert, a label or a creator, as the scorecard groups it."""

    market: str
    size: str | None
    signals: Collection[str]  # whose row it counts in
    good: Collection[str]  # an alert that is true, or the signals that caught a label
    judged: bool = True  # whether anything is said of it


class _Key(NamedTuple):
    about: str
    signal: str | None = None
    market: str | None = None
    size: str | None = None


def scorecard(
    result: Replayed, rows: Iterable[EpisodeRow], labels: Sequence[Label], kinds: Kinds, partial: bool = False
) -> list[ScoreRow]:
    """Alerts that were told beside labels: all, by signal, by market, by size, and by all three where there is any.
    `partial` says that not everything was looked at.
    """
    size = {creator: size_of(result.volumes.get(creator), result.days) for creator, _ in result.entities}
    size |= {label.creator_id: size_of(result.volumes.get(label.creator_id), result.days) for label in labels}
    told = [row for row in rows if not row.shadow]
    size |= {row.creator_id: size_of(result.volumes.get(row.creator_id), result.days) for row in told}
    said = [
        _Fact(row.market, size[row.creator_id], (row.signal,), (row.signal,) if row.verdict == "true" else (),
              row.verdict != "unlabelled")
        for row in told
    ]
    caught = _caught(result.alerts, labels, kinds)
    asked = [
        _Fact(label.market, size[label.creator_id], kinds.get(label.kind, ()), by)
        for label, by in zip(filter(is_episode, labels), caught, strict=True)
    ]
    creators: dict[tuple[str | None, str | None], set[str]] = defaultdict(set)
    for creator, market in result.entities:
        for key in ((None, None), (market, None), (None, size[creator]), (market, size[creator])):
            creators[key].add(creator)
    alerts, episodes = _counted(said), _counted(asked)
    keys = sorted(alerts.keys() | episodes.keys() | {_Key("all")}, key=_order)
    return [
        _score(key, alerts[key], episodes[key], len(creators.get((key.market, key.size), ())) * result.days, partial)
        for key in keys
    ]


def _caught(told: Iterable[Alert], labels: Sequence[Label], kinds: Kinds) -> list[set[str]]:
    """The signals that were right about each true episode, in the labels' order."""
    alerts: dict[str, list[Alert]] = defaultdict(list)
    for alert in told:
        alerts[alert.entity.id].append(alert)
    return [
        {a.signal for a in alerts.get(label.creator_id, ()) if is_true(a, label, kinds.get(label.kind, ()))}
        for label in filter(is_episode, labels)
    ]


def _counted(facts: Iterable[_Fact]) -> defaultdict[_Key, list[int]]:
    """[how many, how many of them good, of how many anything is said] by every key that they count in."""
    found: defaultdict[_Key, list[int]] = defaultdict(lambda: [0, 0, 0])

    def count(key: _Key, good: bool) -> None:
        found[key][0] += 1
        found[key][1] += good
        found[key][2] += fact.judged

    for fact in facts:
        count(_Key("all"), bool(fact.good))
        count(_Key("market", market=fact.market), bool(fact.good))
        if fact.size is not None:
            count(_Key("size", size=fact.size), bool(fact.good))
        for signal in fact.signals:
            count(_Key("signal", signal), signal in fact.good)
            if fact.size is not None:
                count(_Key("signal+market+size", signal, fact.market, fact.size), signal in fact.good)
    return found


def _order(key: _Key) -> tuple[int, str, str, int]:
    sizes = [name for _, name in SIZES]
    by = ("all", "signal", "market", "size", "signal+market+size").index(key.about)
    return by, key.signal or "", key.market or "", -1 if key.size is None else sizes.index(key.size)


def _score(
    key: _Key, alerts: Sequence[int], labels: Sequence[int], creator_days: float, partial: bool
) -> ScoreRow:
    n, true, judged = alerts
    low, high = wilson(true, judged) if judged else (None, None)
    return ScoreRow(
        key.about, key.signal, key.market, key.size, n, true, judged - true, true / judged if judged else None, low,
        high, labels[0], labels[1], labels[1] / labels[0] if labels[0] else None, creator_days,
        false_alarm_rate(judged - true, creator_days) if creator_days > 0 and not partial else None, n - judged,
    )  # fmt: skip
