"""The pages of a comparison and of a sweep in a browser: made of the report's pieces, they do what the report does."""

from pathlib import Path

import pytest

from streams.page import rendered
from streams.write_page import assets
from tests.browser.chromium import Chromium
from tests.browser.test_report_page import WEAK
from tests.pages import labelled_rows
from tests.test_compare_page import BASE, NEW, page_of, sweep_of, told

NAMES = ("compared", "labelled", "swept")


@pytest.fixture(scope="module")
def what_if(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("what-if")
    rows = labelled_rows()
    both = [told(each, rows["labels"], rows["scorecard"]) for each in (rows["episodes"], NEW)]  # type: ignore[arg-type]
    pages = page_of(told(BASE), told(NEW)), page_of(*both, True), sweep_of([told(BASE), told(NEW)], {})
    for name, page in zip(NAMES, pages, strict=True):
        (folder / f"{name}.html").write_text(rendered(page, assets()), encoding="utf-8")
    return folder


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_asked_for_nothing_goes_wrong_and_all_can_be_read(
    browser: Chromium, what_if: Path, name: str, scheme: str
) -> None:
    browser.media(prefers_color_scheme=scheme)
    browser.open(what_if / f"{name}.html")
    assert browser.asked_for() == [(what_if / f"{name}.html").as_uri()]
    assert browser.complaints() == []
    assert browser.run(WEAK) == []
    browser.size(390, 844, mobile=True)
    assert browser.run("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("name", NAMES)
def test_each_table_sorts_by_the_keyboard_and_says_so(browser: Chromium, what_if: Path, name: str) -> None:
    browser.open(what_if / f"{name}.html")
    tables = browser.run("[...document.querySelectorAll('table')].filter((t) => t.querySelector('th button')).length")
    assert tables > 0
    for n in range(tables):
        table = f"[...document.querySelectorAll('table')].filter((t) => t.querySelector('th button'))[{n}]"
        browser.run(f"{table}.querySelector('th button').focus()")
        browser.press("Enter")
        assert browser.run(f"{table}.querySelector('th[aria-sort=ascending], th[aria-sort=descending]') !== null")
