"""The shard engine: records in, alert revisions out. Pure, and the only part of the core that changes.

A batch is cut at the very record behind which a pane closes. Up to the cut its events are added into panes; at the
cut the pane is judged, episodes are decided, and, every hour, expectations are learned. So neither the batching of
the input nor its speed can show in the output.
"""

from collections import Counter
from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from msgspec import UNSET

from config.schema import Catalogue, millis
from detectors.base import Bools, Ints
from streams.alerts import AlertWriter
from streams.columns import Batch, DeadLetter, Entities, Reader, Record, joined
from streams.entities import UNBORN, Population
from streams.errors import RecordError
from streams.evidence import EvidenceBuffer
from streams.patterns import RepeatWatch, SequenceWatch
from streams.plan import Plan, Probe
from streams.policy import Episode, Reading, alert_id, continued, opened, thresholds, window_thresholds
from streams.rates import DAY, HOUR, TURN, Judged, RateWatch
from streams.records import Alert, Event
from streams.windows import NEVER, Watermark

ENGINE_VERSION = "2"  # of the arithmetic: a change of any number in an alert changes it
FAR_MAX = 1_024  # events that wait for others to confirm their time
BELIEVED_AT_CLOSE = 30 * DAY  # when the input ends, times no further than this beyond the watermark are believed


class Output(NamedTuple):
    alerts: list[Alert]
    dead: list[DeadLetter]


