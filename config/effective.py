"""The policy that holds for one creator: the signal's own, its market's changes, then the overrides that fit."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from config.schema import Catalogue, Change, Outcome, Ratio, Severity, Share, Signal, Status, millis


class TestPolicy(NamedTuple):
    """From when on one test speaks."""

    severity: Severity
    minimum: float
    minimum_of: float
    effect: float


class Policy(NamedTuple):
    """How a signal's scores become episodes."""

    status: Status
    hysteresis: float
    resolve_after: int  # ms
    cooldown: int  # ms
    tests: tuple[TestPolicy, ...]


def changes(
    catalogue: Catalogue, name: str, market: str, category: str | None = None, groups: Collection[str] = ()
) -> Iterator[tuple[str, Change]]:
    """What differs from the signal's own policy, in the order in which it is applied, with where it is written."""
    for code in ("default", market):
        written = catalogue.markets.get(code)
        if written is not None and name in written.thresholds:
            yield f"markets/{code}.yaml: $.thresholds.{name}", written.thresholds[name]
    for index, override in enumerate(catalogue.signals[name].overrides):
        if (
            (not override.markets or market in override.markets)
            and (not override.categories or category in override.categories)
            and (not override.groups or not set(groups).isdisjoint(override.groups))
        ):
            yield f"signals/{name}.yaml: $.overrides[{index}]", override


def own_policy(signal: Signal) -> Policy:
    """What a signal says of itself."""
    tests = tuple(
        TestPolicy(
            test.severity, test.minimum, test.minimum_of if isinstance(test, Outcome | Share | Ratio) else 0.0,
            test.effect,
        )
        for test in signal.tests
    )  # fmt: skip
    return Policy(signal.status, signal.hysteresis, millis(signal.resolve_after), millis(signal.cooldown), tests)


def changed(policy: Policy, change: Change) -> Policy:
    """The policy with what a change names."""
    given = {field: new for field in TestPolicy._fields if (new := getattr(change, field)) is not None}
    tests = tuple(
        test._replace(**given) if not change.tests or number in change.tests else test
        for number, test in enumerate(policy.tests, start=1)
    )
    return Policy(
        change.status or policy.status,
        policy.hysteresis if change.hysteresis is None else change.hysteresis,
        policy.resolve_after if change.resolve_after is None else millis(change.resolve_after),
        policy.cooldown if change.cooldown is None else millis(change.cooldown),
        tests,
    )


def policy_of(
    catalogue: Catalogue, name: str, market: str, category: str | None = None, groups: Collection[str] = ()
) -> Policy:
    """The policy of a signal for a creator of this market, category and these groups."""
    policy = own_policy(catalogue.signals[name])
    for _, change in changes(catalogue, name, market, category, groups):
        policy = changed(policy, change)
    return policy
