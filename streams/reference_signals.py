"""docs/signals.md: each signal of the shipped catalogue in words, with what was measured of it.

Called by `python -m streams.reference`. Figures are those of streams/measured.py; where there are none, the page says
so.
"""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from msgspec import structs

from config.checks_policy import SETS
from config.schema import (
    Catalogue,
    Change,
    Condition,
    Events,
    Lifecycle,
    Market,
    Measure,
    Outcome,
    Range,
    Ratio,
    Repeat,
    Sequence,
    Series,
    Severity,
    Share,
    Signal,
    Step,
    Volume,
    millis,
)
from streams.measured import Kind, Results, episode_size, false_alarms, lowest_mark, made_for, nominal
from streams.plan import parse_window
from streams.policy import window_thresholds
from streams.reasons import duration_words, number, percent

LEVELS = ("info", "warning", "critical")
Test = Volume | Outcome | Share | Ratio | Series | Repeat | Sequence
HEAD = """\
What each shipped signal asks, what it counts, and from when on it speaks. How a score becomes an alert is in
[policies.md](policies.md), what to do about an alert in the [runbooks](runbooks/README.md), what a word means in the
[glossary](glossary.md).

How to read a section:

- **beside** is what the count is compared with. "Usual" is this creator's own past; while it is new, that of its peers
  (its market and category). What the market's other creators do right now is taken off.
- **threshold** is a score: 3 is what chance alone brings about once in 1,000 times, 4 once in 10,000 times. It is for a
  window of a day; shorter windows need more, longer ones less, and the table says how much. A limit (`limit`,
  `ordered_pattern`) is no statistic: its threshold is the number itself.
- **minimum** is the count below which nothing is said; **minimum behind it** the same for what it is counted beside;
  **smallest effect** how many times as much as expected it must be.
- **measured** is from simulated creators only, on seeds that nothing was tuned on, and stands in the signal's own file
  as well. "Planted" is how large the episodes were. "Caught" counts alerts of every signal that may speak for that kind
  of episode, "by this signal" its own. False alarms are for 1,000 creators watched for a day, with nothing planted and
  with everything planted; **nominal** is what the thresholds alone would allow, by one window of a day for each test:
  that windows overlap adds to it, minimum and smallest effect take off.
"""


def signals_page(catalogue: Catalogue, made: str, results: Results | None = None) -> str:
    lines = ["# Signals", "", made, HEAD]
    if results is not None:
        seeds = ", ".join(str(seed) for seed in results.seeds)
        lines += [f"Measured with {results.creators} creators over {results.days} days, seeds {seeds}.", ""]
    lines += ["| lifecycle | signal | question |", "|---|---|---|"]
    order = {name: at for at, name in enumerate(get_args(Lifecycle))}
    names = sorted(catalogue.signals, key=lambda name: (order[catalogue.signals[name].lifecycle], name))
    for name in names:
        signal = catalogue.signals[name]
        lines.append(f"| {signal.lifecycle} | [`{name}`](#{name}) | {signal.question} |")
    lifecycle = ""
    for name in names:
        signal = catalogue.signals[name]
        if signal.lifecycle != lifecycle:
            lifecycle = signal.lifecycle
            lines += ["", f"## {lifecycle.capitalize()}"]
        told = (*_signal(catalogue, name, signal), *_measured(name, signal, results))
        lines += ["", f"### {name}", "", *told]
    return "\n".join(lines).rstrip() + "\n"


def _signal(catalogue: Catalogue, name: str, signal: Signal) -> Iterator[str]:
    page = signal.labels["runbook"]
    yield f"**{signal.question}**"
    yield ""
    yield f"{signal.title}; status `{signal.status}`; runbook [{page}](runbooks/{page}.md)."
    yield ""
    together = signal.require == "all" and len(signal.tests) > 1
    if len(signal.tests) > 1:
        yield f"It speaks when {'all of these hold in the same window' if together else 'one of these holds'}:"
        yield ""
    for at, test in enumerate(signal.tests, start=1):
        yield f"{at}. {_formula(signal, test)}"
    yield ""
    yield "What is counted:" if signal.measures else "Steps:"
    yield ""
    yield from (f"- {line}" for line in _counted(signal))
    yield ""
    yield from _numbers(signal)
    yield ""
    yield f"- **Episode**: {_episode(signal)}"
    yield from _differs(catalogue, name, signal)
    yield "- **Known false positives**: " + " ".join(signal.false_positives)
    yield f"- **Where the thresholds come from**: {signal.thresholds_from}"
    yield "- **Labels**: " + ", ".join(f"`{key}` {value}" for key, value in sorted(signal.labels.items()))


# ---- the formula, in words ---------------------------------------------------------------------------------


