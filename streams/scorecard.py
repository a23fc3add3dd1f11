"""How good alerts were, beside labels of what truly happened: recall, delay and false alarms. Pure.

An alert is true for an episode when it is of the same creator, of a signal that may speak for the episode's kind,
when one of its windows ends at or after the episode's start, and when it was opened no later than 24 hours after the
episode's end. All revisions of an alert count as one. An alert that is true for no episode is false.

A label whose kind begins with `lookalike:` is no episode but what resembles one: nothing may be said of it. It counts
in no recall; a false alert of its creator, opened between its start and 24 hours after its end, is a lookalike alert.

A label of the kind `covered` is no episode either: it says where somebody looked. If there is any, an alert that is
true for no episode is false only where one covers it, and unlabelled elsewhere. Without any, all was looked at.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct

from streams.records import Alert

GRACE_MS = 86_400_000  # an alert may open so long after the episode's end
HOUR_MS = 3_600_000
LOOKALIKE = "lookalike:"
COVERED = "covered"  # of this creator, or of all where it names none; likewise of the market


class Label(Struct, frozen=True):
    """One true episode: from its first event to its last."""

    creator_id: str
    market: str
    kind: str
    start_ms: int
    end_ms: int


class Episode(Struct, frozen=True):
    """One label and what became of it; `delay_ms` is from its start to the end of the first window that was right."""

    label: Label
    caught: bool
    delay_ms: int | None
    alert_id: str | None


class KindScore(Struct, frozen=True):
    """The episodes of one kind."""

    kind: str
    planted: int
    caught: int
    recall: float
    delay_ms: int | None  # median over the caught


class LookalikeScore(Struct, frozen=True):
    """What resembles an episode and is none, of one kind, and of how many of them something was said."""

    kind: str
    planted: int
    alerted: int


class Scorecard(Struct, frozen=True):
    """`episodes` in the labels' order; `false` alert ids in the order of their first revision."""

    episodes: tuple[Episode, ...]
    kinds: tuple[KindScore, ...]
    n_alerts: int
    false: tuple[str, ...]
    false_by_signal: dict[str, int]
    lookalikes: tuple[LookalikeScore, ...] = ()
    unlabelled: tuple[str, ...] = ()  # alerts where nobody looked
    partial: bool = False  # whether the labels say that they cover only a part

    @property
    def recall(self) -> float:
        return episode_recall(self.episodes)


def score(
    alerts: Iterable[Alert], labels: Sequence[Label], kinds: Mapping[str, Collection[str]], since: int = 0
) -> Scorecard:
    """Alerts (all revisions, in any order) beside labels. `kinds` says which signals may speak for which kind. Labels
    that begin before `since` (ms) make alerts true, and are no episodes that should have been caught.

    >>> score([], [Label("c", "TH", "refund_surge", 0, 9)], {"refund_surge": ["refund_rate"]}).recall
    0.0
    """
    by_creator: dict[str, list[Alert]] = {}
    any_of: dict[str, Alert] = {}
    for alert in alerts:
        any_of.setdefault(alert.alert_id, alert)
        by_creator.setdefault(alert.entity.id, []).append(alert)
    true: set[str] = set()
    episodes = []
    for label in filter(is_episode, labels):
        right = [a for a in by_creator.get(label.creator_id, []) if is_true(a, label, kinds.get(label.kind, ()))]
        true.update(a.alert_id for a in right)
        if label.start_ms < since:
            continue
        first = min(right, key=lambda a: (a.window_end, a.alert_id), default=None)
        delay = detection_delay(label, first) if first is not None else None
        episodes.append(Episode(label, first is not None, delay, first.alert_id if first is not None else None))
    cover = coverage(labels)
    false = tuple(x for x, alert in any_of.items() if x not in true and is_covered(alert, cover))
    apart = tuple(x for x, alert in any_of.items() if x not in true and not is_covered(alert, cover))
    by_signal: dict[str, int] = {}
    for alert_id in false:
        by_signal[any_of[alert_id].signal] = by_signal.get(any_of[alert_id].signal, 0) + 1
    by_kind = tuple(_of_kind(kind, episodes) for kind in sorted({e.label.kind for e in episodes}))
    alike = _lookalikes([label for label in labels if label.start_ms >= since], by_creator, true)
    return Scorecard(
        tuple(episodes), by_kind, len(any_of), false, dict(sorted(by_signal.items())), alike, apart, cover is not None
    )


