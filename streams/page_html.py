"""HTML in which every text is escaped, by construction. Pure.

    tag("p", "Refunds of ", tag("b", creator_id), class_="lead")

What is not `Html` is text. So a text from an event can't become markup, whoever writes it and wherever it goes.
"""

from collections.abc import Iterable
from typing import Any

from msgspec import json

VOID = frozenset({"br", "hr", "input", "link", "meta"})
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})
_UNHELD = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127, *range(0xD800, 0xE000)), "\ufffd")
# marks that turn the direction of what stands around them are shown as what they are
_TURNING = {code: f"\u27e8U+{code:04X}\u27e9" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
_SHOWN = {**_UNHELD, **_TURNING}


class Html(str):
    """Markup; any other text is escaped before it stands beside it."""

    __slots__ = ()


NOTHING = Html("")


def shown(text: str) -> str:
    """A text as a page can hold it: what can't stand in HTML is replaced, what would turn its surroundings is named.

    >>> shown("a\\x00b\\u202ec")
    'a\ufffdb\u27e8U+202E\u27e9c'
    """
    return text.translate(_SHOWN)


def escaped(text: str) -> Html:
    """
    >>> escaped('<b title="x">')
    '&lt;b title=&quot;x&quot;&gt;'
    """
    return text if isinstance(text, Html) else Html(shown(text).translate(_ESCAPED))


def joined(*parts: str | Iterable[str]) -> Html:
    """Parts one behind the other; each that is no `Html` is escaped.

    >>> joined(tag("b", "1"), [" < ", tag("i", "2")])
    '<b>1</b> &lt; <i>2</i>'
    """
    found: list[str] = []
    for part in parts:
        found += [escaped(part)] if isinstance(part, str) else [escaped(one) for one in part]
    return Html("".join(found))


def tag(name: str, /, *parts: str | Iterable[str], **attributes: Any) -> Html:
    """An element. Of an attribute `_` is written `-`, but for one at its end; None and False leave it out.

    >>> tag("td", "1 < 2", class_="number", data_key=1, hidden=False)
    '<td class="number" data-key="1">1 &lt; 2</td>'
    """
    said = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None)
    return Html(f"<{name}{said}>" if name in VOID else f"<{name}{said}>{joined(*parts)}</{name}>")


def _attribute(key: str, value: Any) -> str:
    if value is False:
        return ""
    name = key.removesuffix("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escaped(str(value))}"'


def data_block(value: Any) -> Html:
    """Data for the script, as JSON that can't end its element.

    >>> data_block("</script><!--")
    '<script type="application/json">"\\\\u003c/script\\\\u003e\\\\u003c!--"</script>'
    """
    text = json.encode(value).decode()
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return Html(f'<script type="application/json">{text}</script>')
