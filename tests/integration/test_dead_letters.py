"""Dead letters on Apache Kafka: what is listed and shown; each goes back once, whenever the command is killed."""

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
from streams.errors import RecordError
from streams.recording import partition_of
from streams.records import dead_letter_headers
from streams.topics import Topics, create
from tests.integration.test_cli_kafka import ripcurrent
from tests.integration.test_worker import environ, send
from tests.integration.workers import WorkerProcess, wait_until, workers

PARTITIONS = 3
REASONS = ("invalid_json", "too_large", "key_mismatch")

# A redrive as a process of its own that says each letter it has done, or is killed at a stated step.
PROCESS = """
import os, signal, sys
from collections import Counter
from kafka import KafkaProducer
from streams import redrive
from streams.dead_letters import Choice

class Told(Counter):
    def __setitem__(self, reason, n):
        super().__setitem__(reason, n)
        print("done", flush=True)

servers, dlq, batch, step, nth, when = sys.argv[1:]
calls = 0

def deadly(*arguments, **named):
    global calls
    calls += 1
    if calls == int(nth) and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    answer = alive(*arguments, **named)
    if calls == int(nth):
        if step == "send":
            arguments[0].flush()
        os.kill(os.getpid(), signal.SIGKILL)
    return answer

if step != "none":
    alive = getattr(KafkaProducer, step)
    setattr(KafkaProducer, step, deadly)
out = redrive.Outcome()
out.sent = Told()
redrive.redrive(servers, dlq, Choice(), out, batch=int(batch))
"""


@pytest.fixture
def topics(kafka: str, topic_prefix: str) -> Topics:
    names = Topics.with_prefix(topic_prefix)
    create(kafka, names.specs(PARTITIONS, 1))
    return names


def set_aside(kafka: str, topics: Topics, n: int, first: int = 0) -> list[tuple[bytes, bytes]]:
    """Letters as the worker writes them; their keys and values."""
    letters = [(f"c_{i % 17}".encode(), b'{"n":%d}\xff' % i) for i in range(first, first + n)]
    with clients.producer(kafka) as to:
        for i, (key, value) in enumerate(letters, first):
            error = RecordError(REASONS[i % 3], "$.n", f"Expected another {i}")
            headers = dead_letter_headers(error, topics.source, partition_of(key, PARTITIONS), i, 1_000 + i)
            to.send(topics.dlq, value, key=key, headers=headers)
    return letters


def records(kafka: str, topic: str) -> list[Any]:
    """What there is for who reads committed records only: with offsets, headers and all."""
    with clients.consumer(kafka) as reader:
        parts = clients.partitions(reader, topic)
        ends = reader.end_offsets(parts)
        reader.assign(parts)
        reader.seek_to_beginning()
        found: list[Any] = []
        while any(reader.position(tp) < ends[tp] for tp in parts):
            for several in reader.poll(timeout_ms=500).values():
                found += several
        return found


def pairs(found: list[Any]) -> Counter[tuple[bytes, bytes]]:
    return Counter((record.key, record.value) for record in found)


def process(kafka: str, dlq: str, batch: int, step: str = "none", nth: int = 0, when: str = "") -> Any:
    command = [sys.executable, "-c", PROCESS, kafka, dlq, str(batch), step, str(nth), when]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def listed(kafka: str, prefix: str, *options: str) -> list[dict[str, Any]]:
    done = ripcurrent(kafka, "dlq", "list", "--json", "--topic-prefix", prefix, *options)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


# ---- list and show -----------------------------------------------------------------------------------------


def test_letters_are_listed_by_reason_and_time_and_counted(kafka: str, topics: Topics, topic_prefix: str) -> None:
    set_aside(kafka, topics, 6)
    time.sleep(0.05)
    middle = time.time()
    time.sleep(0.05)
    set_aside(kafka, topics, 3, first=6)
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(middle)) + f"{middle % 1:.3f}"[1:]

    every = listed(kafka, topic_prefix)
    assert len(every) == 9
    assert {row["source_topic"] for row in every} == {topics.source}
    assert sorted(row["source_offset"] for row in every) == list(range(9))
    assert {row["reason"] for row in listed(kafka, topic_prefix, "--reason", "too_large")} == {"too_large"}
    assert len(listed(kafka, topic_prefix, "--reason", "too_large", "--reason", "invalid_json")) == 6
    assert sorted(row["source_offset"] for row in listed(kafka, topic_prefix, "--since", moment)) == [6, 7, 8]
    assert sorted(row["source_offset"] for row in listed(kafka, topic_prefix, "--until", moment)) == list(range(6))
    assert listed(kafka, topic_prefix, "--until", "1h") == []

    table = ripcurrent(kafka, "dlq", "list", "--topic-prefix", topic_prefix, "--reason", "too_large")
    head, *rows, blank, too_large, total = table.stdout.splitlines()
    assert head.split()[:2] == ["partition", "offset"]
    assert len(rows) == 3
    assert (blank, too_large, total) == ("", "too_large: 3, of which 0 redriven", "all: 3, of which 0 redriven")


