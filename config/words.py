"""What a type admits, in words: the same in the messages of the checks and on the pages of the reference."""

from collections.abc import Callable
from typing import Any

from msgspec import inspect

NAMES_MAX = 8  # so many words are listed; the types of events are more
_PATTERNS = {
    "^[1-9][0-9]{0,5}(s|m|h|d)$": "a duration: `15m`, `24h`, `7d`",
    "^[1-9][0-9]{0,5}(s|m|h|d) by [1-9][0-9]{0,5}(s|m|h|d)$": "`24h by 1h`: size by hop",
    "^[A-Z]{3}$": "three capital letters",
    "^[A-Z]{2}$": "a market: two capital letters",
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}$": "a day: `2026-11-11`",
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(\.\.[0-9]{4}-[0-9]{2}-[0-9]{2})?$": "days: `2026-11-11` or `2026-11-27..2026-11-30`",
    "^[0-9]{2}-[0-9]{2}$": "a day of the year: `11-11`",
}


def allowed(kind: Any, struct: Callable[[type], str] = lambda cls: "a mapping") -> str:
    """
    >>> allowed(inspect.type_info(list[int]))
    'a list: a whole number'
    """
    match kind:
        case inspect.UnionType():
            some = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
            if any(isinstance(one, inspect.ListType) for one in some) and len(some) > 2:  # a condition
                return "a value, a list of values, or " + allowed(some[-1], struct)
            return " or ".join(dict.fromkeys(allowed(one, struct) for one in some))
        case inspect.LiteralType():
            names = [f"`{value}`" for value in kind.values]
            return ", ".join(names) if len(names) <= NAMES_MAX else "a type of event, such as `order.paid`"
        case inspect.StructType():
            return struct(kind.cls)
        case inspect.IntType():
            return "a whole number" + _bounds(kind)
        case inspect.FloatType():
            return "a number" + _bounds(kind)
        case inspect.StrType():
            return _text(kind)
        case inspect.ListType() | inspect.VarTupleType():
            length = getattr(kind, "min_length", None)
            exact = f" of {length}" if length is not None and length == kind.max_length else ""
            return f"a list{exact}: {allowed(kind.item_type, struct)}"
        case inspect.DictType():
            return f"a mapping to {allowed(kind.value_type, struct)}"
        case inspect.BoolType():
            return "`true` or `false`"
    return ""


def _bounds(kind: Any) -> str:
    words = (("over", kind.gt), ("at least", kind.ge), ("under", kind.lt), ("at most", kind.le))
    said = [f"{word} {bound:g}" for word, bound in words if bound is not None]
    return ", " + ", ".join(said) if said else ""


def _text(kind: Any) -> str:
    if kind.pattern is not None:
        return _PATTERNS.get(kind.pattern, "a name: `lower_case`")
    if kind.min_length is None and kind.max_length is None:
        return "text"
    return f"text of {kind.min_length or 0} to {kind.max_length} characters"
