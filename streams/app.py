"""The topology on one page: creator events in; alerts, dead letters, ticks and checkpoints out.

    creator-events ──run of records──► Shard (pure) ──alerts──► risk-alerts
                                          │   ├─of signals on trial──► risk-alerts-shadow
                                          │   └─dead letters──► creator-events-dlq
                   ripcurrent-ticks ◄─────┴──snapshots────────► ripcurrent-checkpoints

The order that makes it safe: alerts are acknowledged before a checkpoint that contains them is written, to Kafka or to
the worker's disk, and the source's offset is committed after the one on Kafka is acknowledged. Whatever dies in between
is done again, and comes out the same.
"""

import asyncio
import contextlib
import functools
import gc
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from aiokafka.errors import ProducerClosed
from faust.exceptions import ProducerSendError
from mode import get_logger

from config.catalogue import CatalogueError, load, unpack
from config.schema import Catalogue
from config.settings import Settings
from streams import first_contact, state
from streams.cadence import Cadence, bytes_from
from streams.columns import DeadLetter
from streams.engine import Engine, Output
from streams.errors import BrokersAwayError, CheckpointError, DeadLetterLimitError, RipcurrentError
from streams.http import Health, Progress, start_http
from streams.local_copy import LocalCopy
from streams.metrics import Metrics
from streams.pseudonyms import Pseudonyms
from streams.reload import Folder, fixed_while_running
from streams.security import for_faust, pseudonyms_for
from streams.shard import Shard, engine_of
from streams.sink import Sink
from streams.source import KafkaSettings, Run, Source, make_app, run_worker
from streams.state import Snapshot
from streams.ticks import Tick, first_catalogue
from streams.topics import Topics
from streams.vault import Restored, Vault
from streams.windows import NEVER

log = get_logger(__name__)

LOOK_SECONDS = 2.0  # between two looks at the ticks topic, for requests
JUDGED_AFTER = 1_000  # records, before the dead-letter ratio means anything
TOLD_SECONDS = 5.0  # how often a restore says in the log how far it is


