"""Replay: the very engine that runs live, over a file. One engine for each partition, ticks at their place.

    source = Recording(Path("events.jsonl"), partitions=4)
    write_result(replay(source.entries(), load(), topic=source.topic, close=True), Path("out"))

The result depends on the records, their partitions, the ticks and the catalogue, and not on how the records are cut
into runs. Here alerts and dead letters are held in memory until the end, since they are written in an order for
reading; `unfinished.py` puts them on the disk meanwhile. Records are held for one run of each partition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from config.schema import Catalogue
from streams.columns import DeadLetter, Record
from streams.engine import Engine, Output
from streams.files import whole_file
from streams.recording import TOPIC, bytes_of
from streams.records import Alert, encode_alert
from streams.shard import Make, Shard, obey
from streams.ticks import Tick
from streams.windows import NEVER

RUN_RECORDS = 4_000
HELD_RECORDS = 50_000  # of all shards together
GAP_MIN = 100  # offsets that are missing behind a checkpoint; fewer may be ends of transactions
KEYS_MAX = 1_000_000  # creators of a shard whose records are counted
DAY_MS = 86_400_000
Entries = Iterable[tuple[int, Record | Tick]]  # (partition, record or tick), each partition in order


class Dead(NamedTuple):
    partition: int
    letter: DeadLetter


class Summary(msgspec.Struct, frozen=True):
    """What there is to say of a shard's way beside what came out of it."""

    partition: int
    records: int
    ticks: int
    began: int  # ms, the first watermark; NEVER where there was none
    looked_ms: int  # of event time: gaps in which everybody is forgotten are jumped over
    entities: list[tuple[str, str]]  # (creator, market), those that are known at the end
    volumes: dict[str, int]  # records by their key, which is the creator
    trailing: int = 0  # ticks behind the last record
    gap: int = 0  # offsets that are missing between the state that it began with and the first record


class Result(NamedTuple):
    alerts: list[Alert]  # every revision, in the order of `reading_order`
    shadow: list[Alert]  # likewise, of signals on trial and of creators that a group exempts
    dead: Sequence[Dead]  # by partition and offset
    records: int
    ticks: int
    partitions: tuple[int, ...]  # those that had records
    creators: int  # distinct, at the end
    days: float  # of event time that was looked at: gaps in which everybody is forgotten are jumped over
    entities: list[tuple[str, str]]  # (creator, market), those that are known at the end
    volumes: dict[str, int]  # records by their key, which is the creator
    began: int = NEVER  # ms, the first watermark; NEVER where there was none
    warm_at: int = NEVER  # ms: alerts that opened before it are of the cold phase
    gaps: Mapping[int, int] = MappingProxyType({})  # by partition: offsets missing behind the state that it began with

    def after_warmup(self, ms: int) -> Result:
        """The same, its first `ms` of event time being a cold phase, in which levels are guesses."""
        return self if not ms or self.began == NEVER else self._replace(warm_at=self.began + ms)

    @property
    def warm(self) -> Result:
        """What came out behind the cold phase."""
        if self.warm_at == NEVER:
            return self
        alerts = [alert for alert in self.alerts if alert.opened_at >= self.warm_at]
        shadow = [alert for alert in self.shadow if alert.opened_at >= self.warm_at]
        days = max(self.days - (self.warm_at - self.began) / DAY_MS, 0.0)
        return self._replace(alerts=alerts, shadow=shadow, days=days)


def reading_order(alert: Alert) -> tuple[int, str, str, int, str, str]:
    """As a person reads a log of alerts; the same whatever the partitions were called and how the input was cut."""
    return alert.window_end, alert.entity.id, alert.signal, alert.revision, alert.market, alert.alert_id


