"""The source: a Faust app that delivers whole runs of records, from offsets and with commits that we control.

Faust delivers a message for each record, which costs far more than the work on it; commits what an agent has
seen rather than what is safe; and starts where the group's committed offset says. Here the unit of delivery
is a `Run`, what is committed is what the application declared durable, and a partition starts where its
restored state says. Faust keeps the group, the rebalances, the agents, the timers and the producer.
`streams.transport` is the mechanism.

Whose a partition is, the group decides, and a worker that was paused doesn't know it yet when it wakes. So what it owns
counts only while the group has confirmed it within a session (`Contact.sure`): till then nobody else can own it. Else
no record is handed out and nothing is made durable, until the group is heard again.

A rebalance takes every partition from every member (aiokafka knows only the eager protocol). A partition that
its owner gets back in the very next generation was nobody else's meanwhile: it goes on without a gap, and is
not restored. Any other one is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Protocol

import faust
import msgspec
from faust.app import BootStrategy
from faust.types import TP
from mode import CrashingSupervisor, get_logger

from streams.pace import Pace
from streams.patience import Contact, end_after
from streams.transport import Run, Transport

__all__ = ["KafkaSettings", "Owner", "Run", "Source", "SourceApp", "make_app", "run_worker"]

log = get_logger(__name__)

SURE_SECONDS = 0.05  # how often an unsure worker looks whether it is sure again


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker needs to know of Kafka."""

    bootstrap_servers: str = "127.0.0.1:9092"  # host:port, a comma between
    group: str = "ripcurrent"  # the consumer group, and the Faust app's id
    topic: str = "creator-events"
    instance_id: str | None = None  # static membership: a restart within restart_seconds moves no partition
    run_records: int = 10_000  # at most so many records in a run
    runs_queued: int = 2  # runs that wait for the agent: with run_records, the bound on memory
    fetch_wait_ms: int = 50  # Faust has 1,500, for which an idle partition would stall a busy one
    fetch_bytes: int = 1 << 20  # of one partition in one fetch, compressed
    commit_seconds: float = 1.0
    session_seconds: float = 6.0  # a killed worker's partitions are free after this; brokers allow no less
    restart_seconds: float = 30.0  # the same with an instance_id: time to restart, and no partition moves
    heartbeat_seconds: float = 1.5
    sure_seconds: float = 6.0  # at most a session: for so long after a heartbeat nobody else owns what we own
    rebalance_seconds: float = 30.0  # a member that hasn't joined again by then is out
    handover_seconds: float = 10.0  # for the run in hand and `settle`, before partitions are given up
    stop_seconds: float = 25.0  # orchestrators kill after 30
    request_seconds: float = 10.0  # longer than brokers need to put one of them out that hangs (9 by default)
    stall_seconds: float = 300.0  # a worker that fetches nothing for so long leaves the group
    buffer_seconds: float = 3_600.0  # a message for which there is no room by then fails its send
    message_bytes_max: int = 2_000_000  # uncompressed; a dead letter is a record of the source, and more


class Owner(Protocol):
    """What the application does when partitions come and go. None of it runs while the agent handles a run,
    unless the agent outlasted handover_seconds.
    """

    async def restore(self, partitions: set[int]) -> Mapping[int, int | None]:
        """Load their state, from nothing. Returns the offset to start each from; None: the committed one,
        else the first. May take long: the worker stays in the group, and the partitions it kept wait.
        """

    async def settle(self, partitions: set[int]) -> None:
        """Before a rebalance or a stop, still the owner: the last chance for a checkpoint and `durable`."""

    async def revoked(self, partitions: set[int]) -> None:
        """No longer the owner: forget them. Another worker may have them already, so write nothing."""