class Engine:
    """One shard: a partition's state and how it moves."""

    def __init__(self, catalogue: Catalogue, topic: str, partition: int) -> None:
        settings = catalogue.engine
        self.catalogue = catalogue
        self.limits = settings.limits
        self.entities = Entities()
        self.people = Population(self.entities)
        self.plan = Plan(catalogue, self.people)
        self.reader = Reader(self.plan.routes, self.entities)
        self.clock = Watermark(
            millis(settings.pane), millis(settings.lateness), settings.quorum, millis(settings.ahead)
        )
        self.evidence = EvidenceBuffer(topic, partition, self.limits.evidence)
        self.writer = AlertWriter(catalogue, self.plan, self.evidence, self.entities, ENGINE_VERSION)
        self.inactive_after, self.freeze = millis(settings.inactive_after), millis(settings.freeze)
        self.started = NEVER  # ms, the first watermark
        self.next_offset = 0  # of the source, after the last record that was applied
        self.trusted_offset = -1  # of the newest event whose time was believed at once
        self.near: list[tuple[Batch, int]] = []  # events beyond the open panes: (batch of one, time)
        self.far: list[tuple[Batch, int, int]] = []  # unconfirmed events: (batch of one, time, waiting since)
        self.episodes: dict[tuple[int, int], Episode] = {}  # (signal, slot)
        self.rested: dict[tuple[int, int], tuple[int, int]] = {}  # (signal, slot) -> resolved at, severity
        self.counts: Counter[tuple[str, str]] = Counter()  # (what, label), for the metrics
        self._alerts: list[Alert] = []
        self._dead: list[DeadLetter] = []

    # -- input -------------------------------------------------------------------------------------------------

    def feed(self, records: Sequence[Record]) -> Output:
        """Apply a run of records, in order of offset."""
        self._free_rows()
        batch, dead = self.reader.read(records)
        self._dead += dead
        self._grow()
        self._apply(batch)
        self.next_offset = max(self.next_offset, batch.next_offset)
        return self._output()

    def tick(self, up_to: int) -> Output:
        """Event time is at least `up_to`, though no event says so."""
        if self.clock.closed != NEVER:
            while self.clock.closed + self.clock.pane_ms <= up_to:
                self._close_pane()
        return self._output()

    def close(self) -> Output:
        """The input has ended: believe what waits, and close panes until every event stood in a window of each hop."""
        while self._believe_at_close():
            pass
        for batch, *_ in self.far:
            self._reject(batch, "the input ended before others confirmed its time")
        self.far = []
        newest = max([t for _, t in self.near] + [int(self.people.last_seen.max(initial=NEVER))])
        last = max((newest // probe.hop + 1) * probe.hop for probe in self.plan.probes)
        while NEVER != self.clock.closed < last:
            self._close_pane()
        return self._output()

    def prefill(self, records: Sequence[Record]) -> None:
        """Records from before a checkpoint: only to be quoted by alerts."""
        reader = Reader(self.plan.routes, self.entities)
        batch, _ = reader.read(records)
        self._grow()
        self.evidence.remember(batch)

    def _output(self) -> Output:
        out = Output(self._alerts, self._dead)
        self._alerts, self._dead = [], []
        return out

    # -- time --------------------------------------------------------------------------------------------------

    def _apply(self, batch: Batch) -> None:
        """Add events, cutting wherever a pane closes and wherever a time is too far ahead to be believed."""
        at, n = 0, len(batch.offset)
        while at < n:
            far = np.flatnonzero(batch.time[at:] >= self.clock.far)
            stop = at + int(far[0]) if len(far) else n
            cut = self.clock.advance(batch.time[at:stop], batch.creator[at:stop])
            part = batch.part(at, at + cut.at)
            self.evidence.remember(part)
            self._add(part)
            if cut.at:
                self.trusted_offset = int(part.offset[-1])
            at += cut.at
            while self.clock.ready():
                self._close_pane()
            if not cut.moved and at < n:
                self._wait_for_others(batch.part(at, at + 1))
                at += 1

    def _wait_for_others(self, one: Batch) -> None:
        self.evidence.remember(one)
        self.far.append((one, int(one.time[0]), self.clock.closed))
        self.counts["waiting", "unconfirmed"] += 1
        times = np.array([time for _, time, _ in self.far], dtype=np.int64)
        creators = np.array([int(batch.creator[0]) for batch, *_ in self.far], dtype=np.int64)
        alone = np.array([int(batch.offset[0]) > self.trusted_offset for batch, *_ in self.far])
        confirmed = self.clock.confirmed(times, creators, alone)
        if confirmed.any():
            self._believe(confirmed)
        elif len(self.far) > FAR_MAX:
            self._reject(self.far.pop(0)[0], f"more than {FAR_MAX} events wait for others to confirm their time")

    def _believe(self, confirmed: np.ndarray) -> None:
        """Others confirm these times: event time moves to the oldest of them, and they count."""
        ours = [entry for entry, yes in zip(self.far, confirmed.tolist(), strict=True) if yes]
        others = [entry for entry, yes in zip(self.far, confirmed.tolist(), strict=True) if not yes]
        pane = self.clock.pane_ms
        target = max((min(time for _, time, _ in ours) - self.clock.lateness_ms) // pane * pane, 0)
        self.far = [(batch, time, max(target, since)) for batch, time, since in others]  # the gap is no waiting time
        self._move_to(target)
        for batch, time, since in ours:
            if batch.time[0] < self.clock.far:
                cut = self.clock.advance(batch.time, batch.creator)
                self._add(batch)
                while cut.moved and self.clock.ready():
                    self._close_pane()
            else:
                self.far.append((batch, time, since))

    def _move_to(self, target: int) -> None:
        """Close panes up to `target`; over a gap in which everybody is forgotten, jump."""
        if self.clock.closed == NEVER:
            self.started = self.clock.move_to(target)
            for ring in self.plan.rings.values():
                ring.open_until(target + HOUR)
            return
        last = min(target, self.clock.closed + self.inactive_after + 2 * DAY)
        while self.clock.closed < last:
            self._close_pane()
        if self.clock.closed < target:
            self.started = self.clock.move_to(target)
            for ring in self.plan.rings.values():
                ring.open_until(target + HOUR)
            for watch in self.plan.rate_watches():
                watch.jump()

    def _believe_at_close(self) -> bool:
        if not self.far:
            return False
        times = np.array([time for _, time, _ in self.far], dtype=np.int64)
        if self.clock.closed == NEVER:  # an input too small for a quorum: begin where most of it is
            middle = int(np.sort(times)[(len(times) - 1) // 2])
            times = np.where(np.abs(times - middle) <= BELIEVED_AT_CLOSE, times, np.iinfo(np.int64).max)
        elif times.min() > self.clock.closed + BELIEVED_AT_CLOSE:
            return False
        first = times.min()
        self._believe((times >= first) & (times < first + self.clock.ahead_ms))
        return True

    def _reject(self, one: Batch, why: str) -> None:
        self._dead.append(DeadLetter(one.records[0], RecordError("time_unconfirmed", "$.occurred_at", why)))

    def _close_pane(self) -> None:
        """The next pane is over: count, judge, decide, learn; then open the next and let in what waited for it."""
        end = self.clock.close_pane()
        self.counts["panes_closed", ""] += 1
        for watch in self.plan.rate_watches():
            watch.close_pane(end)
        readings: dict[tuple[int, int], list[Reading]] = {}
        for probe in self.plan.probes:
            if end % probe.hop == 0:
                self._judge(probe, end, readings)
        self._decide(readings, end)
        if end % HOUR == 0:
            self._learn(end)
        for ring in self.plan.rings.values():
            ring.open_until(end + HOUR)
        self._let_in(end)

    def _let_in(self, end: int) -> None:
        if self.near:
            over = [batch for batch, time in self.near if time < end + HOUR]
            self.near = [entry for entry in self.near if entry[1] >= end + HOUR]
            if over:
                self._add(joined(over))
        if self.far:
            waiting, self.far = self.far, []
            for batch, time, since in waiting:
                if time < self.clock.far:  # event time has come near by itself
                    self._add(batch)
                elif since != NEVER and end - since >= self.clock.ahead_ms:
                    self._reject(batch, "no other creator confirmed its time")
                else:
                    self.far.append((batch, time, since))

    # -- events ------------------------------------------------------------------------------------------------

    def _add(self, batch: Batch) -> None:
        """Add events into panes. Those beyond the open panes wait."""
        if not len(batch.offset):
            return
        beyond = np.flatnonzero(batch.time >= self.clock.closed + HOUR)
        for i in beyond.tolist():
            if len(self.near) < self.limits.waiting:
                self.near.append((batch.part(i, i + 1), int(batch.time[i])))
            else:
                self.counts["limit_hit", "waiting"] += 1
                self._reject(batch.part(i, i + 1), "too many events wait for their pane to open")
        keep = batch.time < self.clock.closed + HOUR
        time, slot, route = batch.time[keep], batch.slot[keep], batch.route[keep]
        counts, new = self.people.arrive(slot, time, batch.category[keep], self.limits.entities)
        for watch in self.plan.rate_watches():
            watch.grow()
            watch.born(new)
        self.people.sort()
        if not counts.all():
            self.counts["limit_hit", "entities"] += int((~counts).sum())
            time, slot, route = time[counts], slot[counts], route[counts]
        self.counts["late", "events"] += int((time < self.clock.closed).sum())
        rows = np.flatnonzero(keep)[counts]
        known = self._outcomes(batch, rows, time, slot, route)
        live = self.people.lives.follow(time, slot, *(self.plan.routes.table(m)[route] for m in self.plan.live_marks))
        for (matcher, pane), ring in self.plan.rings.items():
            mine = self.plan.routes.table(matcher)[route]
            if matcher in known:
                mine = mine & known[matcher]
            during = self.plan.matchers[matcher].live
            if during is not None:
                mine = mine & (live == during)
            if mine.any():
                self.counts["too_late", str(pane)] += ring.add(time[mine], slot[mine])
        self.evidence.cover(batch)
        self._add_rare(batch, rows)

    def _outcomes(self, batch: Batch, rows: Ints, time: Ints, slot: Ints, route: Ints) -> dict[int, Bools]:
        """Outcomes teach the delay curves; by matcher, those that are not of an order from before the stream."""
        known: dict[int, Bools] = {}
        for watch in self.plan.rate_watches():
            if watch.kind == "outcome":
                mine = np.flatnonzero(self.plan.routes.table(watch.matcher)[route])
                ref_at = np.array([_ref_at(batch.events[i]) for i in rows[mine].tolist()], dtype=np.int64)
                known[watch.matcher] = np.ones(len(rows), dtype=np.bool_)
                known[watch.matcher][mine] = watch.delays.arrive(time[mine], ref_at, slot[mine])
        for matcher, those in known.items():
            self.counts["early_order", sorted(self.plan.matchers[matcher].events)[0]] += int((~those).sum())
        return known

    def _add_rare(self, batch: Batch, rows: Ints) -> None:
        """Events that rules and patterns look at one by one."""
        rare = self.plan.rare_routes()[batch.route[rows]]
        for i in rows[rare].tolist():
            members = self.plan.routes.members[int(batch.route[i])]
            slot = int(batch.slot[i])
            for watch in self.plan.rare_watches():
                if isinstance(watch, RepeatWatch):
                    if watch.matcher in members:
                        watch.add(slot, batch.events[i])
                else:
                    steps = [step for step, matcher in enumerate(watch.matchers) if matcher in members]
                    if steps:
                        watch.add(slot, int(batch.offset[i]), batch.events[i], steps)

    # -- judging -----------------------------------------------------------------------------------------------

    def _judge(self, probe: Probe, end: int, readings: dict[tuple[int, int], list[Reading]]) -> None:
        """Read one window of a signal for the entities with enough in it, of late, or with an open episode."""
        watches = [self.plan.watches[probe.signal][test] for test in probe.tests]
        moved = [w.moved(end, probe.hop) if isinstance(w, RateWatch) else w.due(end) for w in watches]
        slots = reduce(np.union1d, moved)
        for watch in watches:
            if isinstance(watch, RateWatch):
                slots = slots[watch.enough(end, probe.window, slots)]
        open_slots = [slot for signal, slot in self.episodes if signal == probe.signal]
        if open_slots:
            slots = np.union1d(slots, np.array(open_slots, dtype=np.int64))
        signal = self.plan.signals[probe.signal]
        if not len(slots):
            return
        is_open = np.isin(slots, open_slots) if open_slots else np.zeros(len(slots), dtype=np.bool_)
        level = np.full(len(slots), 3)
        holds = np.ones(len(slots), dtype=np.bool_)
        shown: tuple[Any, Any] | None = None
        for watch in watches:
            test_level, test_holds, score, value = self._read(watch, probe, end, slots, is_open, signal.hysteresis)
            level, holds = np.minimum(level, test_level), holds & test_holds
            shown = shown or (score, value)
            if not open_slots and not level.any():
                return  # nobody alarms by this test, whatever the others say
        assert shown is not None
        if any(isinstance(w, RateWatch) for w in watches) and end < self.started + millis(signal.warmup):
            return
        for i in np.flatnonzero((level > 0) | is_open).tolist():
            reading = Reading(
                int(level[i]), bool(holds[i]), float(shown[0][i]), float(shown[1][i]), probe.tests[0], probe.window
            )
            readings.setdefault((probe.signal, int(slots[i])), []).append(reading)

    def _read(
        self, watch: Any, probe: Probe, end: int, slots: Ints, is_open: Bools, hysteresis: float
    ) -> tuple[Ints, np.ndarray, np.ndarray, np.ndarray]:
        """Level, hold, score and value of one test."""
        if isinstance(watch, RateWatch):
            marks = window_thresholds(watch.test.severity, probe.size)
            score, value, alarming = self._score(watch, probe, watch.observe(end, probe.window, slots), is_open)
        else:
            marks = thresholds(watch.test.severity)
            score = value = watch.score(end, slots)
            alarming = value >= watch.test.minimum
        level = np.zeros(len(slots), dtype=np.int64)
        for step, mark in enumerate(marks, start=1):
            level[alarming & (score >= mark)] = step
        return level, score >= hysteresis * min(marks), score, value

    def _score(
        self, watch: RateWatch, probe: Probe, judged: Judged, is_open: Bools
    ) -> tuple[np.ndarray, np.ndarray, Bools]:
        """Score, value, and whether it may alarm. Whose effect is too small, and has no episode, isn't scored."""
        value, test = judged.x.value, watch.test
        score, alarming = np.zeros(len(value)), value >= test.minimum
        if hasattr(test, "minimum_of"):
            alarming &= judged.x.exposure >= test.minimum_of
        worth = np.flatnonzero((alarming & watch.stands_out(judged)) | is_open)
        self.counts["stepped", self.plan.names[probe.signal]] += len(worth)
        if len(worth):
            result = watch.score(probe.window, judged.of(worth))
            score[worth] = result.score
            alarming[worth] &= value[worth] >= test.effect * result.expected
        return score, value, alarming & (score > 0.0)

    def _decide(self, readings: dict[tuple[int, int], list[Reading]], end: int) -> None:
        """Episodes move, in an order that no row number can show in."""

        def by_name(key: tuple[int, int]) -> tuple[int, tuple[str, str]]:
            return key[0], self.entities.names[key[1]] or ("", "")

        for key in sorted(readings, key=by_name):
            signal, slot = key
            episode = self.episodes.get(key)
            if episode is None:
                decision = self._open(key, readings[key], end)
            else:
                episode, decision = continued(episode, self.plan.signals[signal], readings[key], end)
                self.episodes[key] = episode
            if decision is None:
                continue
            if decision.status == "resolved":
                del self.episodes[key]
                self.rested[key] = (end, decision.episode.severity)
            self._alerts.append(self.writer.write(signal, slot, decision, end, self.next_evidence()))

    def _open(self, key: tuple[int, int], readings: list[Reading], end: int) -> Any:
        name = self.entities.names[key[1]]
        assert name is not None
        decision = opened(readings, alert_id(self.plan.names[key[0]], "creator", *name, end), end)
        if decision is None:
            return None
        resolved_at, severity = self.rested.get(key, (NEVER, 0))
        cooling = resolved_at != NEVER and end < resolved_at + millis(self.plan.signals[key[0]].cooldown)
        if cooling and decision.episode.severity <= severity:
            self.counts["suppressed", self.plan.names[key[0]]] += 1
            return None
        if len(self.episodes) >= self.limits.open_episodes:
            self.counts["limit_hit", "open_episodes"] += 1
            return None
        self.episodes[key] = decision.episode
        return decision

    def next_evidence(self) -> int:
        """Evidence is quoted from before this offset: what had been applied when the pane closed."""
        return self.evidence.end

    # -- learning ----------------------------------------------------------------------------------------------

    def _learn(self, end: int) -> None:
        """An hour is over: markets learn it; and every TURN an eighth of the entities, each once a day, its day."""
        for rate_watch in self.plan.rate_watches():
            rate_watch.learn_hour(end)
        if end % TURN:
            return
        turn = self.entities.hashes[: self.people.capacity] % (DAY // TURN) == end // TURN % (DAY // TURN)
        slot = np.flatnonzero(turn & (self.people.born != UNBORN))
        idle = self.people.last_seen[slot] < end - self.inactive_after
        busy = {s for _, s in self.episodes}
        gone = np.array([s for s in slot[idle].tolist() if s not in busy], dtype=np.int64)
        if len(gone):
            self._forget(gone)
            slot = slot[~np.isin(slot, gone)]
        for signal, watches in enumerate(self.plan.watches):
            fresh = [s for (g, s), e in self.episodes.items() if g == signal and end - e.opened_at < self.freeze]
            for watch in watches:
                if isinstance(watch, RateWatch):
                    watch.learn(end, slot, np.array(fresh, dtype=np.int64))
        self.rested = {
            key: value
            for key, value in self.rested.items()
            if end < value[0] + millis(self.plan.signals[key[0]].cooldown)
        }

    def _forget(self, slot: Ints) -> None:
        for watches in self.plan.watches:
            for watch in watches:
                watch.forget(slot)
        for ring in self.plan.rings.values():
            ring.cells[:, slot] = 0
        self.people.forget(slot)
        gone = set(slot.tolist())
        self.rested = {key: value for key, value in self.rested.items() if key[1] not in gone}
        self.counts["forgotten", "entities"] += len(slot)

    def _free_rows(self) -> None:
        """Rows of the forgotten and of those who never counted go to newcomers; only between batches, when no column
        names them."""
        entities, born = self.entities, self.people.born
        unborn = len(entities.slots) - self.people.live
        idle = {slot for slot in entities.unsettled if born[slot] == UNBORN} if unborn else set()
        if len(idle) != unborn:  # after a restore
            idle = {slot for slot in entities.slots.values() if born[slot] == UNBORN}
        if idle:
            waiting = {int(b.slot[0]) for b, _ in self.near} | {int(b.slot[0]) for b, *_ in self.far}
            for slot in sorted(idle - waiting):
                entities.forget(slot)
            idle &= waiting
        entities.unsettled = idle

    def _grow(self) -> None:
        if self.entities.capacity > self.people.capacity:
            self.people.grow()
            for ring in self.plan.rings.values():
                ring.grow(self.entities.capacity)
            for watch in self.plan.rare_watches():
                if isinstance(watch, SequenceWatch):
                    watch.grow(self.entities.capacity)


def _ref_at(event: Event) -> int:
    """When what an event refers to happened, in ms; NEVER where it doesn't say."""
    return NEVER if event.attrs is UNSET else int(event.attrs.get("ref_at", NEVER))