class Part:
    """A shard with the run that is being gathered for it, and what came out of it.

    An engine that begins with a state knows the records before its `next_offset`: those are only looked at again, as
    many as alerts may quote and repetitions may come of, and the ticks between them are left out.
    """

    def __init__(self, engine: Engine, before: Summary | None = None) -> None:
        self.shard, self.engine = Shard(engine), engine
        self.known, self.start = engine.next_offset, self.shard.start
        self.before = before or Summary(-1, 0, 0, NEVER, 0, [], {})  # what was done when that state was taken
        self.records = self.ticks = self.gap = 0
        self.met = before is not None or not self.known  # the first record that is not in the state
        self.trailing = self.skip = self.before.trailing
        self.run: list[Record] = []
        self.alerts: list[Alert] = []
        self.shadow: list[Alert] = []
        self.dead: list[DeadLetter] = []
        self.heard: Counter[bytes | None] = Counter()  # records by key

    def add(self, entry: Record | Tick) -> None:
        if isinstance(entry, Tick):
            self.flush()
            self._tick(entry)
        elif entry.offset >= self.start:
            if not self.met and entry.offset >= self.known:
                self.met, self.gap = True, entry.offset - self.known
                if self.gap < GAP_MIN:
                    self.gap = 0
            self.run.append(entry)

    def _tick(self, tick: Tick) -> None:
        """Obey it, if it isn't in the state. One at the state's very end may be obeyed once more, since a recording
        doesn't number its ticks: that changes nothing.
        """
        if tick.after_offset < self.known - 1:
            return
        if self.skip and tick.after_offset == self.known - 1:
            self.skip -= 1
            return
        self.take(obey(self.engine, tick))
        self.ticks += tick.moves
        self.trailing += 1

    def flush(self) -> None:
        if self.run:
            fresh = [record.key for record in self.run if record.offset >= self.known]
            self.records += len(fresh)
            room = len(self.heard) < KEYS_MAX
            self.heard.update(fresh if room else (key for key in fresh if key in self.heard))
            self.take(self.shard.feed(self.run))
            self.run = []
            self.trailing = self.trailing if not fresh else 0

    def take(self, out: Output) -> None:
        self.alerts += out.alerts
        self.shadow += out.shadow
        self.dead += out.dead

    def summary(self, partition: int) -> Summary:
        before = self.before
        volumes = Counter(before.volumes)
        for key, records in self.heard.items():
            if key is not None:
                volumes[key.decode(errors="replace")] += records
        return Summary(
            partition, before.records + self.records, before.ticks + self.ticks,
            before.began if before.began != NEVER else self.engine.began,
            before.looked_ms + self.engine.counts["panes_closed", ""] * self.engine.clock.pane_ms,
            self.engine.watched(), dict(volumes), self.trailing, self.gap or before.gap,
        )  # fmt: skip


Begin = Callable[[int, Make], Part]  # of a partition


def replay(
    entries: Entries,
    catalogue: Catalogue,
    *,
    topic: str = TOPIC,
    close: bool = False,
    run_records: int = RUN_RECORDS,
    progress: Callable[[int], None] = lambda records: None,
    engine: Make = Engine,
    begin: Begin | None = None,
) -> Result:
    """All alert revisions and dead letters of these entries.

    `close` ends the input: panes that wait for a watermark are closed too. `progress` hears now and then how many
    entries have been applied. `begin` gives a shard its beginning, where that is not an engine without any memory.
    """
    parts: dict[int, Part] = {}

    def begun(partition: int) -> Part:
        return Part(engine(catalogue, topic, partition)) if begin is None else begin(partition, engine)

    play(entries, parts, begun, run_records, progress)
    if close:
        close_all(parts)
    summaries = [part.summary(partition) for partition, part in sorted(parts.items())]
    alerts = [alert for part in parts.values() for alert in part.alerts]
    shadow = [alert for part in parts.values() for alert in part.shadow]
    dead = [Dead(p, letter) for p, part in sorted(parts.items()) for letter in sorted(part.dead, key=_by_offset)]
    return result_of(summaries, alerts, shadow, dead)


def play(
    entries: Entries, parts: dict[int, Part], begun: Callable[[int], Part], run_records: int = RUN_RECORDS,
    pause: Callable[[int], None] = lambda records: None,
) -> None:  # fmt: skip
    """Apply all entries to their parts, those that are not there yet made by `begun`. `pause` is called between runs,
    with the number of records seen."""
    seen = 0
    for partition, entry in entries:
        part = parts.get(partition)
        if part is None:
            part = parts[partition] = begun(partition)
        part.add(entry)
        seen += 1
        if len(part.run) >= run_records:
            part.flush()
            pause(seen)
        elif seen % HELD_RECORDS == 0:
            _flush(parts)
            pause(seen)
    _flush(parts)
    pause(seen)


def _flush(parts: Mapping[int, Part]) -> None:
    for part in parts.values():
        part.flush()


def close_all(parts: Mapping[int, Part]) -> None:
    """The input has ended."""
    for part in parts.values():
        part.take(part.engine.close())


def result_of(
    summaries: Sequence[Summary], alerts: list[Alert], shadow: list[Alert], dead: Sequence[Dead]
) -> Result:
    """The result of all shards. `dead` is in order."""
    entities = sorted(name for summary in summaries for name in summary.entities)
    volumes: Counter[str] = Counter()  # all of a creator have one partition, but where a recording says otherwise
    for summary in summaries:
        volumes.update(summary.volumes)
    began = [summary.began for summary in summaries if summary.began != NEVER]
    return Result(
        sorted(alerts, key=reading_order), sorted(shadow, key=reading_order), dead,
        sum(summary.records for summary in summaries), sum(summary.ticks for summary in summaries),
        tuple(sorted(summary.partition for summary in summaries)), len({creator for creator, _ in entities}),
        max((summary.looked_ms for summary in summaries), default=0) / DAY_MS,
        entities, dict(sorted(volumes.items())), min(began, default=NEVER),
        gaps={summary.partition: summary.gap for summary in summaries if summary.gap},
    )  # fmt: skip


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
