"""Checkpoints as blocks: sparse, checksummed, whole or not at all. Pure: bytes in, bytes out.

A snapshot's arrays, small ones joined, are cut into blocks of BLOCK_BYTES, and written without their zeros (`squeeze`):
most counts of most creators are none. Only blocks that changed since the last manifest are written again; the manifest
names every block, where it was last written, and its checksum. Keys say who wrote what:
`b/EPOCH/SEQUENCE/BLOCK` and `m/EPOCH/SEQUENCE`. A checkpoint exists once its manifest does, and is usable if all that
it names is there and unharmed; else the one before it is. So two manifests and their blocks are kept; what no kept
manifest names is deleted (a tombstone) behind the next one.

Compatibility: FORMAT is that of the bytes. Another format, engine version or configuration is refused with a clear
message; the operator chooses to start warm-up anew.
"""

import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import NamedTuple

import msgspec
import numpy as np

from streams.errors import CheckpointError, CheckpointFormatError
from streams.state import CATALOGUE, Memo, Snapshot

FORMAT = 3
BLOCK_BYTES = 192 * 1024  # of the state, zeros included
SMALL_BYTES = 48 * 1024  # arrays up to this size stand together: hundreds of messages cost more than their bytes
SMALL = "small"
MEMO = "memo"


class Block(msgspec.Struct, frozen=True, array_like=True):
    """Where a block was last written, and what it must be."""

    epoch: int
    sequence: int
    length: int  # as written, without its zeros
    checksum: bytes  # of the same


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


class Cut(NamedTuple):
    """A snapshot as blocks: what is compared with a checkpoint before, on the topic or on the disk."""

    snapshot: Snapshot
    blocks: dict[str, bytes]  # by name
    checksums: dict[str, bytes]


def cut(snapshot: Snapshot) -> Cut:
    """The blocks of a snapshot."""
    blocks: dict[str, bytes] = {}
    small: list[bytes] = []
    for path, array in snapshot.arrays.items():
        data = np.ascontiguousarray(array)
        if data.nbytes <= SMALL_BYTES:
            small.append(data.tobytes())
        else:
            raw = data.reshape(-1).view(np.uint8)
            blocks |= {name: squeeze(raw[part]) for name, part in _ranges(path, raw.size)}
    joined = np.frombuffer(b"".join(small), dtype=np.uint8)
    blocks |= {name: squeeze(joined[part]) for name, part in _ranges(SMALL, joined.size)}
    memo = msgspec.msgpack.encode(snapshot.memo)
    blocks |= {name: memo[part] for name, part in _ranges(MEMO, len(memo))}
    return Cut(snapshot, blocks, {name: checksum(data) for name, data in blocks.items()})


def _ranges(path: str, size: int) -> Iterator[tuple[str, slice]]:
    for i, start in enumerate(range(0, max(size, 1), BLOCK_BYTES)):
        yield f"{path}#{i}", slice(start, min(start + BLOCK_BYTES, size))


def encode(
    snapshot: Snapshot | Cut, epoch: int, sequence: int, ticks_applied: int, before: Manifest | None
) -> Written:
    """A checkpoint of this snapshot, sharing with the one before it whatever did not change."""
    pieces = snapshot if isinstance(snapshot, Cut) else cut(snapshot)
    old = before.blocks if before else {}
    blocks: dict[str, Block] = {}
    fresh: dict[str, bytes] = {}
    for name, data in pieces.blocks.items():
        block = Block(epoch, sequence, len(data), pieces.checksums[name])
        same = old.get(name)
        if same is not None and (same.length, same.checksum) == (block.length, block.checksum):
            blocks[name] = same
        else:
            blocks[name] = block
            fresh[block_key(name, block)] = data
    arrays = {path: Array(array.dtype.str, array.shape) for path, array in pieces.snapshot.arrays.items()}
    memo = pieces.snapshot.memo
    return Written(Manifest(FORMAT, epoch, sequence, memo.next_offset, ticks_applied, arrays, blocks), fresh)


NOTHING, AS_IT_IS, WITHOUT_ZEROS = b"0", b"1", b"2"  # how a block is written: its first byte


def squeeze(raw: np.ndarray) -> bytes:
    """Bytes as a bit for each four, whether there is anything in them, and those in which there is.

    >>> len(squeeze(np.zeros(4096, dtype=np.uint8))), len(squeeze(np.arange(4096, dtype=np.uint8)))
    (1, 4097)
    """
    whole = raw.size // 4 * 4
    words = raw[:whole].view(np.uint32)
    there = words != 0
    n = int(np.count_nonzero(there))
    if n == 0 and not raw[whole:].any():
        return NOTHING
    if 4 * n + len(there) // 8 >= whole:
        return AS_IT_IS + raw.tobytes()
    return b"".join((WITHOUT_ZEROS, np.packbits(there).tobytes(), words[there].tobytes(), raw[whole:].tobytes()))


