"""What a reader of a replay's report sees and can do, in a browser."""

from pathlib import Path

import pytest

from streams.page_html import shown
from streams.page_table import SHOWN_MAX
from tests.browser.chromium import BrowserError, Chromium
from tests.browser.reader import MARKET, ROWS, SEVERITY, choose, click, column, focused, status
from tests.pages import HOSTILE

each_page = pytest.mark.parametrize("name", ["many", "labelled", "hostile"])

# of every element with a text of its own: its colour beside the nearest colour behind it
WEAK = """(() => {
  const number = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => number(colour).slice(0, 3).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, n) => sum + part * [0.2126, 0.7152, 0.0722][n], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if ((number(colour)[3] ?? 1) === 1) return colour;
    }
    return getComputedStyle(document.documentElement).backgroundColor;
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || ["SCRIPT", "STYLE", "NOSCRIPT", "TITLE", "DESC"].includes(element.tagName.toUpperCase())) continue;
    const style = getComputedStyle(element);
    const colour = element instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [light(colour), light(behind(element))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) found.push(`${element.tagName} ${element.textContent.slice(0, 30)} ${colour}`);
  }
  return [...new Set(found)];
})()"""


# ---- it asks for nothing -----------------------------------------------------------------------------------


@each_page
def test_the_page_asks_for_nothing_but_itself_and_nothing_goes_wrong(
    browser: Chromium, pages: Path, name: str
) -> None:
    browser.open(pages / f"{name}.html")
    assert browser.run("document.title") == "Replay report"
    assert browser.asked_for() == [(pages / f"{name}.html").as_uri()]
    assert browser.complaints() == []


def test_a_script_that_is_not_the_pages_own_does_not_run_and_reaches_nobody(browser: Chromium, pages: Path) -> None:
    browser.open(pages / "labelled.html")
    browser.run("""(() => {
      const script = document.createElement("script");
      script.textContent = "document.title = 'owned'";
      document.body.append(script);
      const image = document.createElement("img");
      image.src = "http://127.0.0.1:9/pixel";
      document.body.append(image);
      document.body.setAttribute("onclick", "document.title = 'owned'");
      document.body.click();
    })()""")
    with pytest.raises(BrowserError, match="Failed to fetch"):
        browser.run("fetch('http://127.0.0.1:9/')")
    assert browser.run("document.title") == "Replay report"
    refused = [text for text in browser.complaints() if "Content Security Policy" in text]
    for what in ("inline script", "inline event handler", "the image", "Connecting to"):
        assert any(what in text for text in refused), refused


def test_texts_of_events_are_shown_as_they_are_and_do_nothing(browser: Chromium, pages: Path) -> None:
    browser.open(pages / "hostile.html")
    seen = set(column(browser, 0))
    assert seen == {shown(text) for text in HOSTILE}
    click(browser, "#episodes-table [data-turn='1']")
    assert set(column(browser, 0)) <= seen  # rows that the script made
    assert {browser.run(f"{ROWS}[{n}].cells[0].childElementCount") for n in range(10)} == {0}
    assert browser.run("document.title") == "Replay report"
    assert browser.run("document.querySelectorAll('img, iframe, [onmouseover], [onerror]').length") == 0
    choose(browser, MARKET, shown(HOSTILE[0]))
    assert set(column(browser, MARKET)) == {HOSTILE[0]}


# ---- keyboard and readers of screens -----------------------------------------------------------------------


def test_the_keyboard_alone_reaches_sorts_filters_and_turns(browser: Chromium, pages: Path) -> None:
    browser.open(pages / "many.html")
    browser.press("Tab")
    assert focused(browser) == "To the content"
    browser.press("Enter")
    assert focused(browser) == "content"
    browser.run("document.querySelector('#episodes').setAttribute('tabindex', '-1')")
    browser.run("document.querySelector('#episodes').focus()")
    browser.press("Tab")
    assert focused(browser) == "episodes-table-find"
    browser.write("creator-00")
    reached = []
    for _ in range(30):
        browser.press("Tab")
        reached.append(focused(browser))
        if reached[-1] == "Severity":
            break
    assert {"Clear", "Previous", "Next", "Creator", "Severity"} <= set(reached)
    browser.press("Enter")
    browser.press("Space")
    assert set(column(browser, SEVERITY)) == {"critical"}
    assert focused(browser) == "Severity"
    while focused(browser) != "Next":
        browser.press("Tab", shift=True)
    browser.press("Enter")
    assert status(browser) == "1,000 of 10,000 rows match, 51 to 100 shown"
    assert focused(browser) == "Next"


