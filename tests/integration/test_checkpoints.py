"""What checkpoints cost, and what a restart reads, as Apache Kafka and the worker's own metrics have it."""

from pathlib import Path

from streams.simulate import Simulation, simulate
from streams.topics import Topics, create
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
