"""The report of a replay says what its rows say, holds any text as text, and is the same for the same input."""

import hashlib
import re
from base64 import b64encode
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct, structs

from streams.outcome import Rows, daily
from streams.outcome_rows import EpisodeRow
from streams.page import rendered
from streams.page_html import shown, tag
from streams.page_table import SHOWN_MAX, Cell, Heading, table
from streams.report import report
from streams.report_episodes import TOP, peak_of, ranked
from streams.traced import Point, Trace
from streams.write_page import assets, write_report
from tests.outcomes import HOUR, T0, cases
from tests.pages import HOSTILE, RUN, data_of, episode, hostile_rows, labelled_rows, many_rows, rows_of_case, trace

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


class Skeleton(HTMLParser):
    """Elements with the names of their attributes, ids, and text: what a reader of HTML makes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.ids: list[str] = []
        self.pointers: set[str] = set()
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name == "aria-labelledby":
                self.pointers |= set((value or "").split())
            if name == "href" and (value or "").startswith("#"):
                self.pointers.add((value or "")[1:])

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def said(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def text_of(rows: Rows, traces: dict[str, Trace] | None = None, **more: Any) -> str:
    return rendered(report(rows, RUN, traces or {}, **more), assets())


def said(rows: Rows, **more: Any) -> str:
    return Skeleton(text_of(rows, **more)).said.replace("\u00a0", " ")


# ---- what it says ------------------------------------------------------------------------------------------


def test_the_summary_counts_what_was_told() -> None:
    text = said(many_rows(40))
    assert "In 30 days of events of 400 creators, 40 alerts would have been raised about 40 creators" in text
    assert "4 critical, 16 warning and 20 info. At 15 minutes a case they take 10 hours to review." in text
    assert "Read: 5,000 records; 2 were bad (dead_letters.jsonl says why)." in text
    assert "Open at the end: 8." in text


def test_hours_of_review_follow_the_minutes_that_are_asked_for() -> None:
    assert "At 6 minutes a case they take 4 hours to review." in said(many_rows(40), minutes_per_case=6)


def test_without_labels_nothing_is_called_true_or_false() -> None:
    text = said(many_rows(40))
    assert "nothing is said here to be true or false" in text
    assert "Precision" not in text
    assert "Verdict" not in text


def test_with_labels_it_says_how_good_alerts_were_with_intervals() -> None:
    text = said(labelled_rows())
    assert "Of 1 labelled episode 1 was caught, half of them within 1 h of their start." in text
    assert "Of 2 alerts 1 was right about a label and 1 about none: precision 50 % (95 % interval 9.5 % to" in text
    assert "Of 1 lookalike, which should stay silent, 1 raised an alert." in text
    assert "Told aside: 1 more alert" in text


def test_a_replay_that_found_nothing_has_a_report_too() -> None:
    assert "no alert would have been raised." in said({"episodes": [], "daily": []})


def test_the_first_episodes_are_the_most_severe_then_the_highest() -> None:
    rows = many_rows(200)
    first = ranked(rows["episodes"])[:TOP]  # type: ignore[arg-type]
    text = text_of(rows)
    at = [text.index(f"<bdi>{row.creator_id}</bdi>") for row in first]
    assert at == sorted(at)
    assert text.count("<article") == TOP
    assert {row.severity for row in first} == {"critical"}


def test_every_row_reaches_the_page_and_few_of_them_as_elements() -> None:
    text = text_of(many_rows(1_000))
    (block,) = [block for block in data_of(text) if len(block) == 1_000]
    assert {row[0] for row in block} == {f"creator-{n:05}" for n in range(1_000)}
    assert text.count("<tr>") < 500


@settings(max_examples=20)
@given(cases())
def test_any_outcome_has_a_report_whose_figures_are_those_of_the_rows(case: Any) -> None:
    rows = rows_of_case(case)
    text = said(rows)
    told = [row for row in rows["episodes"] if not row.shadow]  # type: ignore[attr-defined]
    n = f"{len(told)} alert{'' if len(told) == 1 else 's'}" if told else "no alert"
    assert f"{n} would have been raised" in text


def test_an_episode_that_opened_in_the_warm_up_is_marked() -> None:
    assert "warm-up" not in said(many_rows(3))

    class Colder(EpisodeRow, frozen=True, kw_only=True):
        cold: bool

    values = {name: getattr(episode(0), name) for name in EpisodeRow.__struct_fields__}
    rows: list[Struct] = [Colder(**values, cold=True), episode(1)]
    text = said({"episodes": rows, "daily": daily(rows)})  # type: ignore[arg-type]
    assert text.count("warm-up") == 2  # beside the episode, and in its row


# ---- texts are texts ---------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.one_of(st.sampled_from(HOSTILE), TEXT))
def test_no_text_of_an_event_changes_the_elements_of_the_page(text: str) -> None:
    def rows(said: str) -> Rows:
        one = structs.replace(episode(3), creator_id=said, category=said, reason=said, title=said, market=said)
        return {"episodes": [one], "daily": daily([one])}

    made, plain = Skeleton(text_of(rows(text))), Skeleton(text_of(rows("plain")))
    assert made.elements == plain.elements
    assert re.sub(r"\s+", " ", shown(text)).strip() in made.said


@pytest.mark.parametrize("text", HOSTILE)
def test_data_for_the_script_can_not_end_its_element(text: str) -> None:
    rows = [[Cell(text), Cell("x", text)] for _ in range(SHOWN_MAX + 1)]
    (block,) = data_of(made := table("t", "T", [Heading("A"), Heading("B")], rows))
    assert block == [[shown(text), ["x", shown(text)]]] * len(rows)
    assert made.count("<script") == made.count("</script") == 1


@given(TEXT, TEXT)
def test_what_is_no_markup_is_escaped_wherever_it_stands(inside: str, attribute: str) -> None:
    parsed = Skeleton(tag("p", inside, title=attribute))
    assert parsed.elements == [("p", ("title",))]
    assert "".join(parsed.words) == shown(inside)


def test_hostile_rows_add_no_element_of_theirs() -> None:
    names = {name for name, _ in Skeleton(text_of(hostile_rows())).elements}
    assert not names & {"img", "iframe", "object", "embed", "base"}
    assert [name for name, _ in Skeleton(text_of(hostile_rows())).elements].count("style") == 1


# ---- what the file is --------------------------------------------------------------------------------------


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        rows = many_rows(120)
        write_report(rows, RUN, {"alert-00010": trace(episode(10))}, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_only_its_own_style_and_script_may_run_and_nothing_is_asked_for() -> None:
    text = text_of(labelled_rows())
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    for name in ("style", "script"):
        inside = text.split(f"<{name}>")[1].split(f"</{name}>")[0]
        digest = b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{name}-src &#39;sha256-{digest}&#39;" in policy[1]
    assert policy[1].startswith("default-src &#39;none&#39;;")
    assert not re.search(r"https?://|\bsrc=|@import|url\((?!#)|\bfetch\(|XMLHttp|innerHTML|eval\(| on\w+=", text)


@pytest.mark.parametrize("rows", [many_rows(300), labelled_rows(), hostile_rows()], ids=["many", "labelled", "hostile"])
def test_a_name_is_used_once_and_what_is_pointed_at_is_there(rows: Rows) -> None:
    traces = {row.alert_id: trace(row) for row in ranked(rows["episodes"])[:3]}  # type: ignore[arg-type]
    page = Skeleton(text_of(rows, traces))
    assert len(page.ids) == len(set(page.ids))
    assert page.pointers <= set(page.ids)
    levels = [int(name[1]) for name, _ in page.elements if re.fullmatch(r"h\d", name)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


# ---- time series -------------------------------------------------------------------------------------------


def test_the_peak_is_the_reading_that_the_row_tells_of() -> None:
    row = structs.replace(episode(1), observed=5.0, score=7.0)
    points = [Point(T0, 9.0, 1.0, None, None, 9.0, None), Point(T0 + HOUR, 5.0, 1.0, None, None, 7.0, None)]
    assert peak_of(row, points) == points[1]
    assert peak_of(structs.replace(row, score=1.0), points) == points[0]


def test_an_episode_without_readings_says_so() -> None:
    rows = many_rows(2)
    assert "No time series was recorded for any of them" in said(rows)
    text = Skeleton(text_of(rows, {"alert-00000": trace(episode(0))})).said
    assert "No time series was recorded for 1 of them" in text
    assert "Readings of the last" in text