def _formula(signal: Signal, test: Test) -> str:
    match test:
        case Sequence():
            return "These steps in this order, each soon after the one before. The score is how many were seen."
        case Repeat(weight=str(weight)):
            return f"What the `{weight}` of {_many(signal, test.measure)} add up to: a limit, no statistic."
        case Repeat(by=str(by)):
            return f"How many {_many(signal, test.measure)} with the same `{by}`: a limit, no statistic."
        case Repeat():
            return f"How many {_many(signal, test.measure)}: a limit, no statistic."
    what, now = _begins(signal, test.measure), "times what the market's other creators show right now"
    match test:
        case Volume(newcomers=str(age)):
            return (
                f"{what} of a creator who registered at most {_long(age)} ago, beside what other newcomers of its "
                "market and category have in as many hours. Its own past counts for nothing."
            )
        case Volume():
            return (
                f"{what}, beside what is usual for this creator at this hour and day of the week, times what the "
                "market's calendar expects and what its other creators show right now."
            )
        case Outcome():
            return (
                f"{what}, beside the {_many(signal, test.of)} that could have brought them: each counts as far as such "
                f"an event is due so long after it in this market. Compared with the usual rate, {now}."
            )
        case Series():
            beside = "" if test.of is None else f" after their {_many(signal, test.of)}"
            return (
                f"{what}{beside}, pane after pane, beside what is usual for this creator: a change that is small but "
                "lasts adds up."
            )
        case Share():
            return (
                f"{what} as a part of all {_many(signal, test.of)} of the same window. Compared with the usual part, "
                f"{now}."
            )
    few = " Here too **few** are strange." if test.detector.side == "low" else ""
    return (
        f"{what} for each of the {_many(signal, test.of)} of the same window. Compared with the usual number, {now}."
        f"{few}"
    )


def _many(signal: Signal, measure: str) -> str:
    return f"*{signal.measures[measure].many}*"


def _begins(signal: Signal, measure: str) -> str:
    """The same at the beginning of a sentence."""
    many = signal.measures[measure].many
    return f"*{many[0].upper()}{many[1:]}*"


def _counted(signal: Signal) -> Iterator[str]:
    for name, measure in signal.measures.items():
        yield f"*{measure.many}* (`{name}`): " + "; ".join([_events(measure), *_links(signal, measure)]) + "."
    for test in signal.tests:
        if isinstance(test, Sequence):
            yield from (_step(step) for step in test.steps)


def _events(measure: Measure) -> str:
    said = []
    for events in measure.events:
        if isinstance(events, Events):
            said.append(f"`{events.type}`{_where(events.where)}")
        else:
            said.append(f"`{events}`{_where(measure.where)}")
    return _either(said)


def _links(signal: Signal, measure: Measure) -> Iterator[str]:
    """What beside type and attributes decides whether an event counts."""
    if measure.live is not None:
        yield "only during live sessions" if measure.live else "not during live sessions"
    if measure.once is not None:
        yield f"each {_other(measure.once.by)} counts once in {_long(measure.once.within)}"
    if measure.again is not None:
        apart = measure.again.apart
        at_once = f", at least {_long(apart)} apart: what is done at once is one" if apart is not None else ""
        within = f"in the {_long(measure.again.within)} before"
        yield f"only of {_a(_other(measure.again.by))} that had one {within}{at_once}"
    if measure.follows is not None:
        target = _many(signal, measure.follows.measure)
        yield f"only what refers to one of the {target} of the {_long(measure.follows.within)} before"
    if measure.after is not None:
        yield f"counted {_long(measure.after)} after it happened"
    if measure.unless:
        yield f"not if {_either([f'`{kind}`' for kind in measure.unless])} with the same `ref_id` came meanwhile"
    if measure.undone_by is not None:
        yield f"taken back by `{measure.undone_by}`, for 90 days"
    if measure.sum is not None:
        what = f"`{measure.sum.of}`" + (f" less `{measure.sum.less}`" if measure.sum.less else "")
        units = "money unit" if measure.sum.of == "amount" else ""
        per = f"{measure.sum.per:g} {units + ('s' if measure.sum.per != 1 else '')}".strip()
        yield f"adds up {what}, of which {per} {'weighs' if measure.sum.per == 1 else 'weigh'} like one event"


def _other(by: str) -> str:
    return {"actor_id": "person (`actor_id`)", "ref_id": "order or object (`ref_id`)"}.get(by, f"`{by}`")


def _a(text: str) -> str:
    return f"an {text}" if text[0] in "aeiou" else f"a {text}"


def _where(where: Mapping[str, Condition]) -> str:
    return " with " + " and ".join(f"`{key}` {_condition(value)}" for key, value in where.items()) if where else ""


