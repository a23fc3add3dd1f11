"""Whether alerts are what their events call for: counted anew from their windows, and decided anew by the engine.

    check = Verification(cases := cases_of(said, catalogue))
    replay(check.entries(source.entries()), catalogue, topic=source.topic, close=True, engine=check.engine)
    cases[0].findings()

What runs the engine is nobody's business here: all the records from the first one on, or from a checkpoint.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from config.schema import Catalogue
from streams.columns import Batch, Record
from streams.engine import Engine, Output
from streams.errors import RecordError
from streams.market import REACH
from streams.policy import Episode
from streams.pseudonyms import Pseudonyms
from streams.rates import RateWatch
from streams.records import Alert, Event, EvidenceEvent, decode_event, encode_alert
from streams.recount import Counted, Recounts
from streams.ticks import Tick
from streams.trace import ASIDE, partitions_of, places
from streams.windows import NEVER

UNREAD = "the window began before what was read"
INSTEAD_MAX = 10  # revisions that are told of, where another came out


class Said(NamedTuple):
    """A revision as it is written down."""

    alert: Alert
    line: bytes


class Difference(NamedTuple):
    field: str  # as `evidence.events[0].offset`
    said: str  # JSON; empty where there is none
    now: str


class Finding(NamedTuple):
    """What became of one revision."""

    alert: Alert
    counted: list[Counted]  # what can be counted from the window
    quoted: list[str]  # what is wrong with the events that it quotes
    differences: list[Difference] | None  # beside what the engine says now; None where it says no such revision

    @property
    def identical(self) -> bool:
        return self.differences == [] and not self.quoted and all(one.agrees for one in self.counted)


class Came(NamedTuple):
    """A revision that the engine wrote now."""

    alert: Alert
    test: int
    since: int | None  # ms, of what outcomes follow: no order from before it is known


class Witness(Engine):
    """An engine that decides as ever, and shows what it says of those who are to be checked."""

    def __init__(
        self, catalogue: Catalogue, topic: str, partition: int, pseudonyms: Pseudonyms | None, check: Verification
    ) -> None:
        self.check = check
        super().__init__(catalogue, topic, partition, pseudonyms)
        check.configurations.add(catalogue.version)

    def _adopt(self, catalogue: Catalogue, *rest: Any) -> None:
        super()._adopt(catalogue, *rest)
        self.check.configurations.add(catalogue.version)

    def judged(self, signal: str) -> int:
        """Up to where this signal has judged, ms."""
        wait = self.plan.waits[self.plan.names.index(signal)] if signal in self.plan.names else 0
        return self.clock.closed - wait

    def _publish(self, alert: Alert, episode: Episode) -> None:
        super()._publish(alert, episode)
        watch = self.plan.watches[self.plan.names.index(alert.signal)][episode.test]
        since = watch.delays.started if isinstance(watch, RateWatch) and watch.delays.started != NEVER else None
        self.check.hear(Came(alert, episode.test, since))

    def _reject(self, one: Batch, why: str) -> None:
        super()._reject(one, why)
        self.check.set_aside(one.events[0])

    def close(self) -> Output:
        """Not where it was stopped before the input had ended."""
        return self._output() if self.check.settled else super().close()


class Case:
    """The revisions of one alert, the events of its creator, and what the engine says of that creator now."""

    def __init__(self, revisions: Sequence[Said], catalogue: Catalogue) -> None:
        alerts = [said.alert for said in revisions]
        self.revisions, self.top = revisions, alerts[0]
        self.version, self.signal = catalogue.version, catalogue.signals.get(self.top.signal)
        self.partitions = partitions_of(alerts)
        self.last = max(alert.window_end for alert in alerts)  # ms
        self.next_offset = max((s.next_offset for alert in alerts for s in alert.evidence.sources), default=0)
        self.recounts = [Recounts(alert, catalogue) for alert in alerts if self.signal is not None]
        self.quoted: dict[tuple[int, int], Event | str] = {  # what stands there, or why it is none
            (event.partition, event.offset): "is not there" for alert in alerts for event in alert.evidence.events
        }
        self.begins: dict[int, int] = {}  # by partition: the first offset that was read
        self.came: list[Came] = []
        self.set_aside: set[str] = set()  # events of this creator that became dead letters, since nobody confirmed them

    def over(self, engine: Witness, offset: int) -> bool:
        """Whether nothing that comes later can matter: a window is read again for an hour after it closed, no more."""
        return engine.judged(self.top.signal) > self.last + 2 * REACH and offset >= self.next_offset

    def see(self, partition: int, record: Record) -> None:
        """A record of the creator, or one at an offset that is quoted."""
        place = partition, record.offset
        try:
            event = decode_event(record.key, record.value or b"")
        except RecordError as error:
            if place in self.quoted:
                self.quoted[place] = f"is a bad record: {error}"
            return
        if place in self.quoted:
            self.quoted[place] = event
        if (event.creator_id, event.market) == (self.top.entity.id, self.top.market):
            for recounts in self.recounts:
                sources = recounts.alert.evidence.sources
                recounts.see(event, any(s.first_offset <= record.offset < s.next_offset for s in sources))

    def findings(self) -> list[Finding]:
        """Of each revision, once the engine has run."""
        for recounts in self.recounts:
            recounts.leave_out(self.set_aside)
        now = {(came.alert.alert_id, came.alert.revision): came for came in self.came}
        return [self._finding(at, now.get((s.alert.alert_id, s.alert.revision))) for at, s in enumerate(self.revisions)]

    def _finding(self, at: int, came: Came | None) -> Finding:
        said = self.revisions[at]
        alert = said.alert
        there = [event for event in alert.evidence.events if event.offset >= self.begins.get(event.partition, 0)]
        quoted = [why for event in there if (why := self._wrong_of(alert, at, event))]
        test = self._test_of(said.alert) if came is None else came.test
        counted: list[Counted] = []
        if test is not None and self.recounts and said.alert.config_version == self.version:
            counted = self.recounts[at].counted(test, None if came is None else came.since)
        if any(source.first_offset < self.begins.get(source.partition, 0) for source in alert.evidence.sources):
            counted = [one._replace(least=0.0, most=math.inf, unsure=UNREAD) for one in counted]
        return Finding(said.alert, counted, quoted, None if came is None else differences(said.line, came.alert))

    def _wrong_of(self, alert: Alert, at: int, quoted: EvidenceEvent) -> str:
        found = self.quoted[quoted.partition, quoted.offset]
        place = f"event {quoted.event_id} at offset {quoted.offset} of partition {quoted.partition}"
        if isinstance(found, str):
            return f"{place} {found}"
        if found.event_id != quoted.event_id:
            return f"{place}: there is {found.event_id} instead"
        if (found.creator_id, found.market) != (alert.entity.id, alert.market):
            return f"{place} is of {found.creator_id} in {found.market}"
        if not alert.window_start <= found.occurred_at < alert.window_end:
            return f"{place} happened outside of the window"
        if self.recounts and alert.config_version == self.version and not self.recounts[at].takes(found):
            return f"{place} is none that the signal counts"
        return ""

    def _test_of(self, alert: Alert) -> int | None:
        """The test that an alert is of, where its window and detector leave no choice."""
        tests = {test for test, _ in places(self.signal, alert)} if self.signal else set()
        return tests.pop() if len(tests) == 1 else None

    def instead(self) -> list[Alert]:
        """Other revisions about the same creator and signal that came out, the nearest in time first."""
        known = {(said.alert.alert_id, said.alert.revision) for said in self.revisions}
        others = [c.alert for c in self.came if (c.alert.alert_id, c.alert.revision) not in known]
        return sorted(others, key=lambda alert: abs(alert.window_end - self.last))[:INSTEAD_MAX]


def cases_of(said: Iterable[Said], catalogue: Catalogue) -> list[Case]:
    """A case for each alert, in the order in which they come."""
    by_id: dict[str, list[Said]] = defaultdict(list)
    for one in said:
        by_id[one.alert.alert_id].append(one)
    return [Case(sorted(each, key=lambda one: one.alert.revision), catalogue) for each in by_id.values()]


class Verification:
    """Follows the events of the alerts' partitions, and what the engine makes of them."""

    def __init__(self, cases: Sequence[Case], pseudonyms: Pseudonyms | None = None) -> None:
        self.cases, self.pseudonyms = cases, pseudonyms
        self.configurations: set[str] = set()  # that decided
        self.settled = False
        self._anywhere = any(not case.partitions for case in cases)
        self._partitions = {partition for case in cases for partition in case.partitions}
        self._engines: dict[int, Witness] = {}
        self._about: dict[tuple[str, str, str], list[Case]] = defaultdict(list)
        self._of_key: dict[bytes | None, list[Case]] = defaultdict(list)
        self._quoting: dict[tuple[int, int], list[Case]] = defaultdict(list)
        for case in cases:
            self._about[_who(case.top)].append(case)
            self._of_key[case.top.entity.id.encode()].append(case)
            for place in case.quoted:
                self._quoting[place].append(case)

    def engine(self, catalogue: Catalogue, topic: str, partition: int) -> Engine:
        """To be run over `entries`."""
        engine = self._engines[partition] = Witness(catalogue, topic, partition, self.pseudonyms, self)
        return engine

    def hear(self, came: Came) -> None:
        for case in self._about.get(_who(came.alert), ()):
            case.came.append(came)

    def set_aside(self, event: Event) -> None:
        for case in self._of_key.get(event.creator_id.encode(), ()):
            case.set_aside.add(event.event_id)

    def entries(self, entries: Iterable[tuple[int, Record | Tick]]) -> Iterator[tuple[int, Record | Tick]]:
        """Those of the alerts' partitions, looked at on their way, as long as they can matter."""
        newest: dict[int, int] = {}
        for n, (partition, entry) in enumerate(entries):
            if self._anywhere or partition in self._partitions:
                if isinstance(entry, Record):
                    if partition not in newest:
                        self._begin(partition, entry.offset)
                    newest[partition] = entry.offset
                    mine = self._of_key.get(entry.key, [])
                    for case in mine + [c for c in self._quoting.get((partition, entry.offset), ()) if c not in mine]:
                        case.see(partition, entry)
                yield partition, entry
            if n % ASIDE == 0 and all(self._over(case, newest) for case in self.cases):
                self.settled = True
                return

    def _begin(self, partition: int, offset: int) -> None:
        for case in self.cases:
            case.begins[partition] = offset

    def _over(self, case: Case, newest: Mapping[int, int]) -> bool:
        if not case.partitions:
            return False
        engines = [(self._engines.get(partition), newest.get(partition, -1)) for partition in case.partitions]
        return all(engine is not None and case.over(engine, offset) for engine, offset in engines)


def _who(alert: Alert) -> tuple[str, str, str]:
    return alert.signal, alert.entity.id, alert.market


# ---- field by field ----------------------------------------------------------------------------------------


def differences(line: bytes, now: Alert) -> list[Difference]:
    """The fields in which a revision as it is written differs from what it would be now, to the last digit."""
    said, ours = _flat(msgspec.json.decode(line)), _flat(msgspec.json.decode(encode_alert(now)))
    names = dict.fromkeys([*ours, *said])
    return [Difference(name, said.get(name, ""), ours.get(name, "")) for name in names
            if said.get(name) != ours.get(name)]  # fmt: skip


def _flat(value: Any, name: str = "") -> dict[str, str]:
    """The leaves of a JSON value by their path."""
    parts: list[tuple[str, Any]] = []
    if isinstance(value, Mapping) and value:
        parts = [(f"{name}.{key}" if name else str(key), one) for key, one in value.items()]
    elif isinstance(value, list) and value:
        parts = [(f"{name}[{at}]", one) for at, one in enumerate(value)]
    else:
        return {name: msgspec.json.encode(value).decode()}
    return {path: leaf for key, one in parts for path, leaf in _flat(one, key).items()}
