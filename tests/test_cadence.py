"""Checkpoints go to Kafka as the source brings bytes, copies to the disk as time passes."""

import random

from hypothesis import given
from hypothesis import strategies as st

from streams.cadence import OLDEST_SECONDS, Cadence, bytes_from
from streams.columns import Record


def cadence(share: float = 0.2, *, disk: bool = False) -> Cadence:
    """Of a shard that wrote a checkpoint of a million bytes at the time 0."""
    one = Cadence(share, 10.0, disk, 0.0)
    one.found((5, -1), 1_000_000, 0.0, 0, None)
    return one


def test_a_checkpoint_waits_until_the_source_has_brought_five_times_its_bytes() -> None:
    one = cadence()
    one.behind = 4_999_999
    assert not one.checkpoint_due((9, -1), 3_600, leaving=False)
    one.behind = 5_000_000
    assert one.checkpoint_due((9, -1), 3_600, leaving=False)


def test_it_is_written_no_sooner_than_checkpoint_seconds_after_the_last() -> None:
    one = cadence()
    one.behind = 50_000_000
    assert not one.checkpoint_due((9, -1), 9.9, leaving=False)
    assert one.checkpoint_due((9, -1), 10, leaving=False)


def test_nothing_is_written_where_nothing_came() -> None:
    one = cadence(disk=True)
    one.copied = (5, -1)
    for leaving in (False, True):
        assert not one.checkpoint_due((5, -1), 1e9, leaving)
        assert not one.copy_due((5, -1), 1e9, leaving)


def test_a_checkpoint_three_days_old_is_written_anew_though_little_came() -> None:
    one = cadence()
    one.behind = 1
    assert not one.checkpoint_due((6, -1), OLDEST_SECONDS - 1, leaving=False)
    assert one.checkpoint_due((6, -1), OLDEST_SECONDS, leaving=False)


def test_the_first_checkpoint_of_a_partition_is_due_at_once_since_it_is_small() -> None:
    assert Cadence(0.2, 10.0, False, 0.0).checkpoint_due((1, -1), 10, leaving=False)


def test_who_leaves_writes_only_what_is_shorter_than_reading_the_source_again() -> None:
    one = cadence()
    one.behind = 999_999
    assert not one.checkpoint_due((6, -1), 1, leaving=True)
    one.behind = 1_000_000
    assert one.checkpoint_due((6, -1), 1, leaving=True)


def test_with_a_large_share_time_alone_decides() -> None:
    one = cadence(1_000_000.0)
    one.behind = 5
    assert one.checkpoint_due((6, -1), 10, leaving=False)
    assert one.checkpoint_due((6, -1), 1, leaving=True)


def test_what_came_while_a_checkpoint_was_written_counts_for_the_next() -> None:
    one = cadence()
    one.behind = 5_000_300
    one.saved_now((9, -1), 1_000_000, 5_000_000, 20)
    assert (one.saved, one.behind) == ((9, -1), 300)


@given(seed=st.integers(0, 10_000))
def test_whatever_checkpoints_cost_they_stay_under_a_quarter_of_the_source(seed: int) -> None:
    """A state that grows at first, and checkpoints that cost more or less than was expected of them."""
    rng, one, now = random.Random(seed), Cadence(0.2, 10.0, False, 0.0), 0.0
    source = written = 0
    size = 2_000
    for offset in range(20_000):
        came, now = rng.randrange(2_000), now + 10
        one.behind += came
        source += came
        size = min(size + came // 4, 1_000_000)
        if one.checkpoint_due((offset, -1), now, leaving=False):
            wrote = int(size * rng.uniform(0.3, 1.0))
            one.saved_now((offset, -1), wrote, one.behind, now)
            written += wrote
    assert written > 1_000_000
    assert written < 0.25 * source + size


@given(costs=st.lists(st.integers(1, 1_000_000), min_size=1, max_size=20))
def test_what_a_crash_does_again_is_at_most_ten_times_the_largest_checkpoint(costs: list[int]) -> None:
    one = Cadence(0.2, 10.0, False, 0.0)
    for n, cost in enumerate(costs):
        one.saved_now((n, -1), cost, 0, 0.0)
        assert one.due_bytes <= 10 * max(costs)


def test_a_copy_is_written_by_time_and_a_tenth_of_the_time_at_most() -> None:
    one = cadence(disk=True)
    assert one.copy_due((6, -1), 1, leaving=False)
    one.copied_now((6, -1), 100.0, 102.0)
    assert not one.copy_due((7, -1), 119.9, leaving=False)
    assert one.copy_due((7, -1), 120.0, leaving=False)
    assert one.copy_due((7, -1), 103.0, leaving=True)


def test_without_a_disk_or_before_the_first_checkpoint_there_is_no_copy() -> None:
    assert not cadence().copy_due((6, -1), 1e9, leaving=True)
    assert not Cadence(0.2, 10.0, True, 0.0).copy_due((6, -1), 1e9, leaving=True)


def test_records_that_only_come_again_are_not_counted() -> None:
    records = [Record(offset, b"key", b"12345") for offset in range(10)] + [Record(10, b"key", None)]
    assert bytes_from(records, 0) == 50
    assert bytes_from(records, 7) == 15
    assert bytes_from(records, 11) == bytes_from([], 0) == 0


def test_who_was_erased_is_out_of_both_checkpoints_that_kafka_keeps_whatever_that_costs() -> None:
    cadence = Cadence(0.2, 10.0, False, 0.0)
    cadence.found((100, 4), 1_000_000, 0.0, 0, None)
    assert not cadence.checkpoint_due((100, 4), 60.0, False)
    cadence.forget()
    for ticks in (5, 5):  # the second brings nothing new
        assert cadence.checkpoint_due((100, ticks), 60.0, False)
        cadence.saved_now((100, ticks), 1_000_000, 0, 60.0)
    assert not cadence.checkpoint_due((100, 5), 60.0, False)