def _lookalikes(
    labels: Sequence[Label], by_creator: Mapping[str, list[Alert]], true: Collection[str]
) -> tuple[LookalikeScore, ...]:
    said: dict[str, list[bool]] = {}
    for label in (x for x in labels if x.kind.startswith(LOOKALIKE)):
        mine = by_creator.get(label.creator_id, [])
        alerted = any(a.alert_id not in true and is_of_lookalike(a, label) for a in mine)
        said.setdefault(label.kind, []).append(alerted)
    return tuple(LookalikeScore(kind, len(each), sum(each)) for kind, each in sorted(said.items()))


def is_episode(label: Label) -> bool:
    return label.kind != COVERED and not label.kind.startswith(LOOKALIKE)


def coverage(labels: Iterable[Label]) -> Mapping[str, Sequence[Label]] | None:
    """Where somebody looked, by creator, "" being all; None: everywhere."""
    found: dict[str, list[Label]] = {}
    for label in labels:
        if label.kind == COVERED:
            found.setdefault(label.creator_id, []).append(label)
    return found or None


def is_covered(alert: Alert, cover: Mapping[str, Sequence[Label]] | None) -> bool:
    """Whether somebody looked at this creator when the alert was opened, or within 24 hours before."""
    if cover is None:
        return True
    return any(
        label.market in ("", alert.market) and label.start_ms <= alert.opened_at <= label.end_ms + GRACE_MS
        for creator in (alert.entity.id, "")
        for label in cover.get(creator, ())
    )


def is_of_lookalike(alert: Alert, label: Label) -> bool:
    """Whether this alert, of any signal, was opened while a lookalike was on, or within 24 hours after."""
    return alert.entity.id == label.creator_id and label.start_ms <= alert.opened_at <= label.end_ms + GRACE_MS


def is_true(alert: Alert, label: Label, signals: Collection[str]) -> bool:
    """Whether this revision is right about this episode."""
    return (
        alert.entity.id == label.creator_id
        and alert.signal in signals
        and alert.window_end >= label.start_ms
        and alert.opened_at <= label.end_ms + GRACE_MS
    )


def detection_delay(label: Label, alert: Alert) -> int:
    """Milliseconds from the episode's start to the end of the window that was right."""
    return alert.window_end - label.start_ms


def episode_recall(episodes: Sequence[Episode]) -> float:
    """The share of the episodes that were caught.

    >>> label = Label("c", "TH", "order_spike", 0, 9)
    >>> episode_recall([Episode(label, True, 5, "a"), Episode(label, False, None, None)])
    0.5
    """
    return sum(e.caught for e in episodes) / len(episodes) if episodes else 0.0


def false_alarm_rate(n_false: int, creator_days: float) -> float:
    """False alerts per 1,000 creator-days.

    >>> false_alarm_rate(8, 400 * 20)
    1.0
    """
    return 1_000.0 * n_false / creator_days if creator_days > 0 else 0.0


def median_delay(episodes: Sequence[Episode]) -> int | None:
    """Of the caught, in milliseconds; of an even number the later of the two in the middle.

    >>> label = Label("c", "TH", "order_spike", 0, 9)
    >>> median_delay([Episode(label, True, 5, "a"), Episode(label, True, 7, "b"), Episode(label, False, None, None)])
    7
    """
    delays = sorted(e.delay_ms for e in episodes if e.delay_ms is not None)
    return delays[len(delays) // 2] if delays else None


def _of_kind(kind: str, episodes: Sequence[Episode]) -> KindScore:
    mine = [e for e in episodes if e.label.kind == kind]
    return KindScore(kind, len(mine), sum(e.caught for e in mine), episode_recall(mine), median_delay(mine))
