"""What a reader of the report does with its table of all episodes."""

from typing import Any

from tests.browser.chromium import Chromium

ROWS = "[...document.querySelectorAll('#episodes-table tbody tr')]"
SEVERITY, MARKET, OPENED, LASTED, SCORE = 1, 4, 5, 6, 11  # columns


def column(browser: Chromium, n: int) -> list[str]:
    found: list[str] = browser.run(f"{ROWS}.map((row) => row.cells[{n}].textContent)")
    return found


def status(browser: Chromium) -> str:
    said: str = browser.run("document.querySelector('#episodes-table [role=status]').textContent")
    return said


def click(browser: Chromium, selector: str) -> None:
    browser.run(f"document.querySelector({selector!r}).click()")


def sort(browser: Chromium, n: int) -> str:
    click(browser, f"#episodes-table thead th:nth-child({n + 1}) button")
    said: str = browser.run(
        f"document.querySelector('#episodes-table thead th:nth-child({n + 1})').getAttribute('aria-sort')"
    )
    return said


def find(browser: Chromium, text: str) -> None:
    browser.run("document.querySelector('#episodes-table-find').focus()")
    browser.run("document.querySelector('#episodes-table-find').select()")
    browser.write(text)


def choose(browser: Chromium, n: int, value: str) -> None:
    browser.run(f"""(() => {{
      const field = document.querySelector('#episodes-table select[data-column="{n}"]');
      field.value = {value!r};
      field.dispatchEvent(new Event("input", {{ bubbles: true }}));
    }})()""")


def focused(browser: Chromium) -> Any:
    return browser.run("document.activeElement.id || document.activeElement.textContent")
