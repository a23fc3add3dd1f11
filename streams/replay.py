"""Replay: the very engine that runs live, over a file. One engine for each partition, ticks at their place.

    source = Recording(Path("events.jsonl"), partitions=4)
    write_result(replay(source.entries(), load(), topic=source.topic, close=True), Path("out"))

The result depends on the records, their partitions, the ticks and the catalogue, and not on how the records are cut
into runs. Alerts and dead letters are held in memory until the end, since they are written in an order for reading;
records are held for one run of each partition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from config.schema import Catalogue
from streams.columns import DeadLetter, Record
from streams.engine import Engine, Output
from streams.files import whole_file
from streams.recording import TOPIC, bytes_of
from streams.records import Alert, encode_alert
from streams.shard import obey
from streams.ticks import Tick

RUN_RECORDS = 4_000
DAY_MS = 86_400_000


class Dead(NamedTuple):
    partition: int
    letter: DeadLetter


class Result(NamedTuple):
    alerts: list[Alert]  # every revision, in the order of `reading_order`
    shadow: list[Alert]  # likewise, of signals on trial and of creators that a group exempts
    dead: list[Dead]  # by partition and offset
    records: int
    ticks: int
    partitions: tuple[int, ...]  # those that had records
    creators: int  # distinct, at the end
    days: float  # of event time that was looked at: gaps in which everybody is forgotten are jumped over
    entities: list[tuple[str, str]]  # (creator, market), those that are known at the end
    volumes: dict[str, int]  # records by their key, which is the creator


def reading_order(alert: Alert) -> tuple[int, str, str, int, str, str]:
    """As a person reads a log of alerts; the same whatever the partitions were called and how the input was cut."""
    return alert.window_end, alert.entity.id, alert.signal, alert.revision, alert.market, alert.alert_id


def replay(
    entries: Iterable[tuple[int, Record | Tick]],
    catalogue: Catalogue,
    *,
    topic: str = TOPIC,
    close: bool = False,
    run_records: int = RUN_RECORDS,
    progress: Callable[[int], None] = lambda records: None,
    engine: Callable[[Catalogue, str, int], Engine] = Engine,
) -> Result:
    """All alert revisions and dead letters of these entries, (partition, record or tick), each partition in order.

    `close` ends the input: panes that wait for a watermark are closed too. `progress` hears now and then how many
    records have been applied.
    """
    shards: dict[int, _Shard] = {}
    records = ticks = 0
    for partition, entry in entries:
        shard = shards.get(partition)
        if shard is None:
            shard = shards[partition] = _Shard(engine(catalogue, topic, partition))
        if isinstance(entry, Tick):
            shard.flush()
            shard.take(obey(shard.engine, entry))
            ticks += entry.moves
            continue
        shard.run.append(entry)
        records += 1
        if len(shard.run) >= run_records:
            shard.flush()
            progress(records)
    for shard in shards.values():
        shard.flush()
        if close:
            shard.take(shard.engine.close())
    progress(records)
    alerts = sorted((alert for shard in shards.values() for alert in shard.alerts), key=reading_order)
    shadow = sorted((alert for shard in shards.values() for alert in shard.shadow), key=reading_order)
    dead = [Dead(p, letter) for p, shard in sorted(shards.items()) for letter in sorted(shard.dead, key=_by_offset)]
    entities = sorted(name for shard in shards.values() for name in shard.engine.entities.slots)
    return Result(
        alerts, shadow, dead, records, ticks, tuple(sorted(shards)), len({creator for creator, _ in entities}),
        _days(shards.values()), entities, _volumes(shards.values()),
    )  # fmt: skip


def _days(shards: Iterable[_Shard]) -> float:
    """Of event time that was looked at: a gap in which everybody is forgotten is jumped over."""
    panes = max((s.engine.counts["panes_closed", ""] * s.engine.clock.pane_ms for s in shards), default=0)
    return panes / DAY_MS


def _volumes(shards: Iterable[_Shard]) -> dict[str, int]:
    """Records by creator. All of a creator have one partition, but where a recording says otherwise."""
    found: Counter[str] = Counter()
    for shard in shards:
        for key, records in shard.heard.items():
            if key is not None:
                found[key.decode(errors="replace")] += records
    return dict(sorted(found.items()))


class _Shard:
    """An engine with the run that is being gathered for it and what came out of it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.run: list[Record] = []
        self.alerts: list[Alert] = []
        self.shadow: list[Alert] = []
        self.dead: list[DeadLetter] = []
        self.heard: Counter[bytes | None] = Counter()  # records by key

    def flush(self) -> None:
        if self.run:
            self.heard.update(record.key for record in self.run)
            self.take(self.engine.feed(self.run))
            self.run = []

    def take(self, out: Output) -> None:
        self.alerts += out.alerts
        self.shadow += out.shadow
        self.dead += out.dead


def _by_offset(letter: DeadLetter) -> int:
    return letter.record.offset


# ---- what is written ---------------------------------------------------------------------------------------

ALERTS, SHADOW, DEAD_LETTERS = "alerts.jsonl", "shadow_alerts.jsonl", "dead_letters.jsonl"
_encode = msgspec.json.Encoder().encode


def write_result(result: Result, folder: Path, topic: str = TOPIC) -> None:
    """alerts.jsonl, shadow_alerts.jsonl (contract/alerts, one revision a line) and dead_letters.jsonl, all or, if this
    is interrupted before the end, what was there before.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (
        whole_file(folder / DEAD_LETTERS) as dead,
        whole_file(folder / SHADOW) as shadow,
        whole_file(folder / ALERTS) as alerts,
    ):
        shadow.writelines(encode_alert(alert) + b"\n" for alert in result.shadow)
        alerts.writelines(encode_alert(alert) + b"\n" for alert in result.alerts)
        dead.writelines(dead_line(topic, entry) for entry in result.dead)


def dead_line(topic: str, dead: Dead) -> bytes:
    """A dead letter as a line: why, where in it, where it came from, and the original itself."""
    record, error = dead.letter
    line: dict[str, str | int | None] = {
        "reason": error.reason,
        "path": error.path,
        "detail": error.detail,
        "source_topic": topic,
        "source_partition": dead.partition,
        "source_offset": record.offset,
        "source_timestamp": record.timestamp,
    }
    return _encode(line | bytes_of(record)) + b"\n"
