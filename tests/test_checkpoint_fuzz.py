"""The reader of checkpoints against what a disk, a broker or a bug may leave: whatever is there, a harmed checkpoint is
not taken, the one before it is, and nothing is raised or fills the memory.
"""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.catalogue import load
from streams import checkpoint, state, vault
from streams.checkpoint import Array, Manifest, checksum
from streams.engine import Engine
from streams.local_copy import INDEX, LocalCopy, Root
from streams.topics import Topics

FUZZED = settings(max_examples=60, deadline=None, derandomize=True,
                  suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])  # fmt: skip
BYTES_MAX = 64 << 20  # that the reading of these few hundred KB may take
NEWEST = checkpoint.manifest_key(1, 2)
ROOT = Root(7, "m/1/1", b"checksum", ["m/1/1"])


@pytest.fixture(scope="module")
def topic() -> dict[str, bytes]:
    """Two checkpoints of a small shard, the newer one with blocks of its own and of the older."""
    catalogue = load()
    one = {"order_spike": catalogue.signals["order_spike"]}
    engine = Engine(msgspec.structs.replace(catalogue, signals=one), "creator-events", 0)
    first, engine.next_offset = state.take(engine), 7
    first.arrays["large"] = np.arange(60_000, dtype=np.int64)  # blocks of its own: three
    second = state.take(engine)
    second.arrays["large"] = first.arrays["large"].copy()
    second.arrays["large"][40_000] = -1
    older = checkpoint.encode(first, 1, 1, 3, None)
    newer = checkpoint.encode(second, 1, 2, 4, older.manifest)
    held = {**older.blocks, **newer.blocks}
    return held | {checkpoint.manifest_key(1, w.manifest.sequence): checkpoint.encode_manifest(w.manifest)
                   for w in (older, newer)}  # fmt: skip


def whole(data: bytes) -> bytes:
    """With the checksum that a manifest carries."""
    return checksum(data) + data


def read(held: dict[str, bytes]) -> checkpoint.Found:
    tracemalloc.start()
    try:
        found = checkpoint.newest(held)
        assert tracemalloc.get_traced_memory()[1] < BYTES_MAX
    finally:
        tracemalloc.stop()
    return found


def says_so(found: checkpoint.Found, sequence: int | None) -> None:
    """The checkpoint of that number was taken, and each newer one is a fault."""
    assert (found.manifest.sequence if found.manifest else None) == sequence
    assert len(found.faults) == 2 - (sequence or 0)


def own(topic: dict[str, bytes]) -> list[str]:
    """The manifest and the blocks that only the newer checkpoint has."""
    return [key for key in sorted(topic) if "/000000000002" in key]


def test_unharmed_it_is_the_newer_one(topic: dict[str, bytes]) -> None:
    says_so(read(topic), 2)
    assert len(own(topic)) > 2


@FUZZED
@given(data=st.data())
def test_bytes_flipped_cut_off_put_in_or_exchanged_leave_the_one_before(
    topic: dict[str, bytes], data: st.DataObject
) -> None:
    held, key = dict(topic), data.draw(st.sampled_from(own(topic)))
    was, how = held[key], data.draw(st.sampled_from(["flip", "cut", "put in", "exchange", "remove", "empty", "junk"]))
    at = data.draw(st.integers(0, len(was) - 1))
    if how == "exchange":
        held[key] = held[(other := data.draw(st.sampled_from([k for k in sorted(topic) if topic[k] != was])))]
        held[other] = was if data.draw(st.booleans()) else held[other]
    elif how == "remove":
        del held[key]
    else:
        flipped = was[:at] + bytes([was[at] ^ 1 << data.draw(st.integers(0, 7))]) + was[at + 1 :]
        held[key] = {"flip": flipped, "cut": was[:at], "put in": was[:at] + b"\0" + was[at:], "empty": b""}.get(
            how, data.draw(st.binary(max_size=100))
        )
    found = read(held)
    assert found.manifest is None or found.manifest.sequence == 1
    assert found.faults or how == "remove"  # a checkpoint without its manifest never was
    if how != "exchange":
        assert found.manifest is not None


def _with(**changes: Any) -> Callable[[Manifest], Manifest]:
    return lambda manifest: msgspec.structs.replace(manifest, **changes)


def _arrays(**changes: Array) -> Callable[[Manifest], Manifest]:
    return lambda manifest: msgspec.structs.replace(manifest, arrays={**manifest.arrays, **changes})


def _without(name: str, *, array: bool = True) -> Callable[[Manifest], Manifest]:
    def change(manifest: Manifest) -> Manifest:
        kept = {path: shape for path, shape in manifest.arrays.items() if path != name or not array}
        blocks = {path: block for path, block in manifest.blocks.items() if not path.startswith(name + "#")}
        return msgspec.structs.replace(manifest, arrays=kept, blocks=blocks)

    return change


WRONG: dict[str, Callable[[Manifest], Manifest]] = {
    "of another epoch": _with(epoch=9),
    "of another number": _with(sequence=1),
    "no blocks": _with(blocks={}),
    "no arrays": _with(arrays={}),
    "without its memo": _without(checkpoint.MEMO),
    "without its small arrays": _without(checkpoint.SMALL),
    "without its configuration": _without(state.CATALOGUE),
    "without the blocks of an array": _without("large", array=False),
    "of objects": _arrays(large=Array("|O", (60_000,))),
    "of pairs": _arrays(large=Array("i4,i4", (60_000,))),
    "of no type": _arrays(large=Array("i4,(", (60_000,))),
    "of nothing": _arrays(large=Array("|V0", (60_000,))),
    "huge": _arrays(large=Array("<i8", (2**62,))),
    "beyond all numbers": _arrays(large=Array("<i8", (2**63 - 1, 2**63 - 1))),
    "empty and huge": _arrays(large=Array("<i8", (0, 2**62))),
    "negative": _arrays(large=Array("<i8", (-1,))),
    "of many dimensions": _arrays(large=Array("<i8", (1,) * 100)),
    "one more": _arrays(more=Array("<i8", (1_000,))),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_manifest_with_a_right_checksum_that_says_nonsense_is_not_believed(
    topic: dict[str, bytes], what: str
) -> None:
    manifest = checkpoint.decode_manifest(topic[NEWEST])
    says_so(read(topic | {NEWEST: checkpoint.encode_manifest(WRONG[what](manifest))}), 1)


NONSENSE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=9)
    | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
