"""What is allowed in a catalogue and probably not meant: each is a warning of `ripcurrent check`."""

from collections.abc import Iterator
from datetime import date
from itertools import combinations

from msgspec.structs import replace

from config.contract import ANY, ATTRIBUTES, OF_EVENT, WITH_AMOUNT
from config.documents import At
from config.effective import policy_of
from config.problems import Problem, one_of, shown
from config.schema import (
    Catalogue,
    Condition,
    Events,
    Group,
    Measure,
    Repeat,
    Sequence,
    Severity,
    Share,
    Signal,
)

SCORE_MAX = 300.0  # of any detector (detectors/base.py)
TIMES_MAX = 64  # newest events that an entity keeps for one rule (streams/patterns.py)


def advice(catalogue: Catalogue, today: date | None = None) -> Iterator[tuple[str, Problem]]:
    """The warnings of a catalogue, each with its file: `signals/refund_rate`."""
    for name, signal in sorted(catalogue.signals.items()):
        for problem in _of_signal(name, signal, catalogue):
            yield f"signals/{name}", problem
    for one, problem in _overlaps(catalogue):
        yield f"signals/{one}", problem
    if today is not None:
        for name, group in sorted(catalogue.groups.items()):
            for problem in _expired(group, today):
                yield f"groups/{name}", problem


def _of_signal(name: str, signal: Signal, catalogue: Catalogue) -> Iterator[Problem]:
    yield from _unused(signal)
    for measure_name, measure in signal.measures.items():
        yield from _attributes(("measures", measure_name), measure)
    for i, test in enumerate(signal.tests):
        at: At = ("tests", i)
        if isinstance(test, Repeat):
            yield from _limits_of_repeat(at, test)
            yield from _attributes_of_repeat(at, test, signal)
        elif isinstance(test, Sequence):
            yield from _limits_of_sequence(at, test)
            for n, step in enumerate(test.steps):
                yield from _conditions((*at, "steps", n, "where"), step.where, list(step.events))
                yield from _carried((*at, "steps", n, "novel"), step.novel, list(step.events))
        else:
            yield from _limits_of_scores(at, test.severity)
        if isinstance(test, Share) and test.minimum > test.minimum_of:
            text = f"{test.minimum_of:g} never decides: a part of 'minimum' ({test.minimum:g}) has a whole as large"
            yield Problem((*at, "minimum_of"), text)
    if signal.status == "active" and all(policy_of(catalogue, name, code).status == "shadow"
                                         for code in catalogue.markets):  # fmt: skip
        yield Problem(("status",), "'active', but every market has it in shadow; is it meant to be?")
    for i, override in enumerate(signal.overrides):
        if not (override.markets or override.categories or override.groups):
            yield Problem(("overrides", i), "names no market, category or group, so that it holds for everybody")


def _unused(signal: Signal) -> Iterator[Problem]:
    used = {getattr(test, field, None) for test in signal.tests for field in ("measure", "of")}
    used |= {measure.follows.measure for measure in signal.measures.values() if measure.follows is not None}
    for name in signal.measures:
        if name not in used:
            yield Problem(("measures", name), "is used by no test; leave it out?")


# ---- what can never fire -----------------------------------------------------------------------------------


def _limits_of_repeat(at: At, test: Repeat) -> Iterator[Problem]:
    marks = (test.severity.info, test.severity.warning, test.severity.critical)
    least = min(mark for mark in marks if mark is not None)
    if test.minimum > TIMES_MAX:
        text = f"{test.minimum:g} can't be reached: a rule keeps the newest {TIMES_MAX} events; this test never alerts"
        yield Problem((*at, "minimum"), text)
    elif test.weight is None and least > TIMES_MAX:
        text = f"{least:g} can't be reached: a rule keeps the newest {TIMES_MAX} events; this test never alerts"
        yield Problem((*at, "severity"), text)
    elif test.weight is None and least < test.minimum:
        text = f"{least:g} is under 'minimum' ({test.minimum:g}), from which on this test speaks"
        yield Problem((*at, "severity"), text)


def _limits_of_sequence(at: At, test: Sequence) -> Iterator[Problem]:
    steps = len(test.steps)
    for name in ("info", "warning", "critical"):
        mark = getattr(test.severity, name)
        if mark is not None and mark > steps:
            text = f"{mark:g} can't be reached: the sequence has {steps} steps, and its score is how many were seen"
            yield Problem((*at, "severity", name), text)


