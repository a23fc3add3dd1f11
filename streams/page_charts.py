"""Charts of a page: inline SVG with a title, a description and a legend, told apart by more than colour. Pure.

Places are in percent across and in pixels down, so that a chart fills its column at any width and its letters stay as
large as those around it. Each of `STYLES` has its colour in page.css and its hatching here.
"""

from collections.abc import Sequence
from typing import NamedTuple

from streams.page_html import NOTHING, Html, joined, tag
from streams.page_words import PARTS
from streams.reasons import number

HEIGHT = 180  # pixels of the plot
BELOW = 22  # for what stands below it
STYLES = ("critical", "warning", "info", "plain", "base", "new")


class Part(NamedTuple):
    """What a colour stands for."""

    label: str
    style: str


class Bar(NamedTuple):
    label: str
    values: Sequence[float]  # one for each part


def patterns() -> Html:
    """The hatchings, once on a page."""
    defs = (
        tag("pattern", tag("rect", width=8, height=8, class_=f"fill-{style}"),
            tag("path", d=_HATCHES[style], class_="hatch"), id=f"hatch-{style}", width=8, height=8,
            patternUnits="userSpaceOnUse")
        for style in STYLES
    )  # fmt: skip
    return tag("svg", tag("defs", defs), width=0, height=0, aria_hidden="true", class_="patterns")


_HATCHES = {
    "critical": "", "warning": "M-2 2L2 -2M0 8L8 0M6 10L10 6", "info": "M0 4H8", "plain": "", "base": "",
    "new": "M-2 2L2 -2M0 8L8 0M6 10L10 6",
}  # fmt: skip


