"""Who is watched: the (creator, market) pairs of a shard as columns, and the cohorts of their peers."""

import numpy as np

from detectors.base import Bools, Ints
from streams.columns import Entities
from streams.lives import Lives

UNBORN = -1
COHORTS_MAX = 4_096


class Population:
    """What the engine knows of every entity by itself; it begins to live with its first event that counts."""

    def __init__(self, entities: Entities) -> None:
        self.entities = entities
        self.born = np.full(entities.capacity, UNBORN, dtype=np.int64)  # (capacity,) ms, event time of the first event
        self.last_seen = np.full(entities.capacity, UNBORN, dtype=np.int64)  # (capacity,) ms
        self.registered = np.full(entities.capacity, UNBORN, dtype=np.int64)  # (capacity,) ms; UNBORN where not seen
        self.category = np.full(entities.capacity, -1, dtype=np.int64)  # (capacity,) code of the newest
        self.cohort = np.zeros(entities.capacity, dtype=np.int64)  # (capacity,) index into cohorts
        self.lives = Lives(entities.capacity)
        self.cohorts: dict[tuple[int, int], int] = {}  # (market code, category code or -1) -> index
        self.cohort_market = np.zeros(0, dtype=np.int64)  # (n_cohorts,) market code
        self.cohort_size = np.zeros(0, dtype=np.int64)  # (n_cohorts,) entities
        self.crowded = 0  # times that a cohort was one too many, not counted yet
        self.live = 0
        self.unsorted: dict[int, int] = {}  # slot -> its cohort to be; empty between events

    @property
    def capacity(self) -> int:
        return len(self.born)

    @property
    def market_of(self) -> Ints:
        return self.entities.market_of

    @property
    def markets(self) -> dict[str, int]:
        return self.entities.markets

    def grow(self) -> None:
        more = self.entities.capacity - self.capacity
        if more:
            absent = np.full(more, UNBORN, dtype=np.int64)
            self.born, self.last_seen, self.registered, self.category = (
                np.concatenate([a, absent]) for a in (self.born, self.last_seen, self.registered, self.category)
            )
            self.cohort = np.concatenate([self.cohort, np.zeros(more, dtype=np.int64)])
            self.lives.grow(more)

    def arrive(self, slot: Ints, time: Ints, category: Ints, limit: int) -> tuple[Bools, Ints]:
        """Take in the entities of these events: which events count (the limit keeps newcomers out), and who is new.

        The newest category of an entity stands; the first one ever seen decides its cohort, from `sort` on.
        """
        unborn = np.flatnonzero(self.born[slot] == UNBORN)
        counts = np.ones(len(slot), dtype=np.bool_)
        joins: list[tuple[int, int, int]] = []  # (event, slot, category), so that cohorts come in the events' order
        new = np.zeros(0, dtype=np.int64)
        if len(unborn):
            first = unborn[np.unique(slot[unborn], return_index=True)[1]]
            first = np.sort(first)[: max(limit - self.live, 0)]
            new = slot[first]
            self.born[new] = time[first]
            counts = self.born[slot] != UNBORN
            self.live += len(new)
            joins += [(i, s, -1) for i, s in zip(first.tolist(), new.tolist(), strict=True)]
        np.maximum.at(self.last_seen, slot[counts], time[counts])
        named = np.flatnonzero(counts & (category >= 0))
        unnamed = named[self.category[slot[named]] < 0]
        if len(unnamed):
            first = unnamed[np.unique(slot[unnamed], return_index=True)[1]]
            joins += zip(first.tolist(), slot[first].tolist(), category[first].tolist(), strict=True)
        self.category[slot[named]] = category[named]  # repeated slots: the last one stands
        for _, s, c in sorted(joins):
            market = self.entities.settle(s)
            if c < 0:
                self.cohort[s] = self._cohort(market, c)
                self.cohort_size[self.cohort[s]] += 1
            else:
                self.unsorted[s] = self._cohort(market, c)
        return counts, new

    def sort(self) -> None:
        """Entities whose category became known move to its cohort."""
        for slot, cohort in self.unsorted.items():
            self.cohort_size[self.cohort[slot]] -= 1
            self.cohort_size[cohort] += 1
            self.cohort[slot] = cohort
        self.unsorted = {}

    def _cohort(self, market: int, category: int) -> int:
        """The index of a cohort, new if need be; when there are too many, its market's."""
        if (market, category) not in self.cohorts and len(self.cohorts) >= COHORTS_MAX:
            category = -1
            self.crowded += 1
        if (market, category) not in self.cohorts:
            self.cohorts[market, category] = len(self.cohorts)
            self.cohort_market = np.append(self.cohort_market, market)
            self.cohort_size = np.append(self.cohort_size, 0)
        return self.cohorts[market, category]

    def forget(self, slot: Ints) -> None:
        np.subtract.at(self.cohort_size, self.cohort[slot], 1)
        self.born[slot] = UNBORN
        self.last_seen[slot] = UNBORN
        self.registered[slot] = UNBORN
        self.category[slot] = -1
        self.cohort[slot] = 0
        self.lives.forget(slot)
        self.live -= len(slot)
        self.entities.unsettled.update(slot.tolist())
