"""When a shard's state is written: to Kafka by what the source has brought, to the disk by time. Pure.

A checkpoint writes most of what a shard knows, however little has come since the last one. So it waits until its bytes
are a `share` of the source's; what one wrote beyond its share, the next one waits for. Little is written where little
comes, and what a crash does again is bounded too: by the bytes of two checkpoints, divided by the share. After days it
is written all the same, should anything have come: Kafka may delete old records of the source, and a restart reads on
from the checkpoint.

A copy on the worker's own disk is written every few seconds, less often where that would take long.
"""

from collections.abc import Sequence

from streams.columns import Record

OLDEST_SECONDS = 3 * 86_400.0  # of a checkpoint on Kafka: half of what Kafka keeps of a topic unless told otherwise
DISK_PART = 0.1  # of the time may go into copies on disk

Holds = tuple[int, int]  # what a state holds: all records before this offset, ticks up to that one


class Cadence:
    """One shard's account: what is written, what the source brought since, and what is due."""

    def __init__(self, share: float, seconds: float, disk: bool, now: float) -> None:
        """Of a shard that nothing is written of yet: then the first checkpoint is due, since it is small."""
        self.share, self.seconds, self.disk = share, seconds, disk
        self.saved: Holds | None = None  # by the newest checkpoint on Kafka
        self.copied: Holds | None = None  # by the newest copy on disk
        self.cost = 0  # bytes that the next checkpoint is expected to write
        self.behind = 0  # bytes of the source that came since the last one
        self._forgetting = 0  # checkpoints that are due whatever they cost
        self._owed = 0.0  # bytes that were written beyond the share
        self._written, self._copy_after = now, now

    def found(self, saved: Holds, cost: int, written: float, behind: int, copied: Holds | None) -> None:
        """A former owner wrote this; to write all of it anew costs so much."""
        self.saved, self.cost, self._written, self.behind, self.copied = saved, cost, written, behind, copied

    @property
    def due_bytes(self) -> int:
        """Of the source, since the last checkpoint: with so many the next one is due."""
        return int((self.cost + self._owed) / self.share)

    def forget(self) -> None:
        """Somebody was erased: the two checkpoints that Kafka keeps are to be without them, and soon."""
        self._forgetting = 2

    def checkpoint_due(self, holds: Holds, now: float, leaving: bool) -> bool:
        """Whether to write to Kafka. Who leaves does so where the next owner would have more to read without."""
        if self._forgetting:
            return True
        if holds == self.saved:
            return False
        if leaving:
            return self.behind * max(self.share, 1.0) >= self.cost
        age = now - self._written
        return age >= OLDEST_SECONDS or (age >= self.seconds and self.behind >= self.due_bytes)

    def copy_due(self, holds: Holds, now: float, leaving: bool) -> bool:
        """Whether to write to the disk: there must be something on Kafka that the copy is rooted in."""
        if not self.disk or self.saved is None or holds == self.copied:
            return False
        return leaving or now >= self._copy_after

    def saved_now(self, holds: Holds, size: int, held: int, now: float) -> None:
        """A checkpoint of so many bytes is acknowledged; it holds so many of those that came since the one before."""
        self.cost = max(size, self.cost // 2)  # one that came soon after another says little of the next
        self._owed = min(max(self._owed + size - self.share * held, 0.0), float(self.cost))
        self.saved, self.behind, self._written = holds, self.behind - held, now
        self._forgetting = max(self._forgetting - 1, 0)

    def copied_now(self, holds: Holds, began: float, now: float) -> None:
        """A copy is on the disk."""
        self.copied, self._copy_after = holds, began + (now - began) / DISK_PART


def bytes_from(records: Sequence[Record], offset: int) -> int:
    """The bytes of those at this offset or behind it: what is before it only comes again."""
    if records and records[0].offset < offset:
        records = [record for record in records if record.offset >= offset]
    return sum([len(record.value) for record in records if record.value])
