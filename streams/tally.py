"""Events that count, added into panes: one by one for rules and patterns, all at once for everything else."""

from collections import Counter

import numpy as np
from msgspec import UNSET

from config.schema import Catalogue
from detectors.base import Bools, Ints
from streams.columns import Batch
from streams.entities import Population
from streams.grounds import Grounds
from streams.links import Links, Undone
from streams.money import amount_of
from streams.patterns import RepeatWatch, SequenceWatch
from streams.plan import Plan
from streams.rates import DAY, HOUR
from streams.records import Event
from streams.windows import NEVER

LATE_BY = {"1m": HOUR // 60, "1h": HOUR, "1d": DAY, "more": np.iinfo(np.int64).max}  # late by up to so much


class Tally:
    """Adds to the rings and watches of a plan."""

    def __init__(
        self, catalogue: Catalogue, plan: Plan, people: Population, links: Links, grounds: Grounds,
        counts: Counter[tuple[str, str]],
    ) -> None:  # fmt: skip
        self.catalogue, self.plan, self.people = catalogue, plan, people
        self.links, self.grounds, self.counts = links, grounds, counts
        self._overturned: set[tuple[int, int]] = set()

    def add(self, batch: Batch, keep: Bools, closed: int) -> set[tuple[int, int]]:
        """Add the events that are kept, of panes that are open; (signal, slot) of which one was taken back."""
        time, slot, route = batch.time[keep], batch.slot[keep], batch.route[keep]
        limits = self.catalogue.engine.limits
        counts, new = self.people.arrive(slot, time, batch.category[keep], limits.entities)
        for watch in self.plan.rate_watches():
            watch.grow()
            watch.born(new)
        self.people.sort()
        if not counts.all():
            self.counts["limit_hit", "entities"] += int((~counts).sum())
            time, slot, route = time[counts], slot[counts], route[counts]
        self._count_late(closed - time)
        rows = np.flatnonzero(keep)[counts]
        registered = self.plan.routes.table(self.plan.registered)[route]
        self.people.registered[slot[registered]] = time[registered]
        known = self._outcomes(batch, rows, time, slot, route)
        linked, undone = self.links.follow(batch, rows, slot, route)
        for matcher, which in linked.items():
            known[matcher] = known[matcher] & which if matcher in known else which
        mine = self._add_often(batch, rows, time, slot, route, known)
        if self.grounds.of:
            self.grounds.counted(self.plan.watches, time, slot, mine)
        self._add_rare(batch, rows, mine, undone)
        overturned, self._overturned = self._overturned, set()
        return overturned

    def _add_often(
        self, batch: Batch, rows: Ints, time: Ints, slot: Ints, route: Ints, known: dict[int, Bools]
    ) -> dict[int, Bools]:
        """Events that only add to cells; by matcher, those that did."""
        live = self.people.lives.follow(time, slot, *(self.plan.routes.table(m)[route] for m in self.plan.live_marks))
        mine: dict[int, Bools] = {}
        for matcher in self.plan.counted:
            mine[matcher] = self.plan.routes.table(matcher)[route]
            if matcher in known:
                mine[matcher] = mine[matcher] & known[matcher]
            during = self.plan.matchers[matcher].live
            if during is not None:
                mine[matcher] = mine[matcher] & (live == during)
            if mine[matcher].any():
                much = self._amounts(matcher, batch, rows[mine[matcher]])
                self.count(matcher, time[mine[matcher]], slot[mine[matcher]], much)
        return mine

    def _count_late(self, behind: Ints) -> None:
        """By how far events are behind event time."""
        over = 0
        for name, limit in LATE_BY.items():
            self.counts["late", name] += int(((behind > over) & (behind <= limit)).sum())
            over = limit

    def count(self, matcher: int, time: Ints, slot: Ints, much: Ints | int = 1) -> None:
        """Add to the cells of a measure, `much` for each."""
        for pane, ring in self.plan.rings_of[matcher]:
            self.counts["too_late", str(pane)] += ring.add(time, slot, much)

    def _amounts(self, matcher: int, batch: Batch, rows: Ints) -> Ints | int:
        """What each of these events adds."""
        adds = self.plan.matchers[matcher].sum
        if adds is None:
            return 1
        events = [batch.events[i] for i in rows.tolist()]
        return np.array([amount_of(e, adds, self.catalogue.market(e.market).currency) for e in events], dtype=np.int64)

    def _take_back(self, matcher: int, slot: int, time: int) -> None:
        """An event is void: it leaves its panes, and what was said because of it is looked at again."""
        for _, ring in self.plan.rings_of[matcher]:
            ring.take_back(time, slot)
        for signal, watches in enumerate(self.plan.watches):
            for watch in watches:
                if isinstance(watch, SequenceWatch) or watch.matcher != matcher:
                    continue
                self._overturned.add((signal, slot))
                if isinstance(watch, RepeatWatch):
                    watch.take_back(slot, time)
        self.counts["overturned", sorted(self.plan.matchers[matcher].types)[0]] += 1

    def _outcomes(self, batch: Batch, rows: Ints, time: Ints, slot: Ints, route: Ints) -> dict[int, Bools]:
        """Outcomes teach the delay curves; by matcher, those that are not of an order from before the stream."""
        known: dict[int, Bools] = {}
        for watch in self.plan.rate_watches():
            if watch.kind == "outcome":
                mine = np.flatnonzero(self.plan.routes.table(watch.matcher)[route])
                if not len(mine):
                    known[watch.matcher] = np.ones(len(rows), dtype=np.bool_)
                    continue
                ref_at = np.array([_ref_at(batch.events[i]) for i in rows[mine].tolist()], dtype=np.int64)
                counts = np.ones(len(rows), dtype=np.bool_)
                much = np.broadcast_to(np.asarray(self._amounts(watch.matcher, batch, rows[mine])), mine.shape)
                worth = watch.units.of(much, slot[mine])
                counts[mine] = watch.delays.arrive(time[mine], ref_at, slot[mine], worth)
                known[watch.matcher] = known.get(watch.matcher, False) | counts
        early: dict[str, Bools] = {}  # an event that several tests count is one event
        for matcher, those in known.items():
            kind = sorted(self.plan.matchers[matcher].types)[0]
            early[kind] = early.get(kind, False) | ~those
        for kind, those in early.items():
            self.counts["early_order", kind] += int(those.sum())
        return known

    def _add_rare(self, batch: Batch, rows: Ints, mine: dict[int, Bools], undone: list[Undone]) -> None:
        """Events that rules and patterns look at one by one, and those that take others back, in their order."""
        rare = self.plan.rare_routes()[batch.route[rows]]
        rare[[one.at for one in undone]] = True
        for at in np.flatnonzero(rare).tolist():
            for one in undone:
                if one.at == at:
                    self._take_back(one.matcher, one.slot, one.time)
            i = int(rows[at])
            members = self.plan.routes.members[int(batch.route[i])]
            slot = int(batch.slot[i])
            for watch in self.plan.rare_watches():
                if isinstance(watch, RepeatWatch):
                    if mine[watch.matcher][at]:
                        watch.add(slot, batch.events[i])
                else:
                    steps = [step for step, matcher in enumerate(watch.matchers) if matcher in members]
                    if steps:
                        watch.add(slot, int(batch.offset[i]), batch.events[i], steps)


def _ref_at(event: Event) -> int:
    """When what an event refers to happened, in ms; NEVER where it doesn't say."""
    return NEVER if event.attrs is UNSET else int(event.attrs.get("ref_at", NEVER))
