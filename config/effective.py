"""The policy that holds for one creator: the signal's own, its market's changes, then the overrides that fit."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from msgspec import NODEFAULT, structs

from config.schema import (
    UNIT_MS,
    Catalogue,
    Change,
    Outcome,
    Ratio,
    Series,
    Severity,
    Share,
    Signal,
    Spec,
    Status,
    millis,
)

MARKS = ("info", "warning", "critical")


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
    for code in dict.fromkeys(("default", market)):
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
            test.severity, test.minimum, test.minimum_of if isinstance(test, Outcome | Share | Ratio | Series) else 0.0,
            test.effect,
        )
        for test in signal.tests
    )  # fmt: skip
    return Policy(signal.status, signal.hysteresis, millis(signal.resolve_after), millis(signal.cooldown), tests)


def changed(policy: Policy, change: Change) -> Policy:
    """The policy with what a change names."""
    named = {field: new for field in TestPolicy._fields if (new := getattr(change, field)) is not None}
    tests = tuple(
        _raised(test._replace(**named), change) if not change.tests or number in change.tests else test
        for number, test in enumerate(policy.tests, start=1)
    )
    return Policy(
        change.status or policy.status,
        policy.hysteresis if change.hysteresis is None else change.hysteresis,
        policy.resolve_after if change.resolve_after is None else millis(change.resolve_after),
        policy.cooldown if change.cooldown is None else millis(change.cooldown),
        tests,
    )


def _raised(test: TestPolicy, change: Change) -> TestPolicy:
    """The test with what the change adds to its marks."""
    if change.severity_add is None:
        return test
    marks = {name: mark for name in MARKS if (mark := getattr(test.severity, name)) is not None}
    raised = {name: round(mark + change.severity_add, 6) for name, mark in marks.items()}
    return test._replace(severity=Severity(**raised))


def policy_of(
    catalogue: Catalogue, name: str, market: str, category: str | None = None, groups: Collection[str] = ()
) -> Policy:
    """The policy of a signal for a creator of this market, category and these groups."""
    policy = own_policy(catalogue.signals[name])
    for _, change in changes(catalogue, name, market, category, groups):
        policy = changed(policy, change)
    return policy


# ---- the same, with where each value comes from ------------------------------------------------------------


class Explained(NamedTuple):
    """A value of the effective policy and where it is written."""

    path: str  # "cooldown", "test 1: effect"; tests are counted from 1, as in a change
    value: str
    source: str


OF_SIGNAL = ("status", "hysteresis", "resolve_after", "cooldown")


def explain(
    catalogue: Catalogue, name: str, market: str, category: str | None = None, groups: Collection[str] = ()
) -> list[Explained]:
    """Every value of the policy that `policy_of` gives, with the file and place that it comes from."""
    sources = _own_sources(name, catalogue.signals[name])
    for where, change in changes(catalogue, name, market, category, groups):
        for path in _set_by(change, sources):
            sources[path] = f"{where}: {change.because}"
    policy = policy_of(catalogue, name, market, category, groups)
    found = [Explained(path, _value(policy, path), source) for path, source in sources.items()]
    for group in sorted(groups):
        if name in catalogue.groups[group].exempt_from:
            found.append(Explained("exempt", "alerts go to risk-alerts-shadow", f"groups/{group}.yaml: $.exempt_from"))
    return found


def _own_sources(name: str, signal: Signal) -> dict[str, str]:
    """Where a signal's own values come from; what is written as the default is can't be told from it."""
    sources = {field: _own(name, signal, field) for field in OF_SIGNAL}
    for number, test in enumerate(signal.tests, start=1):
        for field in TestPolicy._fields:
            if hasattr(test, field):
                sources[f"test {number}: {field}"] = _own(name, test, field)
    return sources


def _own(name: str, spec: Spec, field: str) -> str:
    default = next(one.default for one in structs.fields(spec) if one.name == field)
    return "default" if default is not NODEFAULT and getattr(spec, field) == default else f"signals/{name}.yaml"


def _set_by(change: Change, paths: Collection[str]) -> list[str]:
    """The paths that a change names."""
    chosen = [f"test {number}" for number in change.tests]
    found = []
    for path in paths:
        test, _, field = path.rpartition(": ")
        said = getattr(change, field) is not None or (field == "severity" and change.severity_add is not None)
        if said and (not test or not chosen or test in chosen):
            found.append(path)
    return found


def _value(policy: Policy, path: str) -> str:
    test, _, field = path.rpartition(": ")
    value = getattr(policy.tests[int(test.removeprefix("test ")) - 1] if test else policy, field)
    if isinstance(value, Severity):
        marks = [(name, getattr(value, name)) for name in ("info", "warning", "critical")]
        return ", ".join(f"{name} {mark:g}" for name, mark in marks if mark is not None)
    if field in ("resolve_after", "cooldown"):
        return duration(value)
    return value if isinstance(value, str) else f"{value:g}"


def duration(ms: int) -> str:
    """As it would be written.

    >>> duration(86_400_000), duration(5_400_000)
    ('24h', '90m')
    """
    unit = next(name for name in ("h", "m", "s") if ms % UNIT_MS[name] == 0)
    return f"{ms // UNIT_MS[unit]}{unit}"
