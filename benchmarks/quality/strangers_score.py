"""What the strangers' runs came to: recall by kind, false alerts by signal, alerts about lookalikes.

An alert counts against a lookalike when it is about its creator, was opened from the lookalike's start to a day after
its end, and is true for no episode. It counts as false as well. Of the false alerts of planted runs, `beside` are those
about a creator in whom something was planted, in that time: another signal's true word about it, more often than not.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from streams.labels import read_kinds
from streams.records import Alert
from streams.scorecard import GRACE_MS, HOUR_MS, Episode, Label, episode_recall, false_alarm_rate, median_delay, score

LOOKALIKE = "lookalike:"
BANDS = ((8.0, "small"), (25.0, "middle"), (float("inf"), "large"))  # a creator's orders a day
SPEAKS = {  # for kinds that config/kinds.yaml does not have
    "seller_fault_surge": ["refund_rate"],
    "chargeback_surge": ["chargeback_rate"],
    "defect_surge": ["order_defect_rate"],
    "negative_reviews": ["negative_review_rate"],
    "cancellation_surge": ["cancellation_rate"],
    "late_shipments": ["late_shipment_rate"],
    "clickless_orders": ["conversion_outlier"],
    "brushing": ["brushing_concentration"],
    "review_burst": ["review_burst"],
    "live_viewbot": ["live_viewbot"],
    "counterfeit_wave": ["counterfeit_complaints"],
    "off_platform_redirect": ["off_platform_redirect"],
    "report_wave": ["report_spike"],
    "incentive_abuse": ["incentive_abuse"],
    "commission_clawback": ["commission_clawback"],
    "unposted_samples": ["sample_integrity"],
    "newcomer_surge": ["new_creator_velocity"],
}


class Run(NamedTuple):
    null: bool
    n_events: int
    episodes: tuple[Episode, ...]
    bands: tuple[str, ...]  # of the episodes' creators
    false: dict[str, int]
    beside: dict[str, int]  # part of `false`
    lookalikes: tuple[tuple[str, tuple[str, ...]], ...]  # kind, signals that alerted
    creator_days: float


def judged(
    alerts: Sequence[Alert], labels: Sequence[Label], sold: dict[str, float], null: bool, n_events: int, days: float
) -> Run:
    """One run's alerts beside its labels; `sold` are the creators' orders a day."""
    episodes = [label for label in labels if not label.kind.startswith(LOOKALIKE)]
    card = score(alerts, episodes, SPEAKS | read_kinds())
    false = [alert for alert in alerts if alert.alert_id in set(card.false)]
    alike = tuple((label.kind, wrong(false, label)) for label in labels if label.kind.startswith(LOOKALIKE))
    bands = tuple(band(sold[e.label.creator_id]) for e in card.episodes)
    beside = {alert.alert_id: alert.signal for alert in false if any(near(alert, label) for label in labels)}
    by_signal = dict(Counter(beside.values()))
    return Run(null, n_events, card.episodes, bands, card.false_by_signal, by_signal, alike, days)


def wrong(false: Sequence[Alert], label: Label) -> tuple[str, ...]:
    """The signals that were taken in by a lookalike."""
    return tuple(sorted({alert.signal for alert in false if near(alert, label)}))


def near(alert: Alert, label: Label) -> bool:
    """Whether it is about the label's creator and was opened from its start to a day after its end."""
    return alert.entity.id == label.creator_id and label.start_ms <= alert.opened_at <= label.end_ms + GRACE_MS


def band(orders_a_day: float) -> str:
    return next(name for limit, name in BANDS if orders_a_day < limit)


def kinds_table(runs: Sequence[Run]) -> dict[str, dict[str, float | None]]:
    found = [(e, b) for r in runs for e, b in zip(r.episodes, r.bands, strict=True)]
    print(f"{'kind':<24}{'caught':>9}{'recall':>8}{'median h':>10}   by the creator's orders a day")
    out: dict[str, dict[str, float | None]] = {}
    for kind in [*sorted({e.label.kind for e, _ in found}), "all"]:
        mine = [(e, b) for e, b in found if kind in (e.label.kind, "all")]
        episodes, delay = [e for e, _ in mine], median_delay([e for e, _ in mine])
        hours = None if delay is None else round(delay / HOUR_MS, 1)
        caught, recall = sum(e.caught for e in episodes), episode_recall(episodes)
        in_band = {name: [e.caught for e, b in mine if b == name] for _, name in BANDS}
        said = "  ".join(f"{name} {sum(each)}/{len(each)}" for name, each in in_band.items())
        print(f"{kind:<24}{f'{caught}/{len(mine)}':>9}{recall:>8.0%}{'-' if hours is None else hours:>10}   {said}")
        out[kind] = {"planted": len(mine), "caught": caught, "recall": round(recall, 4), "median_delay_hours": hours}
    return out


def false_table(runs: Sequence[Run]) -> dict[str, dict[str, float]]:
    print(f"\n{'false alerts per 1,000 creator-days':<38}{'null':>8}{'planted':>9}{'beside':>9}")
    false: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    beside: Counter[str] = Counter()
    for run in runs:
        false[run.null].update({**run.false, "all signals": sum(run.false.values())})
        beside.update({**run.beside, "all signals": sum(run.beside.values())})
    days = {null: sum(run.creator_days for run in runs if run.null == null) for null in (True, False)}
    out = {}
    for name in [*sorted((false[True] | false[False]).keys() - {"all signals"}), "all signals"]:
        counts = {"null": false[True][name], "planted": false[False][name], "beside": beside[name]}
        row = {column: false_alarm_rate(n, days[column == "null"]) for column, n in counts.items()}
        print(f"  {name:<36}{row['null']:>8.2f}{row['planted']:>9.2f}{row['beside']:>9.2f}")
        out[name] = {column: round(rate, 3) for column, rate in row.items()}
    return out


def lookalikes_table(runs: Sequence[Run]) -> dict[str, dict[str, int]]:
    found = [each for run in runs for each in run.lookalikes]
    print(f"\n{'lookalikes, which must not alert':<32}{'planted':>9}{'alerted':>9}   by")
    out = {}
    for kind in [*sorted({kind for kind, _ in found}), "all"]:
        mine = [signals for name, signals in found if kind in (name, "all")]
        by = Counter(signal for signals in mine for signal in signals)
        alerted = sum(bool(signals) for signals in mine)
        said = "  ".join(f"{name} {n}" for name, n in sorted(by.items()))
        print(f"  {kind.removeprefix(LOOKALIKE):<30}{len(mine):>9}{alerted:>9}   {said}")
        out[kind] = {"planted": len(mine), "alerted": alerted}
    return out
