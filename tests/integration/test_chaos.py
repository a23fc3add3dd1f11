"""The short form of `make chaos`: two workers killed, and whatever else the plan brings, under load."""

from pathlib import Path

from tests.chaos import Chaos


def test_workers_that_are_killed_frozen_and_replaced_lose_no_alert_and_make_none_up(kafka: str, tmp_path: Path) -> None:
    report = Chaos(kafka, tmp_path, kills=2, seed=4).run()
    assert report.held, report.sentence()
    assert report.faults["kill"] == 2
    assert report.revisions > 20
    assert report.bad > 0
    assert report.repeated > 0
