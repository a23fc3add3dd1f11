"""A page as a file, with its style and its script in it."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from streams.outcome import Rows
from streams.page import Assets, Page, rendered
from streams.report import MINUTES_PER_CASE, report
from streams.traced import Trace


@cache
def assets() -> Assets:
    here = Path(__file__).parent
    return Assets(*((here / name).read_text(encoding="utf-8") for name in ("page.css", "page.js")))


def write_page(page: Page, path: Path) -> None:
    path.write_text(rendered(page, assets()), encoding="utf-8", newline="\n")


def write_report(
    rows: Rows, run: Mapping[str, Any], traces: Mapping[str, Trace], path: Path, *,
    titles: Mapping[str, str] | None = None, minutes_per_case: float = MINUTES_PER_CASE,
) -> None:  # fmt: skip
    """The report of a replay."""
    write_page(report(rows, run, traces, titles=titles, minutes_per_case=minutes_per_case), path)