class Worker:
    """The shards that this process owns, and what each of them needs outside of the core."""

    def __init__(
        self, settings: Settings, catalogue: Catalogue, topics: Topics, metrics: Metrics,
        pseudonyms: Pseudonyms | None = None,
    ) -> None:  # fmt: skip
        self.health = Health()
        self.settings, self.topics, self.metrics = settings, topics, metrics
        self.config = Folder(settings.config, catalogue, pseudonyms)
        self.pseudonyms = pseudonyms
        self.app = make_app(
            KafkaSettings(
                bootstrap_servers=settings.bootstrap_servers,
                group=settings.group,
                topic=topics.source,
                instance_id=settings.instance_id,
            ),
            **for_faust(),
        )
        self.source = Source(self.app, self)
        self.sink = Sink(self.app, topics)
        self.shards: dict[int, Shard] = {}
        self.vaults: dict[int, Vault] = {}
        self.locks: dict[int, asyncio.Lock] = {}  # one step of a shard at a time
        self.saving = asyncio.Lock()  # one checkpoint at a time
        self.cadences: dict[int, Cadence] = {}  # what is written of each shard, and when to write again
        self.moved: dict[int, tuple[int, float]] = {}  # event time closed, and when the wall clock saw it move
        self.ends: dict[int, int] = {}  # end of each partition, as last heard
        self.records = self.bad = 0

    # -- partitions come and go ----------------------------------------------------------------------------------

    async def restore(self, partitions: set[int]) -> Mapping[int, int | None]:
        """Bring shards back from their checkpoints; each starts as far before them as alerts may quote."""
        self.metrics.assigned(self.shards.keys() | partitions)
        for partition in sorted(partitions):
            await self._restore(partition)
        return {p: self.shards[p].start if self.shards[p].engine.next_offset else 0 for p in partitions}

    async def _restore(self, partition: int) -> None:
        began = time.perf_counter()
        vault = Vault(self.sink, self.settings.bootstrap_servers, self.topics, partition, self._copy_of(partition))
        telling = asyncio.create_task(self._tell(vault))
        try:
            ticks = await self._begin(vault)
            found = await self._found(vault, ticks)
            if found is not None:
                engine = await asyncio.to_thread(self._restored, partition, found.snapshot)
                applied = found.manifest.ticks_applied
            else:
                engine, applied = self._engine(await self._first(vault, ticks), self.topics.source, partition), -1
        finally:
            telling.cancel()
        shard = Shard(engine, [(offset, tick) for offset, tick in ticks if offset > applied])
        shard.ticks_applied = applied
        self.shards[partition], self.vaults[partition] = shard, vault
        self.locks[partition] = asyncio.Lock()
        self.cadences[partition] = self._cadence(found)
        if any(tick.asked is not None for _, tick in shard.pending):
            self.cadences[partition].forget()
        self.moved[partition] = (engine.clock.closed, time.monotonic())
        took, origin = time.perf_counter() - began, found.origin if found else "empty"
        written = (found.base_written or None) if found else None
        self.metrics.restored(partition, engine, origin, took, vault.faults, written)
        log.info("partition %d restored at offset %d (%s) in %.1f s", partition, engine.next_offset, origin, took)

    async def _tell(self, vault: Vault) -> None:
        """How far the restore is: for /metrics always, and for the log when it takes long."""
        began = told = time.monotonic()
        while True:
            self.metrics.restoring(vault.partition, vault.progress)
            await asyncio.sleep(0.5)
            if (now := time.monotonic()) - told >= TOLD_SECONDS:
                told, done = now, 100 * vault.progress
                log.info("partition %d: restoring, %.0f %% after %.0f s", vault.partition, done, now - began)

    async def _begin(self, vault: Vault) -> list[tuple[int, Tick]]:
        try:
            return await vault.begin_epoch(await self.source.partitions())
        except CheckpointError as error:
            raise _refused(vault.partition, error) from None

    async def _found(self, vault: Vault, ticks: list[tuple[int, Tick]]) -> Restored | None:
        try:
            return await vault.restore(ticks)
        except CheckpointError as error:
            raise _refused(vault.partition, error) from None

    def _cadence(self, found: Restored | None) -> Cadence:
        """What is written already, and what the next checkpoint will cost: all of it, for no block is shared with
        another epoch."""
        settings = self.settings
        new = Cadence(
            settings.checkpoint_share, settings.checkpoint_seconds, settings.state_dir is not None, time.time()
        )
        if found is not None and found.base is not None:
            base, holds = found.base, (found.manifest.next_offset, found.manifest.ticks_applied)
            cost = sum(block.length for block in base.blocks.values())
            copied = holds if found.origin == "local" else None
            new.found((base.next_offset, base.ticks_applied), cost, found.base_written, found.behind, copied)
        return new

    def _copy_of(self, partition: int) -> LocalCopy | None:
        folder = self.settings.state_dir
        return None if folder is None else LocalCopy(folder, self.topics.checkpoints, partition)

    async def _first(self, vault: Vault, ticks: list[tuple[int, Tick]]) -> Catalogue:
        """The configuration that the partition began under: an owner before may have died before its first checkpoint,
        and what it judged must come out the same."""
        began = first_catalogue(ticks)
        if began is not None:
            return unpack(began.encode())
        await vault.write_change(-1, None, self.config.catalogue)
        return self.config.catalogue

    def _engine(self, catalogue: Catalogue, topic: str, partition: int) -> Engine:
        return Engine(catalogue, topic, partition, self.pseudonyms)

    def _restored(self, partition: int, snapshot: Snapshot) -> Engine:
        """The engine that the snapshot was of, under the configuration of then; `follow` brings today's."""
        try:
            engine = engine_of(snapshot, self.topics.source, partition, self._engine)
            for problem in fixed_while_running(engine.catalogue, self.config.catalogue):
                raise CheckpointError(problem)
        except (CheckpointError, CatalogueError) as error:
            raise _refused(partition, error) from None
        return engine

    async def settle(self, partitions: set[int]) -> None:
        """Before partitions change hands: leave as little as possible to do again."""
        for partition in sorted(partitions):
            await self.checkpoint(partition, leaving=True)

    async def revoked(self, partitions: set[int]) -> None:
        """They are somebody else's now."""
        for partition in partitions:
            for table in (self.shards, self.vaults, self.locks, self.cadences, self.moved, self.ends):
                table.pop(partition, None)
            self.sink.forget(partition)
            self.metrics.forget(partition)

    @contextlib.asynccontextmanager
    async def _turn(self, partition: int) -> AsyncIterator[Shard | None]:
        """One step of a shard at a time; None where it was taken from us while we waited for our turn."""
        shard, lock = self.shards.get(partition), self.locks.get(partition)
        if shard is None or lock is None:
            yield None
            return
        async with lock:
            yield shard if self.shards.get(partition) is shard else None

    # -- records -------------------------------------------------------------------------------------------------

    async def watch(self, stream: AsyncIterator[Run]) -> None:
        """The agent: every run of every partition, through its shard."""
        async for run in self.source.runs(stream):
            async with self._turn(run.partition) as shard:
                if shard is None:
                    continue
                new_bytes = bytes_from(run.records, shard.engine.next_offset)
                began = time.perf_counter()
                out = shard.feed(run.records)
                self.metrics.fed(len(run.records), time.perf_counter() - began, new_bytes)
                self.cadences[run.partition].behind += new_bytes
                self.metrics.position(run.partition, run.next_offset, run.highwater, run.records[-1].timestamp)
                self.ends[run.partition] = run.highwater
                await self.publish(run.partition, out, len(run.records))

    async def publish(self, partition: int, out: Output, records: int = 0) -> None:
        await self.sink.publish(partition, out)
        for alert in out.alerts:
            self.metrics.alert(alert)
        for letter in out.dead:
            self.metrics.dead_letter(letter.error.reason)
        self.judge_dead_letters(out.dead, records)

    def judge_dead_letters(self, dead: list[DeadLetter], records: int) -> None:
        """Stop loudly when most records are bad: a broken deployment would drain the topic into the DLQ."""
        self.records, self.bad = self.records + records, self.bad + len(dead)
        limit = self.config.catalogue.engine.limits.dead_letter_ratio
        if self.records >= JUDGED_AFTER and self.bad > limit * self.records:
            raise DeadLetterLimitError(
                f"{self.bad} of {self.records} records are dead letters, over the limit of {limit:.0%} "
                f"(engine.yaml, limits.dead_letter_ratio); the newest: {dead[-1].error if dead else 'before'}"
            )

    # -- time and memory -------------------------------------------------------------------------------------------

    async def tick(self) -> None:
        """Quiet partitions: event time moves by the wall time that has passed in silence. Then a new configuration, and
        who is to be forgotten."""
        for partition in sorted(self.source.owned & self.shards.keys()):
            async with self._turn(partition) as shard:
                if shard is None:
                    continue
                await self._overtake(partition, shard)
                # What isn't recorded yet may decide only where no owner before us can have judged further: what that
                # one said of the records from here on must come out the same.
                leads = shard.restored and await self.source.leads(partition)
                for step in (self._tick, self._follow, self._erase) if leads else (self._wait,):
                    if self.shards.get(partition) is shard:  # it was not taken from us meanwhile
                        await step(partition, shard)

    async def _follow(self, partition: int, shard: Shard) -> None:
        """A shard takes the configuration of now, once that is recorded: a restart and a replay do the same."""
        catalogue = self.config.catalogue
        if shard.engine.catalogue.version == catalogue.version:
            return
        before = shard.engine.catalogue.version
        at = shard.engine.next_offset - 1
        offset, tick = await self.vaults[partition].write_change(at, before, catalogue)
        await self.publish(partition, shard.tick(offset, tick))
        log.info("partition %d: configuration %s takes the place of %s", partition, catalogue.version, before)

    async def look(self) -> None:
        """See whether somebody has asked for something on the ticks topic."""
        owned = sorted(self.source.owned & self.shards.keys())
        ends = await self.source.ends(self.topics.ticks, owned) if owned else {}
        for partition in sorted(ends.keys() & self.shards.keys()):
            async with self._turn(partition) as shard:
                if shard is not None:
                    await self.vaults[partition].look(ends[partition])

    async def _erase(self, partition: int, shard: Shard) -> None:
        """Forget whom somebody asked to be forgotten, once that is recorded: a restart and a replay do the same."""
        vault = self.vaults[partition]
        for request in vault.requests:
            engine, wish = shard.engine, request[1]
            known = engine.known(wish.erase or 0, wish.markets).values()
            offset, tick = await vault.write_erasure(engine.next_offset - 1, request, known)
            await self.publish(partition, shard.tick(offset, tick))
            if self.shards.get(partition) is not shard:
                return
            self.cadences[partition].forget()
            log.info("partition %d: a creator is forgotten in %d markets", partition, len(known))

    async def reload(self) -> None:
        """Read the configuration's folder anew when it changed."""
        if await self.config.changed():
            self.metrics.reloaded(self.config.catalogue, refused=bool(self.config.problems))

    async def _overtake(self, partition: int, shard: Shard) -> None:
        """Recorded ticks that no record is left to wait for."""
        shard.position = max(shard.position, self.source.positions.get(partition, 0))
        if shard.pending:
            out = Output([], [], [])
            shard.overtake(out)
            await self.publish(partition, out)

    async def _wait(self, partition: int, shard: Shard) -> None:
        """The silence begins now, at the earliest."""
        self.moved[partition] = (shard.engine.clock.closed, time.monotonic())

    async def _tick(self, partition: int, shard: Shard) -> None:
        now = time.monotonic()
        closed, since = self.moved[partition]
        if shard.engine.clock.closed != closed:
            return await self._wait(partition, shard)
        pane = shard.engine.clock.pane_ms
        up_to = (closed + int((now - since) * 1000)) // pane * pane
        if closed == NEVER or now - since < self.settings.tick_seconds or up_to <= closed:
            return
        offset, tick = await self.vaults[partition].write_tick(shard.engine.next_offset - 1, up_to)
        await self.publish(partition, shard.tick(offset, tick))
        if self.shards.get(partition) is shard:
            self.moved[partition] = (up_to, since + (up_to - closed) / 1000)
        self.metrics.tick()

    async def beat(self) -> None:
        """The loop is alive: say so, how far each shard is, and how long the brokers are away."""
        self.wait_for_brokers(max(self.source.contact.silent_seconds, self.sink.waiting_seconds))
        self.metrics.group_silence(self.source.contact.unconfirmed_seconds)
        owned = sorted(self.source.owned & self.shards.keys())
        progress = {}
        for partition in owned:
            shard = self.shards[partition]
            self.metrics.observe_engine(partition, shard.engine)
            self.metrics.account(partition, self.cadences[partition].behind, self.cadences[partition].due_bytes)
            at = max(shard.position, shard.engine.next_offset)
            progress[partition] = Progress(at, max(self.ends.get(partition, 0), at))
        self.health.beat(self.source.ready and all(self.shards[p].restored for p in owned), progress)

    def wait_for_brokers(self, away: float) -> None:
        """Nothing is lost while they are away, and nothing new is judged: after a while somebody else should know."""
        self.metrics.brokers_away(away)
        limit = self.config.catalogue.engine.limits.brokers_away_seconds
        if away > limit:
            raise BrokersAwayError(
                f"the brokers at {self.settings.bootstrap_servers} have not answered, or taken what was sent, for "
                f"{away:.0f} s, over the limit of {limit} s (engine.yaml, limits.brokers_away_seconds)"
            )

    def wait_to_begin(self, away: float) -> None:
        """No broker has answered yet: healthy, for a restart would not help, and not ready."""
        self.wait_for_brokers(away)
        self.health.beat(False, {})

    async def checkpoint_all(self) -> None:
        for partition in sorted(self.source.owned & self.shards.keys()):
            await self.checkpoint(partition)

    async def checkpoint(self, partition: int, *, leaving: bool = False) -> None:
        """Alerts acknowledged, then the checkpoint, to the disk and, if it is due, to the topic; then the offset. The
        shard goes on once its state is copied.
        """
        async with self.saving:
            async with self._turn(partition) as shard:
                if shard is None or not shard.restored or not self.source.contact.sure:
                    return  # it is not whole, or may be another worker's by now
                cadence = self.cadences[partition]
                if cadence.saved is not None:
                    self.source.durable(partition, cadence.saved[0])  # its writer may have died before the commit
                holds, behind, began = (shard.engine.next_offset, shard.ticks_applied), cadence.behind, time.time()
                topic = cadence.checkpoint_due(holds, began, leaving)
                if not topic and not cadence.copy_due(holds, began, leaving):
                    return
                snapshot = await asyncio.to_thread(state.take, shard.engine)  # seconds where creators are many: only
                unacknowledged = self.sink.take(partition)  # this shard waits for it, not the loop
            for sent in unacknowledged:
                await sent
            if self.shards.get(partition) is not shard:
                return  # it was taken from us meanwhile
            written = await self.vaults[partition].save(snapshot, holds[1], topic=topic, behind=behind)
            now = time.time()
            if self.shards.get(partition) is not shard:
                return
            if written.disk:
                cadence.copied_now(holds, began, now)
            if topic:
                cadence.saved_now(holds, written.topic, behind, now)
                self.source.durable(partition, holds[0])
            self.metrics.checkpointed(partition, written.topic, written.disk, now - began)


