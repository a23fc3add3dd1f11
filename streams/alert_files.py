"""Alerts as a replay left them: revisions from a file or a folder, and from what they were made."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
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


# ---- a file ------------------------------------------------------------------------------------------------


def said_in(path: Path) -> list[Said]:
    """The revisions in a file, or on standard input: one a line, or one alone over many lines."""
    name = "standard input" if path == STANDARD_INPUT else str(path)
    if path == STANDARD_INPUT:
        return list(_said(sys.stdin.buffer, name))
    with said_of(name), path.open("rb") as file:
        return list(_said(file, name))


def _said(lines: Iterable[bytes], name: str) -> Iterator[Said]:
    found, lines = 0, iter(lines)
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
        found += 1
        if found > ALERTS_MAX:
            raise AlertFileError(f"{name}: has over {ALERTS_MAX:,} revisions; expected fewer, take some of them")


def _at_most(lines: Iterable[bytes], name: str) -> Iterator[bytes]:
    size = 0
    for line in lines:
        size += len(line)
        if size > LINE_BYTES_MAX:
            raise AlertFileError(f"{name}: line 1: is over {LINE_BYTES_MAX >> 20} MiB; expected an alert")
        yield line


# ---- a folder ----------------------------------------------------------------------------------------------


def said_under(path: Path) -> list[Said]:
    """The revisions in a file, or all those in the folder that a replay wrote."""
    if not path.is_dir():
        return said_in(path)
    files = [path / name for name in (ALERTS, SHADOW) if (path / name).is_file()]
    if not files:
        raise NoAlertError(f"{path}: there is no {ALERTS}; is it a folder that `ripcurrent replay --out` wrote?")
    return [said for file in files for said in said_in(file)]


def revisions_of(said: Sequence[Said], wanted: str, where: str) -> list[Said]:
    """All revisions of the one alert whose id begins so, in their order."""
    ids = list(dict.fromkeys(one.alert.alert_id for one in said))
    found = [wanted] if wanted in ids else [one for one in ids if one.startswith(wanted)]
    if len(found) != 1:
        what = f"{len(found)} of them begin so" if found else "none begins so"
        near = sorted(found or ids, key=lambda one: -_alike(one, wanted))[:SHOWN_MAX]
        told = f"; {'they are' if found else 'the nearest are'} {', '.join(near)}" if near else ""
        more = " …" if len(found or ids) > len(near) else ""
        raise NoAlertError(f"{where}: has {len(ids)} alerts, and of the id {wanted!r} {what}{told}{more}")
    return sorted((one for one in said if one.alert.alert_id == found[0]), key=lambda one: one.alert.revision)


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
