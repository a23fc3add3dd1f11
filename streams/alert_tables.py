"""What `explain` and `verify` show of an alert. Ids and sentences come from events: they are text, never markup."""

from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from config.effective import Explained, explain
from config.schema import Catalogue, Repeat
from config.schema import Sequence as Pattern
from streams.dead_letters import escaped
from streams.outcome import OVER, peak
from streams.plan import parse_window
from streams.policy import thresholds, window_thresholds
from streams.reasons import money, number, percent
from streams.records import Alert
from streams.recount import Counted
from streams.rulebook import Rulebook
from streams.tables import time_text
from streams.trace import places
from streams.traced import Point, Trace
from streams.verify import Finding

ROWS_MAX = 40  # of a trace that are shown whole
NEAR = 4  # windows beside a revision that are shown of a longer one
DIFFERENCES_MAX = 40
NOTHING = "-"
MARKS = ("info", "warning", "critical")
CALLS_FOR = (
    "What a window calls for is what it alone would be. Without an open alert a window is judged only where something "
    "came in its newest pane, and in a cooldown only a higher severity opens one."
)


def figure(value: float | None, alert: Alert) -> str:
    """A figure of an alert for reading."""
    if value is None:
        return NOTHING
    if alert.unit in ("share", "ratio") and not alert.reason_code.startswith("ratio"):
        return percent(value)
    if "currency" in alert.reason_args and alert.unit == alert.reason_args["currency"]:
        return money(value, alert.unit, int(alert.reason_args.get("digits", 2)))
    return number(value)


def _range(low: float | None, high: float | None, alert: Alert) -> str:
    return NOTHING if low is None and high is None else f"{figure(low, alert)} to {figure(high, alert)}"


def _table(title: str, *columns: str, right: Iterable[str] = ()) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def _row(table: Table, *cells: str) -> None:
    table.add_row(*(Text(escaped(cell)) for cell in cells))


# ---- explain -----------------------------------------------------------------------------------------------


def headline(revisions: Sequence[Alert], title: str) -> list[str]:
    """Who, what, since when; and the sentence."""
    top, last = peak(revisions), revisions[-1]
    who = f"{top.entity.id} in {top.market}" + (f", {top.category}" if top.category else "")
    over = last.status in OVER
    ended = f"{last.status} {time_text(last.window_end)} UTC" if over else "still open where the events end"
    lines = [f"{title}: {who}", f"{top.severity}, opened {time_text(top.opened_at)} UTC, {ended}"]
    lines += [top.reason, f"alert {top.alert_id}, configuration {top.config_version}, engine {top.engine_version}"]
    if said := ", ".join(f"{name} {value}" for name, value in sorted(last.labels.items())):
        lines.append(said)
    return [escaped(line) for line in lines]


def history_table(revisions: Sequence[Alert]) -> Table:
    right = ("revision", "observed", "expected", "score")
    table = _table("Revisions", "revision", "window's end (UTC)", "window", "status", "because of", "severity",
                   "observed", "expected", "score", right=right)  # fmt: skip
    for one in revisions:
        _row(
            table, str(one.revision), time_text(one.window_end), one.window, one.status, one.status_reason or NOTHING,
            one.severity, figure(one.observed, one), figure(one.expected, one), f"{one.score:.2f}",
        )  # fmt: skip
    return table


def baseline_table(alert: Alert) -> Table:
    """What the strongest revision was held against."""
    table = _table(f"Revision {alert.revision}, the strongest", "what", "is")
    of = ""
    if alert.numerator is not None and alert.denominator is not None:
        of = f" ({number(alert.numerator)} of {number(alert.denominator)})"
    named = alert.unit in ("actors", "events", "steps") and alert.detector != "limit"  # a rule's may be weights
    _row(table, "observed", f"{figure(alert.observed, alert)}{f' {alert.unit}' if named else of}")
    _row(table, "expected", figure(alert.expected, alert))
    _row(table, "usual range", _range(alert.expected_low, alert.expected_high, alert))
    if "own" in alert.reason_args:
        _row(table, "this creator's own level", figure(float(alert.reason_args["own"]), alert))
    if alert.cohort is not None:
        peers = f"{figure(alert.cohort.expected, alert)} ({alert.cohort.key}, {alert.cohort.size} creators)"
        _row(table, "its peers", peers)
    clears = "none: no single window made this alert" if alert.clears_at is None else figure(alert.clears_at, alert)
    _row(table, "nearest value that would have been silent", clears)
    _row(table, "score", f"{alert.score:.2f} by {alert.detector}"
         + ("" if alert.p_value is None else f", p {alert.p_value:.2g}"))  # fmt: skip
    if alert.changed_at is not None:
        _row(table, "the change began about", f"{time_text(alert.changed_at)} UTC")
    return table


def thresholds_rows(catalogue: Catalogue, alert: Alert) -> list[Explained]:
    """What held for this creator at that time in the tests that the alert may be of, and where it is written."""
    rules = Rulebook(catalogue, sorted(catalogue.signals))
    groups = [group for group, _ in rules.groups(alert.entity.id, alert.market, alert.window_end)]
    rows = explain(catalogue, alert.signal, alert.market, alert.category, groups)
    tests = catalogue.signals[alert.signal].tests
    mine = places(catalogue.signals[alert.signal], alert)
    chosen = {f"test {test + 1}" for test, _ in mine}
    rows = [row for row in rows if ":" not in row.path or row.path.partition(":")[0] in chosen]
    policy = rules.of(rules.names.index(alert.signal), alert.entity.id, alert.market, alert.category, alert.window_end)
    for test, window in mine:
        rule = isinstance(tests[test], Repeat | Pattern)
        severity, size = policy.tests[test].severity, parse_window(tests[test].windows[window])[0]
        marks = thresholds(severity) if rule else window_thresholds(severity, size)
        told = ", ".join(f"{name} {mark:.2f}" for name, mark in zip(MARKS, marks, strict=True) if mark < float("inf"))
        because = "as written" if rule else "severity, for a window of this length"
        rows.append(Explained(f"test {test + 1}: scores in {alert.window}", told, because))
    return rows