def test_a_letter_is_shown_whole_and_moves_no_cursor(kafka: str, topics: Topics, topic_prefix: str) -> None:
    with clients.producer(kafka) as to:
        error = RecordError("invalid_json", "$", "[bold]no[/bold]\x1b[2J")
        headers = dead_letter_headers(error, topics.source, 1, 7, 1_000)
        to.send(topics.dlq, b"[red]a[/red]\x1b]0;owned\x07\xff\n", key=b"c_\x00", headers=headers, partition=2)
    shown = ripcurrent(kafka, "dlq", "show", "2:0", "--topic-prefix", topic_prefix)
    assert shown.returncode == 0, shown.stderr
    assert "\x1b" not in shown.stdout
    assert "\x07" not in shown.stdout
    assert "[bold]no[/bold]\\x1b[2J" in shown.stdout
    assert "key, 3 bytes:\nc_\\x00\n" in shown.stdout
    assert "value, 24 bytes:\n[red]a[/red]\\x1b]0;owned\\x07\\xff\\n\n" in shown.stdout
    for at, said in (("2:1", "there is no dead letter"), ("9:0", "has no partition 9")):
        missing = ripcurrent(kafka, "dlq", "show", at, "--topic-prefix", topic_prefix)
        assert missing.returncode == 1
        assert said in missing.stderr
        assert len(missing.stderr.splitlines()) == 1


# ---- redrive -----------------------------------------------------------------------------------------------


def test_a_redriven_letter_is_the_original_under_its_key_in_the_partition_that_it_came_from(
    kafka: str, topics: Topics, topic_prefix: str
) -> None:
    originals = [
        (b"c_1", b"\xff\x00 no json", partition_of(b"c_1", PARTITIONS)),
        (b"of another", b'{"creator_id":"c_2"}', partition_of(b"of another", PARTITIONS)),
        (None, b"without a key", 2),
        (b"c_1", b"by another partitioner", (partition_of(b"c_1", PARTITIONS) + 1) % PARTITIONS),
    ]
    with clients.producer(kafka) as to:
        for offset, (key, value, partition) in enumerate(originals):
            headers = dead_letter_headers(RecordError("invalid_json", "$", "no"), topics.source, partition, offset, 5)
            to.send(topics.dlq, value, key=key, headers=headers)
    where = {(row["source_offset"]): (row["partition"], row["offset"]) for row in listed(kafka, topic_prefix)}

    tried = ripcurrent(kafka, "dlq", "redrive", "--dry-run", "--topic-prefix", topic_prefix)
    assert tried.stdout.startswith(f"4 dead letters would be redriven to {topics.source}: invalid_json 4\n")
    assert records(kafka, topics.source) == []
    done = ripcurrent(kafka, "dlq", "redrive", "--topic-prefix", topic_prefix)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"4 dead letters redriven to {topics.source}: invalid_json 4\n")

    found = records(kafka, topics.source)
    assert Counter((r.key, r.value, r.partition) for r in found) == Counter(originals)
    by_value = {value: where[offset] for offset, (_, value, _) in enumerate(originals)}
    for record in found:
        partition, offset = by_value[record.value]
        assert record.headers == [("redriven_from", f"{topics.dlq}:{partition}:{offset}".encode())]

    assert all(row["redriven"] for row in listed(kafka, topic_prefix))
    again = ripcurrent(kafka, "dlq", "redrive", "--topic-prefix", topic_prefix)
    assert again.stdout == "0 dead letters redriven\n4 were redriven before, 0 were not chosen\n"
    assert len(records(kafka, topics.source)) == 4


def test_what_a_filter_left_out_a_later_redrive_takes_once(kafka: str, topics: Topics) -> None:
    letters = set_aside(kafka, topics, 60)
    some, rest = redrive.Outcome(), redrive.Outcome()
    redrive.redrive(kafka, topics.dlq, Choice(("too_large",)), some, batch=7)
    assert (dict(some.sent), some.left) == ({"too_large": 20}, 40)
    assert pairs(records(kafka, topics.source)) == Counter(letters[1::3])
    redrive.redrive(kafka, topics.dlq, Choice(), rest, batch=7)
    assert (dict(rest.sent), rest.before) == ({"invalid_json": 20, "key_mismatch": 20}, 20)
    assert pairs(records(kafka, topics.source)) == Counter(letters)


def test_a_letter_without_an_origin_stays_until_a_topic_is_named(
    kafka: str, topics: Topics, topic_prefix: str
) -> None:
    with clients.producer(kafka) as to:
        to.send(topics.dlq, b"whose?", key=b"c_1", partition=1)
    lost = ripcurrent(kafka, "dlq", "redrive", "--topic-prefix", topic_prefix)
    assert lost.returncode == 1
    assert "1 don't say which topic they came from (1:0)" in lost.stderr
    found = ripcurrent(kafka, "dlq", "redrive", "--topic-prefix", topic_prefix, "--topic", topics.source)
    assert found.returncode == 0, found.stderr
    (record,) = records(kafka, topics.source)
    assert (record.key, record.value, record.partition) == (b"c_1", b"whose?", partition_of(b"c_1", PARTITIONS))


def test_a_topic_that_is_not_there_is_one_line_and_nothing_is_sent(
    kafka: str, topics: Topics, topic_prefix: str
) -> None:
    set_aside(kafka, topics, 3)
    done = ripcurrent(kafka, "dlq", "redrive", "--topic-prefix", topic_prefix, "--topic", "nowhere")
    assert done.returncode == 1
    assert "There is no topic nowhere" in done.stderr
    assert not any(row["redriven"] for row in listed(kafka, topic_prefix))


# ---- stopped half-way --------------------------------------------------------------------------------------


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
