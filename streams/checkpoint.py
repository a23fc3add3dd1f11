"""Checkpoints as blocks: sparse, checksummed, whole or not at all. Pure: bytes in, bytes out.

A snapshot's arrays, small ones joined, are cut into blocks of BLOCK_BYTES. Only blocks that changed since the last
manifest are written again; the manifest names every block, where it was last written, and its checksum. Keys say who
wrote what:
`b/EPOCH/SEQUENCE/BLOCK` and `m/EPOCH/SEQUENCE`. A checkpoint exists once its manifest does, and is usable if all that
it names is there and unharmed; else the one before it is. So two manifests and their blocks are kept; what no kept
manifest names is deleted (a tombstone) behind the next one.

Compatibility: FORMAT is that of the bytes. Another format, engine version or configuration is refused with a clear
message; the operator chooses to start warm-up anew.
"""

import math
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import NamedTuple

import msgspec
import numpy as np

from streams.errors import CheckpointError
from streams.state import CATALOGUE, Memo, Snapshot

FORMAT = 2
BLOCK_BYTES = 192 * 1024
SMALL_BYTES = 48 * 1024  # arrays up to this size stand together: hundreds of messages cost more than their bytes
SMALL = "small"
MEMO = "memo"


class Block(msgspec.Struct, frozen=True, array_like=True):
    """Where a block was last written, and what it must be."""

    epoch: int
    sequence: int
    length: int
    checksum: bytes


class Array(msgspec.Struct, frozen=True, array_like=True):
    dtype: str
    shape: tuple[int, ...]


class Manifest(msgspec.Struct, frozen=True):
    """The table of contents of a checkpoint."""

    format: int
    epoch: int
    sequence: int
    next_offset: int  # of the source: records before it are in the state
    ticks_applied: int  # offset in the ticks topic of the newest tick in the state, -1 none
    arrays: dict[str, Array]
    blocks: dict[str, Block]


class Written(NamedTuple):
    """What to write for a checkpoint: first all blocks, when they are acknowledged the manifest, then tombstones."""

    manifest: Manifest
    blocks: dict[str, bytes]  # key -> bytes


def manifest_key(epoch: int, sequence: int) -> str:
    return f"m/{epoch:08d}/{sequence:012d}"


def block_key(name: str, block: Block) -> str:
    return f"b/{block.epoch:08d}/{block.sequence:012d}/{name}"


def checksum(data: bytes | memoryview) -> bytes:
    return blake2b(data, digest_size=12).digest()


def encode(
    snapshot: Snapshot, epoch: int, sequence: int, ticks_applied: int, before: Manifest | None
) -> Written:
    """A checkpoint of this snapshot, sharing with the one before it whatever did not change."""
    pieces: dict[str, bytes] = {}
    small: list[bytes] = []
    for path, array in snapshot.arrays.items():
        data = np.ascontiguousarray(array).tobytes()
        if len(data) <= SMALL_BYTES:
            small.append(data)
        else:
            pieces |= _cut(path, data)
    pieces |= _cut(SMALL, b"".join(small))
    pieces |= _cut(MEMO, msgspec.msgpack.encode(snapshot.memo))
    old = before.blocks if before else {}
    blocks: dict[str, Block] = {}
    fresh: dict[str, bytes] = {}
    for name, data in pieces.items():
        block = Block(epoch, sequence, len(data), checksum(data))
        same = old.get(name)
        if same is not None and (same.length, same.checksum) == (block.length, block.checksum):
            blocks[name] = same
        else:
            blocks[name] = block
            fresh[block_key(name, block)] = data
    arrays = {path: Array(array.dtype.str, array.shape) for path, array in snapshot.arrays.items()}
    manifest = Manifest(FORMAT, epoch, sequence, snapshot.memo.next_offset, ticks_applied, arrays, blocks)
    return Written(manifest, fresh)


def _cut(name: str, data: bytes) -> dict[str, bytes]:
    return {
        f"{name}#{i}": data[start : start + BLOCK_BYTES]
        for i, start in enumerate(range(0, max(len(data), 1), BLOCK_BYTES))
    }


def encode_manifest(manifest: Manifest) -> bytes:
    body = msgspec.msgpack.encode(manifest)
    return checksum(body) + body


def decode_manifest(data: bytes) -> Manifest:
    """The manifest, or a CheckpointError if a bit of it is wrong."""
    if checksum(memoryview(data)[12:]) != data[:12]:
        raise CheckpointError("a manifest's checksum is wrong")
    try:
        manifest = msgspec.msgpack.decode(data[12:], type=Manifest)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:  # of text that is no UTF-8; of deep nesting
        raise CheckpointError(f"a manifest can't be read: {error}") from None
    if manifest.format != FORMAT:
        raise CheckpointError(f"a manifest has format {manifest.format}; this version reads {FORMAT}")
    return manifest


def decode(manifest: Manifest, stored: Mapping[str, bytes]) -> Snapshot:
    """The snapshot that a manifest names, or a CheckpointError that says what is missing or harmed."""
    parts: dict[str, list[bytes]] = {}
    for name, block in manifest.blocks.items():
        data = stored.get(block_key(name, block))
        if data is None:
            raise CheckpointError(f"block {name} is missing")
        if len(data) != block.length or checksum(data) != block.checksum:
            raise CheckpointError(f"block {name} is corrupt")
        parts.setdefault(name.rpartition("#")[0], []).append(data)
    memo = msgspec.msgpack.decode(b"".join(parts[MEMO]), type=Memo)
    arrays, small, at = {}, b"".join(parts[SMALL]), 0
    for path, array in manifest.arrays.items():
        dtype = np.dtype(array.dtype)
        if dtype.kind not in "biuf" or min(array.shape, default=0) < 0:
            raise CheckpointError(f"array {path} is of {array.dtype} and {array.shape}")
        size = dtype.itemsize * math.prod(array.shape)
        if size <= SMALL_BYTES:
            data, at = small[at : at + size], at + size
        else:
            data = b"".join(parts[path])
        arrays[path] = np.frombuffer(data, dtype=dtype).reshape(array.shape).copy()
    if at != len(small) or CATALOGUE not in arrays:
        raise CheckpointError("arrays are missing")
    return Snapshot(memo, arrays)


class Found(NamedTuple):
    """The newest usable checkpoint, and what was wrong with newer ones."""

    manifest: Manifest | None
    snapshot: Snapshot | None
    faults: list[str]


def newest(stored: Mapping[str, bytes]) -> Found:
    """Look through everything that is stored of a shard, newest first."""
    faults: list[str] = []
    for key in sorted((k for k in stored if k.startswith("m/")), reverse=True):
        try:
            manifest = decode_manifest(stored[key])
            if key != manifest_key(manifest.epoch, manifest.sequence):
                raise CheckpointError("is the manifest of another one")
            return Found(manifest, decode(manifest, stored), faults)
        except Exception as error:  # what has a right checksum may be any nonsense still
            faults.append(f"{key}: {error if isinstance(error, CheckpointError) else repr(error)}")
    return Found(None, None, faults)


def obsolete(stored: Iterable[str], kept: Iterable[Manifest]) -> list[str]:
    """Keys that no kept manifest needs."""
    needed: set[str] = set()
    for manifest in kept:
        needed.add(manifest_key(manifest.epoch, manifest.sequence))
        needed |= {block_key(name, block) for name, block in manifest.blocks.items()}
    return sorted(key for key in stored if key not in needed)
