"""Of a replay's report, beside labels: detection delay, false alarms and precision with intervals, each label. Pure."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from scipy.special import gammaincinv

from streams.outcome_rows import LabelRow, ScoreRow
from streams.outcome_score import wilson
from streams.page import paragraphs
from streams.page_charts import bar, interval
from streams.page_html import Html, joined, tag
from streams.page_table import Cell, Heading, Row, table
from streams.page_words import hours, minute, share, within
from streams.reasons import number
from streams.report_alerts import amount
from streams.scorecard import LOOKALIKE

ROWS_MAX = 20_000  # of the table; labels.csv has all
STEPS = ((1, "within 1 hour"), (6, "1 to 6 hours"), (24, "6 to 24 hours"), (72, "1 to 3 days"), (168, "3 to 7 days"))
LATER, NEVER = "over 7 days", "not caught"


def poisson(n: int) -> tuple[float, float]:
    """The exact 95 % interval of what a count of independent events is expected to be (Garwood 1936).

    >>> tuple(round(end, 2) for end in poisson(5)), poisson(0)[0]
    ((1.62, 11.67), 0.0)
    """
    return float(gammaincinv(n, 0.025)) if n else 0.0, float(gammaincinv(n + 1, 0.975))


# ---- delay -------------------------------------------------------------------------------------------------


def delays(labels: Sequence[LabelRow]) -> Html:
    true = [row for row in labels if not row.lookalike]
    if not true:
        return tag("p", "The labels name no true episode.", class_="empty")
    said = "From an episode's start, as its label has it, to the end of the first window that was right about it."
    return joined(paragraphs(said), _steps(true), _kinds(true))


def _steps(true: Sequence[LabelRow]) -> Html:
    counts = Counter(step_of(row) for row in true)
    names = [*(name for _, name in STEPS), LATER, NEVER]
    most = max(counts.values())
    rows, so_far = [], 0
    for n, name in enumerate(names):
        so_far += counts[name]
        said = "" if name == NEVER else share(so_far / len(true))
        style = "base" if name == NEVER else "plain"
        rows.append([Cell(name, n), Cell(f"{counts[name]:,}", counts[name], bar([counts[name]], most, [style])),
                     Cell(said, None if name == NEVER else so_far)])  # fmt: skip
    headings = [Heading("Delay"), Heading("Episodes", "number"), Heading("Caught so far", "number")]
    return table("delay-steps", "How soon episodes were caught", headings, rows)


def step_of(row: LabelRow) -> str:
    if row.delay_hours is None:
        return NEVER
    return next((name for below, name in STEPS if row.delay_hours <= below), LATER)


def _kinds(true: Sequence[LabelRow]) -> Html:
    by_kind: dict[str, list[LabelRow]] = defaultdict(list)
    for row in true:
        by_kind[row.kind].append(row)
    headings = [
        Heading("Kind"), Heading("Episodes", "number"), Heading("Caught", "number"), Heading("Recall", "number"),
        Heading("Median delay", "number"), Heading("Longest", "number"),
    ]  # fmt: skip
    return table("delay-kinds", "Delay by kind of episode", headings, [_kind(k, r) for k, r in sorted(by_kind.items())],
                 "Of recall, the 95 % interval.")  # fmt: skip


def _kind(kind: str, rows: Sequence[LabelRow]) -> Row:
    found = sorted(row.delay_hours for row in rows if row.delay_hours is not None)
    middle = found[len(found) // 2] if found else None
    return [
        Cell(kind), amount(len(rows)), amount(len(found)), _share(len(found), len(rows)),
        Cell(hours(middle), middle), Cell(hours(found[-1] if found else None), found[-1] if found else None),
    ]  # fmt: skip


def _share(hits: int, n: int) -> Cell:
    """A share with its interval."""
    if not n:
        return Cell("", None)
    low, high = wilson(hits, n)
    return Cell(f"{share(hits / n)} ({within(low, high)})", hits / n, interval(hits / n, low, high))


# ---- false alarms ------------------------------------------------------------------------------------------

ABOUT = {"all": "All", "signal": "By signal", "market": "By market", "size": "By size of creator"}
INTERVALS = (
    "An alert is false when it is right about no label: that is as good as the labels are complete. Intervals are of "
    "95 %, Wilson's for shares and Garwood's for counts. Both take alerts to be independent of each other, so where "
    "one creator has many, they are too narrow."
)


def precision(scores: Sequence[ScoreRow], titles: Mapping[str, str], labels: Sequence[LabelRow]) -> Html:
    tables = (_scores(name, title, scores, titles) for name, title in ABOUT.items())
    return joined(paragraphs(INTERVALS), tables, _alike(labels))


def _scores(about: str, title: str, scores: Sequence[ScoreRow], titles: Mapping[str, str]) -> Html:
    headings = [
        Heading({"all": "Alerts of", "size": "Records a day"}.get(about, about.capitalize())),
        Heading("Alerts", "number"), Heading("False", "number"), Heading("Precision", "number"),
        Heading("False in 1,000 creator-days", "number"), Heading("Episodes", "number"), Heading("Recall", "number"),
    ]  # fmt: skip
    mine = [row for row in scores if row.about == about]
    rows = [_score(row, titles, n) for n, row in enumerate(mine)]
    return table(f"precision-{about}", f"{title}: false alarms, precision and recall", headings, rows)


def _score(row: ScoreRow, titles: Mapping[str, str], n: int) -> Row:
    name = (row.market if row.about == "market" else row.size if row.about == "size" else row.signal) or "all signals"
    return [
        Cell(titles.get(name, name), n if row.about == "size" else ""), amount(row.alerts), amount(row.false_alerts),
        _share(row.true_alerts, row.alerts), _rate(row), amount(row.labels), _share(row.caught, row.labels),
    ]  # fmt: skip


def _rate(row: ScoreRow) -> Cell:
    if row.false_per_1000 is None:
        return Cell("", None)
    low, high = (1_000 * end / row.creator_days for end in poisson(row.false_alerts))
    return Cell(f"{number(row.false_per_1000)} ({number(low)} to {number(high)})", row.false_per_1000)


def _alike(labels: Sequence[LabelRow]) -> Html:
    alike = [row for row in labels if row.lookalike]
    if not alike:
        return tag("p", "The labels name no lookalikes.", class_="note")
    counts = Counter(row.kind.removeprefix(LOOKALIKE) for row in alike)
    wrong = Counter(row.kind.removeprefix(LOOKALIKE) for row in alike if row.alert_id is not None)
    headings = [Heading("Kind"), Heading("Lookalikes", "number"), Heading("With a false alert", "number")]
    rows = [[Cell(kind), amount(counts[kind]), amount(wrong[kind])] for kind in sorted(counts)]
    return table("lookalikes", "Lookalikes", headings, rows, "What resembles an episode and should stay silent.")


# ---- each label --------------------------------------------------------------------------------------------


def every_label(labels: Sequence[LabelRow], titles: Mapping[str, str]) -> Html:
    """What was missed stands first."""
    headings = [
        Heading("Creator"), Heading("Outcome", "mark", choose=True), Heading("Kind", choose=True),
        Heading("Market", choose=True), Heading("Started", "time"), Heading("Ended", "time"),
        Heading("Signal", choose=True), Heading("Delay", "number"),
    ]  # fmt: skip
    ordered = sorted(labels, key=lambda row: (_OUTCOMES.index(outcome_of(row)), row.started_at, row.creator_id))
    rows = [_label(row, titles) for row in ordered[:ROWS_MAX]]
    cut = f"The first {ROWS_MAX:,} of {len(labels):,}; labels.csv has all. " if len(labels) > ROWS_MAX else ""
    return table("labels-table", "Labels", headings, rows, f"{cut}Those that were missed first.")


def _label(row: LabelRow, titles: Mapping[str, str]) -> Row:
    outcome, signal = outcome_of(row), row.signal or ""
    return [
        Cell(row.creator_id), Cell(outcome, _OUTCOMES.index(outcome)), Cell(row.kind), Cell(row.market),
        Cell(minute(row.started_at), row.started_at), Cell(minute(row.ended_at), row.ended_at),
        Cell(titles.get(signal, signal)), Cell(hours(row.delay_hours), row.delay_hours),
    ]  # fmt: skip


_OUTCOMES = ("missed", "alerted", "caught", "silent")


def outcome_of(row: LabelRow) -> str:
    """Of an episode `caught` or `missed`; of a lookalike `alerted`, which is wrong, or `silent`."""
    if row.lookalike:
        return "silent" if row.alert_id is None else "alerted"
    return "caught" if row.caught else "missed"
