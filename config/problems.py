"""What is wrong with a configuration, said so that it can be mended: where, what was found, what was expected."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import NamedTuple

from config.documents import At, Document, path_text


class Problem(NamedTuple):
    """One mistake at one place of a file."""

    at: At
    text: str


def told(document: Document, problem: Problem) -> str:
    """The line of a problem: `file:line: path: what is wrong`.

    >>> told(Document("a.yaml", {}, {(): 1, ("pane",): 3}), Problem(("pane",), "'15x'; expected a duration"))
    "a.yaml:3: $.pane: '15x'; expected a duration"
    """
    return f"{document.name}:{document.line(problem.at)}: {path_text(problem.at)}: {problem.text}"


def shown(value: object) -> str:
    """A value as it is quoted in a message: short, on one line.

    >>> shown("x" * 100)
    "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'"
    """
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value if isinstance(value, str) else str(value)
    text = text if len(text) <= 60 else text[:55] + "..."
    return repr(text) if isinstance(value, str) else text


def one_of(value: object, names: Iterable[str]) -> str:
    """What was expected instead of a name that is none of these: the nearest of them, or all.

    >>> one_of("refund.aproved", ["refund.approved", "order.paid"])
    'did you mean refund.approved?'
    >>> one_of("x", ["refunds", "orders"])
    'expected one of: orders, refunds'
    """
    known = sorted(names)
    if isinstance(value, str) and (near := get_close_matches(value[:80], known, n=1, cutoff=0.6)):
        return f"did you mean {near[0]}?"
    if not known:
        return "there is none"
    more = f" ... ({len(known)})" if len(known) > 12 else ""
    return f"expected one of: {', '.join(known[:12])}{more}"


class SettingsError(ValueError):
    """The environment or a flag is refused; `problems` has a line for each: which, what it is, what was expected."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