def _limits_of_scores(at: At, severity: Severity) -> Iterator[Problem]:
    for name in ("info", "warning", "critical"):
        mark = getattr(severity, name)
        if mark is not None and mark > SCORE_MAX:
            text = f"{mark:g} can't be reached: no score is over {SCORE_MAX:g}"
            yield Problem((*at, "severity", name), text)


# ---- what no event carries ---------------------------------------------------------------------------------


def _types(measure: Measure) -> list[str]:
    return [events.type if isinstance(events, Events) else events for events in measure.events]


def _attributes(at: At, measure: Measure) -> Iterator[Problem]:
    plain = [str(events) for events in measure.events if not isinstance(events, Events)]
    if measure.where and not plain:
        yield Problem((*at, "where"), "decides nothing: every type in 'events' has a 'where' of its own")
    yield from _conditions((*at, "where"), measure.where, plain)
    for i, events in enumerate(measure.events):
        if isinstance(events, Events):
            yield from _conditions((*at, "events", i, "where"), events.where, [events.type])
    for part in ("once", "again"):
        if (link := getattr(measure, part)) is not None:
            yield from _carried((*at, part, "by"), [link.by], _types(measure), whole=True)
    if measure.sum is not None:
        names = [measure.sum.of] + ([measure.sum.less] if measure.sum.less else [])
        yield from _carried((*at, "sum"), names, _types(measure), whole=True)


def _attributes_of_repeat(at: At, test: Repeat, signal: Signal) -> Iterator[Problem]:
    for field in ("by", "weight"):
        if (name := getattr(test, field)) is not None:
            yield from _carried((*at, field), [name], _types(signal.measures[test.measure]), whole=True)


def _conditions(at: At, where: dict[str, Condition], types: list[str]) -> Iterator[Problem]:
    """Conditions on what these types don't carry, or on words that it never is."""
    for key, condition in where.items():
        missing = list(_carried((*at, key), [key], types))
        yield from missing
        words = {word for name in types for word in ATTRIBUTES.get(name, {}).get(key, ())}
        wanted = condition if isinstance(condition, list) else [condition]
        for value in wanted if words and not missing else ():
            if isinstance(value, str) and value not in words:
                yield Problem((*at, key), f"{shown(value)} is no value that the contract has; {one_of(value, words)}")


def _carried(at: At, names: list[str], types: list[str], whole: bool = False) -> Iterator[Problem]:
    """`whole`: what stands beside the attributes counts, too."""
    for name in names:
        for event in dict.fromkeys(types):
            if name in ANY or name in ATTRIBUTES.get(event, {}) or (whole and _of_event(name, event)):
                continue
            hint = one_of(name, ATTRIBUTES.get(event, ()))
            yield Problem(at, f"the contract has no {shown(name)} in {event}; {hint}")


def _of_event(name: str, event: str) -> bool:
    return event in WITH_AMOUNT if name == "amount" else name in OF_EVENT


# ---- signals beside each other, and groups -----------------------------------------------------------------


def _overlaps(catalogue: Catalogue) -> Iterator[tuple[str, Problem]]:
    """Active signals that ask the same of the same events: each of their alerts would come twice."""
    asked: dict[str, list[str]] = {}
    active = [(name, signal) for name, signal in sorted(catalogue.signals.items()) if signal.status == "active"]
    for name, signal in active:
        asked[name] = [_asked(test, signal) for test in signal.tests]
    for (one, signal), (other, _) in combinations(active, 2):
        for i, test in enumerate(signal.tests):
            if not isinstance(test, Sequence) and asked[one][i] in asked[other]:
                yield one, Problem(("tests", i), f"signals/{other}.yaml has the same test; an alert would come twice")


def _asked(test: object, signal: Signal) -> str:
    """What a test measures, without the words for it."""
    fields = [getattr(test, field, None) for field in ("measure", "of")]
    bare = [replace(signal.measures[name], one="one", many="many") if name else None for name in fields]
    others = [getattr(test, field, None) for field in ("by", "weight", "newcomers")]
    return repr((type(test).__name__, bare, others))


def _expired(group: Group, today: date) -> Iterator[Problem]:
    for i, member in enumerate(group.members):
        if date.fromisoformat(member.until) <= today:
            text = f"{member.until!r}: {shown(member.creator)} is no longer in the group; leave it out, or renew it"
            yield Problem(("members", i, "until"), text)