class Source:
    """The source topic of an app. Its one agent, on `source.topic`, asks for `source.runs(stream)`."""

    def __init__(self, app: SourceApp, owner: Owner) -> None:
        self.settings = app.kafka
        self._app, self._owner = app, owner
        self._assigned: tuple[int, frozenset[int]] = (-1, frozenset())  # generation, partitions: Kafka's word
        self._held: dict[int, int] = {}  # partitions whose state is here, with the next offset to hand out
        self._done: dict[int, int] = {}  # of the same: the agent has dealt with what is before it
        self._others: dict[int, int] = {}  # of the same: an owner before us may have had what is before it
        self._generation = -1  # of the group when _held was made to match
        self._ready = False  # _held is what _assigned says
        self.contact = Contact(self.settings.sure_seconds)
        self.stopping = False
        self._epoch = 0
        self._durable: dict[int, int] = {}
        self._committed: dict[int, int] = {}
        self._committing = asyncio.Lock()
        self._pace = Pace()
        self._idle = asyncio.Event()  # no run is in the agent's hands
        self._idle.set()
        # Without acks Faust neither commits the topic nor keeps a list of the offsets it could commit.
        self.topic = app.topic(self.settings.topic, schema=_RunSchema(), acks=False)
        self.topic.maxsize = self.settings.runs_queued  # app.topic() takes it as an argument and forgets it
        app.source = self
        app.on_rebalance_complete.connect(self._take_over)
        app.on_before_shutdown.connect(self._before_shutdown)

    @property
    def owned(self) -> frozenset[int]:
        """Partitions that are restored and delivered; none during a rebalance, or while the group is not heard."""
        return frozenset(self._held) if self._ready and self.contact.sure else frozenset()

    @property
    def ready(self) -> bool:
        """The group has settled, and all that is ours is restored."""
        return self._ready

    @property
    def positions(self) -> dict[int, int]:
        """Of each partition whose state is here, the offset before which the agent has dealt with everything."""
        return dict(self._done)

    async def leads(self, partition: int) -> bool:
        """Whether no owner before us can have dealt with more of it than the agent has by now."""
        others = self._others.get(partition)
        if others is None or self._done[partition] >= others:
            return others is not None
        read, due = await self._app.consumer.reached(self._tp(partition))
        if self._others.get(partition) != others or self._done[partition] != due or read < others:
            return False
        self._others[partition] = 0  # what is left are no records: the ends of transactions, and void ones
        return True

    async def runs(self, stream: AsyncIterator[Run]) -> AsyncIterator[Run]:
        """Every run once and in order, long ones in parts; asking for the next one says that the last is done with."""
        async for run in stream:
            for part in self._pace.parts(run):
                while not self.contact.sure and part.epoch == self._epoch:
                    await asyncio.sleep(SURE_SECONDS)
                if part.epoch != self._epoch or part.partition not in self._held:
                    break  # fetched before a seek: its records come again, here or at the new owner
                due = self._held[part.partition]
                if part.start != due:
                    raise RuntimeError(f"partition {part.partition} was to go on at {due}, not at {part.start}")
                self._held[part.partition] = part.next_offset
                self._idle.clear()
                began = time.perf_counter()
                yield part
                self._pace.took(len(part.records), time.perf_counter() - began)
                if self._held.get(part.partition) == part.next_offset:  # else it was lost under the agent
                    self._done[part.partition] = part.next_offset
                self._idle.set()
                await asyncio.sleep(0)  # timers and heartbeats have their turn between two parts

    def durable(self, partition: int, offset: int) -> None:
        """The effects of all records before `offset` are safe: commit it, within commit_seconds or now."""
        if partition not in self._held:
            return  # late news of a partition that was lost
        if offset > self._held[partition]:
            raise ValueError(f"offset {offset} of partition {partition} was never handed out")
        self._durable[partition] = offset

    async def commit(self) -> None:
        """Commit what is durable, now. The one place that commits offsets of the source."""
        async with self._committing:
            due = {p: o for p, o in self._durable.items() if self._committed.get(p) != o}
            if not due:
                return
            try:
                async with asyncio.timeout(self.settings.handover_seconds):  # aiokafka tries again for ever
                    done = await self._app.consumer._commit({self._tp(p): o for p, o in due.items()})
            except TimeoutError:
                log.warning("Kafka doesn't take offsets: %s are tried again", due)
                return
            if done:
                self._committed |= {p: o for p, o in due.items() if p in self._held}

    async def ends(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """Where these partitions of a topic end now, as far as a broker says it."""
        found = await self._app.consumer.ends([TP(topic, partition) for partition in partitions])
        return {tp.partition: end for tp, end in found.items()}

    async def partitions(self) -> int:
        """How many the source has."""
        count: int = await self._app.consumer.partitions_of(self.settings.topic)
        return count

    def _tp(self, partition: int) -> TP:
        return TP(self.settings.topic, partition)

    def _open_epoch(self) -> tuple[int, dict[TP, int]]:
        """For a seek: from here on nothing older is handed out, so these offsets can't be overtaken."""
        self._epoch += 1
        return self._epoch, {self._tp(p): offset for p, offset in self._held.items()}

    async def _give_up(self) -> None:
        """Still the owner: let the agent finish its run, settle, commit. Bounded: the whole group waits."""
        self._ready = False
        self._epoch += 1
        if not self._held or self._app.crashed or not self.contact.sure:
            return  # what a failed agent left behind must not become durable, nor what is perhaps another's by now
        try:
            async with asyncio.timeout(self.settings.handover_seconds):
                await self._idle.wait()
                await self._owner.settle(set(self._held))
        except TimeoutError:
            log.warning("partitions %s change hands without having been settled", sorted(self._held))
        await self.commit()

    async def _before_shutdown(self, _app: Any, **_: Any) -> None:
        self.stopping = True
        end_after(self.settings.stop_seconds)
        await self._give_up()

    async def _take_over(self, _app: Any, **_: Any) -> None:
        """The group has settled: forget what was lost, restore what is new, keep the rest. Faust calls this
        outside of the rebalance, and again if the group changed meanwhile.
        """
        generation, assigned = self._assigned
        unbroken = generation in (self._generation, self._generation + 1)
        kept = self._held.keys() & assigned if unbroken else set()
        lost = self._held.keys() - kept
        fresh = set(assigned - kept)
        for table in (self._held, self._done, self._others, self._durable, self._committed):
            for partition in lost & table.keys():
                del table[partition]
        if lost:
            await self._owner.revoked(set(lost))
        if fresh:
            starts = await self._owner.restore(set(fresh))
            for p in sorted(fresh):
                start, self._others[p] = await self._app.consumer.start_offset(self._tp(p), starts.get(p))
                self._held[p] = self._done[p] = start
        names = map(sorted, (kept, lost, fresh))
        log.info("generation %d: kept %s, lost %s, restored %s", generation, *names)
        self._generation = generation
        self._ready = self._assigned[0] == generation


class _RunSchema(faust.Schema):  # type: ignore[misc]
    """The value of a message is a Run already."""

    def compile(self, app: Any, **_: Any) -> Any:
        async def decode(message: Any, *, propagate: bool = False) -> Any:
            return app.create_event(message.key, message.value, message.headers, message)

        return decode


class _Boot(BootStrategy):  # type: ignore[misc]
    enable_web = False  # the setting web_enabled alone leaves Faust's port to how the worker was started


class SourceApp(faust.App):  # type: ignore[misc]
    """A Faust app on our transport; made by `make_app`."""

    BootStrategy = _Boot
    kafka: KafkaSettings
    source: Source

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)

    def _create_directories(self) -> None:
        """There are no tables: nothing to keep in the working directory."""

    def _on_rebalance_when_stopped(self) -> None:
        """Faust would close the connections from the wrong thread; the consumer's own stop does it well."""


