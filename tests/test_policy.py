"""Scores become episodes: pure functions, case by case."""

import re
from hashlib import blake2b

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.effective import own_policy
from config.schema import Severity, Signal
from streams.policy import (
    GROWN,
    LEVELS,
    Episode,
    Reading,
    alert_id,
    continued,
    opened,
    strongest,
    thresholds,
    window_thresholds,
)
from tests.streamed import HOUR, shipped

SIGNAL: Signal = msgspec.structs.replace(shipped().signals["refund_rate"], resolve_after="3h", cooldown="2h")
POLICY = own_policy(SIGNAL)
NEW = "0" * 32


def reading(level: int, *, holds: bool = True, score: float = 5.0, observed: float = 10.0, test: int = 0,
            window: int = 0) -> Reading:  # fmt: skip
    return Reading(level, holds, score, observed, test, window)


def episode(severity: int = 2, observed: float = 10.0, abnormal_at: int = 0, revision: int = 1) -> Episode:
    return Episode(NEW, revision, severity, 0, abnormal_at, observed, 0, 0)


def test_marks_that_are_not_set_are_never_reached() -> None:
    assert thresholds(Severity()) == (float("inf"),) * 3
    assert thresholds(Severity(info=0.0, critical=2.0)) == (0.0, float("inf"), 2.0)
    assert LEVELS[1:] == ("info", "warning", "critical")


@pytest.mark.parametrize("hours", [1, 6, 24, 72, 168])
def test_a_shorter_window_gives_as_few_false_alarms_a_day_as_a_days_and_a_longer_one_fewer(hours: int) -> None:
    info, *others = window_thresholds(Severity(warning=3.0, critical=6.0), hours * HOUR)
    assert info == float("inf")
    days = max(hours / 24, 1.0)
    assert [10.0**-t * 24 / hours for t in others] == pytest.approx([1e-3 / days**0.5, 1e-6 / days**0.5])


def test_an_alert_id_is_a_hash_of_signal_entity_market_and_opening() -> None:
    base = ("refund_rate", "creator", "c_1", "TH", 5)
    text = "\x1f".join(("1", *map(str, base)))
    assert alert_id(*base) == blake2b(text.encode(), digest_size=16).hexdigest()
    assert re.fullmatch("[0-9a-f]{32}", alert_id(*base))
    others = [("order_spike", *base[1:]), (base[0], "cohort", *base[2:]), (*base[:2], "c_2", *base[3:]),
              (*base[:3], "ID", 5), (*base[:4], 6), (*base[:2], "c_1\x1fTH", "TH", 5)]  # fmt: skip
    assert len({alert_id(*base), *(alert_id(*other) for other in others)}) == len(others) + 1


def test_the_strongest_reading_speaks_and_the_first_at_a_tie() -> None:
    one, two, three = reading(2, score=9.0), reading(3, score=4.0), reading(3, score=4.0, window=1)
    assert strongest([one, two, three]) is two
    assert strongest([three, two, one]) is three
    assert strongest([reading(0, score=99.0), reading(1, score=0.0)]).level == 1


def test_an_episode_opens_with_revision_1_at_its_severity() -> None:
    assert opened([reading(0), reading(0, score=100.0)], NEW, HOUR) is None
    for level in (1, 2, 3):
        decision = opened([reading(0), reading(level, observed=7.0, window=2)], NEW, HOUR)
        assert decision is not None
        assert (decision.status, decision.status_reason) == ("opened", "threshold")
        assert decision.episode == Episode(NEW, 1, level, HOUR, HOUR, 7.0, 0, 2)


def test_a_quiet_reading_changes_nothing_until_it_is_time_to_resolve() -> None:
    calm = [reading(0, holds=False, observed=1.0)]
    for end in (HOUR, 2 * HOUR, 3 * HOUR - 1):
        assert continued(episode(), POLICY, calm, end) == (episode(), None)
    ended, decision = continued(episode(), POLICY, calm, 3 * HOUR)
    assert decision is not None
    assert (decision.status, decision.status_reason, decision.episode) == ("resolved", "normal_again", ended)
    assert (ended.revision, ended.severity, ended.observed) == (2, 2, 1.0)
    _, silent = continued(episode(), POLICY, [reading(0, holds=False, observed=0.0)], 3 * HOUR)
    assert silent is not None
    assert silent.status_reason == "silent"


def test_a_reading_over_the_hysteresis_keeps_it_open() -> None:
    kept, decision = continued(episode(), POLICY, [reading(0, holds=False), reading(0, holds=True)], 9 * HOUR)
    assert decision is None
    assert kept == episode(abnormal_at=9 * HOUR)
    assert continued(kept, POLICY, [reading(0, holds=False)], 11 * HOUR)[1] is None


@pytest.mark.parametrize(("before", "level", "status"), [
    (1, 2, "escalated"), (1, 3, "escalated"), (2, 3, "escalated"), (2, 2, None), (3, 2, None), (3, 1, None),
    (2, 0, None),
])  # fmt: skip
def test_severity_goes_up_only(before: int, level: int, status: str | None) -> None:
    after, decision = continued(episode(before), POLICY, [reading(level)], HOUR)
    assert (decision.status if decision else None) == status
    assert after.severity == max(before, level)
    assert after.revision == (2 if status else 1)


def test_growth_by_half_in_the_same_window_is_an_update() -> None:
    grown = GROWN * 10.0
    after, decision = continued(episode(), POLICY, [reading(2, observed=grown)], HOUR)
    assert decision is not None
    assert (decision.status, decision.status_reason) == ("updated", "threshold")
    assert (after.observed, after.revision, after.severity) == (grown, 2, 2)
    for quiet in (
        reading(2, observed=grown - 0.01),
        reading(2, observed=99.0, window=1),
        reading(2, observed=99.0, test=1),
        reading(0, observed=99.0, holds=False),
    ):
        assert continued(episode(), POLICY, [quiet], HOUR)[1] is None
    both = [reading(3, observed=99.0)]
    assert continued(episode(), POLICY, both, HOUR)[1].status == "escalated"  # type: ignore[union-attr]


steps = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.lists(
            st.builds(
                reading, st.integers(0, 3), holds=st.booleans(), score=st.floats(0, 300), observed=st.floats(0, 1e6),
                test=st.integers(0, 1), window=st.integers(0, 2),
            ),
            min_size=1, max_size=3,
        ),
    ),
    max_size=25,
)  # fmt: skip


@settings(max_examples=80, derandomize=True, deadline=None)
@given(steps)
def test_whatever_is_read_an_episode_keeps_its_rules(readings: list[tuple[int, list[Reading]]]) -> None:
    current, end, last_held = episode(), 0, 0
    for hours, read in readings:
        end += hours * HOUR
        before = msgspec.structs.replace(current)
        current, decision = continued(current, POLICY, read, end)
        assert before == msgspec.structs.replace(before)
        last_held = end if any(r.holds for r in read) else last_held
        assert (current.alert_id, current.opened_at, current.abnormal_at) == (NEW, 0, last_held)
        assert current.severity >= before.severity
        if decision is None:
            assert msgspec.structs.replace(current, abnormal_at=0) == msgspec.structs.replace(before, abnormal_at=0)
            assert end - last_held < 3 * HOUR
            continue
        assert decision.episode == current
        assert decision.reading in read
        assert current.revision == before.revision + 1
        assert current.observed == decision.reading.observed
        assert (decision.status == "escalated") == (current.severity > before.severity)
        if decision.status == "resolved":
            assert end - last_held >= 3 * HOUR
            break
