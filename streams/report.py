"""The report of a replay: its rows as one page that a policy manager can read. Pure.

    write_page(report(rows, run, {}), folder / "report.html")

`rows` are those of `outcome.py`, `run` is what run.json says but for its timings, `traces` the readings about those
alerts that have any. The same input gives the same page.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from streams.outcome import SEVERITIES, Rows
from streams.outcome_rows import EpisodeRow, LabelRow, ScoreRow
from streams.page import Figure, Page, Section, facts, figures, paragraphs
from streams.page_html import NOTHING, Html, joined, tag
from streams.page_words import hours, listed, many, share, were, within
from streams.reasons import number
from streams.report_alerts import alerts, review
from streams.report_episodes import all_episodes, top_episodes
from streams.report_labels import delays, every_label, precision
from streams.scorecard import LOOKALIKE
from streams.traced import Trace

MINUTES_PER_CASE = 15.0


UNLABELLED = (
    "No labels were given, so nothing is said here to be true or false, early or late. With --labels FILE, true "
    "episodes as CSV, this page shows detection delay, and false alarms and precision with their intervals."
)


class Found(NamedTuple):
    """What the report is of."""

    told: Sequence[EpisodeRow]
    aside: Sequence[EpisodeRow]
    labels: Sequence[LabelRow] | None  # None: none were given, so nothing is true or false
    scores: Sequence[ScoreRow]
    titles: Mapping[str, str]  # of signals
    run: Mapping[str, Any]
    minutes_per_case: float


def found_in(rows: Rows, run: Mapping[str, Any], titles: Mapping[str, str], minutes_per_case: float) -> Found:
    episodes: Any = rows["episodes"]
    labels: Any = rows.get("labels")
    scores: Any = rows.get("scorecard", ())
    told = [row for row in episodes if not row.shadow]
    aside = [row for row in episodes if row.shadow]
    titles = {**titles, **{row.signal: row.title for row in episodes}}
    return Found(told, aside, labels, scores, titles, run, minutes_per_case)


def report(
    rows: Rows, run: Mapping[str, Any], traces: Mapping[str, Trace], *,
    titles: Mapping[str, str] | None = None, minutes_per_case: float = MINUTES_PER_CASE,
) -> Page:  # fmt: skip
    """`titles` of signals by their name; those that raised an alert bring theirs."""
    found = found_in(rows, run, titles or {}, minutes_per_case)
    sections = [
        Section("summary", "Summary", summary(found)),
        Section("alerts", "Alerts by day, signal and market", alerts(found.told, found.titles)),
        Section("top", "The episodes to look at first", top_episodes(found.told, traces)),
        *_beside_labels(found),
        Section("review", "Time to review", review(found.told, found.titles, run.get("days"), minutes_per_case)),
        Section("episodes", "All episodes", all_episodes(found.told, found.aside)),
        Section("made", "How this was made", made(run)),
    ]
    return Page("Replay report", _of(run), sections, _footer())


def _beside_labels(found: Found) -> list[Section]:
    if found.labels is None:
        return [Section("labels", "True and false", paragraphs(UNLABELLED))]
    return [
        Section("delay", "Detection delay", delays(found.labels)),
        Section("precision", "False alarms and precision", precision(found.scores, found.titles, found.labels)),
        Section("labels", "What became of each label", every_label(found.labels, found.titles)),
    ]


# ---- summary -----------------------------------------------------------------------------------------------


def summary(found: Found) -> Html:
    said = [_lead(found), _most(found.told, found.titles), _beside(found), _aside(found), _input(found.run)]
    return joined(tag("p", said[0], class_="lead"), figures(_figures(found)), paragraphs(*said[1:]))


def severities(told: Sequence[EpisodeRow]) -> str:
    """How many reached what, the most severe first."""
    reached = Counter(row.severity for row in told)
    return listed([f"{reached[one]:,} {one}" for one in reversed(SEVERITIES) if reached[one]])


def review_hours(alerts: int, minutes_per_case: float) -> float:
    return alerts * minutes_per_case / 60


def _lead(found: Found) -> str:
    creators, days = found.run.get("creators", 0), found.run.get("days") or 0.0
    over = f"In {number(days)} days of events of {many(creators, 'creator')}"
    if not found.told:
        return f"{over}, no alert would have been raised."
    said = f"{over}, {many(len(found.told), 'alert')} would have been raised"
    said += f" about {many(len({row.creator_id for row in found.told}), 'creator')}: {severities(found.told)}."
    total = review_hours(len(found.told), found.minutes_per_case)
    minutes = f"{found.minutes_per_case:g} minutes a case"
    return f"{said} At {minutes} they take {hours_of_work(total)} to review."


def hours_of_work(value: float) -> str:
    """Hours that somebody works, which are never days of 24.

    >>> hours_of_work(1.27), hours_of_work(1), hours_of_work(2_500)
    ('1.3 hours', '1 hour', '2,500 hours')
    """
    return f"{number(value)} hour{'' if value == 1 else 's'}"


def _most(told: Sequence[EpisodeRow], titles: Mapping[str, str]) -> str:
    """Who and what says most, in a sentence."""
    if not told:
        return ""
    (signal, most), *_ = sorted(Counter(row.signal for row in told).items(), key=lambda one: (-one[1], one[0]))
    (market, there), *_ = sorted(Counter(row.market for row in told).items(), key=lambda one: (-one[1], one[0]))
    still = sum(row.ended_at is None for row in told)
    opened = f"Open at the end: {still:,}."
    of_all = share(most / len(told))
    which = f"The most, {most:,} ({of_all}), are of “{titles[signal]}”"
    return f"{which}; the market with the most is {market} ({there:,}). {opened}"


def _beside(found: Found) -> str:
    """How good that was, in a sentence or two."""
    if found.labels is None or not found.scores:
        return ""
    every = found.scores[0]
    said = []
    if every.labels:
        caught = sorted(row.delay_hours for row in found.labels if row.caught and row.delay_hours is not None)
        half = f", half of them within {hours(caught[len(caught) // 2])} of their start" if caught else ""
        said.append(f"Of {many(every.labels, 'labelled episode')} {were(every.caught)} caught{half}.")
    if every.alerts and every.precision is not None:
        said.append(
            f"Of {many(every.alerts, 'alert')} {were(every.true_alerts)} right about a label and "
            f"{every.false_alerts:,} about none: precision {share(every.precision)} (95\u00a0% interval "
            f"{within(every.precision_low, every.precision_high)})."
        )
    alike = [row for row in found.labels if row.kind.startswith(LOOKALIKE)]
    if alike:
        alerted = sum(row.alert_id is not None for row in alike) or "none"
        said.append(f"Of {many(len(alike), 'lookalike')}, which should stay silent, {alerted} raised an alert.")
    return " ".join(said)


def _aside(found: Found) -> str:
    if not found.aside:
        return ""
    return (
        f"Told aside: {many(len(found.aside), 'more alert')}, of signals on trial and of creators that groups exempt. "
        "They count nowhere on this page but in the table of all episodes."
    )


def _input(run: Mapping[str, Any]) -> str:
    bad = run.get("bad_records", 0)
    said = f"Read: {many(run.get('records', 0), 'record')}"
    return f"{said}; {were(bad)} bad (dead_letters.jsonl says why)." if bad else f"{said}, none of them bad."


def _figures(found: Found) -> list[Figure]:
    n, days = len(found.told), found.run.get("days") or 0.0
    total = review_hours(n, found.minutes_per_case)
    each = [
        Figure("Alerts", f"{n:,}", f"{number(n / days)} a day" if days > 0 else ""),
        Figure("Critical", f"{sum(row.severity == 'critical' for row in found.told):,}"),
        Figure("Creators with an alert", f"{len({row.creator_id for row in found.told}):,}",
               f"of {found.run.get('creators', 0):,}"),
        Figure("Hours of review", number(total), f"at {found.minutes_per_case:g} minutes a case"),
    ]  # fmt: skip
    if found.labels is not None and found.scores:
        every = found.scores[0]
        if every.precision is not None:
            interval = within(every.precision_low, every.precision_high)
            each.append(Figure("Precision", share(every.precision), f"95\u00a0% interval {interval}"))
        if every.recall is not None:
            each.append(Figure("Labels caught", share(every.recall), f"{every.caught:,} of {every.labels:,}"))
    return each


# ---- how it was made ---------------------------------------------------------------------------------------


def made(run: Mapping[str, Any]) -> Html:
    """Enough to make it again."""
    known = [(name, tag("code", str(run[key]))) for name, key in _MADE if run.get(key)]
    sources = [
        (f"Source {n}", joined(tag("code", str(one.get("path"))), f", {one.get('bytes') or 0:,} bytes, SHA-256 ",
         tag("code", str(one.get("sha256")))))
        for n, one in enumerate(run.get("sources", ()), 1)
    ]  # fmt: skip
    given = {name: value for name, value in run.get("options", {}).items() if value is not None}
    options = [("Options", tag("code", ", ".join(f"{name} {_plain(value)}" for name, value in given.items())))]
    listing = facts([*known, *sources[:SOURCES_MAX], *(options if given else [])])
    more = len(sources) - SOURCES_MAX
    return joined(listing, tag("p", f"{more:,} more sources are named in run.json.") if more > 0 else NOTHING)


SOURCES_MAX = 20
_MADE = (("Configuration", "config_version"), ("Engine", "engine_version"), ("Program", "program_version"))


def _plain(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _of(run: Mapping[str, Any]) -> str:
    names = [str(one.get("path")) for one in run.get("sources", ())]
    return "" if not names else f"Of {names[0]}" if len(names) == 1 else f"Of {names[0]} and {len(names) - 1:,} more"


def _footer() -> str:
    return (
        "All times are UTC. The files beside this page hold the same rows: episodes.csv, daily.csv, and with labels "
        "labels.csv and scorecard.csv. This page asks for nothing from any network."
    )
