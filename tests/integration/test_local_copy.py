"""A restart from the copy on disk: as from the topic, or not at all."""

import shutil
from pathlib import Path

from streams import checkpoint
from streams.local_copy import INDEX, LocalCopy
from streams.topics import Topics, create
from tests.chaos_quiet import START, event, send
from tests.integration.test_worker import environ
from tests.integration.torn import newest_checkpoint
from tests.integration.workers import WorkerProcess, committed, wait_until, workers

RESTORES = "ripcurrent_checkpoint_restores_total"


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

    def worker(self, *, local: bool = True, **more: str) -> WorkerProcess:
        """Begun, and owning the partition."""
        for one in self.running:
            if one.running:
                one.kill()
        more |= {"RIPCURRENT_STATE_DIR": str(self.folder)} if local else {}
        log = self.folder / f"{self.name}-{len(self.running)}.log"
        self.running.append(WorkerProcess(log, **environ(self.kafka, self.name, **more)))
        worker = self.running[-1]
        wait_until("the shard is restored", lambda: worker.metric("ripcurrent_restored_partitions") == 1, 60, [worker])
        return worker

    def work(self, worker: WorkerProcess, *, on_topic: bool = True) -> None:
        """A hundred orders, and the checkpoint that holds them all, or the copy."""
        times = range(self.first + self.sent, self.first + self.sent + 100)
        send(self.kafka, self.topics.source, [event(f"c{i % 9}", "order.paid", START + 60_000 * i) for i in times])
        end = self.sent = self.sent + 100
        held = self.held_by_topic if on_topic else self.held_by_copy
        wait_until("a state with all of them is safe", lambda: held() == end, 60, [worker])

    def held_by_topic(self) -> int:
        manifest = newest_checkpoint(self.kafka, self.topics.checkpoints, 0).manifest
        return manifest.next_offset if manifest is not None else 0

    def held_by_copy(self) -> int:
        copy = LocalCopy(self.folder, self.topics.checkpoints, 0).read()
        manifest = checkpoint.newest(copy.stored).manifest if copy is not None else None
        return manifest.next_offset if manifest is not None else 0


def test_a_restart_takes_the_copy_where_it_is_not_behind_the_topic(kafka: str, tmp_path: Path) -> None:
    with workers() as running:
        it = Deployment(kafka, "copied", tmp_path, running)
        it.work(it.worker())
        again = it.worker()
        assert again.metric(RESTORES, source="local") == 1
        it.work(it.worker(local=False))  # of which the copy knows nothing
        last = it.worker()
        assert last.metric(RESTORES, source="checkpoint") == 1
        assert "restored at offset 200 (checkpoint)" in last.log.read_text()


def test_with_checkpoints_by_bytes_the_copy_is_ahead_of_the_topic(kafka: str, tmp_path: Path) -> None:
    """Killed again and again with little on the topic; at last without its disk, which costs a longer way back."""
    share = {"RIPCURRENT_CHECKPOINT_SHARE": "0.2"}
    with workers() as running:
        it = Deployment(kafka, "ahead", tmp_path, running)
        it.work(it.worker(**share))  # the first checkpoint of a partition waits for nothing
        for n in (2, 3, 4):
            it.work(it.worker(**share), on_topic=False)
            assert it.worker(**share).metric(RESTORES, source="local") == 1
            assert f"restored at offset {n}00 (local)" in running[-1].log.read_text()
            wait_until("it knows the account", lambda n=n: it.behind > 10_000 * (n - 1), 30, running[-1:])
        assert committed(kafka, "ahead", it.topics.source) == {0: 100}
        last = it.worker(local=False, **share)
        assert "restored at offset 100 (checkpoint)" in last.log.read_text()
        wait_until("it is there", lambda: last.metric("ripcurrent_consumer_lag_records") == 0, 60, [last])
        wait_until("it has it all", lambda: last.metric("ripcurrent_events_total") == 300, 60, [last])


def test_a_harmed_copy_and_one_of_another_topic_are_not_believed(kafka: str, tmp_path: Path) -> None:
    with workers() as running:
        it, other = Deployment(kafka, "harmed", tmp_path, running), Deployment(kafka, "foreign", tmp_path, running)
        it.work(it.worker())
        other.first = 50  # orders of its own
        other.work(other.worker())
        other.running[-1].kill()
        for file in it.copy.iterdir():
            if file.name != INDEX:
                data = bytearray(file.read_bytes())
                data[len(data) // 2] ^= 1
                file.write_bytes(bytes(data))
        assert it.worker().metric(RESTORES, source="checkpoint") == 1
        it.work(it.running[-1])  # and the next copy is whole again
        assert it.worker().metric(RESTORES, source="local") == 1
        it.running[-1].kill()
        shutil.rmtree(it.copy)
        shutil.copytree(other.copy, it.copy)
        last = it.worker()
        assert last.metric(RESTORES, source="checkpoint") == 1
        assert "not of this topic's checkpoints" in last.log.read_text()
