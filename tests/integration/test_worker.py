"""The worker on Apache Kafka: quiet partitions, broken deployments, its own port."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient

from streams.records import decode_alert
from streams.topics import Topics, create
from tests.chaos_quiet import START, event, send
from tests.chaos_quiet import fast_catalogue as small_catalogue
from tests.integration.workers import COMMAND, WorkerProcess, committed, everything, revisions, wait_until, workers


@pytest.fixture
def fast_catalogue(tmp_path: Path) -> Path:
    return small_catalogue(tmp_path / "config", 4)


def environ(kafka: str, name: str, **more: str) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "RIPCURRENT_TOPIC_PREFIX": f"{name}-",
        "RIPCURRENT_GROUP": name,
        "RIPCURRENT_CHECKPOINT_SECONDS": "1",
        **more,
    }


def test_ticks_close_the_windows_of_a_quiet_partition_and_a_replay_follows_them(
    kafka: str, tmp_path: Path, fast_catalogue: Path
) -> None:
    topics = Topics.with_prefix("quiet-")
    create(kafka, topics.specs(1, 1))
    crowd = [event(f"c{i}", "order.paid", START + i) for i in range(5)]
    burst = [event("bad", "violation.confirmed", START + 8_000 + i, attrs={"kind": "spam"}) for i in range(4)]
    settings = environ(kafka, "quiet", RIPCURRENT_CONFIG=str(fast_catalogue), RIPCURRENT_TICK_SECONDS="1")
    with workers() as running:
        running.append(WorkerProcess(tmp_path / "worker.log", **settings))
        send(kafka, topics.source, crowd + burst)
        wait_until("ticks open and resolve the alert", lambda: len(everything(kafka, topics.alerts)) == 2, 90, running)
        running[0].kill()  # and whoever comes after it obeys the recorded ticks, and goes on
        running.append(WorkerProcess(tmp_path / "worker-2.log", **settings))
        wait_until("the new owner is ready", lambda: '"ready":true' in running[1].get("/readyz"), 60, running[1:])
        send(kafka, topics.source, [event("bad", "violation.confirmed", START + 40_000, attrs={"kind": "spam"})])
        wait_until("it goes on", lambda: committed(kafka, "quiet", topics.source) == {0: 10}, 60, running[1:])
        assert running[1].stop() == 0
    options = ["--bootstrap-servers", kafka, "--topic-prefix", "quiet-"]
    subprocess.run([COMMAND, "record", "--out", tmp_path / "r.jsonl", "--until-end", *options], check=True)
    subprocess.run(
        [COMMAND, "replay", tmp_path / "r.jsonl", "--out", tmp_path / "out", "--config", fast_catalogue], check=True
    )
    live = revisions(record.value for record in everything(kafka, topics.alerts))
    assert live == revisions((tmp_path / "out" / "alerts.jsonl").read_bytes().splitlines())
    assert sorted(decode_alert(value).status for value in live) == ["opened", "resolved"]


def test_mostly_bad_records_stop_the_worker_loudly_and_each_is_a_dead_letter(kafka: str, tmp_path: Path) -> None:
    topics = Topics.with_prefix("broken-")
    create(kafka, topics.specs(1, 1))
    good = [event(f"c{i % 7}", "order.paid", START + i) for i in range(400)]
    send(kafka, topics.source, good + [(b"x", b'{"schema":2}')] * 900)
    with workers() as running:
        running.append(WorkerProcess(tmp_path / "worker.log", **environ(kafka, "broken")))
        assert running[0].wait(90) != 0
    log = (tmp_path / "worker.log").read_text()
    assert "900 of 1300 records are dead letters, over the limit of 50%" in log
    assert len(everything(kafka, topics.dlq)) >= 900
    assert committed(kafka, "broken", topics.source) == {}


def test_the_port_says_ready_healthy_and_counts_and_names_nobody(kafka: str, tmp_path: Path) -> None:
    topics = Topics.with_prefix("port-")
    create(kafka, topics.specs(2, 1))
    sent = [event(f"secret_{i % 9}", "order.paid", START + i * 1_000) for i in range(500)]
    send(kafka, topics.source, [*sent, *[(b"c", None), event("c", "never.heard.of", START)]])  # type: ignore[list-item]
    with workers() as running:
        running.append(WorkerProcess(tmp_path / "worker.log", **environ(kafka, "port")))
        worker = running[0]
        wait_until("all is applied", lambda: worker.metric("ripcurrent_records_total") == 502, 60, running)
        wait_until("it is ready", lambda: '"ready":true' in worker.get("/readyz"), 30, running)
        assert '"healthy":true' in worker.get("/healthz")
        wait_until("events are counted", lambda: worker.metric("ripcurrent_events_total", type="order.paid") == 500, 10)
        assert worker.metric("ripcurrent_tombstones_total") == 1
        assert worker.metric("ripcurrent_unknown_types_total") == 1
        assert "secret_" not in worker.get("/metrics")
        assert worker.stop() == 0


def test_a_restored_checkpoint_is_committed_though_nothing_new_comes(kafka: str, tmp_path: Path) -> None:
    """Its writer may have died between the checkpoint and the commit."""
    topics = Topics.with_prefix("restored-")
    create(kafka, topics.specs(1, 1))
    send(kafka, topics.source, [event(f"c{i % 5}", "order.paid", START + i * 1_000) for i in range(300)])
    settings = environ(kafka, "restored")
    with workers() as running:
        running.append(WorkerProcess(tmp_path / "first.log", **settings))
        wait_until("a checkpoint", lambda: committed(kafka, "restored", topics.source) == {0: 300}, 60, running)
        assert running[0].stop() == 0
        running[:] = [WorkerProcess(tmp_path / "second.log", **settings | {"RIPCURRENT_GROUP": "another"})]
        wait_until("the commit", lambda: committed(kafka, "another", topics.source) == {0: 300}, 60, running)
        assert running[0].stop() == 0


def test_partitions_that_are_added_to_the_source_are_refused_with_what_to_do(kafka: str, tmp_path: Path) -> None:
    """While a worker runs, and at the next start: creators would go on in shards that don't know them."""
    topics = Topics.with_prefix("added-")
    create(kafka, topics.specs(1, 1))
    settings = environ(kafka, "added")
    with workers() as running:
        running.append(WorkerProcess(tmp_path / "first.log", **settings))
        first = running[0]
        wait_until("it owns the partition", lambda: first.metric("ripcurrent_restored_partitions") == 1, 60, running)
        admin = KafkaAdminClient(bootstrap_servers=kafka)
        admin.create_partitions(dict.fromkeys((topics.source, topics.ticks, topics.checkpoints), 2))
        admin.close()
        running.append(WorkerProcess(tmp_path / "second.log", **settings))  # makes the group share anew
        assert running[1].wait(60) == 1
        said = running[1].log.read_text()
        assert "the source had 1 partitions and has 2 now" in said
        assert "start anew with another group and topic prefix" in said


FAILING = """
import logging
import os
from config.settings import read_settings
from streams import app
from streams.vault import Vault

async def save(*_, **__):
    raise OSError("no room for checkpoints")

Vault.save = save
logging.basicConfig(level="INFO")
app.run(read_settings(os.environ))
"""


def test_a_checkpoint_that_fails_ends_the_worker_and_commits_nothing(kafka: str, tmp_path: Path) -> None:
    topics = Topics.with_prefix("failing-")
    create(kafka, topics.specs(1, 1))
    send(kafka, topics.source, [event(f"c{i}", "order.paid", START + i) for i in range(50)])
    done = subprocess.run(
        [sys.executable, "-c", FAILING],
        env={**os.environ, **environ(kafka, "failing"), "RIPCURRENT_HTTP_PORT": "0"},
        capture_output=True,
        timeout=90,
    )
    assert done.returncode != 0
    assert b"no room for checkpoints" in done.stderr
    assert committed(kafka, "failing", topics.source) == {}