def test_what_has_the_focus_can_be_seen(browser: Chromium, pages: Path) -> None:
    browser.open(pages / "labelled.html")
    for _ in range(25):
        browser.press("Tab")
        shape = browser.run("getComputedStyle(document.activeElement).outlineStyle")
        assert shape == "solid", browser.run("document.activeElement.outerHTML")


@each_page
def test_a_reader_of_screens_meets_names_and_roles(browser: Chromium, pages: Path, name: str) -> None:
    browser.open(pages / f"{name}.html")
    met = browser.accessible()
    named = {"link", "button", "searchbox", "combobox", "table", "image", "img", "region", "navigation", "columnheader"}
    assert [role for role, said in met if role in named and not said.strip()] == []
    roles = {role for role, _ in met}
    assert {"banner", "main", "contentinfo", "navigation", "heading", "table", "columnheader", "rowheader"} <= roles
    assert ("heading", "Replay report") in met
    assert any(role in ("image", "img") and "The most" in said + _described(browser) for role, said in met)
    assert browser.run("document.documentElement.lang") == "en"


def _described(browser: Chromium) -> str:
    said: str = browser.run("document.querySelector('#by-day desc').textContent")
    return said


@pytest.mark.parametrize("scheme", ["light", "dark"])
@each_page
def test_every_text_stands_out_from_what_is_behind_it(
    browser: Chromium, pages: Path, name: str, scheme: str
) -> None:
    browser.media(prefers_color_scheme=scheme)
    browser.open(pages / f"{name}.html")
    assert browser.run(WEAK) == []


def test_light_and_dark_are_as_the_reader_asked(browser: Chromium, pages: Path) -> None:
    browser.open(pages / "labelled.html")
    behind = "getComputedStyle(document.body).backgroundColor"
    assert browser.run(behind) == "rgb(255, 255, 255)"
    browser.media(prefers_color_scheme="dark")
    assert browser.run(behind) == "rgb(19, 23, 29)"
    browser.media(prefers_reduced_motion="reduce")
    assert browser.run("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


# ---- other ways to read it ---------------------------------------------------------------------------------


def test_it_prints_without_what_only_a_screen_can_do(browser: Chromium, pages: Path) -> None:
    browser.media("print", prefers_color_scheme="dark")
    browser.open(pages / "labelled.html")
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for selector in ("header nav", "details", ".filters", ".skip"):
        found = f"[...document.querySelectorAll({selector!r})].every((one) => getComputedStyle(one).display === 'none')"
        assert browser.run(found), selector
    assert browser.run("getComputedStyle(document.querySelector('#by-day svg')).display") == "block"
    paper = browser.pdf()
    assert paper.startswith(b"%PDF-")
    assert paper.count(b"/Type /Page\n") >= 2


@each_page
def test_on_a_telephone_only_tables_are_wider_than_the_screen(browser: Chromium, pages: Path, name: str) -> None:
    browser.size(390, 844, mobile=True)
    browser.open(pages / f"{name}.html")
    assert browser.run("document.documentElement.scrollWidth") == 390


def test_without_scripts_the_summary_and_the_first_rows_are_there(browser: Chromium, pages: Path) -> None:
    browser.scripts(False)
    browser.open(pages / "many.html")
    assert "10,000 alerts would have been raised" in browser.run("document.querySelector('#summary').innerText")
    assert browser.run("document.querySelectorAll('article').length") == 20
    assert len(column(browser, 0)) == SHOWN_MAX
    assert browser.run("document.querySelector('#episodes noscript').innerText").startswith("Without a script")
    assert browser.run("document.querySelector('#episodes-table form').checkVisibility()") is False
    assert browser.run("document.querySelectorAll('thead button').length") == 0


def test_a_time_series_shows_what_was_measured_beside_what_is_usual(browser: Chromium, pages: Path) -> None:
    browser.open(pages / "many.html")
    chart = "document.querySelector('#episode-1-chart')"
    for style in ("observed", "expected", "usual", "window"):
        box = browser.run(f"JSON.stringify({chart}.querySelector('svg[role] .{style}').getBoundingClientRect())")
        assert '"width":0,' not in box
    assert "opened" in browser.run(f"{chart}.querySelector('.mark').textContent")
    browser.run("document.querySelector('#episode-1 details').open = true")
    assert browser.run("document.querySelector('#episode-1-readings [role=status]').innerText") == (
        "220 rows, 1 to 50 shown"
    )
