"""run.json: from what a result was made. All but `timings` is the same for the same input on the same versions."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from msgspec import Struct, json

from config.schema import Catalogue
from streams.engine import ENGINE_VERSION
from streams.kafka_source import Range, TopicRange
from streams.replay import Result
from streams.sources import Opening, Source

LIBRARIES = ("duckdb", "msgspec", "numpy", "pyarrow", "scipy", "xlsxwriter")


class SourceFacts(Struct, frozen=True):
    """One file that was read, as it was named. Its hash costs less than a tenth of reading its events. Or a topic."""

    path: str
    kind: str
    bytes: int | None = None
    sha256: str | None = None
    offsets: Mapping[str, tuple[int, int]] | None = None  # by partition: of the first record, and behind the last
    ticks_end: Mapping[str, int] | None = None


def facts_of(source: Source, opening: Opening) -> list[SourceFacts]:
    """What was read."""
    if isinstance(opening, TopicRange):
        ranges = {str(p): (r.first, r.end) for p, r in sorted(opening.ranges.items())}
        ends = {str(p): end for p, end in sorted(opening.ticks_end.items())}
        return [SourceFacts(source.name, source.kind, offsets=ranges, ticks_end=ends)]
    return [source_facts(name, path, source.kind) for name, path in source.files]


def as_then(opening: Opening, facts: Sequence[SourceFacts]) -> Opening:
    """The same part of a topic as these facts tell of; of a file, the file."""
    if not isinstance(opening, TopicRange) or len(facts) != 1 or facts[0].offsets is None:
        return opening
    ranges = {int(p): Range(*ends) for p, ends in facts[0].offsets.items()}
    return opening._replace(ranges=ranges, ticks_end={int(p): end for p, end in (facts[0].ticks_end or {}).items()})


def source_facts(name: str, path: Path, kind: str) -> SourceFacts:
    """Of the file as it lies on the disk; of standard input, of its copy."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return SourceFacts(_shown(Path(name)), kind, path.stat().st_size, digest)


def run_facts(
    result: Result, catalogue: Catalogue, sources: Sequence[SourceFacts], options: Mapping[str, Any]
) -> dict[str, Any]:
    """All that run.json says, without `timings`."""
    return {
        "config_version": catalogue.version,
        "engine_version": ENGINE_VERSION,
        "program_version": version("ripcurrent"),
        "sources": list(sources),
        "partitions": list(result.partitions),
        "records": result.records,
        "bad_records": len(result.dead),
        "ticks": result.ticks,
        "creators": result.creators,
        "days": result.days,
        "alerts": len({alert.alert_id for alert in result.alerts}),
        "alerts_aside": len({alert.alert_id for alert in result.shadow}),
        "options": {name: _shown(value) if isinstance(value, Path) else value for name, value in options.items()},
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


def _shown(path: Path) -> str:
    """A name that is not UTF-8 must not cost the result."""
    return str(path).encode(errors="replace").decode()


def _version(name: str) -> str | None:
    """None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def run_json(facts: Mapping[str, Any], timings: Mapping[str, Any]) -> bytes:
    return json.format(json.encode({**facts, "timings": timings}), indent=1) + b"\n"