def make_app(settings: KafkaSettings, **faust_settings: Any) -> SourceApp:
    """A Faust app with all set that must be; `faust_settings` (broker_credentials, say) come on top."""
    options: dict[str, Any] = {
        "broker": [f"kafka://{server.strip()}" for server in settings.bootstrap_servers.split(",")],
        "processing_guarantee": "at_least_once",
        "agent_supervisor": CrashingSupervisor,  # a bug ends the process, not just the agent
        "consumer_auto_offset_reset": "earliest",
        "consumer_group_instance_id": settings.instance_id,
        "consumer_max_fetch_size": settings.fetch_bytes,
        "broker_max_poll_records": settings.run_records,
        "broker_max_poll_interval": settings.stall_seconds,
        "broker_commit_interval": settings.commit_seconds,
        "broker_session_timeout": settings.restart_seconds if settings.instance_id else settings.session_seconds,
        "broker_heartbeat_interval": settings.heartbeat_seconds,
        "broker_rebalance_timeout": settings.rebalance_seconds,
        "broker_request_timeout": 40.0,
        "stream_wait_empty": False,  # it waits for acknowledgements, which the source doesn't have
        "topic_disable_leader": True,  # a topic less, and nothing here needs a leader
        "topic_allow_declare": False,  # topics are created by `ripcurrent topics`, never in passing
        "producer_acks": -1,
        "producer_compression_type": "lz4",
        "producer_linger": 0.005,
        "producer_max_batch_size": 1 << 18,
        "producer_max_request_size": settings.message_bytes_max,
        "producer_request_timeout": settings.buffer_seconds,  # for each request: streams.patience
        "web_enabled": False,
        "worker_redirect_stdouts": False,
    }
    app = SourceApp(settings.group, **options | faust_settings)
    app.kafka = settings
    return app


def run_worker(app: SourceApp, services: Iterable[Any] = ()) -> None:
    """Run until SIGTERM or SIGINT (exit code 0) or a crash (1, with its traceback in the log); raises
    SystemExit.

    Logging is the caller's to set up. `services` (of `mode`) run beside the app.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    worker = faust.Worker(app, *services, loop=loop, quiet=True, override_logging=False)
    worker.spinner = None
    worker.execute_from_commandline()
