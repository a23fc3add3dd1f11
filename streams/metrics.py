"""Every Prometheus metric of Ripcurrent: what it is, what it means, and what to do about it.

`DEFINITIONS` is the whole list; docs/metrics.md is made from it (`python -m streams.metrics > docs/metrics.md`).
`Metrics` fills them in. The worker's loop writes; the HTTP server's thread only reads (`exposition`), and finds each
partition's figures as a frozen `_View`. Ages and lags are worked out when they are read, so that they grow while the
worker hangs. No label has an entity's id; every label has a bounded set of values.
"""

from __future__ import annotations

import platform
import time
import weakref
from collections import Counter as Tally
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
import prometheus_client as prometheus
from prometheus_client.core import GaugeMetricFamily, Metric

from config.schema import Catalogue, Limits
from streams.engine import ENGINE_VERSION, Engine
from streams.entities import UNBORN
from streams.policy import LEVELS
from streams.records import TYPES, Alert
from streams.tally import LATE_BY
from streams.windows import NEVER

PREFIX = "ripcurrent_"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OTHER = "other"  # the label value for whatever is outside of a label's set
MARKETS_MAX = 100  # distinct market labels: markets come from outside
SURVEY_SECONDS = 5.0  # how often what costs a pass over a shard is looked at again
CONTAINER_MAX = 1_024  # longer lists and dictionaries hold events or names, not arrays
REASONS = ("invalid_json", "missing_field", "invalid_field", "key_mismatch", "too_large", "time_unconfirmed")
ORIGINS = ("local", "checkpoint", "empty")  # of a shard's state
STEP_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
CHECKPOINT_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
DELAY_BUCKETS = (30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 21_600.0, 86_400.0)


class Definition(NamedTuple):
    """One metric. `name` is without the prefix; `labels` are its labels, a space between."""

    kind: Literal["counter", "gauge", "histogram", "info"]
    name: str
    labels: str
    meaning: str
    action: str
    buckets: tuple[float, ...] = ()


