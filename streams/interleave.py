"""The records of a recording with its ticks at their place: behind the record that each of them names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from streams.columns import Record
from streams.files import RecordingError
from streams.ticks import Tick, valid

Placed = tuple[int, int, Record]  # the number of the line or row, its partition, the record


def interleaved(
    records: Iterable[Placed], ticks: dict[int, list[Tick]], where: Callable[[int], str]
) -> Iterator[tuple[int, Record | Tick]]:
    """(partition, record or tick), each partition in its own order. Takes the ticks as `kept` gives them, and uses
    them up. RecordingError where a partition's offsets don't rise; `where` names a line or row by its number.
    """
    newest: dict[int, int] = {}
    for number, partition, record in records:
        if record.offset <= newest.get(partition, -1):
            raise RecordingError(
                f"{where(number)}: offset {record.offset} of partition {partition} comes after "
                f"{newest[partition]}; expected the records of a partition in order of offset"
            )
        due = ticks.get(partition)
        while due and due[-1].after_offset < record.offset:
            yield partition, due.pop()
        newest[partition] = record.offset
        yield partition, record
    for partition, last in sorted(newest.items()):
        due = ticks.get(partition)
        while due and due[-1].after_offset <= last:  # those behind it follow records that are not here
            yield partition, due.pop()


def kept(ticks: Iterable[Tick]) -> tuple[dict[int, list[Tick]], int]:
    """The ticks that count, by partition, the first one last; and how many are void."""
    found: defaultdict[int, list[Tick]] = defaultdict(list)
    for tick in ticks:
        found[tick.partition].append(tick)
    counting = {partition: [tick for _, tick in valid(enumerate(log))] for partition, log in found.items()}
    moving = sum(tick.moves for log in found.values() for tick in log)
    return {partition: log[::-1] for partition, log in counting.items()}, moving - sum(map(len, counting.values()))
