"""Who is watched: the (creator, market) pairs of a shard as columns, and the cohorts of their peers."""

import numpy as np

from detectors.base import Bools, Ints
from streams.columns import Entities

UNBORN = -1
COHORTS_MAX = 4_096


class Population:
    """What the engine knows of every entity by itself; it begins to live with its first event that counts."""

    def __init__(self, entities: Entities) -> None:
        self.entities = entities
        self.born = np.full(entities.capacity, UNBORN, dtype=np.int64)  # (capacity,) ms, event time of the first event
        self.last_seen = np.full(entities.capacity, UNBORN, dtype=np.int64)  # (capacity,) ms
        self.category = np.full(entities.capacity, -1, dtype=np.int64)  # (capacity,) code of the newest
        self.cohort = np.zeros(entities.capacity, dtype=np.int64)  # (capacity,) index into cohorts
        self.cohorts: dict[tuple[int, int], int] = {}  # (market code, category code or -1) -> index
        self.cohort_market = np.zeros(0, dtype=np.int64)  # (n_cohorts,) market code
        self.cohort_size = np.zeros(0, dtype=np.int64)  # (n_cohorts,) entities
        self.live = 0

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
            self.born, self.last_seen, self.category = (
                np.concatenate([a, absent]) for a in (self.born, self.last_seen, self.category)
            )
            self.cohort = np.concatenate([self.cohort, np.zeros(more, dtype=np.int64)])

    def arrive(self, slot: Ints, time: Ints, limit: int) -> tuple[Bools, Ints]:
        """Take in the entities of these events: which events count (the limit keeps newcomers out), and who is new."""
        unborn = self.born[slot] == UNBORN
        counts = np.ones(len(slot), dtype=np.bool_)
        new = np.zeros(0, dtype=np.int64)
        if unborn.any():
            new, first = np.unique(slot[unborn], return_index=True)
            first = np.sort(first)[: max(limit - self.live, 0)]  # in the order of their first events
            new = slot[unborn][first]
            self.born[new] = time[unborn][first]
            counts = self.born[slot] != UNBORN
            self.live += len(new)
            self._join(new, np.full(len(new), -1, dtype=np.int64))
        np.maximum.at(self.last_seen, slot[counts], time[counts])
        return counts, new

    def categorise(self, slot: Ints, category: Ints) -> None:
        """The newest category stands; the first one ever seen decides the cohort."""
        named = category >= 0
        slot, category = slot[named], category[named]
        unnamed = self.category[slot] < 0
        if unnamed.any():
            who, first = np.unique(slot[unnamed], return_index=True)
            np.subtract.at(self.cohort_size, self.cohort[who], 1)
            self._join(who, category[unnamed][first])
        self.category[slot] = category  # repeated slots: the last one stands

    def _join(self, slot: Ints, category: Ints) -> None:
        for s, c in zip(slot.tolist(), category.tolist(), strict=True):
            key = (int(self.market_of[s]), c)
            if key not in self.cohorts:
                if len(self.cohorts) >= COHORTS_MAX:
                    key = (key[0], -1)
                if key not in self.cohorts:
                    self.cohorts[key] = len(self.cohorts)
                    self.cohort_market = np.append(self.cohort_market, key[0])
                    self.cohort_size = np.append(self.cohort_size, 0)
            self.cohort[s] = self.cohorts[key]
            self.cohort_size[self.cohort[s]] += 1

    def forget(self, slot: Ints) -> None:
        np.subtract.at(self.cohort_size, self.cohort[slot], 1)
        self.born[slot] = UNBORN
        self.last_seen[slot] = UNBORN
        self.category[slot] = -1
        self.live -= len(slot)
