"""Dead letters on the topic, and a redrive as a process that dies at a stated step: for tests on Apache Kafka."""

import json
import subprocess
import sys
from collections import Counter
from typing import Any

from streams import clients
from streams.errors import RecordError
from streams.records import dead_letter_headers
from streams.spread import partition_of
from streams.topics import Topics
from tests.integration.test_cli_kafka import ripcurrent

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
