"""Dead letters on Apache Kafka: what is listed and shown, and what goes back."""

import time
from collections import Counter

import pytest

from streams import clients, redrive
from streams.dead_letters import Choice
from streams.errors import RecordError
from streams.records import dead_letter_headers
from streams.spread import partition_of
from streams.topics import Topics, create
from tests.integration.letters import PARTITIONS, listed, pairs, records, set_aside
from tests.integration.test_cli_kafka import ripcurrent


@pytest.fixture
def topics(kafka: str, topic_prefix: str) -> Topics:
    names = Topics.with_prefix(topic_prefix)
    create(kafka, names.specs(PARTITIONS, 1))
    return names


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
