"""Damages a configuration in a random place: a plain value's structure, or the bytes of a file."""

from copy import deepcopy
from random import Random
from typing import Any

ODD = [
    None, True, False, 0, -1, 1, 2**53, -(10**17), 10**18, 0.5, -0.0, 1e300, "", " ", "x", "NO", "2026-02-30",
    "24h by 1h", "1d", "999999d", "0h", "11-31", "TH", "refunds", "orders", "amount", "ref_id", "order.paid", "\u202e",
    "a" * 500, "x\ny", [], {}, [[]], [None], {"": 0}, {"type": "order.paid"}, {"min": 2, "max": 1}, {"kind": "share"},
    ["TH"], [1, 2, 3], {"because": "Because of it.", "status": "shadow"},
]  # fmt: skip
BYTES = [b":", b"{", b"}", b"[", b"]", b"\n", b" ", b"- ", b"&a ", b"*a", b"!!set ", b"\t", b"#", b"'", b'"', b"|",
         b">", b"\x00", b"\xff", b"%", b"---\n", b"<<: ", b"0", b"-1", b".inf", b"? ", b"\xf0\x9f\x98\x80"]  # fmt: skip


def mutated(value: Any, random: Random) -> Any:
    """A copy with one to four random changes of its structure."""
    value = deepcopy(value)
    for _ in range(random.randint(1, 4)):
        places = list(_places(value))
        if not places:
            return deepcopy(random.choice(ODD))
        _change(*random.choice(places), places, random)
    return value


def _places(value: Any) -> Any:
    """Each container with each of its keys or positions."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield value, key
        yield from _places(inner)


def _change(container: Any, key: Any, places: list[Any], random: Random) -> None:
    kind = random.randrange(6)
    if kind == 0:
        del container[key]
    elif kind == 1:
        container[key] = deepcopy(random.choice(ODD))
    elif kind == 2:  # what stands somewhere else
        other, place = random.choice(places)
        container[key] = deepcopy(other[place])
    elif kind == 3 and isinstance(container, dict):  # under another name
        other, place = random.choice(places)
        container[str(place) if random.random() < 0.5 else f"{key}x"] = container.pop(key)
    elif kind == 4 and isinstance(container, list):
        container.insert(random.randint(0, len(container)), deepcopy(container[key]))
    elif isinstance(container[key], int | float):
        container[key] = container[key] * random.choice([-1, 0, 0.1, 10, 1000])
    else:
        container[key] = str(container[key])[: random.randint(0, 12)]


def damaged_bytes(text: bytes, random: Random) -> bytes:
    """A copy with one to five random bytes changed, moved or put in."""
    for _ in range(random.randint(1, 5)):
        at = random.randint(0, len(text))
        to = min(len(text), at + random.choice([0, 1, 1, 2, 8, 40]))
        new = random.choice([b"", bytes([random.randrange(256)]), random.choice(BYTES), text[at:to] * 2])
        text = text[:at] + new + text[to:]
    return text