# fmt: off
DEFINITIONS: dict[str, tuple[Definition, ...]] = {
    "Input": (
        Definition("counter", "records_total", "",
            "Records of the source topic that were applied.",
            "Zero while the topic has traffic: look at consumer lag, then at the worker's log."),
        Definition("counter", "source_bytes_total", "",
            "Bytes of their values, uncompressed.",
            "To divide by: checkpoint_bytes_total / source_bytes_total is under 0.25 over hours of a steady load."),
        Definition("counter", "events_total", "type",
            "Records that are good events, by type.",
            "A type that fell silent: ask its producer; the signals that measure it see nothing."),
        Definition("counter", "tombstones_total", "",
            "Records without a value; they are skipped.",
            "Not expected on this topic: find the producer that deletes."),
        Definition("counter", "unknown_types_total", "",
            "Events of a type that this version doesn't know; they are skipped.",
            "A producer is ahead: upgrade Ripcurrent if signals need the new type."),
        Definition("counter", "dead_letters_total", "reason",
            "Records that were set aside in the dead-letter topic, by the rule that they broke.",
            "See `ripcurrent dlq list`: field, origin and reason of each. Mend the producer, then docs/operations.md."),
        Definition("gauge", "consumer_lag_records", "partition",
            "Records between what was applied and the partition's end when it was last fetched.",
            "Growing: the worker is too slow or stuck. Compare step time; add workers up to the partition count."),
        Definition("gauge", "brokers_away_seconds", "",
            "How long no broker has answered, or none has acknowledged the oldest alert or checkpoint that was sent.",
            "Some seconds: look at Kafka. The worker waits, loses nothing, and ends at limits.brokers_away_seconds."),
        Definition("gauge", "group_silence_seconds", "",
            "How long ago the heartbeat was sent that the group last answered with: you are a member.",
            "Over 6: its partitions may be another's, so nothing is judged. Look for a worker without processor time."),
        Definition("gauge", "consumer_lag_seconds", "partition",
            "How long ago the newest applied record was appended; 0 when nothing waits.",
            "This late alerts are because of us. As for consumer_lag_records."),
    ),
    "Event time": (
        Definition("gauge", "watermark_seconds", "partition",
            "Event time up to which panes are closed, as a Unix time; absent before the first.",
            "Stuck while events arrive: too few creators for the quorum, or producers whose clocks stand still."),
        Definition("gauge", "watermark_lag_seconds", "partition",
            "Wall clock less watermark.",
            "Large with little consumer lag: events come late or ticks don't. Large by nature when history is played."),
        Definition("counter", "panes_closed_total", "",
            "Panes that were closed and judged.",
            "Zero while events arrive: as for watermark_seconds."),
        Definition("counter", "ticks_total", "",
            "Ticks obeyed: panes of quiet partitions closed by the wall clock.",
            "Many at a busy hour: partitions are starved of events."),
        Definition("counter", "duplicates_total", "",
            "Events whose event_id was delivered before, within `limits.duplicates` records; they count once.",
            "Some after a producer's restart. Many for long: a producer sends everything twice."),
        Definition("counter", "late_events_total", "by",
            "Events behind the watermark, by up to how much; they count in the windows that are still to come.",
            "A growing share: producers buffer for longer than `lateness` in config/engine.yaml."),
        Definition("counter", "too_late_events_total", "",
            "Additions refused because their pane is gone: an event counts once for each measure that missed it.",
            "Find the late producer; what it sends is in no window."),
        Definition("counter", "early_orders_total", "",
            "Outcomes of orders from before the stream began; no outcome test counts them.",
            "Falls to nothing within 45 days of a start. If not: a producer gives a wrong `ref_at`."),
        Definition("counter", "unconfirmed_events_total", "",
            "Events so far ahead of the watermark that others had to confirm their time.",
            "A steady rate: a producer's clock is wrong. Those never confirmed are dead letters, time_unconfirmed."),
        Definition("gauge", "waiting_events", "partition",
            "Events that wait for their pane to open or for others to confirm their time.",
            "Near limits{limit=\"waiting\"}: clocks ahead; further events will be dead letters."),
    ),
    "Judging": (
        Definition("histogram", "steps_seconds", "",
            "Time to apply one run of records, judging included.",
            "Slower than the runs arrive: lag grows. Compare stepped_entities_total and entities.", STEP_BUCKETS),
        Definition("counter", "stepped_entities_total", "signal",
            "Times that an entity was scored by a statistical test, by signal.",
            "The signal with the most is where the time goes: a longer hop is cheaper."),
        Definition("counter", "alerts_total", "signal severity market status",
            "Alert revisions acknowledged by Kafka. A series begins with its first revision.",
            "A burst in one market: one incident, or a signal that doesn't fit it. See the signal's false positives."),
        Definition("counter", "shadow_alerts_total", "signal",
            "Alert revisions that went to risk-alerts-shadow: of a signal on trial, or about a creator that is exempt.",
            "Compare with alerts_total before a signal becomes active. For why one stands aside, see its labels."),
        Definition("counter", "overturned_events_total", "",
            "Events that were taken back by a later one; alerts that rested on them are retracted.",
            "Many: moderation corrects itself often; look at which kind, and at its alerts."),
        Definition("histogram", "alert_delay_seconds", "",
            "From the end of the window that an alert speaks of to its acknowledgement by Kafka.",
            "What its readers feel. Look at watermark lag and consumer lag.", DELAY_BUCKETS),
        Definition("counter", "suppressed_total", "signal",
            "Alerts that cooldown kept back.",
            "Many: the threshold is at the edge of the usual, or resolve_after is too short."),
        Definition("gauge", "open_episodes", "signal",
            "Episodes open now.",
            "Growing without end: nothing resolves; see the signal's hysteresis and resolve_after."),
        Definition("gauge", "market_open_episodes", "market severity",
            "Episodes open now, by market.",
            "All at once in one market: look for one cause before looking at creators."),
        Definition("gauge", "market_newest_event_seconds", "market",
            "Event time of the market's newest event in this worker, as a Unix time.",
            "Far behind the other markets: its producers are silent, and silence is no good news."),
        Definition("gauge", "market_entities", "market",
            "Creators watched, by market.",
            "A sudden step: a new producer, or ids that changed."),
    ),
    "State": (
        Definition("gauge", "entities", "partition",
            "(creator, market) pairs watched.",
            "Near limits{limit=\"entities\"}: newcomers will go unwatched; raise the limit or add partitions."),
        Definition("gauge", "state_bytes", "partition",
            "Bytes of the shard's arrays. The process has more: process_resident_memory_bytes.",
            "Size workers by it: docs/operations.md."),
        Definition("counter", "forgotten_entities_total", "",
            "Creators forgotten after `inactive_after`; should they return, they begin anew.",
            "Many: inactive_after is short for this market."),
        Definition("gauge", "checkpoint_age_seconds", "partition",
            "Since the newest checkpoint on Kafka; before the first, since the shard was taken over.",
            "Hours are no fault where little comes. Look at checkpoint_behind_bytes; over two days: at the log."),
        Definition("gauge", "checkpoint_behind_bytes", "partition",
            "Bytes of the source since that checkpoint: what a crash does again where there is no copy on disk.",
            "Far over checkpoint_due_bytes: producer errors, or a topic that refuses its size; the log says which."),
        Definition("gauge", "checkpoint_due_bytes", "partition",
            "At how many of those the next checkpoint is written (RIPCURRENT_CHECKPOINT_SHARE).",
            "A restart without a disk takes too long: a larger share makes it less, and writes more."),
        Definition("gauge", "local_copy_age_seconds", "partition",
            "Since the newest copy in RIPCURRENT_STATE_DIR; absent where there is none yet.",
            "Minutes while records come: the disk is full or slow; the log says which. Only restarts are slower."),
        Definition("histogram", "checkpoint_seconds", "",
            "Time to write one checkpoint, or copy, until it was acknowledged.",
            "Slow: the brokers, the disk, or a state that grew.", CHECKPOINT_BUCKETS),
        Definition("counter", "checkpoint_bytes_total", "",
            "Bytes written to the checkpoint topic, before Kafka compresses them.",
            "Over a quarter of source_bytes_total for hours: many rebalances, or little comes and a day has passed."),
        Definition("counter", "local_copy_bytes_total", "",
            "Bytes written to copies in RIPCURRENT_STATE_DIR.",
            "More than the disk bears: a longer RIPCURRENT_CHECKPOINT_SECONDS."),
        Definition("counter", "checkpoint_restores_total", "source",
            "Shards taken over, by where their state came from.",
            "`empty` after the first day: a checkpoint was lost or refused; the log says which and why."),
        Definition("histogram", "restore_seconds", "",
            "Time to bring one shard's state back, the records behind it not included.",
            "Slow from the topic: set RIPCURRENT_STATE_DIR to a folder that lasts.", CHECKPOINT_BUCKETS),
        Definition("gauge", "restore_progress", "partition",
            "How much of a shard's state is read and unpacked, 0 to 1; 1 when it is here.",
            "Stands still: the log says at what. Behind it a few records are read again, then /readyz is 200."),
        Definition("counter", "checkpoint_faults_total", "",
            "Checkpoints that could not be used at a restore: torn or harmed, so that an older one was.",
            "Any: the log says which and why. One that is torn comes from a worker that died while it wrote."),
        Definition("gauge", "assigned_partitions", "",
            "Partitions that the group gave to this worker.",
            "Uneven between workers, or their sum under the partition count: a worker is missing."),
        Definition("gauge", "restored_partitions", "",
            "Of those, how many have their state and are worked on.",
            "Fewer than assigned for minutes: a restore is stuck; /readyz is 503 for as long."),
        Definition("counter", "rebalances_total", "",
            "Times that the group settled anew.",
            "More than deployments explain: workers crash, or miss their session timeout."),
    ),
    "Limits and versions": (
        Definition("counter", "limit_hits_total", "limit",
            "Times that a limit turned something away.",
            "Any: something was not watched. Raise the limit or find the flood; compare limits."),
        Definition("gauge", "limits", "limit",
            "The limits of one shard as configured.",
            "To divide by: entities / limits says how full it is."),
        Definition("info", "config_info", "version",
            "The hash of the configuration in force; alerts carry it.",
            "Different between workers for long: a roll-out is stuck."),
        Definition("gauge", "config_refused", "",
            "1 while the newest configuration in the folder is refused and the last good one stays in force.",
            "The log says each error with file, line and path; `ripcurrent check` says the same."),
        Definition("counter", "config_reloads_total", "result",
            "Times that a changed configuration was read: taken, or refused.",
            "Refused: as for config_refused."),
        Definition("info", "engine_info", "version",
            "The version of the engine's arithmetic; alerts carry it.",
            "Different between workers: alerts differ by where a creator falls. Finish the roll-out."),
        Definition("info", "build_info", "version python",
            "The release and the Python that run.",
            "As for engine_info."),
        Definition("info", "signal_info", "signal lifecycle",
            "The signals in force, with the part of a creator's life that they watch.",
            "To join with: alerts_total * on (signal) group_left (lifecycle) signal_info."),
    ),
}
# fmt: on

