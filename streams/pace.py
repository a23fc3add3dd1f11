"""How much of a run the agent is given at once.

What a record costs differs a thousandfold: a burst in a large market is thousands of records to a pane, the backlog of
a small one is hundreds of panes to a fetch. Timers, metrics, a rebalance and a stop wait for what the agent has in
hand, so a run is cut into parts that take it about PART_SECONDS each, by how long the parts before took.
"""

from collections.abc import Iterator

import msgspec

from streams.transport import Run

PART_SECONDS = 0.25
FIRST_RECORDS = 500  # before anything is known
RECORDS_MIN = 50  # for what a part costs whatever is in it
GROWTH_MAX = 4.0  # from one part to the next: one may wait for a lock, or hold no pane's end, and that says little


class Pace:
    """The size of the next part, from how long the last one took."""

    def __init__(self) -> None:
        self.records = float(FIRST_RECORDS)

    def parts(self, run: Run) -> Iterator[Run]:
        """The run in parts of the size that is right when each is asked for."""
        at, n = 0, len(run.records)
        while n - at > self.records:
            end = at + int(self.records)
            yield _part(run, at, end)
            at = end
        yield _part(run, at, n) if at else run

    def took(self, records: int, seconds: float) -> None:
        """So many records took the agent so long."""
        wanted = records * PART_SECONDS / max(seconds, 1e-6)
        if wanted > self.records and records < self.records / 2:
            return  # a short run is quick whatever a record costs
        self.records = max(min(wanted, GROWTH_MAX * self.records, 1e9), self.records / GROWTH_MAX, RECORDS_MIN)


def _part(run: Run, at: int, end: int) -> Run:
    """Its records from `at` to `end`; a hole between two parts belongs to the first."""
    records = run.records
    return msgspec.structs.replace(
        run,
        records=records[at:end],
        start=records[at].offset if at else run.start,
        next_offset=records[end].offset if end < len(records) else run.next_offset,
    )
