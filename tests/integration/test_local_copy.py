"""A restart from the copy on disk: as from the topic, or not at all."""

import shutil
from pathlib import Path

from streams.local_copy import INDEX
from tests.integration.deployment import Deployment
from tests.integration.workers import committed, wait_until, workers

RESTORES = "ripcurrent_checkpoint_restores_total"


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
        at = lambda: committed(kafka, "ahead", it.topics.source)  # noqa: E731
        wait_until("the first checkpoint is committed", lambda: at() == {0: 100}, 30, running[-1:])
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