def _condition(value: Condition) -> str:
    match value:
        case Range(min=None, max=float(most)):
            return f"at most {most:g}"
        case Range(min=float(least), max=None):
            return f"at least {least:g}"
        case Range(min=least, max=most):
            return f"from {least:g} to {most:g}"
        case list():
            return _either([_condition(one) for one in value])
        case bool():
            return "true" if value else "false"
    return str(value)


def _step(step: Step) -> str:
    kinds = _either([f"`{kind}`" for kind in step.events]) + _where(step.where)
    times = f"{step.count} times " if step.count > 1 else ""
    new = f"; {_either([f'`{name}`' for name in step.novel])} is one that this creator never had" if step.novel else ""
    return f"*{step.says}* (`{step.name}`): {times}{kinds}, within {_long(step.within)}{new}."


def _either(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + f" or {parts[-1]}" if len(parts) > 1 else parts[0]


def _long(text: str) -> str:
    """
    >>> _long("24h"), _long("90d"), _long("1h")
    ('24 hours', '90 days', 'hour')
    """
    return duration_words(millis(text))


# ---- the numbers -------------------------------------------------------------------------------------------


def _numbers(signal: Signal) -> Iterator[str]:
    rows = [_row(signal, test) for test in signal.tests]
    names = list(dict.fromkeys(name for row in rows for name in row))
    yield "| test | " + " | ".join(names) + " |"
    yield "|---" * (len(names) + 1) + "|"
    for at, row in enumerate(rows, start=1):
        yield f"| {at} | " + " | ".join(row.get(name, "") for name in names) + " |"


def _row(signal: Signal, test: Test) -> dict[str, str]:
    row = {"detector": _detector(test), "windows": "<br>".join(test.windows)}
    limit = isinstance(test, Repeat | Sequence)
    row |= {"threshold": "<br>".join(_threshold(test.severity, window, limit) for window in test.windows)}
    if limit:
        row["minimum"] = "" if isinstance(test, Sequence) else f"{test.minimum:g}"
        return row
    assert not isinstance(test, Repeat | Sequence)
    low = getattr(test.detector, "side", "high") == "low"
    row["minimum"] = f"{test.minimum:g}" + (" expected" if low else "")
    if not isinstance(test, Volume) and (not isinstance(test, Series) or test.of):
        row["minimum behind it"] = f"{test.minimum_of:g}"
    row["smallest effect"] = f"{test.effect:g} times" + (" fewer" if low else "")
    return row


def _threshold(severity: Severity, window: str, limit: bool) -> str:
    size, _ = parse_window(window)
    marks = [getattr(severity, name) for name in LEVELS] if limit else list(window_thresholds(severity, size))
    said = [f"{name} {round(mark, 1):g}" for name, mark in zip(LEVELS, marks, strict=True)
            if mark is not None and mark != float("inf")]  # fmt: skip
    return ", ".join(said)


def _detector(test: Test) -> str:
    if isinstance(test, Repeat | Sequence):
        tag = "limit" if isinstance(test, Repeat) else "ordered_pattern"
        return f"[`{tag}`](detectors.md#{tag})"
    spec = test.detector
    tag = str(spec.__struct_config__.tag)
    own = [f"`{field.name}` {_plain(getattr(spec, field.name))}" for field in structs.fields(spec)
           if getattr(spec, field.name) != field.default]  # fmt: skip
    return f"[`{tag}`](detectors.md#{tag})" + (f", {', '.join(own)}" if own else "")


def _plain(value: Any) -> str:
    return f"{value:,.10g}" if isinstance(value, int | float) else str(value)


def _episode(signal: Signal) -> str:
    lasts = f"lasts while a score is over {signal.hysteresis:g} of its threshold"
    ends = f"resolves after {_long(signal.resolve_after)} of calm; then rests for {_long(signal.cooldown)}, in which"
    statistic = any(not isinstance(test, Repeat | Sequence) for test in signal.tests)
    silent = f"; says nothing in the first {_long(signal.warmup)} of a stream" if statistic else ""
    waits = f"; is judged {_long(signal.lateness)} after its windows, for what comes late" if signal.lateness else ""
    return f"{lasts}; {ends} only a higher severity opens another{silent}{waits}."


# ---- what differs by market, category and group ------------------------------------------------------------


def _differs(catalogue: Catalogue, name: str, signal: Signal) -> Iterator[str]:
    said = []
    for code, market in sorted(catalogue.markets.items()):
        if name in market.thresholds:
            said.append(f"{code}: {_change(market.thresholds[name])}")
    for override in signal.overrides:
        who = [*override.markets, *override.categories, *(f"group {group}" for group in override.groups)]
        said.append(f"{', '.join(who) or 'everybody'}: {_change(override)}")
    said += [f"group {group}: exempt, alerts go to `risk-alerts-shadow`"
             for group, one in sorted(catalogue.groups.items()) if name in one.exempt_from]  # fmt: skip
    yield "- **What differs**: " + (" ".join(one if one.endswith(".") else f"{one}." for one in said) or "nothing.")
    if delays := _delays(catalogue, signal):
        yield f"- **How long after**, on average, until the stream has shown it: {delays}."
    if money := _money(catalogue, signal):
        yield f"- **Money**: {money}."


def _change(change: Change) -> str:
    told = [f"{field.replace('_', ' ')} {_new(value)}" for field in
            SETS
            if (value := getattr(change, field)) is not None]  # fmt: skip
    tests = f" (test {', '.join(str(number) for number in change.tests)})" if change.tests else ""
    return f"{', '.join(told)}{tests}, because: {change.because}"


def _new(value: Any) -> str:
    if isinstance(value, Severity):
        return ", ".join(f"{level} {mark:g}" for level in LEVELS if (mark := getattr(value, level)) is not None)
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _delays(catalogue: Catalogue, signal: Signal) -> str:
    """The delays that outcome tests go by: as default.yaml has them, and where it is otherwise."""
    default = catalogue.markets["default"]
    said: dict[str, str] = {}
    for test in signal.tests:
        if not isinstance(test, Outcome) and not (isinstance(test, Series) and test.of):
            continue
        first = signal.measures[test.measure].events[0]
        kind = first.type if isinstance(first, Events) else first
        usual = default.delays[kind].mean
        other: dict[str, list[str]] = {}
        for code, market in sorted(catalogue.markets.items()):
            if market.delays[kind].mean != usual:
                other.setdefault(market.delays[kind].mean, []).append(code)
        more = "".join(f"; {', '.join(codes)} {_long(mean)}" for mean, codes in other.items())
        said[kind] = f"`{kind}` {_long(usual)}{more}"
    return "; ".join(said.values())


def _money(catalogue: Catalogue, signal: Signal) -> str:
    """What a test's least sum is in each market's currency."""
    sums = [test.minimum * one.per for test in signal.tests if not isinstance(test, Sequence)
            if (one := signal.measures[test.measure].sum) is not None and one.of == "amount"]  # fmt: skip
    if not sums:
        return ""
    markets: list[Market] = [market for code, market in sorted(catalogue.markets.items()) if code != "default"]
    each = dict.fromkeys(f"{market.currency} {number(min(sums) * market.money_unit)}" for market in markets)
    return f"sums are counted in the market's money unit, so that the minimum is {', '.join(each)}"


# ---- what was measured -------------------------------------------------------------------------------------


def _measured(name: str, signal: Signal, results: Results | None) -> Iterator[str]:
    kinds = made_for(name)
    told = [_kind(kind, results.kinds[kind]) for kind in kinds if results is not None and kind in results.kinds]
    missing = [kind for kind in kinds if results is None or kind not in results.kinds]
    if missing:
        told.append(f"{', '.join(f'`{kind}`' for kind in missing)}: not measured.")
    yield "- **Measured, caught**: " + (" ".join(told) or "no kind of episode is planted for it.")
    if (false := false_alarms(name, results)) is not None:
        told_beside = f"{false.null:.2f} with nothing planted, {false.planted:.2f} with everything planted"
        yield f"- **Measured, false alarms**: {told_beside}{_promised(signal)}."
    else:
        yield "- **Measured, false alarms**: not measured."


def _promised(signal: Signal) -> str:
    """What the thresholds alone would allow: of windows in 1,000 creator-days, of series in how many panes."""
    promised, series = nominal(signal), [lowest_mark(test) for test in signal.tests if isinstance(test, Series)]
    said = [] if promised is None else [f"{promised:.2f}"]
    if series:
        said.append(f"one in {10.0 ** min(series):,.0f} panes of a series in which something happens")
    return f"; nominal {' and '.join(said)}" if said else ""


def _kind(kind: str, found: Kind) -> str:
    right = f", {percent(found.right)} by this signal" if found.right is not None else ""
    hours = found.median_delay_hours
    delay = "" if hours is None else f"; half of them within {_hours(hours)}"
    caught = f"{found.caught} of {found.planted} ({percent(found.recall)}){right}{delay}"
    return f"`{kind}`: {caught}. Planted: {episode_size(kind)}."


def _hours(hours: float) -> str:
    """
    >>> _hours(0.9), _hours(21.4), _hours(72.0)
    ('54 minutes', '21 hours', '3 days')
    """
    if hours < 2:
        return f"{hours * 60:.0f} minutes"
    return f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:.0f} days"
