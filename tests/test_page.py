"""The pieces of a page: colours that can be told apart, and charts that draw what was read and nothing else."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from streams.page_trace import POINTS_MAX, Mark, Span, readings, thinned
from streams.traced import Point, Trace
from streams.write_page import assets
from tests.outcomes import HOUR, T0


def palettes() -> Iterator[dict[str, str]]:
    """The colours in light, in dark and in print."""
    blocks = re.findall(r":root \{(.*?)\}", assets().style, re.DOTALL)
    light: dict[str, str] = {}
    for block in blocks:
        found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", block))
        light = light or found
        yield {**light, **found}


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", list(palettes()), ids=["light", "dark", "print"])
def test_colours_can_be_told_apart_by_weak_eyes(palette: dict[str, str]) -> None:
    """WCAG 2.2, level AA: 4.5 for text, 3 for what shapes are made of."""
    texts = [(name, back) for name in ("ink", "soft", "link") for back in ("paper", "raised")]
    texts += [(f"{name}-ink", f"{name}-back") for name in ("critical", "warning", "info", "good")]
    assert {pair: contrast(palette[pair[0]], palette[pair[1]]) for pair in texts
            if contrast(palette[pair[0]], palette[pair[1]]) < 4.5} == {}  # fmt: skip
    shapes = ("critical", "warning", "info", "plain", "base", "new", "edge", "observed", "focus")
    assert [name for name in shapes if contrast(palette[name], palette["paper"]) < 3] == []
    assert min(contrast(palette["observed"], palette[back]) for back in ("band", "window")) >= 3


# ---- time series -------------------------------------------------------------------------------------------


def point(hour: int, observed: float = 1.0, **more: Any) -> Point:
    return structs.replace(Point(T0 + hour * HOUR, observed, 1.0, 0.0, 2.0, observed, None), **more)


def drawn(points: list[Point], **more: Any) -> str:
    series = Trace("a", "events", "PT1H", HOUR, points)
    return readings("c", "Readings", "Said.", series, **{"window": None, "marks": [], **more})


def test_nothing_is_drawn_where_nothing_was_read() -> None:
    observed = re.compile(r'<path d="([^"]*)" class="observed"')
    (whole,) = observed.findall(drawn([point(n) for n in range(9)]))[:1]
    (parted,) = observed.findall(drawn([point(n) for n in range(9) if n not in (4, 5)]))[:1]
    assert whole.count("M") == 1
    assert parted.count("M") == 2


def test_the_usual_range_is_drawn_only_where_it_is_known() -> None:
    band = re.compile(r'<path d="([^"]*)" class="usual"')
    assert not band.search(drawn([point(n, low=None, high=None) for n in range(5)]))
    some = drawn([point(n, low=None if n < 2 else 0.0, high=None if n < 2 else 2.0) for n in range(5)])
    assert band.findall(some)[0].count("Z") == 1


def test_the_chart_shows_the_window_and_when_it_opened_and_ended() -> None:
    marks = [Mark(T0 + 3 * HOUR, "opened"), Mark(T0 + 5 * HOUR, "ended"), Mark(T0 + 90 * HOUR, "never")]
    text = drawn([point(n) for n in range(9)], window=Span(T0 + 2 * HOUR, T0 + 4 * HOUR), marks=marks)
    assert '<rect x="33.33%" width="22.22%" y="0" height="180" class="window">' in text
    assert ">opened<" in text
    assert ">ended<" in text
    assert ">never<" not in text


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=2_000))
def test_a_long_series_is_thinned_and_keeps_its_peak(values: list[float]) -> None:
    points = [point(n, value) for n, value in enumerate(values)]
    few = thinned(points)
    assert len(few) <= POINTS_MAX
    assert max(p.score for p in few) == max(values)
    assert [p.end for p in few] == sorted(p.end for p in few)


@settings(max_examples=50)
@given(st.lists(
    st.builds(point, st.integers(0, 500), st.floats(-1e6, 1e6), low=st.none() | st.floats(-1e6, 0),
              high=st.none() | st.floats(0, 1e6), severity=st.sampled_from([None, "info", "warning", "critical"])),
    min_size=1, max_size=30, unique_by=lambda p: p.end,
))  # fmt: skip
def test_any_series_stays_within_its_frame(points: list[Point]) -> None:
    text = drawn(sorted(points, key=lambda p: p.end))
    for path in re.findall(r' d="(M[^"]*)" class="(?:observed|expected|usual)"', text):
        for letter, numbers in re.findall(r"([MVH])([-\d. ]+)", path):
            x_or_y = [float(one) for one in numbers.split()]
            if letter in "MH":
                assert 0 <= x_or_y[0] <= 1_000
            if letter in "MV":
                assert -0.01 <= x_or_y[-1] <= 180.01
    assert "nan" not in text
    assert "inf" not in text.replace("info", "")
