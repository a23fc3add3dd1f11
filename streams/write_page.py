"""A page as a file, with its style and its script in it."""

from functools import cache
from pathlib import Path

from streams.page import Assets, Page, rendered


@cache
def assets() -> Assets:
    here = Path(__file__).parent
    return Assets(*((here / name).read_text(encoding="utf-8") for name in ("page.css", "page.js")))


def write_page(page: Page, path: Path) -> None:
    path.write_text(rendered(page, assets()), encoding="utf-8", newline="\n")
