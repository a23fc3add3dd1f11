"""The shard engine: records in, alert revisions out. Pure, and the only part of the core that changes.

A batch is cut at the very record behind which a pane closes. Up to the cut its events are added into panes; at the
cut the pane is judged, episodes are decided, and, every hour, expectations are learned. So neither the batching of
the input nor its speed can show in the output.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from config.effective import Policy
from config.schema import Catalogue, millis
from detectors.base import Bools, Ints
from streams.alerts import AlertWriter
from streams.columns import Batch, DeadLetter, Entities, Reader, Record, joined, rerouted
from streams.duplicates import Deliveries
from streams.entities import UNBORN, Population
from streams.errors import RecordError
from streams.evidence import EvidenceBuffer
from streams.grounds import Ground, Grounds, can_be_read_again
from streams.judging import Judge
from streams.links import Links
from streams.patterns import SequenceWatch
from streams.plan import Plan, Probe, parse_window
from streams.policy import Decision, Episode, Reading, alert_id, continued, ended, opened, strongest, withdrawn
from streams.pseudonyms import Pseudonyms, check
from streams.rates import DAY, HOUR, TURN, RateWatch
from streams.records import Alert
from streams.rulebook import Rulebook
from streams.succession import take_over, take_over_links
from streams.tally import Tally
from streams.windows import NEVER, Watermark

ENGINE_VERSION = "8"  # of the arithmetic: a change of any number in an alert changes it
FAR_MAX = 1_024  # events that wait for others to confirm their time
RESTED_MAX = 30 * DAY  # a cooldown is over by then
BELIEVED_AT_CLOSE = 30 * DAY  # when the input ends, times no further than this beyond the watermark are believed


class Output(NamedTuple):
    alerts: list[Alert]
    dead: list[DeadLetter]
    shadow: list[Alert]  # of signals on trial, and of creators that a group exempts

    def extend(self, more: "Output") -> None:
        self.alerts.extend(more.alerts)
        self.dead.extend(more.dead)
        self.shadow.extend(more.shadow)


class Engine:
    """One shard: a partition's state and how it moves."""

    def __init__(
        self, catalogue: Catalogue, topic: str, partition: int, pseudonyms: Pseudonyms | None = None
    ) -> None:
        check(catalogue, pseudonyms)
        settings, self.pseudonyms = catalogue.engine, pseudonyms
        self.catalogue = catalogue
        self.limits = settings.limits
        self.entities = Entities()
        self.people = Population(self.entities)
        self.plan = Plan(catalogue, self.people)
        self.rules = Rulebook(catalogue, self.plan.names)
        self.plan.loosen(self.rules.loosest)
        self.links = Links(self.plan.routes, self.entities, self.limits.links)
        self.reader = Reader(self.plan.routes, self.entities)
        self.clock = Watermark(
            millis(settings.pane), millis(settings.lateness), settings.quorum, millis(settings.ahead)
        )
        self.deliveries = Deliveries(self.limits.duplicates)
        self.evidence = EvidenceBuffer(topic, partition, self.limits.evidence)
        self.counts: Counter[tuple[str, str]] = Counter()  # (what, label), for the metrics
        self.writer = self._writer()
        self.judge = self._judge_of()
        self.inactive_after, self.freeze = millis(settings.inactive_after), millis(settings.freeze)
        self.started = NEVER  # ms, the first watermark, or that behind the newest gap in which everybody was forgotten
        self.began = NEVER  # ms, the first watermark that this engine has seen; no part of its state
        self.begun: dict[tuple[int, int], int] = {}  # (signal, test) -> ms, of those that a later catalogue brought
        self.next_offset = 0  # of the source, after the last record that was applied
        self.trusted_offset = -1  # of the newest event whose time was believed at once
        self.near: list[tuple[Batch, int]] = []  # events beyond the open panes: (batch of one, time)
        self.far: list[tuple[Batch, int, int]] = []  # unconfirmed events: (batch of one, time, waiting since)
        self.episodes: dict[tuple[int, int], Episode] = {}  # (signal, slot)
        self.rested: dict[tuple[int, int], tuple[int, int]] = {}  # (signal, slot) -> resolved at, severity
        self.overturned: set[tuple[int, int]] = set()  # (signal, slot) of which an event was taken back just now
        self.grounds = Grounds()
        self.tally = self._tally_of()
        self._alerts: list[Alert] = []
        self._shadow: list[Alert] = []
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
        last = max((newest // p.hop + 1) * p.hop + self.plan.waits[p.signal] for p in self.plan.probes)
        while NEVER != self.clock.closed < last:
            self._close_pane()
        return self._output()

    def reconfigure(self, catalogue: Catalogue) -> Output:
        """From here on this catalogue decides; what stays and what learns anew: succession.py.

        Errors: ValueError where its panes have another length, or it looks back further than before.
        """
        check(catalogue, self.pseudonyms)
        if catalogue.engine.pane != self.catalogue.engine.pane:
            raise ValueError(f"engine.yaml: $.pane was {self.catalogue.engine.pane}, is {catalogue.engine.pane}")
        if catalogue.engine.limits.evidence != self.limits.evidence:
            raise ValueError("engine.yaml: $.limits.evidence can't change: what is gone can't be quoted again")
        if catalogue.engine.limits.duplicates != self.limits.duplicates:
            raise ValueError("engine.yaml: $.limits.duplicates can't change: what is gone can't be recognised again")
        plan, old = Plan(catalogue, self.people), self.plan
        kept = take_over(old, plan, self.clock.closed, HOUR)
        self._move_episodes(kept)
        ids = {i: plan.names.index(name) for i, name in enumerate(old.names) if name in plan.names}
        self.episodes = {(ids[signal], slot): episode for (signal, slot), episode in self.episodes.items()}
        self.rested = {(ids[s], slot): value for (s, slot), value in self.rested.items() if s in ids}
        self.overturned = {(ids[s], slot) for s, slot in self.overturned if s in ids}
        begun = {(s, test): self.clock.closed for s, tests in enumerate(plan.watches) for test in range(len(tests))}
        for (name, test), now in kept.items():  # who kept its memory has begun when it had
            begun[plan.names.index(name), now] = self.begun.get((old.names.index(name), test), NEVER)
        self.begun = {key: at for key, at in begun.items() if at != NEVER}
        self.grounds = Grounds()
        self.tally = self._tally_of()
        self._adopt(catalogue, plan)
        while self.clock.ready():  # of a smaller quorum
            self._close_pane()
        return self._output()

    def _move_episodes(self, kept: dict[tuple[str, int], int]) -> None:
        """Open episodes follow their test to its new place; those whose test has no successor are over."""
        for key, episode in sorted(self.episodes.items(), key=lambda item: self._by_name(item[0])):
            place = kept.get((self.plan.names[key[0]], episode.test))
            if place is None:
                self._end(key)
            else:
                self.episodes[key] = msgspec.structs.replace(episode, test=place)

    def _end(self, key: tuple[int, int], code: str | None = None) -> None:
        """The last revision of an episode over which nobody watches any more."""
        signal, slot = key
        episode = self.episodes.pop(key)
        hop = parse_window(self.plan.signals[signal].tests[episode.test].windows[episode.window])[1]
        self.grounds.of.pop(key, None)
        decision, end = ended(episode, code), (self.clock.closed - self.plan.waits[signal]) // hop * hop
        self._publish(self.writer.write(signal, slot, decision, end, self.next_evidence()), decision.episode)

    def _adopt(self, catalogue: Catalogue, plan: Plan) -> None:
        """Put the parts of another catalogue in place; events that wait or can be quoted take their new routes."""
        settings, links = catalogue.engine, self.links
        self.catalogue, self.plan, self.limits = catalogue, plan, settings.limits
        self.rules = Rulebook(catalogue, plan.names)
        plan.loosen(self.rules.loosest)
        self.links = Links(plan.routes, self.entities, self.limits.links)
        take_over_links(links, self.links)
        self.reader.routes = plan.routes
        self.clock.lateness_ms, self.clock.quorum = millis(settings.lateness), settings.quorum
        self.clock.ahead_ms = millis(settings.ahead)
        self.evidence.reroute(plan.routes)
        self.near = [(rerouted(batch, plan.routes), time) for batch, time in self.near]
        self.far = [(rerouted(batch, plan.routes), time, since) for batch, time, since in self.far]
        self.writer = self._writer()
        self.judge, self.tally = self._judge_of(), self._tally_of()
        self.inactive_after, self.freeze = millis(settings.inactive_after), millis(settings.freeze)

    def _writer(self) -> AlertWriter:
        return AlertWriter(
            self.catalogue, self.plan, self.rules, self.evidence, self.entities, ENGINE_VERSION, self.pseudonyms
        )

    def prefill(self, records: Sequence[Record]) -> None:
        """Records from before a checkpoint: to be quoted by alerts, and known should they come again."""
        reader = Reader(self.plan.routes, self.entities)
        batch, _ = reader.read(records)
        self._grow()
        self.evidence.remember(batch)
        waiting = {int(one.offset[0]) for one in (*(b for b, _ in self.near), *(b for b, *_ in self.far))}
        self.deliveries.again(batch.offset.tolist(), [event.event_id for event in batch.events], waiting)
        self._free_rows()  # a tick may be next, and a checkpoint: nobody who was forgotten is to stand in it

    def _output(self) -> Output:
        out = Output(self._alerts, self._dead, self._shadow)
        self._alerts, self._dead, self._shadow = [], [], []
        return out

    # -- to be forgotten ---------------------------------------------------------------------------------------

    def watched(self) -> list[tuple[str, str]]:
        """Everybody of whom an event has counted, and who is not forgotten; not those who were only read ahead."""
        return sorted(name for name, slot in self.entities.slots.items() if self.people.born[slot] != UNBORN)

    def known(self, creator: int, markets: Sequence[str] = ()) -> dict[int, str]:
        """The rows of a creator (the hash of its id) in these markets, or in all; and the market of each."""
        names = {slot: self.entities.names[slot] for slot in np.flatnonzero(self.entities.hashes == creator).tolist()}
        return {slot: name[1] for slot, name in names.items() if name and (not markets or name[1] in markets)}

    def erase(self, creator: int, markets: Sequence[str] = ()) -> Output:
        """Forget a creator (the hash of its id) in these markets, or in all; what comes later is a newcomer's.

        What markets and cohorts have learned stays, and so does the time that it had a part in.
        """
        rows = self.known(creator, markets)
        self.evidence.erase(creator, markets)
        for key in sorted((key for key in self.episodes if key[1] in rows), key=self._by_name):
            self._end(key, "over_erased")
        for waiting in [*(b for b, _ in self.near), *(b for b, *_ in self.far)]:
            if int(waiting.slot[0]) in rows:
                self.deliveries.never_counted(int(waiting.offset[0]))
        self.near = [entry for entry in self.near if int(entry[0].slot[0]) not in rows]
        self.far = [entry for entry in self.far if int(entry[0].slot[0]) not in rows]
        self.overturned = {key for key in self.overturned if key[1] not in rows}
        alive = [slot for slot in sorted(rows) if self.people.born[slot] != UNBORN]
        if alive:
            self._forget(np.array(alive, dtype=np.int64))
        for slot in sorted(rows):
            self.entities.forget(slot)
        codes = self.entities.markets
        self.links.erase(creator, [codes[market] for market in markets or codes if market in codes])
        if not markets:
            self.clock.disown(creator)
        return self._output()

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
        if len(self.far) > FAR_MAX:
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
            self.started = self.began = self.clock.move_to(target)
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
        self.deliveries.never_counted(int(one.offset[0]))
        self._dead.append(DeadLetter(one.records[0], RecordError("time_unconfirmed", "$.occurred_at", why)))

    def _close_pane(self) -> None:
        """The next pane is over: count, judge, decide, learn; then open the next and let in what waited for it."""
        end = self.clock.close_pane()
        self.counts["panes_closed", ""] += 1
        for matcher, (time, slot) in self.links.due(end).items():
            self.tally.count(matcher, time, slot)
        if dropped := self.links.trim(end):
            self.counts["limit_hit", "links"] += dropped
        if self.entities.nameless or self.people.crowded:
            self.counts["limit_hit", "categories"] += self.entities.nameless
            self.counts["limit_hit", "cohorts"] += self.people.crowded
            self.entities.nameless = self.people.crowded = 0
        for watches, wait in zip(self.plan.watches, self.plan.waits, strict=True):
            for watch in watches:
                if isinstance(watch, RateWatch):
                    watch.close_pane(end - wait)
        readings: dict[tuple[int, int], list[Reading]] = {}
        for probe in self.plan.probes:
            at = end - self.plan.waits[probe.signal]
            if at % probe.hop == 0:
                self._judge(probe, at, readings)
        self._decide(readings, end)
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
        keep[keep] = self._delivered_first(batch, keep)
        self.overturned |= self.tally.add(batch, keep, self.clock.closed)
        self.evidence.cover(batch)

    def _delivered_first(self, batch: Batch, keep: Bools) -> Bools:
        rows = np.flatnonzero(keep).tolist()
        first = self.deliveries.first(batch.offset[keep].tolist(), [batch.events[i].event_id for i in rows])
        self.counts["duplicates", "events"] += len(first) - int(first.sum())
        return first

    # -- judging -----------------------------------------------------------------------------------------------

    def _tally_of(self) -> Tally:
        return Tally(self.catalogue, self.plan, self.people, self.links, self.grounds, self.counts)

    def _judge_of(self) -> Judge:
        return Judge(self.plan, self.rules, self.writer.whose, self.counts)

    def _judge(self, probe: Probe, end: int, readings: dict[tuple[int, int], list[Reading]]) -> None:
        """Read one window of a signal, if it has been long enough there to say anything."""
        if not self._is_warm(probe, end):
            return
        open_slots = [slot for signal, slot in self.episodes if signal == probe.signal]
        for slot, reading in self.judge.readings(probe, end, open_slots):
            readings.setdefault((probe.signal, slot), []).append(reading)

    def _is_warm(self, probe: Probe, end: int) -> bool:
        """Whether what learns has been there for long enough."""
        begun = max(self.started, *(self.begun.get((probe.signal, test), NEVER) for test in probe.tests))
        learns = any(isinstance(self.plan.watches[probe.signal][test], RateWatch) for test in probe.tests)
        return not learns or end >= begun + millis(self.plan.signals[probe.signal].warmup)

    def _decide(self, readings: dict[tuple[int, int], list[Reading]], end: int) -> None:
        """Episodes move, in an order that no row number can show in."""
        for signal, wait in enumerate(self.plan.waits):
            self.grounds.forget_before(signal, end - wait)
        for key in sorted(readings, key=self._by_name):
            signal, slot = key
            at = end - self.plan.waits[signal]
            policy = self.rules.of(signal, *self.writer.whose(slot), at)
            episode, gone = self.episodes.get(key), self._ground_gone(key)
            if episode is None:
                decision = self._open(key, readings[key], policy, at)
            elif gone is not None and strongest(readings[key]).level == 0:
                decision, at = withdrawn(episode, gone), self.grounds.of[key].end
            else:
                episode, decision = continued(episode, policy, readings[key], at, key in self.overturned)
                self.episodes[key] = episode
            if decision is None:
                continue
            if decision.status in ("resolved", "retracted"):
                del self.episodes[key]
                self.grounds.of.pop(key, None)
            if decision.status == "resolved":
                self.rested[key] = (at, decision.episode.severity)
            self._publish(self.writer.write(signal, slot, decision, at, self.next_evidence()), decision.episode)
        self.overturned = {key for key in self.overturned if not self._looked_again(key, readings.get(key, []))}

    def _looked_again(self, key: tuple[int, int], readings: list[Reading]) -> bool:
        """Whether the very window of an episode was read after an event was taken back; or there is no episode."""
        episode = self.episodes.get(key)
        return episode is None or any((r.test, r.window) == (episode.test, episode.window) for r in readings)

    def _ground_gone(self, key: tuple[int, int]) -> Reading | None:
        """What the window that an alert was opened on says now, where events that came late have taken its ground."""
        ground, (signal, slot) = self.grounds.of.get(key), key
        if ground is None or not ground.moved:
            return None
        self.grounds.of[key] = ground._replace(moved=False)
        reading = self.judge.again(self.plan.probe_of(signal, ground.tests[0], ground.window), ground.end, slot)
        return reading if reading.level == 0 else None

    def _by_name(self, key: tuple[int, int]) -> tuple[int, tuple[str, str]]:
        return key[0], self.entities.names[key[1]] or ("", "")

    def _publish(self, alert: Alert, episode: Episode) -> None:
        if episode.aside:
            self.counts["aside", alert.signal] += 1
            self._shadow.append(alert)
        else:
            self._alerts.append(alert)

    def _open(self, key: tuple[int, int], readings: list[Reading], policy: Policy, end: int) -> Decision | None:
        signal, slot = key
        creator, market, _ = self.writer.whose(slot)
        decision = opened(readings, alert_id(self.plan.names[signal], "creator", creator, market, end), end)
        if decision is None:
            return None
        resolved_at, severity = self.rested.get(key, (NEVER, 0))
        cooling = resolved_at != NEVER and end < resolved_at + policy.cooldown
        if cooling and decision.episode.severity <= severity:
            self.counts["suppressed", self.plan.names[signal]] += 1
            return None
        if len(self.episodes) >= self.limits.open_episodes:
            self.counts["limit_hit", "open_episodes"] += 1
            return None
        exemption = self.rules.exemption(signal, creator, market, end)
        aside = exemption.group if exemption else "shadow" if policy.status == "shadow" else ""
        decision = decision._replace(episode=msgspec.structs.replace(decision.episode, aside=aside))
        self.episodes[key] = decision.episode
        if can_be_read_again(self.plan.watches[signal][decision.reading.test]):
            probe = self.plan.probe_of(signal, decision.reading.test, decision.reading.window)
            self.grounds.of[key] = Ground(end, probe.tests, probe.window)
        return decision

    def next_evidence(self) -> int:
        """Evidence is quoted from before this offset: what had been applied when the pane closed."""
        return self.evidence.end

    # -- learning ----------------------------------------------------------------------------------------------

    def _learn(self, end: int) -> None:
        """Markets learn every hour that is over; and every TURN an eighth of the entities, each once a day, its day."""
        if end % TURN == 0:
            self._forget_idle(end)
            self.rested = {key: value for key, value in self.rested.items() if end < value[0] + RESTED_MAX}
        for signal, wait in enumerate(self.plan.waits):
            at = end - wait
            watches = [w for w in self.plan.watches[signal] if isinstance(w, RateWatch)]
            for watch in watches if at % HOUR == 0 else ():
                watch.learn_hour(at)
            if at % TURN == 0 and watches:
                slot = self._turn(at)
                fresh = [s for (g, s), e in self.episodes.items() if g == signal and at - e.opened_at < self.freeze]
                for watch in watches:
                    watch.learn(at, slot, np.array(fresh, dtype=np.int64))

    def _turn(self, end: int) -> Ints:
        """Whose turn it is: an eighth of the entities."""
        turn = self.entities.hashes[: self.people.capacity] % (DAY // TURN) == end // TURN % (DAY // TURN)
        return np.flatnonzero(turn & (self.people.born != UNBORN))

    def _forget_idle(self, end: int) -> None:
        """Those whose turn it is and who have been silent for long, without an open episode."""
        slot = self._turn(end)
        idle, busy = self.people.last_seen[slot] < end - self.inactive_after, {s for _, s in self.episodes}
        gone = np.array([s for s in slot[idle].tolist() if s not in busy], dtype=np.int64)
        if len(gone):
            self._forget(gone)

    def _forget(self, slot: Ints) -> None:
        for watches in self.plan.watches:
            for watch in watches:
                watch.forget(slot)
        self.links.forget(slot)
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
