"""Tables of a page, which sort, filter and turn their pages where there is a script. Pure.

    table("markets", "Alerts by market", [Heading("Market"), Heading("Alerts", "number")],
          [[Cell("TH"), amount(1_234)]], note="Only alerts that were told.")

Up to `SHOWN_MAX` rows stand in the page as they are. Of more, the others are data, and the script makes them rows when
they are looked at: so a page of 10,000 episodes has no more elements than one of 50.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from streams.page_html import NOTHING, Html, data_block, joined, shown, tag

SHOWN_MAX = 50  # rows at once; page.js has the same
FILTERED_FROM = 9  # rows; fewer are seen at a glance
CHOICES_MAX = 100

Key = str | int | float | None


class Heading(NamedTuple):
    label: str
    kind: Literal["text", "number", "time", "mark", "long"] = "text"  # a mark is one of few words, and looks like it
    choose: bool = False  # whether one of its values can be chosen
    title: str | None = None  # what it means, if the label is short


class Cell(NamedTuple):
    text: str
    key: Key = ""  # what it sorts by: its text, if this is empty; None stands last
    beside: Html = NOTHING  # a bar that shows the same; rows behind the first page have none


Row = Sequence[Cell]


def table(name: str, caption: str, headings: Sequence[Heading], rows: Sequence[Row], note: str = "") -> Html:
    """`name` is its own on the page; `note` stands below the caption."""
    if not rows:
        return tag("p", f"{caption}: none.", class_="empty")
    many = len(rows) > SHOWN_MAX
    said = f"{len(rows):,} rows, 1 to {SHOWN_MAX} shown" if many else f"{len(rows)} row{'s' if len(rows) > 1 else ''}"
    return tag(
        "div",
        _filters(name, headings, rows) if len(rows) >= FILTERED_FROM else NOTHING,
        tag("div", tag("p", said, role="status", class_="count"), _turning(caption), class_="above"),
        tag("div", _grid(name, caption, note, headings, rows[:SHOWN_MAX]), class_="scroll", role="region",
            aria_labelledby=f"{name}-caption", tabindex=0),
        data_block([[_data(cell) for cell in row] for row in rows]) if many else NOTHING,
        class_="table", id=name, data_table=True,
    )  # fmt: skip


def _grid(name: str, caption: str, note: str, headings: Sequence[Heading], rows: Sequence[Row]) -> Html:
    said = tag("caption", tag("strong", caption), joined(" ", tag("span", note)) if note else NOTHING,
               id=f"{name}-caption")  # fmt: skip
    head = (tag("th", h.label, scope="col", class_=h.kind, data_kind=h.kind, title=h.title) for h in headings)
    body = (tag("tr", (_cell(c, h, n) for n, (c, h) in enumerate(zip(row, headings, strict=True)))) for row in rows)
    return tag("table", said, tag("thead", tag("tr", head)), tag("tbody", body))


def _cell(cell: Cell, heading: Heading, column: int) -> Html:
    """The first of a row names it."""
    text = tag("span", cell.text, data_mark=cell.text) if heading.kind == "mark" and cell.text else cell.text
    key = None if cell.key == "" else "" if cell.key is None else cell.key
    of = {"class_": heading.kind, "data_key": key}
    inner = joined(text, cell.beside)
    return tag("th", inner, scope="row", **of) if column == 0 else tag("td", inner, **of)


def _data(cell: Cell) -> str | list[Key]:
    text = shown(cell.text)
    return text if cell.key == "" else [text, shown(cell.key) if isinstance(cell.key, str) else cell.key]


def _filters(name: str, headings: Sequence[Heading], rows: Sequence[Row]) -> Html:
    """Hidden until the script is there to answer."""
    find = tag("label", "Find ", tag("input", type="search", id=f"{name}-find", autocomplete="off"))
    chosen = [_choice(h.label, n, rows) for n, h in enumerate(headings) if h.choose]
    return tag("form", find, chosen, tag("button", "Clear", type="reset"), class_="filters", hidden=True)


def _choice(label: str, column: int, rows: Sequence[Row]) -> Html:
    values = sorted({row[column].text for row in rows})
    if not 1 < len(values) <= CHOICES_MAX:
        return NOTHING
    options = (tag("option", value or "(none)", value=value or "(none)") for value in values)
    return tag("label", f"{label} ", tag("select", tag("option", "any", value=""), options, data_column=column))


def _turning(caption: str) -> Html:
    return tag(
        "nav", tag("button", "Previous", type="button", data_turn=-1), tag("span", class_="page"),
        tag("button", "Next", type="button", data_turn=1), class_="turn", aria_label=f"Pages of {caption}", hidden=True,
    )  # fmt: skip