_TALLIES = {  # Engine.counts, by what -> the counter; what has no label of its own is summed
    "duplicates": "duplicates_total",
    "late": "late_events_total",
    "too_late": "too_late_events_total",
    "early_order": "early_orders_total",
    "panes_closed": "panes_closed_total",
    "waiting": "unconfirmed_events_total",
    "stepped": "stepped_entities_total",
    "suppressed": "suppressed_total",
    "limit_hit": "limit_hits_total",
    "forgotten": "forgotten_entities_total",
    "aside": "shadow_alerts_total",
    "overturned": "overturned_events_total",
}


LABELLED = (  # by what the engine counted, not summed over it
    "stepped_entities_total", "suppressed_total", "shadow_alerts_total", "limit_hits_total", "late_events_total",
)  # fmt: skip


class _View(NamedTuple):
    """What a scrape sees of one partition; replaced as a whole, never changed."""

    since: float  # s, Unix time of the newest checkpoint on Kafka or of the takeover
    copied: float | None = None  # s, Unix time of the newest copy on disk
    behind: int = 0  # bytes of the source since the newest checkpoint on Kafka
    due: int = 0  # at how many the next is written
    watermark: int = NEVER  # ms
    waiting: int = 0
    entities: int = 0
    position: tuple[int, int] | None = None  # (records that wait, ms append time of the newest applied one)
    surveyed_at: float = float("-inf")  # s; what follows is of then
    state_bytes: int = 0
    episodes: Mapping[str, int] = {}  # by signal
    market_episodes: Mapping[tuple[str, str], int] = {}  # by market and severity
    market_entities: Mapping[str, int] = {}
    market_newest: Mapping[str, int] = {}  # ms


