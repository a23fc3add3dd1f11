"""The short form of `make chaos`: a few faults under load, and the chaos of a quiet topic."""

from pathlib import Path

import pytest

from tests.chaos import Chaos
from tests.chaos_quiet import quiet
from tests.integration.cluster import Cluster

pytestmark = [
    pytest.mark.kafka,
    # kafka-python forgets a socket at each attempt to reach a broker that is away
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
PLAN = ["kill", "configure", "broker", "tear", "freeze", "kill"]


def test_workers_and_brokers_that_are_killed_and_frozen_lose_no_alert_and_make_none_up(
    cluster: Cluster, tmp_path: Path
) -> None:
    report = Chaos(cluster, tmp_path, 4, PLAN).run()
    assert report.held, report.sentence()
    assert report.verdict.revisions > 20
    assert report.bad > 0
    assert report.repeated > 0


def test_a_worker_that_is_killed_behind_a_tick_makes_up_no_alert(kafka: str, tmp_path: Path) -> None:
    report = quiet(kafka, tmp_path, kills=1)
    assert report.held, report.sentence()
