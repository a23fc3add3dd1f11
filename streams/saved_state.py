"""Checkpoints in a folder, to begin a replay from: those of a worker's own disk, or copied from the topic.

A partition's checkpoint is a `LocalCopy`, FOLDER/CHECKPOINTS_TOPIC/PARTITION/. So a worker's RIPCURRENT_STATE_DIR is
such a folder, and `ripcurrent checkpoint` writes one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from config.catalogue import unpack
from config.schema import Catalogue
from streams import checkpoint
from streams.checkpoint import Manifest
from streams.errors import CheckpointError
from streams.local_copy import INDEX, LocalCopy, Root
from streams.state import CATALOGUE, Snapshot
from streams.vault import MARK, heads_of, held_after


def partitions_in(folder: Path) -> dict[int, LocalCopy]:
    """The copies in a folder, by partition. CheckpointError where there are none, or those of several topics."""
    found = [path.parent for path in folder.glob(f"*/*/{INDEX}") if path.parent.name.isdigit()]
    topics = sorted({path.parent.name for path in found})
    if not topics:
        raise CheckpointError(
            f"{folder}: holds no checkpoint; expected a worker's RIPCURRENT_STATE_DIR, or what `ripcurrent checkpoint` "
            "wrote"
        )
    if len(topics) > 1:
        raise CheckpointError(f"{folder}: holds checkpoints of {' and '.join(topics)}; expected those of one topic")
    return {int(path.name): LocalCopy(folder, topics[0], int(path.name)) for path in sorted(found)}


def marks_of(folder: Path) -> dict[str, str]:
    """What tells these checkpoints from others, by partition."""
    copies = sorted(partitions_in(folder).items())
    return {str(p): hashlib.sha256((copy.folder / INDEX).read_bytes()).hexdigest() for p, copy in copies}


def read(copy: LocalCopy) -> Snapshot:
    """The state in it, or a CheckpointError that says why it can't be used."""
    whole = copy.read()
    if whole is None:
        raise CheckpointError(f"{copy.folder}: is not whole; was it copied while a worker wrote it?")
    found = checkpoint.newest(whole.stored)
    if found.snapshot is None:
        raise CheckpointError(f"{copy.folder}: can't be used: {'; '.join(found.faults)}")
    return found.snapshot


def keep(records: Iterable[Any], copy: LocalCopy) -> Manifest | None:
    """Write the newest usable checkpoint of a partition of the topic, given all its records, as a copy; None where
    there is none."""
    held = held_after((), records)
    usable = [manifest for manifest in heads_of(held) if _sound(manifest, held.values)]
    if not usable:
        return None
    newest = usable[-1]
    key = checkpoint.manifest_key(newest.epoch, newest.sequence)
    keys = [key, *(checkpoint.block_key(name, block) for name, block in newest.blocks.items())]
    root = Root(held.places[key][0], key, held.values[key][:MARK], sorted(held.keys))
    copy.keep(root, {name: held.values[name] for name in keys}, keys)
    return newest


def _sound(manifest: Manifest, stored: dict[str, bytes]) -> bool:
    try:
        checkpoint.decode(manifest, stored)
    except CheckpointError:
        return False
    return True


def next_offset(copy: LocalCopy) -> int:
    """Of the source, behind the newest record in the state."""
    return read(copy).memo.next_offset


def catalogue_in(folder: Path) -> Catalogue:
    """The configuration that the state of the first partition was made under."""
    copies = partitions_in(folder)
    return unpack(read(copies[min(copies)]).arrays[CATALOGUE].tobytes())
