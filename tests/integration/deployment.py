"""One partition, and workers of it one after the other: for tests of restarts."""

from pathlib import Path

import numpy as np

from config.catalogue import load
from streams import checkpoint, state
from streams.columns import Record
from streams.engine import Engine
from streams.local_copy import LocalCopy
from streams.topics import Topics, create
from tests.chaos_quiet import START, event, send
from tests.integration.test_worker import environ
from tests.integration.torn import newest_checkpoint
from tests.integration.workers import WorkerProcess, everything, wait_until


class Deployment:
    """One partition, and workers of it one after the other."""

    def __init__(self, kafka: str, name: str, folder: Path, running: list[WorkerProcess]) -> None:
        self.topics, self.folder, self.running = Topics.with_prefix(f"{name}-"), folder, running
        self.kafka, self.name, self.sent, self.first = kafka, name, 0, 0
        create(kafka, self.topics.specs(1, 1))

    @property
    def copy(self) -> Path:
        return self.folder / self.topics.checkpoints / "0"

    @property
    def behind(self) -> float:
        return self.running[-1].metric("ripcurrent_checkpoint_behind_bytes")

    def worker(self, *, local: bool = True, mutation: str | None = None, **more: str) -> WorkerProcess:
        """Begun, and owning the partition."""
        for one in self.running:
            if one.running:
                one.kill()
        more |= {"RIPCURRENT_STATE_DIR": str(self.folder)} if local else {}
        more["RIPCURRENT_INSTANCE_ID"] = "the-one"  # the next has the partition at once, whatever became of this one
        log = self.folder / f"{self.name}-{len(self.running)}.log"
        self.running.append(WorkerProcess(log, mutation, **environ(self.kafka, self.name, **more)))
        worker = self.running[-1]
        wait_until("the shard is restored", lambda: worker.metric("ripcurrent_restored_partitions") == 1, 60, [worker])
        return worker

    def work(self, worker: WorkerProcess, *, on_topic: bool = True) -> None:
        """A hundred orders, and the checkpoint that holds them all, or the copy."""
        self.send()
        end = self.sent
        held = self.held_by_topic if on_topic else self.held_by_copy
        wait_until("a state with all of them is safe", lambda: held() == end, 60, [worker])

    def send(self) -> None:
        times = range(self.first + self.sent, self.first + self.sent + 100)
        send(self.kafka, self.topics.source, [event(f"c{i % 9}", "order.paid", START + 60_000 * i) for i in times])
        self.sent += 100

    def held_by_topic(self) -> int:
        manifest = newest_checkpoint(self.kafka, self.topics.checkpoints, 0).manifest
        return manifest.next_offset if manifest is not None else 0

    def held_by_copy(self) -> int:
        copy = LocalCopy(self.folder, self.topics.checkpoints, 0).read()
        manifest = checkpoint.newest(copy.stored).manifest if copy is not None else None
        return manifest.next_offset if manifest is not None else 0

    def strays(self) -> list[str]:
        """Where the newest checkpoint is not, bit by bit, that of an engine that read the source and never died."""
        found = newest_checkpoint(self.kafka, self.topics.checkpoints, 0).snapshot
        assert found is not None
        engine = Engine(load(), self.topics.source, 0)
        source = everything(self.kafka, self.topics.source)
        engine.feed([Record(record.offset, record.key, record.value, record.timestamp) for record in source])
        pure = state.take(engine)
        names = sorted((found.arrays.keys() | pure.arrays.keys()) - {state.CATALOGUE})  # its version is in the memo
        arrays = [name for name in names if not np.array_equal(found.arrays.get(name, ()), pure.arrays.get(name, ()))]
        fields = pure.memo.__struct_fields__
        return arrays + [name for name in fields if getattr(found.memo, name) != getattr(pure.memo, name)]