def unsqueeze(data: bytes, into: np.ndarray) -> None:
    """The same bytes again, where there were zeros. ValueError if they are not as many."""
    kind, whole = data[:1], into.size // 4 * 4
    if kind == NOTHING:
        return
    if kind == AS_IT_IS:
        into[:] = np.frombuffer(data, dtype=np.uint8, offset=1)
        return
    bits = (whole // 4 + 7) // 8
    there = np.unpackbits(np.frombuffer(data, np.uint8, bits, 1), count=whole // 4).view(np.bool_)
    tail = into.size - whole
    into[:whole].view(np.uint32)[there] = np.frombuffer(data[1 + bits : len(data) - tail], dtype=np.uint32)
    into[whole:] = np.frombuffer(data[len(data) - tail :], dtype=np.uint8)


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
        raise CheckpointFormatError(
            f"the checkpoint of epoch {manifest.epoch} has format {manifest.format}; this version reads {FORMAT}"
        )
    return manifest


Progress = Callable[[float], None]  # is told how much is done, 0 to 1


def decode(manifest: Manifest, stored: Mapping[str, bytes], progress: Progress = lambda _: None) -> Snapshot:
    """The snapshot that a manifest names, or a CheckpointError that says what is missing or harmed."""
    small = [path for path, array in manifest.arrays.items() if _bytes_of(array) <= SMALL_BYTES]
    sizes = {path: _bytes_of(array) for path, array in manifest.arrays.items()}
    joined, at = _assemble(manifest, stored, SMALL, sum(sizes[path] for path in small)), 0
    arrays: dict[str, np.ndarray] = {}
    for n, (path, array) in enumerate(manifest.arrays.items()):
        progress(n / len(manifest.arrays))
        if sizes[path] <= SMALL_BYTES:
            raw, at = joined[at : at + sizes[path]].copy(), at + sizes[path]  # a copy begins where its type may begin
        else:
            raw = _assemble(manifest, stored, path, sizes[path])
        arrays[path] = raw.view(array.dtype).reshape(array.shape)
    if at != len(joined) or CATALOGUE not in arrays:
        raise CheckpointError("arrays are missing")
    memo = [_block(manifest, stored, name) for name in manifest.blocks if name.startswith(MEMO + "#")]
    return Snapshot(msgspec.msgpack.decode(b"".join(memo), type=Memo), arrays)


def _bytes_of(array: Array) -> int:
    dtype = np.dtype(array.dtype)
    if dtype.kind not in "biuf" or min(array.shape, default=0) < 0:
        raise CheckpointError(f"an array is of {array.dtype} and {array.shape}")
    return dtype.itemsize * math.prod(array.shape)


def _assemble(manifest: Manifest, stored: Mapping[str, bytes], path: str, size: int) -> np.ndarray:
    """The bytes of one array, from its blocks."""
    if size > len(manifest.blocks) * BLOCK_BYTES:
        raise CheckpointError(f"array {path} is said to have {size} bytes, more than all blocks")
    raw = np.zeros(size, dtype=np.uint8)
    for name, part in _ranges(path, size):
        unsqueeze(_block(manifest, stored, name), raw[part])
    return raw


def _block(manifest: Manifest, stored: Mapping[str, bytes], name: str) -> bytes:
    """A block as it was written."""
    block = manifest.blocks[name]
    data = stored.get(block_key(name, block))
    if data is None:
        raise CheckpointError(f"block {name} is missing")
    if len(data) != block.length or checksum(data) != block.checksum:
        raise CheckpointError(f"block {name} is corrupt")
    return data


class Found(NamedTuple):
    """The newest usable checkpoint, and what was wrong with newer ones."""

    manifest: Manifest | None
    snapshot: Snapshot | None
    faults: list[str]


def newest(stored: Mapping[str, bytes], progress: Progress = lambda _: None) -> Found:
    """Look through everything that is stored of a shard, newest first."""
    faults: list[str] = []
    for key in sorted((k for k in stored if k.startswith("m/")), reverse=True):
        try:
            manifest = decode_manifest(stored[key])
            if key != manifest_key(manifest.epoch, manifest.sequence):
                raise CheckpointError("is the manifest of another one")
            return Found(manifest, decode(manifest, stored, progress), faults)
        except CheckpointFormatError:
            raise  # it is whole, and of another version: to begin from something older, or anew, is not ours to decide
        except Exception as error:  # what has a right checksum may be any nonsense still
            faults.append(f"{key}: {error if isinstance(error, CheckpointError) else repr(error)}")
    return Found(None, None, faults)


def whole(manifest: Manifest, held: Container[str]) -> bool:
    """Whether all blocks that it names are among these keys."""
    return all(block_key(name, block) in held for name, block in manifest.blocks.items())


def obsolete(stored: Iterable[str], kept: Iterable[Manifest]) -> list[str]:
    """Keys that no kept manifest needs."""
    needed: set[str] = set()
    for manifest in kept:
        needed.add(manifest_key(manifest.epoch, manifest.sequence))
        needed |= {block_key(name, block) for name, block in manifest.blocks.items()}
    return sorted(key for key in stored if key not in needed)
