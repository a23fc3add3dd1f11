"""A restart from the copy on disk: as from the topic, or not at all."""

import shutil
from pathlib import Path

from streams.local_copy import INDEX
from streams.topics import Topics, create
from tests.chaos_quiet import START, event, send
from tests.integration.test_worker import environ
from tests.integration.workers import WorkerProcess, wait_until, workers

RESTORES = "ripcurrent_checkpoint_restores_total"


class Deployment:
    """One partition, and workers of it one after the other."""

    def __init__(self, kafka: str, name: str, folder: Path, running: list[WorkerProcess]) -> None:
        self.topics, self.folder, self.running = Topics.with_prefix(f"{name}-"), folder, running
        self.kafka, self.name, self.sent = kafka, name, 0
        create(kafka, self.topics.specs(1, 1))

    @property
    def copy(self) -> Path:
        return self.folder / self.topics.checkpoints / "0"

    def worker(self, *, local: bool = True) -> WorkerProcess:
        """Begun, and owning the partition."""
        for one in self.running:
            if one.running:
                one.kill()
        more = {"RIPCURRENT_STATE_DIR": str(self.folder)} if local else {}
        log = self.folder / f"{self.name}-{len(self.running)}.log"
        self.running.append(WorkerProcess(log, **environ(self.kafka, self.name, **more)))
        worker = self.running[-1]
        wait_until("the shard is restored", lambda: worker.metric("ripcurrent_restored_partitions") == 1, 60, [worker])
        return worker

    def work(self, worker: WorkerProcess) -> None:
        """A hundred orders, and the checkpoint that holds them."""
        before = worker.metric("ripcurrent_checkpoint_bytes_total")
        times = range(self.sent, self.sent + 100)
        send(self.kafka, self.topics.source, [event(f"c{i % 9}", "order.paid", START + 60_000 * i) for i in times])
        self.sent += 100
        wait_until("a checkpoint", lambda: worker.metric("ripcurrent_checkpoint_bytes_total") > before, 60, [worker])


def test_a_restart_takes_the_copy_also_one_that_is_older_than_the_topic(kafka: str, tmp_path: Path) -> None:
    with workers() as running:
        it = Deployment(kafka, "copied", tmp_path, running)
        it.work(it.worker())
        again = it.worker()
        assert again.metric(RESTORES, source="local") == 1
        it.work(it.worker(local=False))  # of which the copy knows nothing
        it.work(it.worker(local=False))
        last = it.worker()
        assert last.metric(RESTORES, source="local") == 1
        assert "restored at offset 300 (local)" in last.log.read_text()


def test_a_harmed_copy_and_one_of_another_topic_are_not_believed(kafka: str, tmp_path: Path) -> None:
    with workers() as running:
        it, other = Deployment(kafka, "harmed", tmp_path, running), Deployment(kafka, "foreign", tmp_path, running)
        it.work(it.worker())
        other.sent = 50  # orders of its own
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
