"""What checkpoints cost, whether they are whole or not at all, and what compaction leaves of them, on Apache Kafka."""

import signal
from pathlib import Path

import pytest
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from streams import checkpoint
from streams.simulate import Simulation, simulate
from streams.topics import Topics, create
from tests.integration.deployment import Deployment
from tests.integration.test_end_to_end import _send
from tests.integration.test_worker import environ
from tests.integration.workers import WorkerProcess, everything, wait_until, workers


def test_under_load_checkpoints_write_less_than_a_quarter_of_what_the_source_brings(
    kafka: str, tmp_path: Path
) -> None:
    """From an empty start, as shipped but for the seconds: the worker's figures, beside what stands on the topics."""
    topics = Topics.with_prefix("share-")
    create(kafka, topics.specs(1, 1))
    events, _ = simulate(Simulation(seed=31, creators=60, days=10))
    records = [(key, value) for key, value, _ in events.iter_records()]
    settings = environ(kafka, "share", RIPCURRENT_CHECKPOINT_SHARE="0.2", RIPCURRENT_STATE_DIR=str(tmp_path))
    with workers() as running:
        running.append(WorkerProcess(tmp_path / "worker.log", **settings))
        worker = running[0]
        wait_until("it is ready", lambda: '"ready":true' in worker.get("/readyz"), 60, running)
        for first in range(0, len(records), 2_500):  # at a pace that leaves time for checkpoints
            _send(kafka, topics.source, records[first : first + 2_500], "lz4")
            end = min(first + 2_500, len(records))
            wait_until("it follows", lambda end=end: worker.metric("ripcurrent_records_total") == end, 120, running)
        wait_until("all is counted", lambda: worker.metric("ripcurrent_events_total") == len(records), 60, running)
        written, brought = (worker.metric(f"ripcurrent_{of}_bytes_total") for of in ("checkpoint", "source"))
        copies = worker.metric("ripcurrent_local_copy_bytes_total")
        assert worker.metric("ripcurrent_restore_progress", partition="0") == 1
        worker.kill()
    log = [(r.key.decode(), r.value or b"") for r in everything(kafka, topics.checkpoints)]
    assert written == sum(len(value) for _, value in log)
    assert brought == sum(len(value) for _, value in records)
    assert sum(key.startswith("m/") and value != b"" for key, value in log) >= 4
    assert 0 < written < 0.25 * brought
    assert copies > written  # which is why they are on the disk only


@pytest.mark.parametrize(
    ("death", "is_there"),
    [
        pytest.param("dies_behind_a_block", 100, marks=pytest.mark.long),
        ("dies_behind_half_of_the_blocks", 100),
        pytest.param("dies_behind_all_blocks", 100, marks=pytest.mark.long),
        ("dies_behind_the_manifest", 200),  # from here on it is a checkpoint, though nothing is tidied up yet
    ],
)
def test_a_checkpoint_whose_writer_dies_in_its_midst_is_there_wholly_or_not_at_all(
    kafka: str, tmp_path: Path, death: str, is_there: int
) -> None:
    quiet = {"RIPCURRENT_TICK_SECONDS": "600"}  # records alone move time
    with workers() as running:
        it = Deployment(kafka, death.replace("_", "-"), tmp_path, running)
        it.work(it.worker(local=False, **quiet))
        dying = it.worker(local=False, mutation=death, **quiet)
        it.send()
        assert dying.wait(60) == -signal.SIGKILL, dying.log.read_text()[-2_000:]
        assert "the power fails behind" in dying.log.read_text()
        assert it.held_by_topic() == is_there
        last = it.worker(local=False, **quiet)
        assert f"restored at offset {is_there} (checkpoint)" in last.log.read_text()
        it.work(last)
        assert it.strays() == []
        held = {r.key.decode(): r.value for r in everything(kafka, it.topics.checkpoints)}
        stored = {key: value for key, value in held.items() if value is not None}
        kept = [checkpoint.decode_manifest(value) for key, value in stored.items() if key.startswith("m/")]
        assert len(kept) <= 2
        assert not checkpoint.obsolete(stored, kept)  # what was half written is gone


@pytest.mark.long  # how soon the broker compacts is its own affair
def test_a_restore_after_the_broker_has_compacted_the_topic_finds_the_newest(kafka: str, tmp_path: Path) -> None:
    quiet = {"RIPCURRENT_TICK_SECONDS": "600"}
    with workers() as running:
        it = Deployment(kafka, "compacted", tmp_path, running)
        _compact_soon(kafka, it.topics.checkpoints)
        worker = it.worker(local=False, **quiet)
        for _ in range(4):
            it.work(worker)
        first = min(r.key for r in everything(kafka, it.topics.checkpoints) if r.key.startswith(b"m/"))

        def compacted() -> bool:
            it.work(worker)  # what is compacted is what stands in segments that are full
            return first not in {r.key for r in everything(kafka, it.topics.checkpoints)}  # nor its tombstone

        wait_until("the broker has compacted", compacted, 120, [worker], every=2.0)
        last = it.worker(local=False, **quiet)
        assert f"restored at offset {it.sent} (checkpoint)" in last.log.read_text()
        it.work(last)
        assert it.strays() == []


def _compact_soon(kafka: str, topic: str) -> None:
    settings = {"segment.ms": "500", "min.cleanable.dirty.ratio": "0.01", "max.compaction.lag.ms": "500",
                "delete.retention.ms": "100"}  # fmt: skip
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    try:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, settings)])
    finally:
        admin.close()
