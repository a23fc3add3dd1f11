"""Whenever a redrive is stopped and run again, on Apache Kafka, each letter is there once, and nothing else is seen."""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from streams import clients, redrive
from streams.columns import Record
from streams.dead_letters import Choice
from streams.topics import Topics, create
from tests.chaos_quiet import send
from tests.integration.letters import PARTITIONS, listed, pairs, process, records, set_aside
from tests.integration.test_cli_kafka import ripcurrent
from tests.integration.test_worker import environ
from tests.integration.workers import WorkerProcess, wait_until, workers


@pytest.fixture
def topics(kafka: str, topic_prefix: str) -> Topics:
    names = Topics.with_prefix(topic_prefix)
    create(kafka, names.specs(PARTITIONS, 1))
    return names


@pytest.mark.parametrize(
    ("step", "nth", "when"),
    [
        ("begin_transaction", 3, "after"),
        ("send", 14, "after"),  # a letter of the second batch has arrived, its note has not
        ("send", 22, "after"),  # the note of the second batch has arrived
        ("commit_transaction", 2, "before"),
        ("commit_transaction", 2, "after"),
        ("begin_transaction", 3, "before"),
    ],
)
def test_killed_at_any_step_and_run_again_each_letter_is_there_once(
    kafka: str, topics: Topics, step: str, nth: int, when: str
) -> None:
    letters = set_aside(kafka, topics, 60)
    with process(kafka, topics.dlq, 10, step, nth, when) as killed:
        killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL
    out = redrive.Outcome()
    redrive.redrive(kafka, topics.dlq, Choice(), out, batch=10)
    assert 0 < out.before < 60
    assert out.before + out.sent.total() == 60
    assert pairs(records(kafka, topics.source)) == Counter(letters)


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random_moments_until_it_gets_through_each_letter_is_there_once(
    kafka: str, topics: Topics, seed: int
) -> None:
    letters, rng, kills = set_aside(kafka, topics, 300), random.Random(seed), 0
    while True:
        with process(kafka, topics.dlq, 6) as running:
            assert running.stdout is not None
            for _ in range(rng.randrange(1, 60)):
                running.stdout.readline()
            if kills < 5:
                time.sleep(rng.random() / 20)
                running.kill()
            running.communicate(timeout=120)
        if running.returncode == 0:
            break
        assert running.returncode == -signal.SIGKILL
        kills += 1
    assert kills >= 3
    assert pairs(records(kafka, topics.source)) == Counter(letters)


INTERRUPTED = """
import os, signal, sys
from kafka import KafkaProducer
from streams.cli import main

commits = 0
commit = KafkaProducer.commit_transaction

def interrupted(self):
    global commits
    commits += 1
    if commits == 2:
        os.kill(os.getpid(), signal.SIGINT)
    commit(self)

KafkaProducer.commit_transaction = interrupted
main(sys.argv[1:])
"""


def test_ctrl_c_says_what_was_done_and_leaves_nothing_that_readers_wait_for(
    kafka: str, topics: Topics, topic_prefix: str
) -> None:
    letters = set_aside(kafka, topics, 600)
    arguments = ("dlq", "redrive", "--topic-prefix", topic_prefix, "--bootstrap-servers", kafka)
    command = [sys.executable, "-c", INTERRUPTED, *arguments]
    stopped = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert stopped.returncode == 130
    assert stopped.stderr.splitlines() == [
        "ripcurrent: what was done is done; run it again to go on",
        "ripcurrent: stopped",
    ]
    done = int(stopped.stdout.split()[0])
    assert 0 < done < 600
    assert len(records(kafka, topics.source)) == done
    send(kafka, topics.source, [(b"%d" % n, b"next") for n in range(20)])
    assert len(records(kafka, topics.source)) == done + 20

    again = ripcurrent(kafka, "dlq", "redrive", "--topic-prefix", topic_prefix)
    assert again.stdout.startswith(f"{600 - done} dead letters redriven")
    assert pairs([r for r in records(kafka, topics.source) if r.value != b"next"]) == Counter(letters)


def test_a_redrive_that_another_one_took_over_from_sends_nothing_more(
    kafka: str, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters, send_batch, batches = set_aside(kafka, topics, 60), redrive._send, []

    def overtaken(*arguments: Any) -> None:
        batches.append(arguments)
        if len(batches) == 2:
            monkeypatch.setattr(redrive, "_send", send_batch)
            redrive.redrive(kafka, topics.dlq, Choice(), redrive.Outcome())
            monkeypatch.setattr(redrive, "_send", overtaken)
        send_batch(*arguments)

    monkeypatch.setattr(redrive, "_send", overtaken)
    with pytest.raises(clients.KafkaUnusableError, match="Another redrive has begun"):
        redrive.redrive(kafka, topics.dlq, Choice(), redrive.Outcome(), batch=10)
    assert len(batches) == 2
    assert pairs(records(kafka, topics.source)) == Counter(letters)


def test_a_recording_ends_at_the_end_of_a_transaction_and_has_nothing_void(kafka: str, topics: Topics) -> None:
    letters = set_aside(kafka, topics, 30)
    with process(kafka, topics.dlq, 10, "commit_transaction", 2, "before") as killed:
        killed.communicate(timeout=120)
    redrive.redrive(kafka, topics.dlq, Choice(), redrive.Outcome())
    entries = clients.dump(kafka, topics.source, topics.ticks, until_end=True, stopped=lambda: False)
    found = Counter((record.key, record.value) for _, record in entries if isinstance(record, Record))
    assert found == Counter(letters)


def test_a_worker_judges_what_is_redriven_once_and_then_has_nothing_to_wait_for(
    kafka: str, topics: Topics, topic_prefix: str, tmp_path: Path
) -> None:
    send(kafka, topics.source, [(f"c_{i}".encode(), b"no json %d" % i) for i in range(40)])

    def letters() -> int:
        return len(listed(kafka, topic_prefix))

    with workers() as started:
        started.append(WorkerProcess(tmp_path / "worker.log", **environ(kafka, topic_prefix[:-1])))
        (worker,) = started
        wait_until("40 letters", lambda: letters() == 40, 90, started)
        now = int(time.time() * 1000) + 1
        with process(kafka, topics.dlq, 10, "commit_transaction", 2, "before") as killed:
            killed.communicate(timeout=120)
        assert killed.returncode == -signal.SIGKILL
        out = redrive.Outcome()
        redrive.redrive(kafka, topics.dlq, Choice(until=now), out)  # those of the first are bad letters again by now
        assert out.before + out.sent.total() == 40
        wait_until("80 records", lambda: worker.metric("ripcurrent_records_total") >= 80, 60, started)
        time.sleep(2)
        assert worker.metric("ripcurrent_records_total") == 80
        assert worker.metric("ripcurrent_consumer_lag_records") == 0
        assert json.loads(worker.get("/healthz"))["why"] == "nothing to do"
        assert letters() == 80
        assert worker.stop() == 0
    assert sum(not row["redriven"] for row in listed(kafka, topic_prefix)) == 40