FIELDS = [field for field in Manifest.__struct_fields__ if field != "format"]  # another one is refused, not passed over


@FUZZED
@given(fields=st.dictionaries(st.sampled_from(FIELDS), NONSENSE, min_size=1), cut=st.integers(0, 40))
def test_any_msgpack_with_a_right_checksum_in_place_of_a_manifest_is_a_fault(
    topic: dict[str, bytes], fields: dict[str, Any], cut: int
) -> None:
    plain = msgspec.msgpack.decode(topic[NEWEST][12:])
    data = msgspec.msgpack.encode({**plain, **fields})
    found = read(topic | {NEWEST: whole(data[: len(data) - cut])})
    if (found.manifest and found.manifest.sequence) == 2:  # nonsense that is none: an offset that could be
        assert {field for field in fields if fields[field] != plain[field]} <= {"next_offset", "ticks_applied"}
    else:
        says_so(found, 1)


VAST = {
    "a list of 4 billion": b"\xdd\xff\xff\xff\xff", "a map of 4 billion": b"\xdf\xff\xff\xff\xff",
    "4 GiB": b"\xc6\xff\xff\xff\xff", "deep": b"\x81\xa1x" + b"\x91" * 100_000 + b"\0", "deep at once": b"\x91" * 5_000,
    "no UTF-8": b"\x81\xa6format\xa1\xff", "no type": b"\xc1", "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize("data", VAST.values(), ids=VAST.keys())
@pytest.mark.parametrize("place", ["manifest", "memo"])
def test_vast_and_deep_msgpack_is_a_fault_and_takes_no_memory(topic: dict[str, bytes], place: str, data: bytes) -> None:
    held = dict(topic)
    if place == "manifest":
        held[NEWEST] = whole(data)
    else:
        manifest = checkpoint.decode_manifest(topic[NEWEST])
        block = checkpoint.Block(1, 2, len(data), checksum(data))
        blocks = {**manifest.blocks, f"{checkpoint.MEMO}#0": block}
        held[checkpoint.block_key(f"{checkpoint.MEMO}#0", block)] = data
        held[NEWEST] = checkpoint.encode_manifest(msgspec.structs.replace(manifest, blocks=blocks))
    says_so(read(held), 1)


# ---- the copy on disk, and what stands on the topic ----------------------------------------------------------


@FUZZED
@given(body=st.binary(max_size=60) | NONSENSE.map(msgspec.msgpack.encode), more=st.lists(st.text(max_size=20)))
def test_an_index_with_a_right_checksum_that_says_nonsense_is_no_copy(
    tmp_path: Path, body: bytes, more: list[str]
) -> None:
    copy = LocalCopy(tmp_path, "checkpoints", 0)
    copy.keep(ROOT, {"m/1/1": b"manifest"}, ["m/1/1"])
    (copy.folder / INDEX).write_bytes(whole(body))
    assert copy.read() is None
    for odd in ("..", "a\0b", "x" * 5_000):
        index = msgspec.msgpack.encode({"root": ROOT, "keys": ["m/1/1", *more, odd]})
        (copy.folder / INDEX).write_bytes(whole(index))
        assert copy.read() is None


def test_a_file_that_has_grown_beyond_all_records_is_not_read(tmp_path: Path) -> None:
    copy = LocalCopy(tmp_path, "checkpoints", 0)
    copy.keep(ROOT, {"m/1/1": b"manifest"}, ["m/1/1"])
    with copy._file("m/1/1").open("r+b") as file:
        file.truncate(1 << 34)
    assert copy.read() is None
    (copy.folder / INDEX).write_bytes(whole(b"\x81\xa1x" + b"\x91" * 100_000 + b"\0"))
    assert copy.read() is None


class Reading:
    """What stands on the checkpoints topic."""

    def __init__(self, held: dict[bytes | None, bytes | None]) -> None:
        self.records = [SimpleNamespace(offset=i, key=k, value=v, timestamp=0) for i, (k, v) in enumerate(held.items())]

    async def all(self, *_: Any) -> list[Any]:
        return self.records


@pytest.mark.parametrize(("harmed", "taken"), [((), 2), ((2,), 1), ((1, 2), None)])
async def test_faults_are_counted_also_where_no_checkpoint_is_left(
    topic: dict[str, bytes], harmed: tuple[int, ...], taken: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: dict[bytes | None, bytes | None] = {key.encode(): value for key, value in topic.items()}
    held |= {checkpoint.manifest_key(1, n).encode(): b"harmed" for n in harmed}
    held |= {b"\xff\xfe": b"somebody's", None: b"nobody's"}
    monkeypatch.setattr(vault, "read_all", Reading(held).all)
    ours = vault.Vault(None, "", Topics(), 0)  # type: ignore[arg-type]
    restored = await ours.restore([])
    assert (restored.manifest.sequence if restored else None) == taken
    assert ours.faults == len(harmed)
