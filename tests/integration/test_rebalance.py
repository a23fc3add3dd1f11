"""Partitions that change hands: workers that come and go under load, restarts that move nothing, and a late waker."""

import re
import time
from pathlib import Path

import pytest

from streams.ticks import decode_tick
from streams.topics import Topics, create
from tests.chaos import Chaos
from tests.chaos_judge import judge
from tests.chaos_quiet import START, event, fast_catalogue, send, violation
from tests.integration.cluster import Cluster
from tests.integration.workers import WorkerProcess, committed, everything, share_all, wait_until, workers

pytestmark = [pytest.mark.kafka, pytest.mark.long]


def test_a_worker_that_wakes_up_late_writes_no_checkpoint_and_no_tick_and_makes_up_no_alert(
    kafka: str, tmp_path: Path
) -> None:
    topics, config = Topics.with_prefix("late-"), fast_catalogue(tmp_path / "config")
    create(kafka, topics.specs(1, 1))

    def worker(name: str, checkpoint_seconds: str) -> WorkerProcess:
        return WorkerProcess(
            tmp_path / f"{name}.log", KAFKA_BOOTSTRAP_SERVERS=kafka, RIPCURRENT_TOPIC_PREFIX="late-",
            RIPCURRENT_GROUP="late", RIPCURRENT_CONFIG=str(config), RIPCURRENT_CHECKPOINT_SECONDS=checkpoint_seconds,
            RIPCURRENT_TICK_SECONDS="1",
        )  # fmt: skip

    crowd = [event(f"c{i}", "order.paid", START + i) for i in range(5)]
    with workers() as running:
        running.append(sleeper := worker("sleeper", "3600"))  # what it has in hand is in no checkpoint
        wait_until("it begins", lambda: sleeper.metric("ripcurrent_restored_partitions") == 1, 90, running)
        send(kafka, topics.source, [*crowd, violation("repeats", START + 1_000)])
        wait_until("it has them", lambda: sleeper.metric("ripcurrent_records_total") == 6, 60, running)
        sleeper.freeze()
        running.append(heir := worker("heir", "1"))
        wait_until("the heir has the partition", lambda: share_all(1, [heir]), 90)
        wait_until("it ticks", lambda: heir.metric("ripcurrent_ticks_total") > 0, 60)
        # in the sleeper's eyes this event is in time, and opens an alert; in truth its window was closed by the tick
        send(kafka, topics.source, [violation("repeats", START + 1_001)])
        wait_until("it is in a checkpoint", lambda: committed(kafka, "late", topics.source) == {0: 7}, 60)
        awake = time.time()
        sleeper.thaw()
        wait_until("the sleeper knows", lambda: "lost [0]" in sleeper.log.read_text(), 60)
        time.sleep(3)
        for one in running:
            assert one.stop() == 0
    began = next(r for r in everything(kafka, topics.ticks) if decode_tick(r.value).epoch == 2)
    assert all(decode_tick(r.value).epoch >= 2 for r in everything(kafka, topics.ticks) if r.offset > began.offset)
    late = [r.key.decode() for r in everything(kafka, topics.checkpoints) if r.timestamp > began.timestamp]
    assert late
    assert [key for key in late if int(key.split("/")[1]) < 2] == []
    assert committed(kafka, "late", topics.source) == {0: 7}
    assert awake * 1_000 > began.timestamp
    verdict = judge(kafka, "late-", config, tmp_path, bad=0)
    assert (verdict.lost, verdict.made_up, verdict.two_contents, verdict.otherwise) == (0, 0, 0, 0), verdict


def test_one_worker_becomes_three_and_one_again_under_load(cluster: Cluster, tmp_path: Path) -> None:
    report = Chaos(cluster, tmp_path, 21, ["add", "add", "remove", "remove"], begin_with=1).run()
    assert report.held, report.sentence()
    assert report.ended == 0


def test_in_a_rolling_restart_of_named_workers_no_partition_moves_and_the_others_go_on(
    kafka: str, tmp_path: Path
) -> None:
    topics, config = Topics.with_prefix("rolling-"), fast_catalogue(tmp_path / "config")
    create(kafka, topics.specs(6, 1))

    def worker(name: str, start: int) -> WorkerProcess:
        return WorkerProcess(
            tmp_path / f"{name}-{start}.log", KAFKA_BOOTSTRAP_SERVERS=kafka, RIPCURRENT_TOPIC_PREFIX="rolling-",
            RIPCURRENT_GROUP="rolling", RIPCURRENT_CONFIG=str(config), RIPCURRENT_CHECKPOINT_SECONDS="1",
            RIPCURRENT_INSTANCE_ID=name,
        )  # fmt: skip

    names, sent, still = ("one", "two", "three"), 0, []
    with workers() as running:
        running += [worker(name, 0) for name in names]
        wait_until("they share the partitions", lambda: share_all(6, running), 120, running)
        time.sleep(2)
        settled = _generations(running)
        for n, name in enumerate(names):
            owned, since = running[n].partitions(), time.monotonic()
            assert running[n].stop() == 0
            send(kafka, topics.source, [event(f"c{i}", "order.paid", START + n * 60_000 + i) for i in range(200)])
            sent += 200
            running[n] = worker(name, 1)
            wait_until("it has its partitions again", lambda n=n, o=owned: running[n].partitions() == o, 90)
            still.append(time.monotonic() - since)
        wait_until("all is done", lambda: sum(committed(kafka, "rolling", topics.source).values()) == sent, 60, running)
        assert max(_generations(running)) == max(settled), "the group settled anew"
        for one in running:
            assert one.stop() == 0
    print(f"partitions stood still for {', '.join(f'{s:.1f}' for s in still)} s")
    verdict = judge(kafka, "rolling-", config, tmp_path, bad=0)
    assert (verdict.lost, verdict.made_up, verdict.otherwise) == (0, 0, 0), verdict


def _generations(of: list[WorkerProcess]) -> list[int]:
    """Of the group, as these workers' logs tell."""
    return [int(n) for worker in of for n in re.findall(r"generation (\d+): kept", worker.log.read_text())]
