"""Reads one YAML file into plain values, and remembers the line of each.

Within limits of size, depth and number of values; without aliases (a short file could stand for gigabytes), tags, and
keys that stand twice. Scalars are those of YAML 1.2: `NO` is Norway and not false, `2026-11-11` and `11-11` are text.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

BYTES_MAX = 256 * 1024
DEPTH_MAX = 16
VALUES_MAX = 20_000

At = tuple[str | int, ...]  # a place within a file: keys and positions
_PLAIN = re.compile(r"^[A-Za-z_][A-Za-z0-9_.-]*$")
_TAG = "tag:yaml.org,2002:"
_NUMBER_FIRST = list("-+.0123456789")


class Document(NamedTuple):
    """What a file says, and at which line each place of it begins."""

    name: str
    value: Any
    lines: dict[At, int]

    def line(self, at: At) -> int:
        """The line of a place; of one that is not there, the line of what it would be in."""
        while at and at not in self.lines:
            at = at[:-1]
        return self.lines.get(at, 1)


class DocumentError(ValueError):
    """The file can't be read; `line` says where it stops making sense."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """libyaml where it is there, ten times as fast."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  as PyYAML has it


for _name, _pattern, _first in (
    ("null", r"^(~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^[-+]?[0-9]+$", _NUMBER_FIRST),
    ("float", r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$", _NUMBER_FIRST),
    ("float", r"^([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$", _NUMBER_FIRST),
):
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(_pattern), _first)


def path_text(at: At) -> str:
    """
    >>> path_text(("tests", 0, "where", "odd key"))
    "$.tests[0].where['odd key']"
    """
    return "$" + "".join(_part_text(part) for part in at)


def _part_text(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if _PLAIN.match(part) else f"[{part[:60]!r}]"


def read_document(path: Path, name: str) -> Document:
    """The file, or a DocumentError."""
    if path.stat().st_size > BYTES_MAX:
        raise DocumentError(1, f"expected at most {BYTES_MAX} bytes; split the file, or leave out what is not needed")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(1, f"expected text in UTF-8; the byte at {error.start} is none") from None
    return parsed(text, name)


def parsed(text: str, name: str) -> Document:
    """The values of a YAML text and their lines.

    >>> document = parsed("a: 1\\nb: [x, NO]", "f.yaml")
    >>> document.value, document.line(("b", 1))
    ({'a': 1, 'b': ['x', 'NO']}, 2)
    """
    try:
        _check_limits(text)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(part for part in (error.context, error.problem) if part)
        raise DocumentError(mark.line + 1 if mark else 1, f"is no YAML: {said}") from None
    except yaml.YAMLError as error:
        raise DocumentError(1, "is no YAML: " + " ".join(str(error).split())) from None
    lines: dict[At, int] = {(): 1}
    return Document(name, {} if root is None else _value(root, (), lines), lines)


def _check_limits(text: str) -> None:
    """Look at the events only, so that nothing deep or large is ever built."""
    depth = values = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = _line(event)
        if isinstance(event, yaml.AliasEvent):
            raise DocumentError(line, f"expected no YAML alias (*{event.anchor}); write the value out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        values += isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)
        if depth > DEPTH_MAX:
            raise DocumentError(line, f"expected at most {DEPTH_MAX} levels, one in the other")
        if values > VALUES_MAX:
            raise DocumentError(line, f"expected at most {VALUES_MAX} values")


def _line(of: yaml.Event | yaml.Node) -> int:
    return of.start_mark.line + 1 if of.start_mark else 1


def _value(node: yaml.Node, at: At, lines: dict[At, int]) -> Any:
    line = lines.setdefault(at, _line(node))
    if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
        return {key: _value(value, (*at, key), lines) for key, value in _pairs(node, at, lines)}
    if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
        return [_value(value, (*at, i), lines) for i, value in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node, line, at)
    raise DocumentError(line, f"{path_text(at)}: expected no tag; found {node.tag[:60]!r}")


def _pairs(node: yaml.MappingNode, at: At, lines: dict[At, int]) -> Iterator[tuple[str, yaml.Node]]:
    seen: set[str] = set()
    for key_node, value in node.value:
        line = _line(key_node)
        if not isinstance(key_node, yaml.ScalarNode):
            raise DocumentError(line, "expected a name before the colon")
        key = str(key_node.value)
        if key in seen:
            raise DocumentError(line, f"{path_text((*at, key))} stands twice; expected it once")
        seen.add(key)
        lines[(*at, key)] = line
        yield key, value


def _scalar(node: yaml.ScalarNode, line: int, at: At) -> Any:
    text = str(node.value)
    match node.tag.removeprefix(_TAG):
        case "str":
            return text
        case "null":
            return None
        case "bool" if text.lower() in ("true", "false"):
            return text.lower() == "true"
        case "int" if re.fullmatch(r"[-+]?[0-9]{1,18}", text):
            return int(text)
        case "float" if re.fullmatch(r"[-+]?[0-9.]{1,40}([eE][-+]?[0-9]{1,3})?", text):
            if (number := _number(text)) is not None:
                return number
        case "bool" | "int" | "float":
            pass
        case _:
            raise DocumentError(line, f"{path_text(at)}: expected no tag; found {node.tag[:60]!r}")
    raise DocumentError(line, f"{path_text(at)}: {text[:40]!r}; expected a finite number of up to 18 digits")


def _number(text: str) -> float | None:
    """A finite number, or nothing."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) != float("inf") else None
