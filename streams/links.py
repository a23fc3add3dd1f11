"""What joins an event with an earlier one of the same creator: by buyer, by order, by whatever both name.

A measure may count only the first event of each value (`once`), only those whose value came before (`again`), only
those that name an event of another measure (`follows`), or only what stayed without an answer for so long (`after`,
`unless`); and an event may take an earlier one back (`undone_by`). Each of these has a `Table` of 63-bit hashes:
two values of one creator are taken for the same with a chance of one in 10^18. Tables are bounded; the oldest entries
go first, and are counted.

Everything happens in the order of the records, so batches can't show.
"""

import heapq
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from msgspec import UNSET

from config.schema import millis
from detectors.base import Bools, Ints
from streams.columns import Batch, Entities, Matcher, Routes, hash64
from streams.records import Event

MASK = (1 << 63) - 1
GOLDEN = 0x1E3779B97F4A7C15  # odd: multiplying by it loses nothing
KEEP = "90d"  # for so long an event can be taken back
TIME_BITS = 42  # of a table's entry; above them stands whose it is
TIME = (1 << TIME_BITS) - 1


class Undone(NamedTuple):
    """An event that was taken back."""

    at: int  # which event of the part took it back
    matcher: int
    slot: int
    time: int


def whose(creator: Any, market: Any) -> Any:
    """A creator (the hash of its id) in a market (its code) as one number, or many as an array of them."""
    return (creator * GOLDEN + market) & MASK


def value_of(event: Event, by: str) -> str | None:
    """What an event says of the other party, the reference, or an attribute."""
    if by == "actor_id":
        value = event.actor_id
    elif by == "ref_id":
        value = event.ref_id
    else:
        return None if event.attrs is UNSET or by not in event.attrs else str(event.attrs[by])
    return None if value is UNSET else value


class Table:
    """Times by key, oldest entry first; and whose they are, in the same number, since there may be millions."""

    def __init__(self, keep_ms: int) -> None:
        self.keep_ms = keep_ms
        self.times: dict[int, int] = {}  # key -> time, and above TIME_BITS whose; 0 where an older release wrote it

    def put(self, key: int, time: int, who: int = 0) -> None:
        self.times.pop(key, None)
        self.times[key] = who << TIME_BITS | time

    def at(self, key: int) -> int | None:
        """When the key came last, as far as is known."""
        entry = self.times.get(key)
        return None if entry is None else entry & TIME

    def take(self, key: int) -> int | None:
        """The same, and forget it."""
        entry = self.times.pop(key, None)
        return None if entry is None else entry & TIME

    def near(self, key: int, time: int) -> bool:
        """Whether the key came at most so long before or after."""
        then = self.at(key)
        return then is not None and abs(time - then) <= self.keep_ms

    def erase(self, whose: set[int]) -> None:
        """Let go of all that is theirs."""
        for key in [key for key, entry in self.times.items() if entry >> TIME_BITS in whose]:
            del self.times[key]

    def trim(self, now: int, limit: int) -> int:
        """Let go of what is too old; returns how many more went for want of room."""
        old = []
        for key, entry in self.times.items():
            if entry & TIME >= now - self.keep_ms:
                break
            old.append(key)
        more = max(len(self.times) - len(old) - limit, 0)
        for key in list(self.times)[: len(old) + more] if more else old:
            del self.times[key]
        return more


class Deadlines:
    """Events that count only so long after they happened, unless they are answered before."""

    def __init__(self, after_ms: int) -> None:
        self.after_ms = after_ms
        self.pending: dict[int, list[tuple[int, int]]] = {}  # key -> (due, slot) of each, oldest first
        self.queue: list[tuple[int, int, int]] = []  # heap of (due, key, slot)

    def put(self, key: int, due: int, slot: int) -> None:
        self.pending.setdefault(key, []).append((due, slot))
        heapq.heappush(self.queue, (due, key, slot))

    def answer(self, key: int) -> None:
        """The oldest of its name is answered."""
        if key in self.pending:
            self.drop(key, self.pending[key][0])

    def drop(self, key: int, one: tuple[int, int]) -> None:
        self.pending[key].remove(one)
        if not self.pending[key]:
            del self.pending[key]

    def pop(self, end: int) -> list[tuple[int, int]]:
        """(due, slot) of what was due before `end` and has no answer."""
        out = []
        while self.queue and self.queue[0][0] < end:
            due, key, slot = heapq.heappop(self.queue)
            if (due, slot) in self.pending.get(key, ()):
                self.drop(key, (due, slot))
                out.append((due, slot))
        return out

    def forget(self, slots: set[int]) -> None:
        """Nobody waits for these entities any more."""
        kept = {key: [one for one in some if one[1] not in slots] for key, some in self.pending.items()}
        self.pending = {key: some for key, some in kept.items() if some}

    def trim(self, limit: int) -> int:
        """Returns how many went, unanswered, for want of room."""
        more = max(len(self.pending) - limit, 0)
        for key in list(self.pending)[:more]:
            del self.pending[key]
        return more


