"""The readings about one alert as a chart: measured, usual range, window, and where it opened and ended. Pure."""

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from streams.page_charts import HEIGHT, Part, across, down, figure, grid, legend, nice, scale
from streams.page_html import NOTHING, Html, joined, tag
from streams.page_words import minute
from streams.traced import Point, Trace

POINTS_MAX = 600  # of a chart; of more, each stands for some: that of the highest score
WIDE = 1_000  # units that lines are drawn in, stretched to the width there is


class Mark(NamedTuple):
    at: int  # ms
    label: str


class Span(NamedTuple):
    start: int  # ms
    end: int


class _Axes(NamedTuple):
    start: int  # ms
    end: int
    bottom: float
    top: float
    step: int  # ms that a reading stands for

    def across(self, at: float) -> float:
        """A part of the width, from 0 to 1."""
        return min(1.0, max(0.0, (at - self.start) / (self.end - self.start)))

    def x(self, at: float) -> str:
        return f"{WIDE * self.across(at):.2f}"

    def percent(self, at: float) -> str:
        return f"{100 * self.across(at):.2f}%"

    def y(self, value: float) -> str:
        return down(min(max(value, self.bottom), self.top), self.bottom, self.top)


def readings(name: str, title: str, said: str, trace: Trace, window: Span | None, marks: Sequence[Mark]) -> Html:
    """`said` says in words what there is to see. There has to be a reading."""
    points = thinned(trace.points)
    axes = _axes(points, trace.hop_ms * -(-len(trace.points) // POINTS_MAX), window)
    shapes = joined(
        _shade(window, axes) if window is not None else NOTHING,
        grid(axes.top, axes.bottom),
        _plot(points, axes),
        scale(axes.top, axes.bottom, trace.unit),
        _called_for(points, axes),
        (_mark(mark, n, axes) for n, mark in enumerate(marks) if axes.start <= mark.at <= axes.end),
        across([(0, minute(axes.start)), (100, minute(axes.end))]),
    )
    return figure(name, title, said, shapes, _legend(points, window is not None))


def thinned(points: Sequence[Point], most: int = POINTS_MAX) -> list[Point]:
    """At most so many, in order; of those that fall together the one of the highest score.

    >>> [p.end for p in thinned([Point(n, 1, 1, None, None, n % 3, None) for n in range(6)], 2)]
    [2, 5]
    """
    if len(points) <= most:
        return list(points)
    cuts = [len(points) * n // most for n in range(most + 1)]
    return [max(points[a:b], key=lambda point: point.score) for a, b in pairwise(cuts)]


def _axes(points: Sequence[Point], step: int, window: Span | None) -> _Axes:
    values = [v for p in points for v in (p.observed, p.expected, p.low, p.high) if v is not None]
    start = min([points[0].end - step, *([] if window is None else [window.start])])
    bottom = -nice(-min(values)) if min(values) < 0 else 0.0
    return _Axes(start, max(points[-1].end, start + 1), bottom, nice(max(values)), step)


def _runs(points: Sequence[Point], step: int) -> Iterator[list[Point]]:
    """Readings that follow each other: nothing is drawn where nothing was read."""
    run = [points[0]]
    for before, point in pairwise(points):
        if point.end - before.end > 1.5 * step:
            yield run
            run = []
        run.append(point)
    yield run


def _steps(run: Sequence[Point], heights: Sequence[str], axes: _Axes, first: str = "M") -> str:
    """A line of steps: a reading holds from the pane before it to its own."""
    line = f"{first}{axes.x(run[0].end - axes.step)} {heights[0]}"
    return line + "".join(f"V{y}H{axes.x(point.end)}" for point, y in zip(run, heights, strict=True))


def _plot(points: Sequence[Point], axes: _Axes) -> Html:
    runs = list(_runs(points, axes.step))
    bands = [_band(list(each), axes) for run in runs for usual, each in groupby(run, _has_usual) if usual]
    lines = (
        ("expected", "".join(_steps(run, [axes.y(p.expected) for p in run], axes) for run in runs)),
        ("observed", "".join(_steps(run, [axes.y(p.observed) for p in run], axes) for run in runs)),
    )
    drawn = [tag("path", d="".join(bands), class_="usual")] if bands else []
    drawn += [tag("path", d=path, class_=style, vector_effect="non-scaling-stroke") for style, path in lines]
    return tag("svg", drawn, viewBox=f"0 0 {WIDE} {HEIGHT}", preserveAspectRatio="none", width="100%", height=HEIGHT)


def _has_usual(point: Point) -> bool:
    return point.low is not None or point.high is not None


def _band(run: Sequence[Point], axes: _Axes) -> str:
    """From the least to the most that is usual; where one of them is missing, to the edge."""
    most = [axes.y(axes.top if p.high is None else p.high) for p in run]
    least = [axes.y(axes.bottom if p.low is None else p.low) for p in run]
    back = "".join(
        f"H{axes.x(p.end)}V{y}H{axes.x(p.end - axes.step)}" for p, y in zip(reversed(run), reversed(least), strict=True)
    )
    return f"{_steps(run, most, axes)}{back}Z"


def _called_for(points: Sequence[Point], axes: _Axes) -> Html:
    """Below the plot, which severity each reading alone called for."""
    found = []
    for run in _runs(points, axes.step):
        for severity, each in groupby(run, lambda point: point.severity):
            if severity is not None:
                ends = [point.end for point in each]
                left, right = axes.across(ends[0] - axes.step), axes.across(ends[-1])
                found.append(tag("rect", x=f"{100 * left:.2f}%", width=f"{100 * max(right - left, 0.003):.2f}%",
                                 y=HEIGHT - 7, height=7, fill=f"url(#hatch-{severity})",
                                 class_=f"edge-{severity}"))  # fmt: skip
    return joined(found)


def _shade(window: Span, axes: _Axes) -> Html:
    wide = 100 * (axes.across(window.end) - axes.across(window.start))
    return tag("rect", x=axes.percent(window.start), width=f"{wide:.2f}%", y=0, height=HEIGHT, class_="window")


def _mark(mark: Mark, row: int, axes: _Axes) -> Html:
    """A line with its word beside it, each mark's word in a row of its own."""
    x, late = axes.percent(mark.at), axes.across(mark.at) > 0.8
    word = tag("text", mark.label, x=x, y=14 + 15 * row, dx=-5 if late else 5, text_anchor="end" if late else "start")
    return tag("g", tag("line", x1=x, x2=x, y1=0, y2=HEIGHT), word, class_="mark")


def _legend(points: Sequence[Point], window: bool) -> Html:
    def key(style: str, said: str) -> Html:
        shape = (
            tag("rect", width=22, height=14, class_=style) if style in ("usual", "window")
            else tag("path", d="M0 7H22", class_=style)
        )  # fmt: skip
        return tag("li", tag("svg", shape, width=22, height=14, aria_hidden="true"), " ", said)

    keys = [key("observed", "measured"), key("expected", "expected")]
    keys += [key("usual", "usual range")] if any(map(_has_usual, points)) else []
    keys += [key("window", "window of the peak")] if window else []
    called = [s for s in ("critical", "warning", "info") if any(point.severity == s for point in points)]
    strip = legend([Part(f"reading that alone calls for {s}", s) for s in called]) if called else NOTHING
    return joined(tag("ul", keys, class_="legend"), strip)
