"""The second simulator (benchmarks/quality/strangers.py): what it writes can be read, counted and written again."""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.records import TYPES, Alert, Entity, decode_event
from streams.scorecard import Label

QUALITY = str(Path(__file__).parent.parent / "benchmarks" / "quality")

ALTERING = ("late_shipments", "live_viewbot", "lookalike:live_giveaway", "lookalike:raid")
COUNTED = {  # what an episode of a kind adds at the least, of a type
    "refund_surge": "refund.approved",
    "seller_fault_surge": "refund.approved",
    "chargeback_surge": "chargeback.received",
    "complaint_surge": "complaint.received",
    "negative_reviews": "review.posted",
    "cancellation_surge": "order.cancelled",
    "late_shipments": "order.shipped",
    "commission_clawback": "commission.reversed",
    "order_spike": "order.paid",
    "live_viewbot": "live.minute",
    "clickless_orders": "order.paid",
    "brushing": "order.paid",
    "review_burst": "review.posted",
    "counterfeit_wave": "complaint.received",
    "fake_engagement": "content.engaged",
    "violation_burst": "violation.confirmed",
    "off_platform_redirect": "content.flagged",
    "report_wave": "report.received",
    "unposted_samples": "sample.received",
    "newcomer_surge": "order.paid",
}


@pytest.fixture(scope="module", autouse=True)
def _benchmarks_can_be_imported() -> Iterator[None]:
    sys.path.insert(0, QUALITY)
    yield
    sys.path.remove(QUALITY)


def market(seed: int = 1, null: bool = False, creators: int = 60, days: int = 18, volume: float = 0.6):
    import strangers
    from strangers_world import Spec

    return strangers.market(Spec(seed, "base", null, creators, days, volume, 1))[1:]


@pytest.fixture(scope="module")
def planted():
    return market()


@pytest.fixture(scope="module")
def unplanted():
    return market(null=True)


def test_every_record_is_one_that_the_contract_knows(planted) -> None:
    rows, _ = planted
    seen = Counter(decode_event(row.key, row.value).type for row in rows)
    assert set(seen) <= TYPES
    assert TYPES - set(seen) <= {"case.decided", "violation.overturned"}  # nobody decides; an appeal is rare


def test_the_same_seed_gives_the_same_bytes(planted) -> None:
    again = market()
    assert again == planted
    assert market(seed=2)[0] != planted[0]


def test_a_null_run_is_the_planted_one_without_its_episodes(planted, unplanted) -> None:
    rows, labels = planted
    null, nothing = unplanted
    altered = {label.creator_id.encode() for label in labels if label.kind in ALTERING}
    left = Counter(null) - Counter(rows)
    assert not nothing
    assert {row.key for row in left} <= altered  # nobody else has lost an event
    added = Counter(rows) - Counter(null)
    assert {row.key.decode() for row in added} == {label.creator_id for label in labels}


def test_an_episode_has_the_events_that_its_kind_asks_for_within_its_label(planted, unplanted) -> None:
    from strangers_plant import COUNTS
    from strangers_world import START_MS

    rows, labels = planted
    extra = defaultdict(Counter)
    label_of = {label.creator_id: label for label in labels}
    assert len(label_of) == len(labels)
    for row in (Counter(rows) - Counter(unplanted[0])).elements():
        event = decode_event(row.key, row.value)
        label = label_of[event.creator_id]
        since = START_MS if label.kind == "unposted_samples" else label.start_ms  # labelled from the deadlines on
        extra[label.creator_id][event.type] += since <= event.occurred_at <= label.end_ms
    for label in labels:
        if label.kind in COUNTED:
            assert extra[label.creator_id][COUNTED[label.kind]] >= COUNTS[label.kind], label


def test_every_kind_is_planted_where_there_are_creators_enough(planted) -> None:
    from strangers_plant import COUNTS

    missing = set(COUNTS) - {label.kind for label in planted[1]}
    assert missing <= {"lookalike:restock"}


def test_samples_that_are_labelled_are_never_shown_and_their_deadline_passes(planted) -> None:
    rows, labels = planted
    label = next(label for label in labels if label.kind == "unposted_samples")
    events = [decode_event(row.key, row.value) for row in rows if row.key.decode() == label.creator_id]
    shown = {event.ref_id for event in events if event.type == "sample.posted"}
    due = [
        event.occurred_at + 14 * 86_400_000
        for event in events
        if event.type == "sample.received" and event.ref_id not in shown
    ]
    assert sum(label.start_ms <= when <= label.end_ms for when in due) >= 6


def test_an_alert_about_a_lookalike_counts_unless_an_episode_explains_it() -> None:
    from strangers_score import GRACE_MS, judged

    alike = Label("c1", "TH", "lookalike:raid", 1_000, 2_000)
    real = Label("c2", "TH", "brushing", 1_000, 2_000)
    alerts = [
        alert("a", "c1", "order_spike", 1_500),
        alert("b", "c1", "order_spike", 2_001 + GRACE_MS),
        alert("c", "c2", "brushing_concentration", 1_500),
    ]
    run = judged(alerts, [alike, real], {"c1": 3.0, "c2": 3.0}, null=False, n_events=1, days=1.0)
    assert run.lookalikes == (("lookalike:raid", ("order_spike",)),)
    assert [episode.caught for episode in run.episodes] == [True]
    assert run.false == {"order_spike": 2}
    assert run.beside == {"order_spike": 1}


def alert(alert_id: str, creator: str, signal: str, at: int):
    blank: dict[str, object] = dict.fromkeys(Alert.__struct_fields__)
    blank |= {"alert_id": alert_id, "signal": signal, "opened_at": at, "window_end": at}
    return Alert(**blank | {"entity": Entity("creator", creator)})
