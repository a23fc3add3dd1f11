"""A worker that is started before its brokers: it waits for them, and says so; and not for ever."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.broker_base import wait_for_cluster
from streams.broker_java import cluster_id, free_ports, node_properties
from streams.topics import Topics, create
from tests.chaos_quiet import START, event, fast_catalogue, send
from tests.integration.cluster import Node
from tests.integration.test_worker import environ
from tests.integration.workers import WorkerProcess, wait_until, workers


class Later:
    """A broker of our own whose address is known before it runs."""

    def __init__(self, folder: Path) -> None:
        port, controller = free_ports(2)
        self.address = f"127.0.0.1:{port}"
        properties = node_properties(
            1, broker_port=port, controller_ports={1: controller}, data=folder / "node" / "data"
        )
        self.node = Node(1, folder / "node", properties)

    def start(self) -> None:
        self.node.format(cluster_id())
        self.node.start()
        wait_for_cluster(self.address, 90)


@pytest.fixture
def later(tmp_path: Path, own_kafka: None) -> Iterator[Later]:
    made = Later(tmp_path)
    yield made
    made.node.kill()


def log(worker: WorkerProcess) -> str:
    return worker.log.read_text(errors="replace")


def test_a_worker_that_is_started_first_waits_healthy_and_goes_on_when_the_broker_comes(
    later: Later, tmp_path: Path
) -> None:
    topics, config = Topics.with_prefix("later-"), fast_catalogue(tmp_path / "config")
    with workers() as running:
        running.append(
            WorkerProcess(tmp_path / "worker.log", **environ(later.address, "later", RIPCURRENT_CONFIG=str(config)))
        )
        worker = running[0]
        wait_until("it says that it waits", lambda: log(worker).count("No Kafka answers at") >= 3, 60, running)
        said = log(worker).count("No Kafka answers at")
        time.sleep(4)
        assert log(worker).count("No Kafka answers at") <= said + 2, "a line each few seconds at most"
        assert '"healthy":true' in worker.get("/healthz"), "a restart would not help"
        with pytest.raises(OSError, match="503"):
            worker.get("/readyz")
        assert worker.metric("ripcurrent_brokers_away_seconds") > 3
        later.start()
        create(later.address, topics.specs(1, 1))
        send(later.address, topics.source, [event(f"c{i}", "order.paid", START + i) for i in range(50)])
        wait_until("all is applied", lambda: worker.metric("ripcurrent_records_total") == 50, 90, running)
        wait_until("it is ready", lambda: '"ready":true' in worker.get("/readyz"), 30, running)
        assert worker.stop() == 0


def test_a_worker_that_nobody_answers_ends_at_the_limit_with_one_line(tmp_path: Path) -> None:
    config, nobody = fast_catalogue(tmp_path / "config"), f"127.0.0.1:{free_ports(1)[0]}"
    (config / "engine.yaml").write_text("pane: 5s\nlateness: 1s\nlimits: {brokers_away_seconds: 10}\n")
    with workers() as running:
        settings = environ(nobody, "never", RIPCURRENT_CONFIG=str(config))
        running.append(WorkerProcess(tmp_path / "worker.log", **settings))
        assert running[0].wait(60) == 1
    last = log(running[0]).splitlines()[-1]
    assert last.startswith(f"ripcurrent: error: the brokers at {nobody} have not answered"), last
    assert last.endswith("over the limit of 10 s (engine.yaml, limits.brokers_away_seconds)")
    assert "Traceback" not in log(running[0])


def test_a_worker_that_waits_can_be_stopped(tmp_path: Path) -> None:
    config, nobody = fast_catalogue(tmp_path / "config"), f"127.0.0.1:{free_ports(1)[0]}"
    with workers() as running:
        running.append(WorkerProcess(tmp_path / "worker.log", **environ(nobody, "told", RIPCURRENT_CONFIG=str(config))))
        wait_until("it waits", lambda: "No Kafka answers at" in log(running[0]), 60, running)
        assert running[0].stop() == 0
