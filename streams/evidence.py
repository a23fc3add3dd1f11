"""What an alert can quote: the shard's newest records, and which offsets each hour of event time came from."""

from collections import Counter, deque
from collections.abc import Sequence

import numpy as np
from msgspec import UNSET

from streams.columns import Batch, Routes, hash64, joined, rerouted
from streams.records import Contributor, Evidence, EvidenceEvent, SourceRange

HOUR = 3_600_000
HOURS_MAX = 24 * 100
EVENTS_MAX = 5
CONTRIBUTORS_MAX = 5
MERGED_MAX = 256  # records; small batches are put together, so that a quiet stream's alerts have few to look through


class EvidenceBuffer:
    """Holds the records of the last `limit` offsets, so that it is the same however they were batched."""

    def __init__(self, topic: str, partition: int, limit: int) -> None:
        self.topic = topic
        self.partition = partition
        self.limit = limit
        self.recent: deque[Batch] = deque()  # without their records, which only dead letters need
        self.end = 0  # after the newest good record
        self.hours: dict[int, tuple[int, int]] = {}  # hour of event time -> first offset, offset after the last
        self.erased: set[int] = set()  # offsets of forgotten creators' records, not to be read again after a restart

    def remember(self, batch: Batch) -> None:
        """Keep these records and let go of those that are too old to be quoted."""
        if not len(batch.offset):
            return
        self.end = max(self.end, int(batch.offset[-1]) + 1)
        if not self.limit:
            return
        if self.erased:
            batch = batch.where(np.array([offset not in self.erased for offset in batch.offset.tolist()]))
            self.erased = set(self.erased_lately())
            if not len(batch.offset):
                return
        self.recent.append(batch._replace(records=[]))
        while len(self.recent) > 1 and len(self.recent[-2].offset) <= len(self.recent[-1].offset) <= MERGED_MAX:
            last = self.recent.pop()
            self.recent.append(joined((self.recent.pop(), last)))
        while self.recent[0].offset[-1] < batch.offset[-1] + 1 - self.limit:
            self.recent.popleft()

    def erase(self, creator: int, markets: Sequence[str]) -> None:
        """Quote a creator (the hash of its id) no more: what it did until now in these markets, or in all."""
        kept: deque[Batch] = deque()
        for batch in self.recent:
            theirs = np.array(
                [who == creator and (not markets or event.market in markets)
                 for who, event in zip(batch.creator.tolist(), batch.events, strict=True)]
            )  # fmt: skip
            self.erased.update(batch.offset[theirs].tolist())
            if not theirs.all():
                kept.append(batch.where(~theirs) if theirs.any() else batch)
        self.recent = kept

    def erased_lately(self) -> list[int]:
        """Of the erased, what could be quoted else; the rest is too old for it."""
        return sorted(offset for offset in self.erased if offset >= self.end - self.limit)

    def reroute(self, routes: Routes) -> None:
        """Other measures count the same events."""
        self.recent = deque(rerouted(batch, routes) for batch in self.recent)

    def cover(self, batch: Batch) -> None:
        """Note from which offsets the hours of event time came."""
        hour = batch.time // HOUR
        for h in np.unique(hour).tolist():
            offset = batch.offset[hour == h]
            first, after = self.hours.get(h, (int(offset[0]), 0))
            self.hours[h] = (min(first, int(offset.min())), max(after, int(offset.max()) + 1))
        if len(self.hours) > HOURS_MAX:
            for h in sorted(self.hours)[:-HOURS_MAX]:
                del self.hours[h]

    def evidence(
        self, routes: Routes, matchers: list[int], who: tuple[str, str], start: int, end: int, pane: int, upto: int
    ) -> Evidence:
        """The sources of the window [start, end), the newest events of its last pane, and who stood behind them.

        `who` is a (creator, market): a row may have had another owner when its records were read.
        """
        covered = [self.hours[h] for h in range(start // HOUR, (end - 1) // HOUR + 1) if h in self.hours]
        sources = []
        if covered:
            first, after = min(c[0] for c in covered), max(c[1] for c in covered)
            sources.append(SourceRange(self.topic, self.partition, first, after))
        events: list[EvidenceEvent] = []
        quoted: set[str] = set()  # an event that was delivered again counted once
        actors: Counter[str] = Counter()
        wanted, creator = set(matchers), hash64(who[0])
        for batch in self.recent:
            mine = np.flatnonzero((batch.creator == creator) & (batch.time >= start) & (batch.time < end))
            for i in mine.tolist():
                offset = int(batch.offset[i])
                if not upto - self.limit <= offset < upto:
                    continue
                event = batch.events[i]
                if (event.creator_id, event.market) != who:
                    continue
                if event.event_id in quoted or not wanted.intersection(routes.members[int(batch.route[i])]):
                    continue
                quoted.add(event.event_id)
                if event.actor_id is not UNSET:
                    actors[event.actor_id] += 1
                if event.occurred_at >= end - pane:
                    events.append(EvidenceEvent(event.event_id, self.partition, offset))
        total = sum(actors.values())
        top = sorted(actors.items(), key=lambda item: (-item[1], item[0]))[:CONTRIBUTORS_MAX]
        contributors = [Contributor("actor", who, round(n / total, 4)) for who, n in top]
        return Evidence(sources, events[-EVENTS_MAX:], contributors)
