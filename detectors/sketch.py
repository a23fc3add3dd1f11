"""Who did how much, in bounded room: counters of the busiest actors and a bitmap of the distinct ones, for each entity.

Two summaries of the same events, with the entity on axis 0. **Counters** (Misra and Gries): an actor's counter is never
over its true count and at most `error` under it, where error = (events - sum of counters) / (counters + 1); so the
busiest actor's true count is in [top, top + error], and an actor with more than 1 event in counters + 1 is always
there. **Bitmap** (linear counting): each actor sets one of m bits by its hash; with z of them 0, distinct = m *
log(m / z). Its standard error for D actors is sqrt(m * (exp(t) - t - 1)) actors, t = D / m: with 512 bits 3.1 % at 20
and 3.2 % at 100, 4.6 % at 1,000; once all bits are set it says m * log(2 * m), its most. Neither forgets.

`add` takes events as columns, in their order; cutting them into batches can't show, and an entity's rows depend on
its own events alone. Only `add` changes its state: a pane that fills. `merge` is of two spans of time (panes): their
bitmaps are united exactly, their counters keep the same error bound, though merged counters are not bit for bit those
of all events in one row. A sliding window is the merge of its panes, oldest first. An event can't be taken
back. For how many events are repeats this is no good instrument: events - distinct drowns in the error of distinct,
and a table of who came before says it exactly. What it adds is who is behind the events, in room that no crowd fills.

Units: events and actors. Hashes are 64 bits, mixed again by SplitMix64's finaliser (HASH_VERSION 1), so that ids in a
row do as well. Cost: 16 bytes for each counter and 1 for 8 bits: 328 bytes an entity of 16 counters and 512 bits; an
event 0.7 us in a batch of many entities, 6 us where some are very busy, 19 us where one alone is; a merge 2 us.
Reference: Misra and Gries, Science of Computer Programming 2 (1982); Agarwal et al., PODS (2012), for the merge;
Whang, Vander-Zanden and Taylor, ACM TODS 15 (1990); Steele, Lea and Flood, OOPSLA (2014), for the mixing.

>>> spec = ActorSketch()
>>> state = spec.init(2)
>>> spec.add(state, slot=np.array([0, 0, 0, 1, 0]), actor=np.array([7, 8, 7, 7, 7]))
>>> found = spec.read(state, np.array([0, 1]))
>>> found.events, found.top, found.error, found.distinct.round(2), found.hhi
(array([4, 1]), array([3, 1]), array([0., 0.]), array([2., 1.]), array([0.625, 1.   ]))
"""

from typing import Annotated, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.base import Floats, Ints

HASH_VERSION = 1  # of `mixed`: another one would set other bits
Words = NDArray[np.uint64]


class SketchState(NamedTuple):
    actors: Ints  # (n, counters) hash of the actor that a counter is of; 0 where the counter is 0
    counts: Ints  # (n, counters) events
    bits: Words  # (n, words) 64 bits each
    events: Ints  # (n,) all events


class Concentrated(NamedTuple):
    """What a sketch says of some entities."""

    events: Ints  # (k,) all events
    top: Ints  # (k,) events of the busiest actor: at most `error` under the truth, never over
    error: Floats  # (k,) events
    distinct: Floats  # (k,) actors
    hhi: Floats  # (k,) 0..1, sum of squared shares: at most 2 * error / events under the truth, never over


