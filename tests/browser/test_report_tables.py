"""The tables of a replay's report sort, filter and turn their pages, with few rows or with ten thousand."""

from pathlib import Path

from streams.page_table import SHOWN_MAX
from tests.browser.chromium import Chromium
from tests.browser.reader import LASTED, MARKET, OPENED, SCORE, SEVERITY, choose, click, column, find, sort, status


def test_ten_thousand_episodes_are_never_more_than_a_page_of_rows(browser: Chromium, pages: Path) -> None:
    browser.open(pages / "many.html")
    elements = browser.run("document.querySelectorAll('*').length")
    assert elements < 8_000
    assert status(browser) == "10,000 rows, 1 to 50 shown"
    assert len(column(browser, 0)) == SHOWN_MAX
    for act in (lambda: sort(browser, SCORE), lambda: find(browser, "creator"), lambda: sort(browser, OPENED)):
        act()
        assert len(column(browser, 0)) == SHOWN_MAX
        assert browser.run("document.querySelectorAll('*').length") <= elements + SHOWN_MAX
    find(browser, "creator-09999")
    assert column(browser, 0) == ["creator-09999"]
    assert status(browser) == "1 of 10,000 rows match"


def test_each_page_of_a_table_can_be_reached(browser: Chromium, pages: Path) -> None:
    browser.open(pages / "many.html")
    seen = column(browser, 0)
    for _ in range(199):
        click(browser, "#episodes-table [data-turn='1']")
        seen += column(browser, 0)
    assert sorted(seen) == [f"creator-{n:05}" for n in range(10_000)]
    assert status(browser) == "10,000 rows, 9,951 to 10,000 shown"
    assert browser.run("document.querySelector('#episodes-table [data-turn=\"1\"]').ariaDisabled") == "true"
    click(browser, "#episodes-table [data-turn='1']")
    assert status(browser) == "10,000 rows, 9,951 to 10,000 shown"


def test_a_click_on_a_heading_sorts_and_another_one_turns_the_order(browser: Chromium, pages: Path) -> None:
    browser.open(pages / "many.html")
    assert sort(browser, SCORE) == "descending"  # of numbers the most first
    scores = [float(text) for text in column(browser, SCORE)]
    assert scores == sorted(scores, reverse=True)
    assert sort(browser, SCORE) == "ascending"
    assert float(column(browser, SCORE)[0]) == 3
    assert sort(browser, OPENED) == "ascending"
    assert column(browser, OPENED) == sorted(column(browser, OPENED))
    assert browser.run("document.querySelectorAll('#episodes-table [aria-sort]').length") == 1


def test_severities_sort_by_what_they_mean_and_what_is_missing_stands_last(browser: Chromium, pages: Path) -> None:
    browser.open(pages / "many.html")
    sort(browser, SEVERITY)
    assert set(column(browser, SEVERITY)) == {"info"}
    sort(browser, SEVERITY)
    assert set(column(browser, SEVERITY)) == {"critical"}
    for _ in range(2):
        sort(browser, LASTED)
        assert set(column(browser, LASTED)) == {"5 h"}  # those that are open have none, whichever way


def test_filters_narrow_each_other_and_say_how_many_are_left(browser: Chromium, pages: Path) -> None:
    browser.open(pages / "many.html")
    choose(browser, SEVERITY, "critical")
    assert status(browser) == "1,000 of 10,000 rows match, 1 to 50 shown"
    choose(browser, MARKET, "TH")
    assert status(browser) == "500 of 10,000 rows match, 1 to 50 shown"
    find(browser, "REFUNDS  creator-000")
    assert {*column(browser, SEVERITY), *column(browser, MARKET)} == {"critical", "TH"}
    assert status(browser) == f"{len(column(browser, 0))} of 10,000 rows match"
    find(browser, "nobody")
    assert status(browser) == "No row of 10,000 matches"
    click(browser, "#episodes-table [type=reset]")
    browser.run("new Promise((done) => setTimeout(done, 20))")
    assert status(browser) == "10,000 rows, 1 to 50 shown"


def test_small_tables_sort_too(browser: Chromium, pages: Path) -> None:
    browser.open(pages / "many.html")
    names = "[...document.querySelectorAll('#markets tbody th')].map((cell) => cell.textContent)"
    assert browser.run(names) == ["ID", "MY", "TH", "VN"]
    for _ in range(2):
        click(browser, "#markets thead button")
    assert browser.run(names) == ["VN", "TH", "MY", "ID"]
    assert browser.run("document.querySelectorAll('#markets tbody svg').length") == 4  # its bars go with it
