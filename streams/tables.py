"""What the command line shows as tables."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.markup import escape
from rich.table import Table
from rich.text import Text
from scipy import special

from config.effective import Explained
from config.schema import Catalogue, Repeat, Severity, Signal
from streams.calibrate import NOW, OFFSETS, Curves
from streams.dead_letters import escaped
from streams.outcome_rows import CaseRow
from streams.outcome_score import wilson
from streams.scorecard import LOOKALIKE, Scorecard, false_alarm_rate

HOUR_MS = 3_600_000


def catalogue_table(catalogue: Catalogue) -> Table:
    """The signals: what each asks, over which windows, and from which scores it speaks."""
    table = Table(title=f"{len(catalogue.signals)} signals, configuration {catalogue.version}", show_lines=True)
    table.add_column("signal", no_wrap=True)
    table.add_column("lifecycle", no_wrap=True)
    table.add_column("question", ratio=3, min_width=24)
    table.add_column("windows", ratio=1, min_width=11)
    table.add_column("thresholds", ratio=2, min_width=16)
    for name, signal in sorted(catalogue.signals.items(), key=lambda item: (item[1].lifecycle, item[0])):
        table.add_row(name, signal.lifecycle, signal.question, _windows(signal), _thresholds(signal))
    return table


def _windows(signal: Signal) -> str:
    """Every window once."""
    return "\n".join(dict.fromkeys(window for test in signal.tests for window in test.windows))


def _thresholds(signal: Signal) -> str:
    lines = []
    for test in signal.tests:
        what = test.measure if hasattr(test, "measure") else test.kind if hasattr(test, "kind") else "pattern"
        if isinstance(test, Repeat) and test.by:
            what = f"{what}, same {test.by}"
        elif isinstance(test, Repeat) and test.weight:
            what = f"{what}, {test.weight}"
        lines.append(f"{what}: {_marks(test.severity)}")
    return "\n".join(lines)


def _marks(severity: Severity) -> str:
    said = [(name, getattr(severity, name)) for name in ("info", "warning", "critical")]
    return ", ".join(f"{name} {mark:g}" for name, mark in said if mark is not None)


def explained_table(rows: list[Explained], title: str) -> Table:
    """The values of an effective policy, and where each is written."""
    table = Table(title=title)
    for column in ("value of", "is", "because of"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(escape(text) for text in row))
    return table


def scorecard_table(card: Scorecard, title: str = "Planted episodes") -> Table:
    """Each kind of episode: how many were caught, and how soon."""
    table = Table(title=title)
    table.add_column("kind", no_wrap=True)
    for column in ("planted", "caught", "recall", "median delay"):
        table.add_column(column, justify="right", no_wrap=True)
    for kind in card.kinds:
        delay = "" if kind.delay_ms is None else duration_text(kind.delay_ms)
        table.add_row(Text(escaped(kind.kind)), str(kind.planted), str(kind.caught), f"{kind.recall:.0%}", delay)
    table.add_section()
    caught = sum(kind.caught for kind in card.kinds)
    table.add_row("all", str(len(card.episodes)), str(caught), f"{card.recall:.0%}", "")
    return table


def scorecard_lines(card: Scorecard, creators: int, days: float) -> list[str]:
    """The same in sentences: alerts, and false ones beside the creator-days in which they could have been."""
    rate = false_alarm_rate(len(card.false), creators * days)
    by = ", ".join(f"{signal} {n}" for signal, n in card.false_by_signal.items())
    over = f"{creators:,} creators in {days:.1f} days"
    lines = [f"{card.n_alerts} alerts, {len(card.false)} of them right about no label and so false"]
    lines[0] += f" ({by})" if by else ""
    if card.partial:
        lines.append(f"{len(card.unlabelled)} of them unlabelled: nobody looked there, so they count as neither")
    if card.lookalikes:
        kinds = [(escaped(one.kind.removeprefix(LOOKALIKE)), one) for one in card.lookalikes]
        each = ", ".join(f"{kind} {one.alerted}/{one.planted}" for kind, one in kinds)
        lines.append(f"lookalikes of which something was said, though nothing is wrong: {each}")
    if card.partial:
        return lines
    return [*lines, f"{rate:.2f} false alerts per 1,000 creator-days ({over})"]


def cases_lines(found: Sequence[CaseRow], alerts: int) -> list[str]:
    """What reviewers decided on the alerts that were told; `found` are all decided cases."""
    said = Counter((row.raised, row.decision) for row in found)
    true, false, unclear = (said[True, decision] for decision in ("confirmed", "rejected", "unclear"))
    open_ = alerts - true - false - unclear
    lines = [f"{alerts} alerts: {true} confirmed, {false} rejected, {unclear} unclear, {open_} that nobody decided on"]
    if true + false:
        low, high = wilson(true, true + false)
        lines.append(f"precision of those confirmed or rejected: {true / (true + false):.0%} ({low:.0%} to {high:.0%})")
    gone = sum(not row.raised for row in found)
    if gone:
        lines.append(
            f"{gone} decided cases are about alerts that are not raised here: {said[False, 'confirmed']} confirmed, "
            f"{said[False, 'rejected']} rejected, {said[False, 'unclear']} unclear"
        )
    return [*lines, "recall is not known: a case is about an alert, and nobody decides on what raised none"]


def budget_table(catalogue: Catalogue, c: Curves, at: list[int], budget: float) -> Table:
    """What each signal costs now and would cost: false alarms per 1,000 creator-days with 95 % intervals."""
    title = f"{budget:g} false alarms per 1,000 creator-days shared out ({c.creator_days:,.0f} creator-days)"
    table, now = Table(title=title), NOW
    table.add_column("signal", no_wrap=True)
    for column in ("false now", "95 %", "move by", "lowest thresholds then", "false then", "episodes now", "then"):
        table.add_column(column, justify="right", no_wrap=True)
    for s, name in enumerate(c.signals):
        false, low, high = _rate(int(c.false[s, now]), c.creator_days)
        found = ("", "") if not c.catches.shape[2] else (str(c.catches[s, i].sum()) for i in (now, at[s]))
        table.add_row(
            name, f"{false:.2f}", f"{low:.2f} to {high:.2f}", f"{OFFSETS[at[s]]:+.1f}",
            _lowest(catalogue.signals[name], float(OFFSETS[at[s]])),
            f"{_rate(int(c.false[s, at[s]]), c.creator_days)[0]:.2f}", *found,
        )  # fmt: skip
    table.add_section()
    rows = range(len(c.signals))
    totals = [f"{_rate(sum(int(c.false[s, i]) for s, i in zip(rows, where, strict=True)), c.creator_days)[0]:.2f}"
              for where in ([now] * len(c.signals), at)]  # fmt: skip
    any_of = [c.catches[list(rows), where].any(axis=0).sum() for where in ([now] * len(c.signals), at)]
    told = [f"{n} of {c.catches.shape[2]}" if c.catches.shape[2] else "" for n in any_of]
    table.add_row("all", totals[0], "", "", "", totals[1], *told)
    return table


def _lowest(signal: Signal, offset: float) -> str:
    marks = [min(m for m in (t.severity.info, t.severity.warning, t.severity.critical) if m is not None)
             for t in signal.tests]  # fmt: skip
    return ", ".join(f"{mark + offset:.1f}" for mark in marks)


def _rate(n: int, creator_days: float) -> tuple[float, float, float]:
    """Per 1,000 creator-days, with the exact interval of a Poisson count."""
    low, high = special.gammaincinv(max(n, 1e-9), 0.025), special.gammaincinv(n + 1, 0.975)
    scale = 1_000.0 / max(creator_days, 1e-9)
    return n * scale, float(low) * scale, float(high) * scale


def duration_text(ms: int) -> str:
    """
    >>> duration_text(7_046_121), duration_text(175_504_938), duration_text(90_000)
    ('2.0 h', '2.0 d', '2 min')
    """
    if ms < HOUR_MS:
        return f"{ms / 60_000:.0f} min"
    return f"{ms / HOUR_MS:.1f} h" if ms < 48 * HOUR_MS else f"{ms / (24 * HOUR_MS):.1f} d"


def time_text(ms: int) -> str:
    """
    >>> time_text(1_767_571_200_000)
    '2026-01-05 00:00'
    """
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