class ActorSketch(msgspec.Struct, frozen=True, kw_only=True):
    counters: Annotated[int, msgspec.Meta(ge=1, le=256)] = 16  # actors counted by themselves
    words: Annotated[int, msgspec.Meta(ge=1, le=256)] = 8  # of 64 bits, for the distinct actors

    def init(self, n: int) -> SketchState:
        shape = (n, self.counters)
        zeros = np.zeros(shape, dtype=np.int64)
        bits = np.zeros((n, self.words), dtype=np.uint64)
        return SketchState(zeros, zeros.copy(), bits, np.zeros(n, dtype=np.int64))

    def add(self, state: SketchState, slot: Ints, actor: Ints) -> None:
        """Write these events into the state, in their order: (k,) rows of entities, (k,) hashes of actors."""
        np.add.at(state.events, slot, 1)
        bit = mixed(actor) % np.uint64(64 * self.words)
        word = (bit >> np.uint64(6)).astype(np.int64)
        np.bitwise_or.at(state.bits, (slot, word), np.uint64(1) << (bit & np.uint64(63)))
        order = np.argsort(slot, kind="stable")
        slot, actor = slot[order], actor[order]
        first = np.flatnonzero(np.concatenate([np.ones(min(len(slot), 1), dtype=bool), slot[1:] != slot[:-1]]))
        nth = np.arange(len(slot)) - np.repeat(first, np.diff(np.append(first, len(slot))))
        rounds = np.argsort(nth, kind="stable")
        for one in np.split(rounds, np.flatnonzero(np.diff(nth[rounds])) + 1):  # each entity at most once in a round
            self._count(state, slot[one], actor[one])

    def merge(self, one: SketchState, other: SketchState) -> SketchState:
        """The sketch of what both saw, for the same entities. The counters' errors add up, as their events do."""
        both = zip((one.actors, one.counts), (other.actors, other.counts), strict=True)
        actor, count = _united(*(np.concatenate(pair, axis=1) for pair in both))
        count = np.maximum(count - count[:, self.counters, None], 0)[:, : self.counters]
        actor = np.where(count > 0, actor[:, : self.counters], 0)
        return SketchState(actor, count, one.bits | other.bits, one.events + other.events)

    def read(self, state: SketchState, slot: Ints) -> Concentrated:
        count, events = state.counts[slot], state.events[slot]
        kept = np.cumsum(count, axis=1)[:, -1]
        share = count / np.maximum(events, 1)[:, None]
        size = 64 * self.words
        empty = size - np.cumsum(np.bitwise_count(state.bits[slot]).astype(np.int64), axis=1)[:, -1]
        return Concentrated(
            events=events,
            top=np.maximum.reduce(count, axis=1, initial=0),
            error=(events - kept) / (self.counters + 1),
            distinct=size * np.log(size / np.maximum(empty, 0.5)),
            hhi=np.cumsum(share * share, axis=1)[:, -1],
        )

    def _count(self, s: SketchState, slot: Ints, actor: Ints) -> None:
        """One event of each of these entities: its actor's counter, or a free one, or one less for all."""
        rows, full = s.actors[slot], s.counts[slot] > 0
        mine = full & (rows == actor[:, None])
        known, room = mine.any(axis=1), ~full.all(axis=1)
        at = np.where(known, mine.argmax(axis=1), full.argmin(axis=1))
        counted = known | room
        s.actors[slot[counted], at[counted]] = actor[counted]
        s.counts[slot[counted], at[counted]] += 1
        less = slot[~counted]
        s.counts[less] -= 1
        s.actors[less] = np.where(s.counts[less] > 0, s.actors[less], 0)


def mixed(actor: Ints) -> Words:
    """SplitMix64's finaliser of an actor's hash.

    >>> mixed(np.array([0, 1]))
    array([16294208416658607535, 10451216379200822465], dtype=uint64)
    """
    z = actor.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _united(actor: Ints, count: Ints) -> tuple[Ints, Ints]:
    """Counters of the same actor as one; the largest first, of equals the lower hash first."""
    order = np.argsort(np.where(count > 0, actor, np.iinfo(np.int64).max), axis=1, kind="stable")
    actor, count = (np.take_along_axis(a, order, axis=1) for a in (actor, count))
    same = (actor[:, 1:] == actor[:, :-1]) & (count[:, 1:] > 0) & (count[:, :-1] > 0)
    count = count.copy()
    count[:, :-1] += np.where(same, count[:, 1:], 0)  # an actor has at most one counter in each of the two
    count[:, 1:][same] = 0
    order = np.argsort(-count, axis=1, kind="stable")
    return np.take_along_axis(actor, order, axis=1), np.take_along_axis(count, order, axis=1)