class Metrics:
    """The metrics of one process, in a registry of their own. Built once, in the shell; written by one thread."""

    def __init__(self, catalogue: Catalogue, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._registry = prometheus.CollectorRegistry()
        self._counters: dict[str, prometheus.Counter] = {}
        self._histograms: dict[str, prometheus.Histogram] = {}
        self._views: dict[int, _View] = {}  # by partition
        self._seen: weakref.WeakKeyDictionary[Engine, dict[tuple[str, str], int]] = weakref.WeakKeyDictionary()
        self._markets: set[str] = set()  # those with a label of their own
        self._assigned: frozenset[int] = frozenset()
        self._restoring: dict[int, float] = {}  # by partition, those that have no view yet: how much is done
        self._refused = False  # the newest configuration
        self._away = self._silence = 0.0  # s
        self._build = version("ripcurrent"), platform.python_version()
        for one in (definition for section in DEFINITIONS.values() for definition in section):
            name, labels = PREFIX + one.name, one.labels.split()
            if one.kind == "counter":
                self._counters[one.name] = prometheus.Counter(name, one.meaning, labels, registry=self._registry)
            elif one.kind == "histogram":
                self._histograms[one.name] = prometheus.Histogram(
                    name, one.meaning, labels, registry=self._registry, buckets=one.buckets
                )
        self._registry.register(_Views(self))
        prometheus.ProcessCollector(registry=self._registry)
        self.configured(catalogue)

    def configured(self, catalogue: Catalogue) -> None:
        """This catalogue is in force. Series with known labels begin at 0, so that a rate sees their first step."""
        self._catalogue = catalogue
        self._markets |= {code for code in sorted(catalogue.markets)[:MARKETS_MAX] if code != "default"}
        for name, values in (
            ("events_total", TYPES),
            ("dead_letters_total", REASONS),
            ("stepped_entities_total", catalogue.signals),
            ("suppressed_total", catalogue.signals),
            ("shadow_alerts_total", catalogue.signals),
            ("limit_hits_total", [*msgspec.structs.asdict(Limits()), "market_labels", "categories", "cohorts"]),
            ("checkpoint_restores_total", ORIGINS),
            ("late_events_total", LATE_BY),
            ("config_reloads_total", ("taken", "refused")),
        ):
            for value in values:
                self._counters[name].labels(value)

    # -- input and output --------------------------------------------------------------------------------------

    def fed(self, records: int, seconds: float, size_bytes: int = 0) -> None:
        """A run of so many records was applied in so many seconds; what had not come before has so many bytes."""
        self._counters["source_bytes_total"].inc(size_bytes)
        self._counters["records_total"].inc(records)
        self._histograms["steps_seconds"].observe(seconds)

    def position(self, partition: int, next_offset: int, end_offset: int, timestamp_ms: int) -> None:
        """All before `next_offset` is applied, the newest of it appended at `timestamp_ms`."""
        if partition in self._views:  # else it is late news of a partition that was lost
            waiting = max(end_offset - next_offset, 0)
            self._set_view(partition, self._views[partition]._replace(position=(waiting, timestamp_ms)))

    def brokers_away(self, seconds: float) -> None:
        """For so long the brokers have not answered, or not acknowledged something."""
        self._away = seconds

    def group_silence(self, seconds: float) -> None:
        """For so long the group has not confirmed the membership."""
        self._silence = seconds

    def tick(self) -> None:
        """A tick was obeyed."""
        self._counters["ticks_total"].inc()

    def reloaded(self, catalogue: Catalogue, *, refused: bool) -> None:
        """The configuration's folder changed; this catalogue is in force now."""
        self._refused = refused
        self._counters["config_reloads_total"].labels("refused" if refused else "taken").inc()
        self.configured(catalogue)

    def dead_letter(self, reason: str) -> None:
        """A record is in the dead-letter topic."""
        self._counters["dead_letters_total"].labels(reason if reason in REASONS else OTHER).inc()

    def alert(self, alert: Alert) -> None:
        """A revision is acknowledged."""
        market = self._market(alert.market)
        if market == OTHER:
            self._counters["limit_hits_total"].labels("market_labels").inc()
        self._counters["alerts_total"].labels(alert.signal, alert.severity, market, alert.status).inc()
        self._histograms["alert_delay_seconds"].observe(max(self._now() - alert.window_end / 1_000, 0.0))

    # -- shards ------------------------------------------------------------------------------------------------

    def assigned(self, partitions: Collection[int]) -> None:
        """The group has settled: these are ours; the rest is forgotten."""
        self._assigned = frozenset(partitions)
        self._counters["rebalances_total"].inc()
        for partition in (self._views.keys() | self._restoring.keys()) - self._assigned:
            self.forget(partition)

    def restoring(self, partition: int, ratio: float) -> None:
        """So much of a shard's state is here."""
        self._restoring = {**self._restoring, partition: ratio}

    def restored(
        self, partition: int, engine: Engine, source: str, seconds: float = 0.0, faults: int = 0,
        written: float | None = None,
    ) -> None:  # fmt: skip
        """A shard begins, from a "local" copy, a "checkpoint" or "empty", after `faults` that could not be used; its
        newest checkpoint on Kafka was `written` then (Unix s).

        What its engine counted before is not counted again.
        """
        self._restoring = {p: ratio for p, ratio in self._restoring.items() if p != partition}
        self._histograms["restore_seconds"].observe(seconds)
        self._counters["checkpoint_faults_total"].inc(faults)
        self._counters["checkpoint_restores_total"].labels(source if source in ORIGINS else OTHER).inc()
        self._seen[engine] = dict(_totals(engine))
        self._set_view(partition, _View(since=self._now() if written is None else written))

    def observe_engine(self, partition: int, engine: Engine) -> None:
        """Copy what the engine counted since it was last seen. Cheap enough to follow every run.

        An engine that `restored` never announced is taken to have counted from nothing.
        """
        seen, totals = self._seen.get(engine, {}), dict(_totals(engine))
        for key, total in totals.items():
            if (new := total - seen.get(key, 0)) > 0:
                self._count(*key, new)
        self._seen[engine] = totals
        view = (self._views.get(partition) or _View(since=self._now()))._replace(
            watermark=engine.clock.closed,
            waiting=len(engine.near) + len(engine.far),
            entities=engine.people.live,
        )
        if not 0 <= self._now() - view.surveyed_at < SURVEY_SECONDS:
            view = self._survey(view, engine)
        self._set_view(partition, view)

    def account(self, partition: int, behind: int, due: int) -> None:
        """So many bytes of the source came since the newest checkpoint on Kafka; at so many the next is written."""
        if partition in self._views:
            self._set_view(partition, self._views[partition]._replace(behind=behind, due=due))

    def checkpointed(self, partition: int, size_bytes: int, disk_bytes: int, seconds: float) -> None:
        """So much is safe on Kafka and on disk, 0 where nothing was due, so many seconds after it was begun."""
        self._counters["checkpoint_bytes_total"].inc(size_bytes)
        self._counters["local_copy_bytes_total"].inc(disk_bytes)
        self._histograms["checkpoint_seconds"].observe(seconds)
        if partition in self._views:
            view, now = self._views[partition], self._now()
            since, copied = now if size_bytes else view.since, now if disk_bytes else view.copied
            self._set_view(partition, view._replace(since=since, copied=copied))

    def forget(self, partition: int) -> None:
        """No longer ours: its labels go, what was counted stays."""
        self._views = {p: view for p, view in self._views.items() if p != partition}
        self._restoring = {p: ratio for p, ratio in self._restoring.items() if p != partition}
        self._assigned -= {partition}

    def _set_view(self, partition: int, view: _View) -> None:
        self._views = {**self._views, partition: view}  # never changed in place: a scrape may be reading it

    def _count(self, name: str, label: str, by: int) -> None:
        counter = self._counters[name]
        (counter.labels(label) if label else counter).inc(by)

    def _market(self, market: str) -> str:
        if market not in self._markets:
            if len(self._markets) >= MARKETS_MAX:
                return OTHER
            self._markets.add(market)
        return market

    def _survey(self, view: _View, engine: Engine) -> _View:
        """What needs a pass over the shard."""
        people, names = engine.people, [self._market(market) for market in engine.entities.markets]
        live = np.flatnonzero(people.born != UNBORN)
        market = people.market_of[live]
        newest = np.full(len(names), NEVER, dtype=np.int64)  # (n_markets,) ms
        np.maximum.at(newest, market, people.last_seen[live])
        entities: Tally[str] = Tally()
        latest: dict[str, int] = {}
        sizes = np.bincount(market, minlength=len(names)).tolist()
        for name, size, when in zip(names, sizes, newest.tolist(), strict=True):
            entities[name] += size
            latest[name] = max(when, latest.get(name, NEVER))
        episodes: Tally[str] = Tally(engine.plan.names[signal] for signal, _ in engine.episodes)
        by_market: Tally[tuple[str, str]] = Tally(
            (self._market(who[1]), LEVELS[episode.severity])
            for (_, slot), episode in engine.episodes.items()
            if (who := engine.entities.names[slot]) is not None
        )
        return view._replace(
            surveyed_at=self._now(),
            state_bytes=state_bytes(engine),
            episodes=dict(episodes),
            market_episodes=dict(by_market),
            market_entities=dict(entities),
            market_newest=latest,
        )

    # -- reading -----------------------------------------------------------------------------------------------

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format (CONTENT_TYPE). From any thread."""
        return prometheus.generate_latest(_WithoutCreated(self._registry))

    def value(self, name: str, **labels: str) -> float | None:
        """One sample, by its name without the prefix; None where there is no such series."""
        return self._registry.get_sample_value(PREFIX + name, labels)

    def _samples(self) -> dict[str, dict[tuple[str, ...], float]]:
        """Of every gauge and info: labels -> value."""
        now, views, catalogue = self._now(), self._views, self._catalogue
        by_partition: dict[tuple[str, ...], _View] = {(str(p),): view for p, view in sorted(views.items())}
        timed = {p: view.watermark / 1_000 for p, view in by_partition.items() if view.watermark != NEVER}
        placed = {p: view.position for p, view in by_partition.items() if view.position is not None}
        open_episodes = _sums(view.episodes for view in views.values())
        newest = [item for view in views.values() for item in view.market_newest.items() if item[1] != NEVER]
        return {
            "consumer_lag_records": {p: n for p, (n, _) in placed.items()},
            "consumer_lag_seconds": {p: max(now - at / 1_000, 0.0) if n else 0.0 for p, (n, at) in placed.items()},
            "brokers_away_seconds": {(): self._away},
            "group_silence_seconds": {(): self._silence},
            "watermark_seconds": timed,
            "watermark_lag_seconds": {p: now - at for p, at in timed.items()},
            "waiting_events": {p: view.waiting for p, view in by_partition.items()},
            "open_episodes": {(s,): open_episodes.get(s, 0) for s in [*catalogue.signals, *open_episodes]},
            "market_open_episodes": dict(_sums(view.market_episodes for view in views.values())),
            "market_newest_event_seconds": {(m,): at / 1_000 for m, at in sorted(newest, key=lambda item: item[1])},
            "market_entities": {(m,): n for m, n in _sums(view.market_entities for view in views.values()).items()},
            "entities": {p: view.entities for p, view in by_partition.items()},
            "state_bytes": {p: view.state_bytes for p, view in by_partition.items()},
            "checkpoint_age_seconds": {p: max(now - view.since, 0.0) for p, view in by_partition.items()},
            "checkpoint_behind_bytes": {p: view.behind for p, view in by_partition.items()},
            "checkpoint_due_bytes": {p: view.due for p, view in by_partition.items()},
            "local_copy_age_seconds": {
                p: max(now - view.copied, 0.0) for p, view in by_partition.items() if view.copied is not None
            },
            "restore_progress": {(str(p),): ratio for p, ratio in sorted(self._restoring.items())}
            | dict.fromkeys(by_partition, 1.0),
            "assigned_partitions": {(): len(self._assigned)},
            "restored_partitions": {(): len(views.keys() & self._assigned)},
            "limits": {(limit,): value for limit, value in _limits(catalogue).items()},
            "config_info": {(catalogue.version,): 1},
            "config_refused": {(): int(self._refused)},
            "engine_info": {(ENGINE_VERSION,): 1},
            "build_info": {self._build: 1},
            "signal_info": {(name, signal.lifecycle): 1 for name, signal in catalogue.signals.items()},
        }


class _Views:
    """Collects the gauges of a `Metrics`."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        samples = self._metrics._samples()
        for one in (definition for section in DEFINITIONS.values() for definition in section):
            if one.kind in ("gauge", "info"):
                family = GaugeMetricFamily(PREFIX + one.name, one.meaning, labels=one.labels.split())
                for labels, value in samples[one.name].items():
                    family.add_metric(labels, value)
                yield family

    def describe(self) -> Iterator[Metric]:
        return iter(())


class _WithoutCreated:
    """A registry without the `_created` series, which double the number of series and which nothing here uses."""

    def __init__(self, registry: prometheus.CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


def _sums(parts: Iterable[Mapping[Any, int]]) -> Tally[Any]:
    total: Tally[Any] = Tally()
    for part in parts:
        total.update(part)
    return total


def _limits(catalogue: Catalogue) -> dict[str, float]:
    return {**msgspec.structs.asdict(catalogue.engine.limits), "market_labels": MARKETS_MAX}


def _totals(engine: Engine) -> Iterator[tuple[tuple[str, str], int]]:
    """All that the engine counted since it began: ((counter, label), total)."""
    reader = engine.reader
    for kind, total in reader.events.items():
        yield ("events_total", kind), total
    yield ("tombstones_total", ""), reader.tombstones
    yield ("unknown_types_total", ""), reader.unknown_types
    plain: Tally[str] = Tally()
    for (what, label), total in engine.counts.items():
        name = _TALLIES.get(what)
        if name in LABELLED:
            yield (name, label), total
        elif name:
            plain[name] += total
    for name, total in plain.items():
        yield (name, ""), total


def state_bytes(engine: Engine) -> int:
    """Bytes of the numpy arrays in the engine's parts: a walk over attributes, not over events or names."""
    seen: set[int] = set()
    total = 0
    left: deque[Any] = deque([engine])
    while left:
        item = left.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, np.ndarray):
            if isinstance(item.base, np.ndarray):
                left.append(item.base)  # a view: what it looks at, once
            else:
                total += item.nbytes
        elif isinstance(item, dict | list | tuple | deque):
            if len(item) <= CONTAINER_MAX:
                left.extend(item.values() if isinstance(item, dict) else item)
        elif type(item).__module__.startswith(("streams.", "detectors.")) and hasattr(item, "__dict__"):
            left.extend(vars(item).values())
    return total


def reference() -> str:
    """docs/metrics.md."""
    lines = [
        "# Metrics",
        "",
        "What the worker serves at `/metrics`. Made from `streams/metrics.py`; a test fails when it is stale:",
        "`python -m streams.metrics > docs/metrics.md`.",
        "",
        f"Markets come from outside: after {MARKETS_MAX} distinct ones, further ones are `{OTHER}`. Every other",
        "label has a fixed set of values or takes them from the configuration; none has an entity's id. Beside these",
        "there are the usual `process_*` metrics.",
    ]
    for section, definitions in DEFINITIONS.items():
        lines += ["", f"## {section}", "", "| metric | kind | labels | what it means | what to do |"]
        lines.append("|---|---|---|---|---|")
        for one in definitions:
            labels = ", ".join(f"`{label}`" for label in one.labels.split())
            lines.append(f"| `{PREFIX}{one.name}` | {one.kind} | {labels} | {one.meaning} | {one.action} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(reference(), end="")
