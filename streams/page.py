"""A page of its own: one HTML file with its style and its script in it, that asks for nothing from anywhere. Pure.

    page = Page("Replay report", "of events.jsonl", [Section("alerts", "Alerts", table(…))])
    write_page(page, path)                 # of write_page.py: it reads page.css and page.js, and writes the file

A section is a link at the top of the page. What stands in it is made of `page_html.tag` (which escapes),
`page_table.table` (sorts, filters, turns pages), `page_charts.stacked` (bars over time), `page_trace.readings` (a time
series with its usual range), and `figures` and `facts` below. A name is an id: each is used once on a page.
"""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from typing import NamedTuple

from streams.page_charts import patterns
from streams.page_html import NOTHING, Html, joined, tag


class Assets(NamedTuple):
    """page.css and page.js."""

    style: str
    script: str


class Section(NamedTuple):
    name: str
    title: str
    content: Html


class Page(NamedTuple):
    title: str
    subtitle: str
    sections: Sequence[Section]
    footer: str | Html = NOTHING


def rendered(page: Page, assets: Assets) -> str:
    """The file. The browser runs this style and this script and no other, and asks for nothing."""
    policy = (
        f"default-src 'none'; style-src '{_hash(assets.style)}'; script-src '{_hash(assets.script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    head = tag(
        "head", tag("meta", charset="utf-8"), tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"), tag("meta", name="referrer", content="no-referrer"),
        tag("title", page.title), tag("link", rel="icon", href="data:,"), tag("style", Html(assets.style)),
    )  # fmt: skip
    body = tag("body", tag("a", "To the content", href="#content", class_="skip"), patterns(), _header(page),
               _main(page), tag("footer", page.footer), tag("script", Html(assets.script)))  # fmt: skip
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _hash(text: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _header(page: Page) -> Html:
    links = (tag("li", tag("a", section.title, href=f"#{section.name}")) for section in page.sections)
    return tag("header", tag("h1", page.title), tag("p", page.subtitle), tag("nav", tag("ul", links),
               aria_label="Sections"))  # fmt: skip


def _main(page: Page) -> Html:
    return tag("main", map(_section, page.sections), id="content", tabindex=-1)


def _section(section: Section) -> Html:
    title = f"{section.name}-title"
    return tag("section", tag("h2", section.title, id=title), section.content, id=section.name, aria_labelledby=title)


class Figure(NamedTuple):
    """One number that is read first."""

    label: str
    value: str
    note: str = ""


def figures(each: Sequence[Figure]) -> Html:
    """The numbers to begin with, side by side."""

    def cell(one: Figure) -> Html:
        note = tag("span", one.note) if one.note else NOTHING
        return tag("div", tag("dt", one.label), tag("dd", tag("strong", one.value), note))

    return tag("dl", map(cell, each), class_="figures")


def facts(pairs: Sequence[tuple[str, str | Html]]) -> Html:
    """Names and what they are, line by line; what is empty is left out."""
    return tag("dl", (tag("div", tag("dt", name), tag("dd", said)) for name, said in pairs if said), class_="facts")


def paragraphs(*texts: str | Html) -> Html:
    return joined(tag("p", text) for text in texts if text)
