"""The page of a comparison and of a sweep says what their rows say, and holds any text as text."""

from typing import Any

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from streams.compare_report import ROWS_MAX, compared_page
from streams.page import Page, rendered
from streams.replays import Told
from streams.sweep_report import swept_page
from streams.what_if import Asked, compared, days_of, facts, swept
from streams.write_page import assets
from tests.outcomes import DAY, HOUR, T0, Case, cases
from tests.pages import HOSTILE, episode, labelled_rows, rows_of_case
from tests.test_report import Skeleton

BASE, NEW = [episode(n) for n in range(20)], [episode(n) for n in range(5, 29)]


def told(episodes: list[Any], labels: list[Any] = [], scores: list[Any] = []) -> Told:  # noqa: B006  read only
    return Told(episodes, labels, scores, {"TH": 10, "VN": 10, "ID": 10, "MY": 10}, 500, 30.0, T0, T0 + 30 * DAY, None)


def page_of(base: Told, new: Told, labelled: bool = False) -> Page:
    asked, days = Asked(15.0, 0, labelled), days_of([base, new], 0)
    made = facts(base, days, asked, config_versions=["a", "b"])
    return compared_page(compared(base, new, days, asked), made, "of days")


def sweep_of(runs: list[Told], limits: dict[str, float], labelled: bool = False) -> Page:
    asked, days = Asked(15.0, 0, labelled), days_of(runs, 0)
    rows = swept(runs, [f"setting {n}" for n in range(len(runs))], days, asked, limits)
    return swept_page(rows, facts(runs[0], days, asked), ["a sentence"])


def skeleton(page: Page) -> Skeleton:
    return Skeleton(rendered(page, assets()))


def test_the_summary_counts_what_changes() -> None:
    said = skeleton(page_of(told(BASE), told(NEW))).said
    assert "NEW would have told 24 alerts where BASE told 20: 9 appear, 5 vanish, 0 move, 15 stay as they are." in said
    assert "No labels were given, so nothing is said here to be true or false." in said


def test_an_alert_that_moves_says_from_where_to_where() -> None:
    moved = replace(BASE[3], opened_at=BASE[3].opened_at - 5 * HOUR, severity="critical", alert_id="other")
    said = skeleton(page_of(told(BASE), told([*BASE[:3], moved, *BASE[4:]]))).said
    assert "0 appear, 0 vanish, 1 move, 19 stay as they are" in said
    assert "5 h earlier" in said
    assert f"{BASE[3].severity} to critical" in said


@given(cases(), cases())
@settings(max_examples=20)
def test_every_id_is_once_on_a_page_and_every_link_leads_to_one(one: Case, other: Case) -> None:
    runs = []
    for case in (one, replace_labels(other, one)):
        rows: Any = rows_of_case(case)
        runs.append(told(rows["episodes"], rows["labels"], rows["scorecard"]))
    for page in (page_of(runs[0], runs[1], True), sweep_of(runs, {"TH": 1.0}, True)):
        found = skeleton(page)
        assert len(found.ids) == len(set(found.ids))
        assert found.pointers <= set(found.ids)


def replace_labels(case: Case, other: Case) -> Case:
    return Case(case.result, other.labels)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_events_say_is_text_and_never_markup(text: str) -> None:
    spoilt = [replace(row, creator_id=text, reason=text, market=text, signal=text) for row in NEW]
    plain = [replace(row, creator_id="a creator", reason="a reason", market="TH", signal="a_signal") for row in NEW]
    for make in (lambda rows: page_of(told(BASE), told(rows)), lambda rows: sweep_of([told(rows)], {})):
        page, beside = rendered(make(spoilt), assets()), rendered(make(plain), assets())
        names = {name for name, _ in Skeleton(beside).elements}
        attributes = {one for _, each in Skeleton(beside).elements for one in each}
        assert {name for name, _ in Skeleton(page).elements} <= names | {"option", "select", "label"}
        assert {one for _, each in Skeleton(page).elements for one in each} <= attributes | {"data-column", "value"}


def test_the_same_rows_give_the_same_page() -> None:
    assert rendered(page_of(told(BASE), told(NEW)), assets()) == rendered(page_of(told(BASE), told(NEW)), assets())


def test_a_page_stays_small_enough_to_be_read_and_says_what_it_leaves_out() -> None:
    many = [replace(BASE[0], alert_id=str(n), creator_id=str(n)) for n in range(ROWS_MAX + 7)]
    assert "7 more are in changes.csv." in skeleton(page_of(told([]), told(many))).said


def test_the_page_of_a_sweep_marks_what_keeps_to_the_budget_and_draws_a_curve_only_beside_labels() -> None:
    runs = [told(BASE), told(BASE[:5])]
    page = rendered(sweep_of(runs, {"all": 0.3}), assets())
    assert [page.count(f'data-mark="{mark}"') for mark in ("over", "best", "kept")] == [1, 1, 0]
    found = Skeleton(page)
    assert "A sentence." in found.said
    assert "circle" in {name for name, _ in found.elements}  # of intervals
    assert "recall-curve" not in found.ids
    assert "recall-curve" in skeleton(sweep_of([labelled_run()], {}, True)).ids


def labelled_run() -> Told:
    rows: Any = labelled_rows()
    return told(rows["episodes"], rows["labels"], rows["scorecard"])