def _until_the_stop(worker: Worker, work: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """A timer that writes: a stop that can't wait for it any longer closes the producer under it, which is no fault."""

    @functools.wraps(work)
    async def timer() -> None:
        try:
            await work()
        except (ProducerClosed, ProducerSendError) as error:
            if not worker.source.stopping or not isinstance(error.__cause__ or error, ProducerClosed):
                raise
            log.warning("%s was cut off by the stop: it is done again after the restart", work.__name__)

    return timer


def _refused(partition: int, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"partition {partition}: {error}; go back to what was before, or start anew with another group and topic prefix"
    )


def build(settings: Settings) -> Worker:
    """The worker, wired: one agent, and timers for ticks, checkpoints and metrics."""
    catalogue, topics = load(settings.config), Topics.with_prefix(settings.topic_prefix)
    worker = Worker(settings, catalogue, topics, Metrics(catalogue), pseudonyms_for(catalogue))
    worker.app.agent(worker.source.topic)(worker.watch)
    worker.app.timer(min(1.0, settings.tick_seconds / 4))(_until_the_stop(worker, worker.tick))
    worker.app.timer(settings.checkpoint_seconds)(_until_the_stop(worker, worker.checkpoint_all))
    worker.app.timer(settings.reload_seconds)(worker.reload)
    worker.app.timer(LOOK_SECONDS)(worker.look)
    worker.app.timer(1.0)(worker.beat)
    return worker


def run(settings: Settings, ask: Callable[[], None] | None = None) -> None:
    """Run until a signal (exit code 0) or a crash (1); first until `ask` is answered, where nobody has answered yet."""
    worker = build(settings)
    server = start_http(worker.metrics, worker.health, settings.http_host, settings.http_port)
    log.info("metrics at http://%s:%d/metrics", settings.http_host, server.port)
    signal.signal(signal.SIGHUP, lambda *_: worker.config.ask())
    try:
        if ask is not None and not first_contact.wait(ask, settings.bootstrap_servers, worker.wait_to_begin):
            return
        gc.collect()
        gc.freeze()  # what is here now stays; and runs of records, which hold no cycles, need no look every 700 objects
        gc.set_threshold(20_000, 20, 50)
        run_worker(worker.app)
    except SystemExit as end:
        if isinstance(end.__context__, RipcurrentError):
            log.error("%s", end.__context__)  # once more below the traceback: what to do about it
        raise
    finally:
        server.stop()