def trace_table(trace: Trace, revisions: Sequence[Alert], alert: Alert) -> Table:
    """Window after window; of many, those near the revisions and where what they call for changes."""
    title = f"Window by window: {trace.window}, every {trace.hop_ms // 60_000} minutes"
    right = ("observed", "expected", "score")
    table = _table(title, "window's end (UTC)", "observed", "expected", "usual range", "score", "calls for", "revision",
                   right=right)  # fmt: skip
    told = {one.window_end: f"{one.revision} {one.status}" for one in reversed(revisions)}
    left_out = 0
    for point, shown in zip(trace.points, _shown(trace, set(told)), strict=True):
        if not shown:
            left_out += 1
            continue
        if left_out:
            _row(table, f"… {left_out} more", "", "", "", "", "", "")
            left_out = 0
        _row(
            table, time_text(point.end), figure(point.observed, alert), figure(point.expected, alert),
            _range(point.low, point.high, alert), f"{point.score:.2f}", point.severity or NOTHING,
            told.get(point.end, ""),
        )  # fmt: skip
    if left_out:
        _row(table, f"… {left_out} more", "", "", "", "", "", "")
    return table


def _shown(trace: Trace, told: set[int]) -> list[bool]:
    points = trace.points
    if len(points) <= ROWS_MAX:
        return [True] * len(points)
    near = NEAR * trace.hop_ms

    def worth(point: Point, before: Point | None) -> bool:
        return (before is not None and before.severity != point.severity) or any(
            abs(point.end - end) <= near for end in told
        )

    return [worth(point, before) for point, before in zip(points, [None, *points[:-1]], strict=True)]


def evidence_table(alert: Alert) -> Table:
    """Where to look first."""
    table = _table("Evidence", "what", "where", "share", right=("share",))
    for event in alert.evidence.events:
        _row(table, f"event {event.event_id}", f"partition {event.partition}, offset {event.offset}", "")
    for one in alert.evidence.contributors:
        _row(table, f"{one.kind} {one.id}", "", percent(one.share))
    for source in alert.evidence.sources:
        offsets = f"offsets {source.first_offset} to {source.next_offset - 1}"
        _row(table, "the window's events", f"{source.topic}, partition {source.partition}, {offsets}", "")
    return table


# ---- verify ------------------------------------------------------------------------------------------------


def finding_lines(finding: Finding) -> list[str]:
    """A revision, and a line for each thing that was checked."""
    alert = finding.alert
    lines = [f"{alert.alert_id} revision {alert.revision}, {alert.status}: {alert.signal}, {alert.entity.id} in "
             f"{alert.market}, {alert.window} to {time_text(alert.window_end)} UTC"]  # fmt: skip
    lines += [f"  counted  {_counted(one)}" for one in finding.counted]
    if not finding.counted:
        lines.append("  counted  not from its window's events alone")
    wrong = [f"  quoted   {why}" for why in finding.quoted]
    lines += wrong or [f"  quoted   {_events(len(alert.evidence.events))}"]
    if finding.differences is None:
        lines.append("  decided  no such revision comes out")
    elif finding.differences:
        lines.append(f"  decided  otherwise: {len(finding.differences)} fields differ")
    else:
        lines.append("  decided  identical")
    return [escaped(line) for line in lines]


def _events(n: int) -> str:
    return "none" if n == 0 else "the event is there" if n == 1 else f"all {n} events are there"


def _counted(one: Counted) -> str:
    said, least, most = (f"{value:.12g}" for value in (one.said, one.least, one.most))
    verdict = "agrees" if one.agrees else "DIFFERS"
    if one.most == float("inf"):
        return f"{one.figure} {said}: the window's {one.many} can't be told from its events ({one.unsure})"
    if one.unsure:
        return f"{one.figure} {said}, events give {least} to {most} {one.many} ({one.unsure}): {verdict}"
    return f"{one.figure} {said}, events give {most} {one.many}: {verdict}"


def differences_table(finding: Finding) -> Table:
    """Field by field, to the last digit."""
    found = finding.differences or []
    table = _table(f"Revision {finding.alert.revision}", "field", "the alert says", "the events give")
    for one in found[:DIFFERENCES_MAX]:
        _row(table, one.field, one.said or NOTHING, one.now or NOTHING)
    if len(found) > DIFFERENCES_MAX:
        _row(table, f"… {len(found) - DIFFERENCES_MAX} more", "", "")
    return table


def instead_lines(alerts: Sequence[Alert]) -> list[str]:
    """What comes out about the same creator and signal."""
    if not alerts:
        return ["  instead  nothing: no alert of this signal about this creator comes out"]
    return [
        escaped(f"  instead  {one.alert_id} revision {one.revision}, {one.status} at {time_text(one.window_end)} UTC: "
                f"{one.reason}")
        for one in alerts
    ]  # fmt: skip
