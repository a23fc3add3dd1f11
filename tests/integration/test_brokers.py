"""Brokers that fail: the worker waits, goes on, and loses and doubles nothing; for how long, is a limit."""

from pathlib import Path

import pytest

from streams.topics import Topics, create
from tests.chaos import Chaos
from tests.chaos_quiet import START, event, fast_catalogue, send
from tests.integration.cluster import Cluster
from tests.integration.workers import WorkerProcess, wait_until, workers

pytestmark = [
    pytest.mark.long,
    pytest.mark.kafka,
    # kafka-python forgets a socket at each attempt to reach a broker that is away
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def test_brokers_that_are_killed_or_hang_cost_no_alert_and_no_worker(cluster: Cluster, tmp_path: Path) -> None:
    report = Chaos(cluster, tmp_path, seed=11, plan=["broker hangs", "all brokers"]).run()
    assert report.held, report.sentence()
    assert report.ended == 0, "a worker ended instead of waiting"
    assert report.verdict.revisions > 20


def test_a_worker_ends_when_all_brokers_are_away_for_longer_than_the_limit(cluster: Cluster, tmp_path: Path) -> None:
    topics, config = Topics.with_prefix("away-"), fast_catalogue(tmp_path / "config")
    (config / "engine.yaml").write_text("pane: 5s\nlateness: 1s\nlimits: {brokers_away_seconds: 10}\n")
    create(cluster.bootstrap_servers, topics.specs(1, 3))
    with workers() as running:
        running.append(
            WorkerProcess(
                tmp_path / "worker.log", KAFKA_BOOTSTRAP_SERVERS=cluster.bootstrap_servers,
                RIPCURRENT_TOPIC_PREFIX="away-", RIPCURRENT_GROUP="away", RIPCURRENT_CONFIG=str(config),
                RIPCURRENT_CHECKPOINT_SECONDS="1",
            )
        )  # fmt: skip
        worker = running[0]
        send(cluster.bootstrap_servers, topics.source, [event(f"c{i}", "order.paid", START + i) for i in range(50)])
        wait_until("all is applied", lambda: worker.metric("ripcurrent_records_total") == 50, 90, running)
        assert worker.metric("ripcurrent_brokers_away_seconds") < 4
        for node in cluster.nodes:
            node.kill()
        try:
            away = "it says for how long they are away"
            wait_until(away, lambda: worker.metric("ripcurrent_brokers_away_seconds") > 5, 30, running)
            assert '"healthy":true' in worker.get("/healthz"), "a restart would not help"
            assert worker.wait(60) != 0
        finally:
            for node in cluster.nodes:
                node.start()
        cluster.wait_until_whole()
    assert "over the limit of 10 s (engine.yaml, limits.brokers_away_seconds)" in worker.log.read_text()
