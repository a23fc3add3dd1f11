"""One Chromium for all tests of a page."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.report_episodes import ranked
from streams.write_page import write_report
from tests.browser.chromium import Chromium, find_chromium
from tests.pages import RUN, hostile_rows, labelled_rows, many_rows, trace


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium: `make browser` installs one where apt can; then these tests run")
    with Chromium.start(program) as started:
        yield started


@pytest.fixture
def browser(chromium: Chromium) -> Iterator[Chromium]:
    """As a reader finds it: light, wide, with scripts."""
    chromium.media(prefers_color_scheme="light")
    chromium.size(1280, 900)
    yield chromium
    chromium.scripts(True)


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """many.html (10,000 episodes), labelled.html, hostile.html."""
    folder = tmp_path_factory.mktemp("pages")
    rows = many_rows(10_000)
    traces = {row.alert_id: trace(row) for row in ranked(rows["episodes"])[:5]}  # type: ignore[arg-type]
    write_report(rows, RUN, traces, folder / "many.html")
    write_report(labelled_rows(), RUN, {}, folder / "labelled.html")
    write_report(hostile_rows(), RUN, {}, folder / "hostile.html")
    return folder
