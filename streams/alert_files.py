"""Alerts as a replay left them: revisions from a file or a folder, and from what they were made."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path

import msgspec

from streams.errors import RipcurrentError
from streams.files import said_of
from streams.records import decode_alert
from streams.replay import ALERTS, SHADOW
from streams.run_facts import SourceFacts
from streams.verify import Said
from streams.write_outcome import RUN

STANDARD_INPUT = Path("-")
LINE_BYTES_MAX = 1 << 20  # of an alert, which has some kilobytes
ALERTS_MAX = 100_000  # revisions that are held
SHOWN_MAX = 5


class AlertFileError(RipcurrentError):
    """What is wrong with a file of alerts, and where."""


class NoAlertError(AlertFileError):
    """There is no such alert, or more than one."""


# ---- files and folders --------------------------------------------------------------------------------------


def said_under(path: Path) -> Iterator[Said]:
    """The revisions in a file or on standard input, one a line or one alone over many lines; or in the folder that a
    replay wrote.
    """
    if path.is_dir():
        files = [path / name for name in (ALERTS, SHADOW) if (path / name).is_file()]
        if not files:
            raise NoAlertError(f"{path}: there is no {ALERTS}; is it a folder that `ripcurrent replay --out` wrote?")
        for file in files:
            yield from _of_file(file)
    elif path == STANDARD_INPUT:
        yield from _said(sys.stdin.buffer, "standard input")
    else:
        yield from _of_file(path)


def _of_file(path: Path) -> Iterator[Said]:
    with said_of(str(path)), path.open("rb") as file:
        yield from _said(file, str(path))


def _said(lines: Iterable[bytes], name: str) -> Iterator[Said]:
    lines = iter(lines)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if number == 1 and line.strip() == b"{":  # as a tool for people has written it
            line = b"".join(_at_most(chain([line], lines), name))
        if len(line) > LINE_BYTES_MAX:
            raise AlertFileError(f"{name}: line {number}: is over {LINE_BYTES_MAX >> 20} MiB; expected an alert")
        try:
            yield Said(decode_alert(line), line.strip())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise AlertFileError(f"{name}: line {number}: is no alert: {error}") from None


def _at_most(lines: Iterable[bytes], name: str) -> Iterator[bytes]:
    size = 0
    for line in lines:
        size += len(line)
        if size > LINE_BYTES_MAX:
            raise AlertFileError(f"{name}: line 1: is over {LINE_BYTES_MAX >> 20} MiB; expected an alert")
        yield line


# ---- those that are asked for ------------------------------------------------------------------------------


def all_of(said: Iterable[Said], where: str) -> list[Said]:
    """All of them, as far as so many can be held."""
    found = list(islice(said, ALERTS_MAX + 1))
    if not found:
        raise NoAlertError(f"{where}: has no alerts; expected a revision a line")
    if len(found) > ALERTS_MAX:
        raise NoAlertError(f"{where}: has over {ALERTS_MAX:,} revisions; name an alert with --id, or give some of them")
    return found


def revisions_of(said: Iterable[Said], wanted: str, where: str) -> list[Said]:
    """All revisions of the one alert whose id begins so, in their order."""
    ids: dict[str, bool] = {}  # whether it begins so
    found: list[Said] = []
    for one in said:
        begins = ids.setdefault(one.alert.alert_id, one.alert.alert_id.startswith(wanted))
        if begins and len(found) < ALERTS_MAX:
            found.append(one)
    mine = [wanted] if wanted in ids else [name for name, begins in ids.items() if begins]
    if len(mine) != 1:
        what = f"{len(mine)} of them begin so" if mine else "none begins so"
        near = sorted(mine or ids, key=lambda name: -_alike(name, wanted))[:SHOWN_MAX]
        told = f"; {'they are' if mine else 'the nearest are'} {', '.join(near)}" if near else ""
        more = " …" if len(mine or ids) > len(near) else ""
        raise NoAlertError(f"{where}: has {len(ids)} alerts, and of the id {wanted!r} {what}{told}{more}")
    return sorted((one for one in found if one.alert.alert_id == mine[0]), key=lambda one: one.alert.revision)


def _alike(one: str, other: str) -> int:
    """How many characters they begin with together."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


# ---- from what it was made ---------------------------------------------------------------------------------


class Options(msgspec.Struct, frozen=True):
    """Those of the replay that decide what comes out."""

    partitions: int = 4
    sort: bool = False
    close: bool = False
    config: str | None = None
    events: str | None = None
    from_checkpoint: str | None = None


class Run(msgspec.Struct, frozen=True):
    """What run.json says of a replay, as far as it is needed to do it again."""

    config_version: str
    engine_version: str
    sources: list[SourceFacts]
    options: Options


def run_of(path: Path) -> Run | None:
    """From beside a file of alerts, or in the folder; None where there is none that can be read."""
    file = (path if path.is_dir() else path.parent) / RUN
    with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.json.decode(file.read_bytes(), type=Run)
    return None