class Op(NamedTuple):
    """What to do at an event of some matcher."""

    order: int  # feeding a table comes before asking it
    what: str
    matcher: int  # which counts the event, or doesn't
    table: int
    by: str
    apart_ms: int = 0


class Links:
    """All tables of a shard."""

    def __init__(self, routes: Routes, entities: Entities, limit: int) -> None:
        self.routes, self.entities, self.limit = routes, entities, limit
        self.tables: list[Table] = []
        self.identities: list[tuple[str, Matcher]] = []  # of the tables: what each is for
        self.deadlines: dict[int, Deadlines] = {}  # by matcher
        self.ops: dict[int, list[Op]] = {}  # by the matcher whose events they look at
        self.packed = np.zeros((4, 0), dtype=np.int64)  # (4, n) for a checkpoint: table, key, time, whose or slot
        self._by_route: list[list[Op]] = []
        for index, matcher in enumerate(routes.matchers):
            self._prepare(index, matcher)

    def _prepare(self, index: int, matcher: Matcher) -> None:
        if matcher.once is not None:
            self._op(index, 1, "once", index, matcher.once.by, matcher.once.within)
        if matcher.again is not None:
            apart = millis(matcher.again.apart) if matcher.again.apart else 0
            self._op(index, 1, "again", index, matcher.again.by, matcher.again.within, apart)
        if matcher.follows is not None:
            target, follows = matcher.follows
            self._op(self.routes.matchers.index(target), 0, "feed", index, "ref_id", follows.within)
            self.ops.setdefault(index, []).append(Op(1, "follows", index, len(self.tables) - 1, "ref_id"))
        if matcher.after is not None:
            self.deadlines[index] = Deadlines(millis(matcher.after))
            self.ops.setdefault(index, []).append(Op(1, "after", index, -1, "ref_id"))
            for kind in matcher.unless:
                self.ops.setdefault(self._of_type(kind), []).append(Op(0, "answer", index, -1, "ref_id"))
        if matcher.undone_by is not None:
            self._op(index, 2, "keep", index, "event_id", KEEP)
            table = len(self.tables) - 1
            self.ops[index].append(Op(2, "keep", index, table, "ref_id"))
            self.ops.setdefault(self._of_type(matcher.undone_by), []).append(Op(0, "undo", index, table, "ref_id"))

    def _op(self, at: int, order: int, what: str, matcher: int, by: str, keep: str, apart_ms: int = 0) -> None:
        self.tables.append(Table(millis(keep)))
        self.identities.append((what, self.routes.matchers[matcher]))
        self.ops.setdefault(at, []).append(Op(order, what, matcher, len(self.tables) - 1, by, apart_ms))

    def _of_type(self, kind: str) -> int:
        return self.routes.matchers.index(Matcher(((kind, ()),)))

    # -- events ------------------------------------------------------------------------------------------------

    def follow(self, batch: Batch, rows: Ints, slot: Ints, route: Ints) -> tuple[dict[int, Bools], list[Undone]]:
        """By matcher, which of these events count by their links; and which earlier ones were taken back."""
        counts: dict[int, Bools] = {}
        undone: list[Undone] = []
        busy = np.flatnonzero(self._looked_at()[route]).tolist()
        if not busy:
            return counts, undone
        who = whose(self.entities.hashes[slot], self.entities.market_of[slot]).tolist()
        for i in busy:
            event = batch.events[int(rows[i])]
            for op in self._by_route[int(route[i])]:
                if op.what == "undo":
                    self._undo(op, event, i, who[i], int(slot[i]), undone)
                elif not self._counts(op, event, who[i], int(slot[i])):
                    counts.setdefault(op.matcher, np.ones(len(rows), dtype=np.bool_))[i] = False
        return counts, undone

    def _looked_at(self) -> Bools:
        """For each route, whether there is anything to do at its events."""  # (n_routes,)
        for members in self.routes.members[len(self._by_route) :]:
            self._by_route.append(sorted(op for m in members for op in self.ops.get(m, ())))
        return np.array([bool(ops) for ops in self._by_route])

    def _undo(self, op: Op, event: Event, at: int, who: int, slot: int, undone: list[Undone]) -> None:
        value = value_of(event, op.by)
        then = None if value is None else self.tables[op.table].take((hash64(value) + who) & MASK)
        if then is not None:
            undone.append(Undone(at, op.matcher, slot, then))

    def _counts(self, op: Op, event: Event, who: int, slot: int) -> bool:
        """Do what an op says; False if its matcher doesn't count the event now."""
        value = event.event_id if op.by == "event_id" else value_of(event, op.by)
        if value is None:
            if op.what == "after":  # nothing can answer it by name
                value = event.event_id
            else:
                return op.what not in ("again", "follows")
        key, time = (hash64(value) + who) & MASK, event.occurred_at
        if op.what == "after":
            self.deadlines[op.matcher].put(key, time + self.deadlines[op.matcher].after_ms, slot)
            return False
        if op.what == "answer":
            self.deadlines[op.matcher].answer(key)
            return True
        table = self.tables[op.table]
        then = table.at(key)
        near = table.near(key, time)
        if op.what == "follows":
            return near
        if op.what == "once" and near:
            return False
        if near and then is not None and abs(time - then) < op.apart_ms:
            return False  # of one piece with the one before
        table.put(key, time if then is None else max(time, then), who)
        return near if op.what == "again" else True

    def due(self, end: int) -> dict[int, tuple[Ints, Ints]]:
        """By matcher, (time, slot) of what counts now, since its deadline has passed."""
        out = {}
        for matcher, deadlines in self.deadlines.items():
            over = deadlines.pop(end)
            if over:
                time, slot = (np.array(column, dtype=np.int64) for column in zip(*over, strict=True))
                out[matcher] = time, slot
        return out

    # -- room --------------------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        return sum(len(t.times) for t in self.tables) + sum(len(d.pending) for d in self.deadlines.values())

    def forget(self, slot: Ints) -> None:
        gone = set(slot.tolist())
        for deadlines in self.deadlines.values():
            deadlines.forget(gone)

    def erase(self, creator: int, markets: Iterable[int]) -> None:
        """Forget what a creator's events (the hash of its id) in these markets (their codes) are joined by."""
        theirs = {whose(creator, market) for market in markets}
        for table in self.tables:
            table.erase(theirs)

    def trim(self, now: int) -> int:
        """What is too old goes, and what is too much, the limit shared evenly; returns how many were too much."""
        parts = len(self.tables) + len(self.deadlines)
        limit = self.limit // max(parts, 1)
        return sum(t.trim(now, limit) for t in self.tables) + sum(d.trim(limit) for d in self.deadlines.values())

    def pack(self) -> None:
        """Put everything into the array that a checkpoint takes."""
        parts = []
        for n, table in enumerate(self.tables):
            keys, entries = list(table.times), list(table.times.values())
            times, who = [entry & TIME for entry in entries], [entry >> TIME_BITS for entry in entries]
            parts.append(np.array([np.full(len(keys), n), keys, times, who], dtype=np.int64))
        for n, (_, deadlines) in enumerate(sorted(self.deadlines.items())):
            rows = [(-1 - n, key, due, slot) for key, some in deadlines.pending.items() for due, slot in some]
            parts.append(np.array(rows, dtype=np.int64).reshape(-1, 4).T)
        self.packed = np.concatenate([np.zeros((4, 0), dtype=np.int64), *parts], axis=1)

    def unpack(self) -> None:
        deadlines = [d for _, d in sorted(self.deadlines.items())]
        for n, key, time, owner in self.packed.T.tolist():
            if n >= 0:
                self.tables[n].put(key, time, max(owner, 0))
            else:
                deadlines[-1 - n].put(key, time, owner)
