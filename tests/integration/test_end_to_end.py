"""The promise, on Apache Kafka: whatever happens to the workers, the alerts are those of a replay."""

import json
import subprocess
from collections import Counter

import msgspec
import pytest
from kafka import KafkaProducer

from config.catalogue import load
from streams.records import decode_alert
from streams.simulate import Events, Simulation, simulate
from streams.spread import partition_of
from streams.topics import Topics, create
from tests.integration.workers import (
    COMMAND,
    WorkerProcess,
    committed,
    everything,
    revisions,
    share_all,
    wait_until,
    workers,
)

PARTITIONS = 2
BAD = (
    b"not json",
    b'{"event_id":"x"}',
    b'{"event_id":"x","type":"order.paid","creator_id":"someone else","occurred_at":1,"market":"TH"}',
    b"\xff\xfe",
    b'{"event_id":"x","type":"order.paid","creator_id":"bad","occurred_at":-5,"market":"TH"}',
)
MARKET = Simulation(seed=17, creators=120, days=16, planted=4)


@pytest.fixture(scope="module")
def played(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Two weeks of a market through two workers, of which one is killed in the midst of it and replaced."""
    folder = tmp_path_factory.mktemp("end_to_end")
    topics = Topics.with_prefix("e2e-")
    create(kafka, topics.specs(PARTITIONS, 1))
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "RIPCURRENT_TOPIC_PREFIX": "e2e-",
        "RIPCURRENT_GROUP": "e2e",
        "RIPCURRENT_CHECKPOINT_SECONDS": "2",
    }
    records = _records(simulate(MARKET)[0])
    sent, bad = len(records), sum(key == b"bad" for key, _ in records)
    first, second, third, last = (records[i * sent // 4 : (i + 1) * sent // 4] for i in range(4))
    assert {partition_of(key, PARTITIONS) for key, _ in last} == set(range(PARTITIONS))

    def applied() -> int:
        return sum(committed(kafka, "e2e", topics.source).values())

    with workers() as running:
        running += [WorkerProcess(folder / f"worker-{i}.log", **environ) for i in range(2)]
        _send(kafka, topics.source, first, "gzip")
        _send(kafka, topics.source, second, "snappy")
        wait_until("a third of the records is in checkpoints", lambda: applied() > sent / 3, 120, running)
        wait_until("both have partitions", lambda: share_all(PARTITIONS, running), 60, running)
        _send(kafka, topics.source, third, "lz4")
        running.pop(0).kill()  # at once: what has just been written is in no checkpoint yet
        assert applied() < sent - len(last), "the kill must come while there is work to do"
        running.append(WorkerProcess(folder / "worker-2.log", **environ))
        # the last quarter waits until its owners are known: else one survivor may do it all before the other joins
        wait_until("both survivors have partitions", lambda: share_all(PARTITIONS, running), 120, running)
        _send(kafka, topics.source, last, "zstd")
        wait_until("every record is in a checkpoint", lambda: applied() == sent, 240, running)
        shares = [worker.metric("ripcurrent_records_total") for worker in running]
        codes = [worker.stop() for worker in running]
    alerts = everything(kafka, topics.alerts)
    recording = folder / "recording.jsonl.gz"
    options = ["--bootstrap-servers", kafka, "--topic-prefix", "e2e-"]
    subprocess.run([COMMAND, "record", "--out", recording, "--until-end", *options], check=True)
    subprocess.run([COMMAND, "replay", recording, "--out", folder / "out", "--traces", "0"], check=True)
    return {
        "live": alerts,
        "replayed": (folder / "out" / "alerts.jsonl").read_bytes().splitlines(),
        "dead": everything(kafka, topics.dlq),
        "bad": bad,
        "sent": sent,
        "codes": codes,
        "shares": shares,
    }


def _records(events: Events) -> list[tuple[bytes, bytes]]:
    """Key and value of every event, with bad records among them."""
    records = []
    for n, (key, value, _) in enumerate(events.iter_records()):
        if n % 2_000 == 0:
            records.append((b"bad", BAD[n // 2_000 % len(BAD)]))
        records.append((key, value))
    return records


def _send(kafka: str, topic: str, records: list[tuple[bytes, bytes]], codec: str) -> None:
    """All of them are acknowledged when it returns."""
    producer = KafkaProducer(bootstrap_servers=kafka, compression_type=codec, linger_ms=20, batch_size=1 << 18)
    for key, value in records:
        producer.send(topic, key=key, value=value)
    producer.flush()
    producer.close()


def test_after_a_kill_the_alerts_are_byte_for_byte_those_of_a_replay(played: dict) -> None:
    live, replayed = revisions(r.value for r in played["live"]), revisions(played["replayed"])
    assert live == replayed, _difference(live, replayed)


def test_no_revision_was_ever_written_with_two_contents(played: dict) -> None:
    contents: dict[tuple[str, int], set[bytes]] = {}
    for record in played["live"]:
        alert = decode_alert(record.value)
        contents.setdefault((alert.alert_id, alert.revision), set()).add(record.value)
        assert record.key == alert.entity.id.encode()
    assert {len(versions) for versions in contents.values()} == {1}


def test_there_are_alerts_of_every_signal_and_of_every_status(played: dict) -> None:
    alerts = [decode_alert(line) for line in played["replayed"]]
    statuses = Counter(alert.status for alert in alerts)
    assert len({alert.alert_id for alert in alerts}) >= 50
    assert {alert.signal for alert in alerts} == load().signals.keys()
    assert {"opened", "updated", "escalated", "resolved"} <= statuses.keys(), statuses


def test_every_bad_record_is_a_dead_letter_with_its_origin_and_its_bytes(played: dict) -> None:
    origins = {}
    for record in played["dead"]:
        headers = {name: value.decode() for name, value in record.headers}
        origins[headers["source_partition"], headers["source_offset"]] = (record.key, record.value, headers)
    assert len(origins) == played["bad"]
    for key, value, headers in origins.values():
        assert key == b"bad"
        assert value in BAD
        assert headers["reason"] in {"invalid_json", "missing_field", "key_mismatch", "invalid_field"}
        assert headers["source_topic"] == "e2e-creator-events"
        assert headers["path"]


def test_both_survivors_worked_and_stopped_cleanly(played: dict) -> None:
    assert played["codes"] == [0, 0]
    assert all(share > 0 for share in played["shares"])


def _difference(live: set[bytes], replayed: set[bytes]) -> str:
    """The first revisions that only one side has: what to look at."""
    lines = [f"{len(live)} live, {len(replayed)} replayed"]
    for name, some in (("only live", live - replayed), ("only replayed", replayed - live)):
        lines += [f"{name}: {json.dumps(msgspec.json.decode(value))}" for value in sorted(some)[:2]]
    return "\n".join(lines)
