"""Compares plain values with the types of the schema: every misfit at once, each at its own place.

msgspec stops at the first and can't say under which key of a mapping it is; it still has the last word when a file
is converted.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from msgspec import inspect

from config.documents import At
from config.problems import Problem, one_of, shown
from config.words import NAMES_MAX, allowed


def misfits(value: Any, cls: type, at: At = ()) -> list[Problem]:
    """All that keeps a value from being one of this type.

    >>> from config.schema import Delay
    >>> for problem in misfits({"meen": "5d", "shape": -1}, Delay): print(problem.at, problem.text)
    ('meen',) unknown key; did you mean mean?
    ('shape',) -1; expected a number, over 0, at most 20
    """
    return list(_misfits(value, type_info(cls), at))


@cache
def type_info(cls: Any) -> Any:
    return inspect.type_info(cls)


def _misfits(value: Any, kind: Any, at: At) -> Iterator[Problem]:
    match kind:
        case inspect.UnionType():
            yield from _of_union(value, kind, at)
        case inspect.StructType():
            yield from _of_struct(value, kind, at)
        case inspect.ListType():
            yield from _of_list(value, kind, at)
        case inspect.DictType():
            yield from _of_dict(value, kind, at)
        case _ if not _fits(value, kind):
            yield Problem(at, _expected(value, kind))


def _expected(value: Any, kind: Any) -> str:
    names = _names(kind)
    if len(names) > NAMES_MAX and isinstance(value, str):
        return f"{shown(value)} is none of the allowed; {one_of(value, names)}"
    hint = f"; {text}" if names and (text := one_of(value, names)).startswith("did") else ""
    return f"{shown(value)}; expected {allowed(kind) or 'something else'}{hint}"


def _names(kind: Any) -> list[str]:
    """The words that a type allows, where it is a list of words."""
    kinds = kind.types if isinstance(kind, inspect.UnionType) else [kind]
    return [str(name) for one in kinds if isinstance(one, inspect.LiteralType) for name in one.values]


def _of_union(value: Any, kind: Any, at: At) -> Iterator[Problem]:
    if value is None and kind.includes_none:
        return
    structs = [one for one in kind.types if isinstance(one, inspect.StructType)]
    if isinstance(value, dict) and structs:
        yield from _of_struct(value, structs[0], at) if len(structs) == 1 else _of_tagged(value, structs, at)
        return
    lists = [one for one in kind.types if isinstance(one, inspect.ListType)]
    if isinstance(value, list) and lists:
        yield from _of_list(value, lists[0], at)
    elif not any(_fits(value, one) for one in kind.types):
        yield Problem(at, _expected(value, kind))


def _of_tagged(value: dict[str, Any], structs: list[Any], at: At) -> Iterator[Problem]:
    """One of several structs, which the tag tells apart."""
    field, tags = structs[0].tag_field, {str(one.tag): one for one in structs}
    tag = value.get(field)
    if field not in value:
        yield Problem(at, f"{field!r} is missing; expected one of: {', '.join(tags)}")
    elif not isinstance(tag, str) or tag not in tags:
        yield Problem((*at, field), f"{shown(tag)} is none of {', '.join(tags)}; {one_of(tag, tags)}")
    else:
        yield from _of_struct(value, tags[tag], at)


def _of_struct(value: Any, kind: Any, at: At) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem(at, f"{shown(value)}; expected a mapping with {_list(f.encode_name for f in kind.fields)}")
        return
    fields = {field.encode_name: field for field in kind.fields}
    mistyped = set()  # what was meant by unknown keys is not missing
    for key in value:
        if key == kind.tag_field:
            if value[key] != kind.tag:
                yield Problem((*at, key), f"{shown(value[key])}; expected {kind.tag}")
        elif key not in fields:
            hint = one_of(key, fields.keys() - value.keys())
            mistyped.add(hint.removeprefix("did you mean ").rstrip("?"))
            yield Problem((*at, key), f"unknown key; {hint}")
    for name, field in fields.items():
        if name in value:
            yield from _misfits(value[name], field.type, (*at, name))
        elif field.required and name not in mistyped:
            yield Problem(at, f"{name!r} is missing; expected {allowed(field.type)}")


def _of_list(value: Any, kind: Any, at: At) -> Iterator[Problem]:
    if not isinstance(value, list):
        yield Problem(at, f"{shown(value)}; expected a list, such as [{allowed(kind.item_type)}]")
        return
    least, most = kind.min_length or 0, kind.max_length
    if len(value) < least or (most is not None and len(value) > most):
        bounds = f"{least}" if least == most else f"at least {least}" if most is None else f"{least} to {most}"
        yield Problem(at, f"has {len(value)} entries; expected {bounds}")
    for i, item in enumerate(value):
        yield from _misfits(item, kind.item_type, (*at, i))


def _of_dict(value: Any, kind: Any, at: At) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem(at, f"{shown(value)}; expected a mapping")
        return
    for key, item in value.items():
        if not _fits(key, kind.key_type):
            yield Problem((*at, key), f"key {_expected(key, kind.key_type)}")
        yield from _misfits(item, kind.value_type, (*at, key))


def _fits(value: Any, kind: Any) -> bool:
    """Whether a plain value is one of this kind."""
    match kind:
        case inspect.NoneType():
            return value is None
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.LiteralType():
            return isinstance(value, str) and value in kind.values
        case inspect.IntType():
            return isinstance(value, int) and not isinstance(value, bool) and _within(value, kind)
        case inspect.FloatType():
            return isinstance(value, int | float) and not isinstance(value, bool) and _within(value, kind)
        case inspect.StrType():
            return isinstance(value, str) and _text_fits(value, kind)
    return False


def _within(value: float, kind: Any) -> bool:
    return (
        (kind.gt is None or value > kind.gt)
        and (kind.ge is None or value >= kind.ge)
        and (kind.lt is None or value < kind.lt)
        and (kind.le is None or value <= kind.le)
    )


def _text_fits(value: str, kind: Any) -> bool:
    # fullmatch: `$` alone would let a line's end through
    return (
        (kind.pattern is None or re.fullmatch(kind.pattern, value) is not None)
        and len(value) >= (kind.min_length or 0)
        and (kind.max_length is None or len(value) <= kind.max_length)
    )


def _list(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