def stacked(name: str, title: str, said: str, parts: Sequence[Part], bars: Sequence[Bar]) -> Html:
    """Bars side by side, their parts on top of each other. `said` says in words what there is to see."""
    top = nice(max((sum(bar.values) for bar in bars), default=0))
    wide = 100 / max(len(bars), 1)
    shapes = [_stack(bar, n * wide, wide, top, parts) for n, bar in enumerate(bars)]
    labels = [((n + 0.5) * wide, bars[n].label) for n in sorted({0, len(bars) // 2, len(bars) - 1})]
    return figure(name, title, said, joined(grid(top), shapes, scale(top), across(labels)), legend(parts))


def _stack(bar: Bar, left: float, wide: float, top: float, parts: Sequence[Part]) -> Html:
    shapes, below, thick = [], 0.0, min(wide * 0.8, 12)
    for part, value in zip(parts, bar.values, strict=True):
        below += value
        if value:
            shapes.append(tag(
                "rect", x=f"{left + (wide - thick) / 2:.3f}%", width=f"{thick:.3f}%", y=down(below, 0, top),
                height=f"{HEIGHT * value / top:.2f}", fill=f"url(#hatch-{part.style})", class_=f"edge-{part.style}",
            ))  # fmt: skip
    said = ", ".join(f"{number(v)} {p.label}" for p, v in zip(parts, bar.values, strict=True) if v)
    return tag("g", tag("title", f"{bar.label}: {said or 'none'}"), shapes)


def figure(name: str, title: str, said: str, drawn: Html, below: Html = NOTHING, height: int = HEIGHT) -> Html:
    """A drawing with its title and what it says; a reader of screens hears both."""
    svg = tag(
        "svg", tag("title", title, id=f"{name}-title"), tag("desc", said, id=f"{name}-desc"), drawn, role="img",
        width="100%", height=height + BELOW, aria_labelledby=f"{name}-title {name}-desc",
    )  # fmt: skip
    return tag("figure", tag("figcaption", tag("strong", title), " ", tag("span", said)), svg, below, id=name)


def legend(parts: Sequence[Part]) -> Html:
    def key(part: Part) -> Html:
        fill = f"url(#hatch-{part.style})"
        return tag("svg", tag("rect", width=14, height=14, fill=fill, class_=f"edge-{part.style}"), width=14, height=14,
                   aria_hidden="true")  # fmt: skip

    return tag("ul", (tag("li", key(part), " ", part.label) for part in parts), class_="legend")


# ---- in cells ----------------------------------------------------------------------------------------------


def bar(values: Sequence[float], most: float, styles: Sequence[str] = ("plain",)) -> Html:
    """A bar in a table's cell, beside the number that it shows."""
    shapes, left = [], 0.0
    for value, style in zip(values, styles, strict=True):
        wide = 100 * value / most if most > 0 else 0.0
        if value:
            shapes.append(tag("rect", x=f"{left:.2f}%", width=f"{wide:.2f}%", height=10, fill=f"url(#hatch-{style})",
                              class_=f"edge-{style}"))  # fmt: skip
        left += wide
    return tag("svg", shapes, class_="bar flat", height=10, aria_hidden="true")


def interval(value: float, low: float, high: float, most: float = 1.0) -> Html:
    """A value and the interval that it is known to, in a table's cell."""
    at, left, right = (f"{100 * min(max(x, 0.0), most) / most if most else 0:.2f}%" for x in (value, low, high))
    return tag(
        "svg", tag("line", x1="0%", x2="100%", y1=6, y2=6, class_="rail"),
        tag("line", x1=left, x2=right, y1=6, y2=6, class_="reach"), tag("circle", cx=at, cy=6, r=3.5, class_="at"),
        class_="bar", height=12, aria_hidden="true",
    )  # fmt: skip


# ---- axes --------------------------------------------------------------------------------------------------


def nice(value: float) -> float:
    """The least 1, 2, 4, 5 or 8 times a power of ten that is not below it; 1 if it is as good as nothing.

    >>> nice(0), nice(3), nice(37), nice(0.07), nice(1_001)
    (1.0, 4.0, 40.0, 0.08, 2000.0)
    """
    if value < 1e-9:
        return 1.0
    power = float(f"1e{int(f'{value:e}'.split('e')[1])}")
    return next(round(step * power, 12) for step in (1, 2, 4, 5, 8, 10) if step * power >= value * (1 - 1e-12))


def down(value: float, bottom: float, top: float) -> str:
    return f"{HEIGHT * (1 - (value - bottom) / (top - bottom)):.2f}"


def grid(top: float, bottom: float = 0.0) -> Html:
    """Lines at the top, the middle and the bottom."""
    heights = [down(value, bottom, top) for value in (top, (top + bottom) / 2, bottom)]
    return joined(tag("line", x1="0%", x2="100%", y1=y, y2=y, class_="grid") for y in heights)


def scale(top: float, bottom: float = 0.0, unit: str = "") -> Html:
    """What the lines of the grid stand for, below each; to be drawn last, so that nothing hides it."""
    return joined(
        tag("text", scaled(value, unit), x=0, y=f"{float(down(value, bottom, top)) + 13:.2f}", class_="scale")
        for value in (top, (top + bottom) / 2)
    )


def scaled(value: float, unit: str) -> str:
    """A number on an axis.

    >>> scaled(0.4, "share"), scaled(2000.0, ""), scaled(2000.0, "THB")
    ('40 %', '2,000', '2,000 THB')
    """
    if unit in PARTS:
        return f"{100 * value:.3g} %"
    said = f"{value:,.6g}"
    return f"{said} {unit}" if len(unit) == 3 and unit.isupper() else said


def across(labels: Sequence[tuple[float, str]]) -> Html:
    """What stands below; near an edge from the edge on."""
    found = []
    for at, said in labels:
        x, anchor = (0.0, "start") if at < 9 else (100.0, "end") if at > 91 else (at, "middle")
        found.append(tag("text", said, x=f"{x:.2f}%", y=HEIGHT + 16, text_anchor=anchor, class_="scale"))
    return joined(found)
