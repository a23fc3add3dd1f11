"""A run reaches the agent in parts that take it about as long as the loop may wait."""

from hypothesis import given
from hypothesis import strategies as st

from streams.columns import Record
from streams.pace import GROWTH_MAX, PART_SECONDS, RECORDS_MIN, Pace
from streams.transport import Run


def run_of(offsets: list[int], behind: int = 1) -> Run:
    records = [Record(offset, b"k", b"v") for offset in offsets]
    return Run(3, records, offsets[0] - 1, offsets[-1] + behind, offsets[-1] + 9, 7)


@given(
    st.sets(st.integers(0, 100_000), min_size=1, max_size=3_000).map(sorted),
    st.lists(st.floats(0.0, 100.0), min_size=1, max_size=20),
    st.integers(1, 5),
)
def test_the_parts_of_a_run_are_the_run(offsets: list[int], seconds: list[float], behind: int) -> None:
    pace, run, parts = Pace(), run_of(offsets, behind), []
    for i, part in enumerate(pace.parts(run)):
        parts.append(part)
        pace.took(len(part.records), seconds[i % len(seconds)])
    assert [record for part in parts for record in part.records] == run.records
    assert [part.start for part in parts] == [run.start, *(part.next_offset for part in parts[:-1])]
    assert parts[-1].next_offset == run.next_offset
    for part in parts:
        assert part.records
        assert part.start <= part.records[0].offset <= part.records[-1].offset < part.next_offset
        assert (part.partition, part.highwater, part.epoch) == (3, run.highwater, 7)


@given(st.floats(1e-6, 1e-2), st.floats(1e-6, 1e-2))
def test_a_part_takes_as_long_as_the_loop_may_wait_also_when_records_become_costly(before: float, after: float) -> None:
    pace = Pace()
    for cost in (before, after):
        took = []
        for _ in range(12):
            for part in pace.parts(run_of(list(range(1, 10_001)))):
                took.append(len(part.records) * cost)
                pace.took(len(part.records), took[-1])
        assert max(took[6:]) <= max(PART_SECONDS * 1.01, cost * RECORDS_MIN)


def test_a_quick_agent_gets_whole_runs() -> None:
    pace = Pace()
    for _ in range(5):
        parts = list(pace.parts(run_of(list(range(1, 10_001)))))
        for part in parts:
            pace.took(len(part.records), 1e-5 * len(part.records))
    assert len(parts) == 1


def test_what_a_short_run_cost_says_nothing_of_long_ones() -> None:
    pace = Pace()
    before = pace.records
    pace.took(1, 1e-6)
    assert pace.records == before


def test_one_wait_does_not_make_parts_tiny_at_once() -> None:
    pace = Pace()
    before = pace.records
    pace.took(int(before), 1e6)
    assert pace.records == before / GROWTH_MAX
