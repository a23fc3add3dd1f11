"""Policy owns decisions: scores become episodes that open, update, escalate and resolve.

Everything here is a pure function of an episode and what was read now; the engine keeps the episodes.
"""

import math
from hashlib import blake2b
from typing import NamedTuple

from msgspec import Struct

from config.effective import Policy
from config.schema import Severity as Thresholds
from streams.records import Severity, Status, StatusReason

LEVELS: tuple[Severity, ...] = ("info", "info", "warning", "critical")  # by level; level 0 is no alert
DAY = 86_400_000
GROWN = 1.5  # an update is worth a revision when what is observed grew by half


class Reading(NamedTuple):
    """One window of one signal for one entity at the end of a pane."""

    level: int  # 0 none, 1 info, 2 warning, 3 critical
    holds: bool  # over the hysteresis
    score: float
    observed: float
    test: int
    window: int
    margin: float = float("-inf")  # score over its lowest threshold, of the weakest of the tests; -inf: does not speak


class Episode(Struct, frozen=True):
    alert_id: str
    revision: int
    severity: int  # level
    opened_at: int  # ms
    abnormal_at: int  # ms, newest pane end at which a reading held
    observed: float  # at the last revision
    test: int  # of the last revision
    window: int
    aside: str = ""  # why its alerts go to the shadow topic: "shadow", or the group that exempts


class Decision(NamedTuple):
    episode: Episode
    status: Status
    status_reason: StatusReason
    reading: Reading
    code: str | None = None  # of the sentence, where it is not that of the status_reason


def thresholds(severity: Thresholds) -> tuple[float, float, float]:
    """Scores from which a reading is info, warning, critical; infinity where never."""
    return tuple(float("inf") if t is None else t for t in (severity.info, severity.warning, severity.critical))  # type: ignore[return-value]


def window_thresholds(severity: Thresholds, size_ms: int) -> tuple[float, ...]:
    """The same for one window: thresholds are for a day's. A shorter one is judged anew more often in a day, so its
    score of -log10 p must be higher for as few false alarms a day; a longer one may be lower, by half as much, since
    it is judged as often as its hop comes.

    >>> [round(t, 2) for t in window_thresholds(Thresholds(warning=3.0, critical=6.0), 6 * 3_600_000)]
    [inf, 3.6, 6.6]
    """
    days = math.log10(size_ms / DAY)
    return tuple(t - (days if days < 0 else days / 2) for t in thresholds(severity))


def alert_id(signal: str, kind: str, entity: str, market: str, opened_at: int) -> str:
    """128 bits of BLAKE2b over what makes an alert (version 1).

    >>> alert_id("refund_rate", "creator", "c_1", "TH", 0)
    '98aa93ca774577880588bbc42e77e2cd'
    """
    text = "\x1f".join(("1", signal, kind, entity, market, str(opened_at)))
    return blake2b(text.encode(), digest_size=16).hexdigest()


def strongest(readings: list[Reading]) -> Reading:
    """The reading that speaks for the signal; at a tie the first."""
    return max(readings, key=lambda r: (r.level, r.score))


def opened(readings: list[Reading], new_id: str, end: int) -> Decision | None:
    """A new episode, where a reading calls for one."""
    best = strongest(readings)
    if best.level == 0:
        return None
    episode = Episode(new_id, 1, best.level, end, end, best.observed, best.test, best.window)
    return Decision(episode, "opened", "threshold", best)


def continued(
    episode: Episode, policy: Policy, readings: list[Reading], end: int, overturned: bool = False
) -> tuple[Episode, Decision | None]:
    """The open episode after these readings, and its next revision if it is worth one.

    `overturned`: an event behind it was taken back; if nothing calls for an alert any more, it is retracted.
    """
    best = strongest(readings)
    same = [r for r in readings if (r.test, r.window) == (episode.test, episode.window)]
    if overturned and same and best.level == 0:
        return _revised(episode, "retracted", "overturned", same[0])
    if any(r.holds for r in readings):
        episode = _with(episode, abnormal_at=end)
    if best.level > episode.severity:
        return _revised(episode, "escalated", "severity", best, severity=best.level)
    if same and same[0].holds and same[0].observed >= max(GROWN * episode.observed, episode.observed + 1e-9):
        return _revised(episode, "updated", "threshold", same[0])
    if end - episode.abnormal_at >= policy.resolve_after:
        return _revised(episode, "resolved", "normal_again" if best.observed else "silent", best)
    return episode, None


def withdrawn(episode: Episode, reading: Reading) -> Decision:
    """With the events that came late, the window that the episode was opened on reads so: nothing to speak of."""
    return _revised(episode, "retracted", "late_data", reading)[1]


def ended(episode: Episode, code: str | None = None) -> Decision:
    """Nobody watches over the episode any more: the configuration is gone, or, as the code says, something else."""
    reading = Reading(0, False, 0.0, episode.observed, episode.test, episode.window)
    return _revised(episode, "resolved", "config", reading)[1]._replace(code=code)


def _revised(
    episode: Episode, status: Status, why: StatusReason, reading: Reading, severity: int | None = None
) -> tuple[Episode, Decision]:
    episode = _with(
        episode,
        revision=episode.revision + 1,
        severity=severity or episode.severity,
        observed=reading.observed,
        test=reading.test,
        window=reading.window,
    )
    return episode, Decision(episode, status, why, reading)


def _with(episode: Episode, **changes: object) -> Episode:
    kept = {name: getattr(episode, name) for name in Episode.__struct_fields__}
    return Episode(**{**kept, **changes})
