"""The commands that talk to Kafka: topics, simulate --topic, record, and the demo from its start to its clean end."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from streams.recording import Recording
from streams.simulate import Simulation, simulate
from streams.spread import partition_of
from tests.integration.workers import wait_until


def ripcurrent(kafka: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": kafka}
    command = [sys.executable, "-m", "streams.cli", *arguments]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False, timeout=240)


def topics_of(kafka: str) -> set[str]:
    from streams import clients

    with clients.admin(kafka) as admin:
        return {name for name in admin.list_topics() if not name.startswith("__")}


def test_topics_are_created_once_and_what_differs_is_told(kafka: str, topic_prefix: str) -> None:
    prefix = ("--topic-prefix", topic_prefix)
    missing = ripcurrent(kafka, "topics", "--check", *prefix)
    assert missing.returncode == 1
    assert len(missing.stderr.splitlines()) == 6
    first = ripcurrent(kafka, "topics", "--partitions", "3", *prefix)
    assert first.returncode == 0, first.stderr
    assert first.stdout.count("created ") == 6
    again = ripcurrent(kafka, "topics", "--partitions", "3", *prefix)
    assert (again.returncode, again.stdout) == (0, "6 topics are as they must be\n")
    other = ripcurrent(kafka, "topics", "--partitions", "4", "--check", *prefix)
    assert other.returncode == 1
    assert f"{topic_prefix}creator-events: has 3 partitions, expected 4 partitions" in other.stderr


def test_what_is_simulated_into_a_topic_is_recorded_and_replays_like_the_file(
    kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    prefix, spec = ("--topic-prefix", topic_prefix), ("--seed", "5", "--days", "3", "--creators", "30")
    assert ripcurrent(kafka, "topics", "--partitions", "2", *prefix).returncode == 0
    sent = ripcurrent(kafka, "simulate", "--topic", *spec, *prefix)
    assert sent.returncode == 0, sent.stderr
    recorded = ripcurrent(kafka, "record", "--until-end", "--out", "r.jsonl.gz", *prefix, cwd=tmp_path)
    assert recorded.returncode == 0, recorded.stderr

    events, _ = simulate(Simulation(seed=5, days=3, creators=30))
    expected = [(partition_of(key, 2), key, value) for key, value, _ in events.iter_records()]
    source = Recording(tmp_path / "r.jsonl.gz")
    found = [(p, entry.key, entry.value) for p, entry in source.entries()]  # type: ignore[union-attr]
    assert source.topic == f"{topic_prefix}creator-events"
    for partition in (0, 1):  # each in its order
        assert [row for row in found if row[0] == partition] == [row for row in expected if row[0] == partition]

    replayed = ripcurrent(kafka, "replay", "r.jsonl.gz", "--close", "--out", "out", "--traces", "0", cwd=tmp_path)
    assert replayed.returncode == 0, replayed.stderr
    assert replayed.stdout.startswith(f"{len(events):,} records in 2 shards: ")
    alerts = [json.loads(line) for line in (tmp_path / "out" / "alerts.jsonl").read_bytes().splitlines()]
    assert {a["evidence"]["sources"][0]["topic"] for a in alerts if a["evidence"]["sources"]} <= {source.topic}


def test_an_endless_recording_is_whole_when_it_is_stopped(kafka: str, topic_prefix: str, tmp_path: Path) -> None:
    from streams import clients

    prefix, out = ("--topic-prefix", topic_prefix), tmp_path / "r.jsonl"
    assert ripcurrent(kafka, "topics", *prefix).returncode == 0
    command = [sys.executable, "-m", "streams.cli", "record", "--out", str(out), "--bootstrap-servers", kafka, *prefix]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as recording:
        try:
            for wait in range(40):  # sends until the recorder has seen something: its first file appears with it
                with clients.producer(kafka) as to:
                    to.send(f"{topic_prefix}creator-events", b'{"n":%d}' % wait, key=b"c_1")
                time.sleep(0.25)
                if wait > 8 and any(tmp_path.iterdir()):
                    break
            assert not out.exists()
            recording.send_signal(signal.SIGINT)
            said, err = recording.communicate(timeout=30)
        finally:
            recording.kill()
    assert recording.returncode == 0, err
    found = list(Recording(out).entries())
    assert said.startswith(f"{len(found):,} records of {topic_prefix}creator-events")
    assert found


@pytest.mark.parametrize(
    ("command", "topic"), [("simulate --topic --days 1", "creator-events"), ("record --out r", "ripcurrent-ticks")]
)
def test_a_topic_that_is_not_there_is_one_line(
    kafka: str, topic_prefix: str, command: str, topic: str, tmp_path: Path
) -> None:
    done = ripcurrent(kafka, *command.split(), "--topic-prefix", topic_prefix, cwd=tmp_path)
    assert done.returncode == 1
    assert "create the topics with: ripcurrent topics" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_demo_shows_alerts_and_what_was_caught_and_leaves_nothing(kafka: str, tmp_path: Path) -> None:
    """A small market on the test's own broker; that it must be good enough is judged on the market of `make demo`."""
    before = topics_of(kafka)
    environment = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": kafka, "TMPDIR": str(tmp_path), "COLUMNS": "150"}
    command = [sys.executable, "-m", "streams.cli", "demo", "--creators", "60"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as demo:
        out, err = demo.communicate(timeout=170)
    assert err == ""
    assert demo.returncode == (1 if "not good enough" in out else 0)
    for said in (
        "worker started",
        "100 % of",
        "Planted episodes",
        "median delay",
        "false alerts per 1,000",
        "/metrics",
    ):
        assert said in out
    assert "account_takeover" in out.split("Planted episodes")[0]  # an alert, with its reason in words
    assert "Repeated failed logins" in out
    assert topics_of(kafka) == before
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_dies_ends_the_demo_with_its_last_words(kafka: str, tmp_path: Path) -> None:
    before = topics_of(kafka)
    environment = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": kafka, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "streams.cli", "demo", "--creators", "60"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        metrics = next(line for line in demo.stdout if "metrics at " in line).split()[-1]

        def begun() -> bool:  # it commits every few seconds only, so it has not finished by then
            with urllib.request.urlopen(metrics, timeout=10) as answer:
                return re.search(rb"^ripcurrent_records_total [1-9]", answer.read(), re.MULTILINE) is not None

        wait_until("the worker is in the midst of it", begun, 60, every=0.05)
        (worker,) = Path(f"/proc/{demo.pid}/task/{demo.pid}/children").read_text().split()
        os.kill(int(worker), signal.SIGKILL)
        _, err = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert err.startswith("ripcurrent: error: the worker ended with exit code -9")
    assert topics_of(kafka) == before
    assert list(tmp_path.iterdir()) == []
