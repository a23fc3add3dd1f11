"""Which policy holds for whom: thresholds after overrides, and who is left alone, by market, category and group."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from config.effective import Policy, TestPolicy, changed, own_policy, policy_of
from config.schema import Catalogue, Change, Member, Severity
from streams.policy import thresholds


class Exemption(NamedTuple):
    """A creator's place in a group that a signal leaves alone."""

    group: str
    member: Member


class Rulebook:
    """The effective policies of a catalogue; a cache, no state."""

    def __init__(self, catalogue: Catalogue, names: list[str]) -> None:
        self.catalogue = catalogue
        self.names = names
        self.loosest = [_loosest(own_policy(catalogue.signals[name]), list(self._changes(name))) for name in names]
        self._members: dict[str, list[tuple[str, Member, int]]] = {}  # by creator: group, member, until in ms
        for group_name, group in sorted(catalogue.groups.items()):
            for member in group.members:
                until = _midnight(member.until)
                self._members.setdefault(member.creator, []).append((group_name, member, until))
        self._cache: dict[tuple[int, str, str | None, tuple[str, ...]], Policy] = {}

    def _changes(self, name: str) -> Iterator[Change]:
        """Everything that anybody's policy for this signal may differ by."""
        for market in self.catalogue.markets.values():
            if name in market.thresholds:
                yield market.thresholds[name]
        yield from self.catalogue.signals[name].overrides

    def of(self, signal: int, creator: str, market: str, category: str | None, end: int) -> Policy:
        """The policy of a signal for a creator at a time."""
        key = (signal, market, category, tuple(group for group, _ in self.groups(creator, market, end)))
        if key not in self._cache:
            self._cache[key] = policy_of(self.catalogue, self.names[signal], market, category, key[3])
        return self._cache[key]

    def exemption(self, signal: int, creator: str, market: str, end: int) -> Exemption | None:
        """Why a signal leaves this creator alone at this time, if it does."""
        for group, member in self.groups(creator, market, end):
            if self.names[signal] in self.catalogue.groups[group].exempt_from:
                return Exemption(group, member)
        return None

    def groups(self, creator: str, market: str, end: int) -> list[tuple[str, Member]]:
        """The groups that a creator is a member of at a time."""
        return [
            (group, member)
            for group, member, until in self._members.get(creator, ())
            if member.market in (None, market) and end < until
        ]


def _midnight(day: str) -> int:
    """ms of the beginning of a day in UTC.

    >>> _midnight("1970-01-02")
    86400000
    """
    return int(np.datetime64(day, "ms").astype(np.int64))


def _loosest(policy: Policy, changes: list[Change]) -> Policy:
    """What anybody's policy asks for at least: a sieve before policies are looked up."""
    return looser(policy, *(changed(policy, change) for change in changes))


def looser(policy: Policy, *others: Policy) -> Policy:
    """The policy with the lowest marks, minimums and effects of all."""
    variants, tests = [policy, *others], []
    for same in zip(*(variant.tests for variant in variants), strict=True):
        marks = [min(column) for column in zip(*(thresholds(test.severity) for test in same), strict=True)]
        severity = Severity(**{
            name: None if mark == float("inf") else mark
            for name, mark in zip(("info", "warning", "critical"), marks, strict=True)
        })  # fmt: skip
        tests.append(TestPolicy(severity, *(min(column) for column in zip(*(test[1:] for test in same), strict=True))))
    return policy._replace(tests=tuple(tests))
