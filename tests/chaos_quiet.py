"""The chaos of a quiet topic: workers are killed as soon as a tick has closed a window, and then an event of that very
window comes. It is late if the tick stands on its topic, and counts if it doesn't: a tick that was obeyed before it
was recorded shows.
"""

import json
from pathlib import Path

from kafka import KafkaProducer

from streams.topics import Topics, create
from tests.chaos_judge import Report, judge
from tests.integration.workers import WorkerProcess, committed, everything, wait_until, workers

START = 1_767_571_200_000
BETWEEN = 60_000  # ms from one round to the next
SECONDS = 120
SIGNAL = """
title: Repeated violation
question: Has this creator repeated the same violation?
lifecycle: compliance
measures:
  violations: {one: violation, many: violations, events: [violation.confirmed]}
tests:
  - {kind: repeat, measure: violations, by: kind, windows: [20s by 5s], minimum: MINIMUM, severity: {warning: MINIMUM}}
resolve_after: 10s
cooldown: 5s
false_positives: [None that a test knows.]
thresholds_from: "A test's own."
labels: {runbook: none}
"""


def fast_catalogue(folder: Path, minimum: int = 2) -> Path:
    """Panes of five seconds, so that silence closes them soon; an alert at so many violations of a kind."""
    (folder / "signals").mkdir(parents=True)
    (folder / "markets").mkdir()
    (folder / "engine.yaml").write_text("pane: 5s\nlateness: 1s\n")
    (folder / "signals" / "repeated.yaml").write_text(SIGNAL.replace("MINIMUM", str(minimum)))
    (folder / "markets" / "default.yaml").write_text("currency: USD\n")
    return folder


def event(creator: str, kind: str, at: int, **more: object) -> tuple[bytes, bytes]:
    fields = {"event_id": f"{creator}-{kind}-{at}", "type": kind, "creator_id": creator, "occurred_at": at}
    return creator.encode(), json.dumps(fields | {"market": "TH"} | more).encode()


def violation(creator: str, at: int) -> tuple[bytes, bytes]:
    return event(creator, "violation.confirmed", at, attrs={"kind": "spam"})


def send(kafka: str, topic: str, records: list[tuple[bytes | None, bytes]]) -> None:
    """All of them are acknowledged when it returns."""
    producer = KafkaProducer(bootstrap_servers=kafka.split(","))
    for key, value in records:
        producer.send(topic, key=key, value=value)
    producer.flush()
    producer.close()


def quiet(kafka: str, folder: Path, kills: int, mutation: str | None = None) -> Report:
    """So many rounds: a burst, silence until a tick opens its alert, a kill, and an event of the closed window."""
    prefix = f"quiet-{mutation or ''}-"
    topics, config = Topics.with_prefix(prefix), fast_catalogue(folder / "config")
    create(kafka, topics.specs(1, 1))
    sent = 0

    def worker(number: int) -> WorkerProcess:
        return WorkerProcess(
            folder / f"quiet-{number}.log", mutation, RIPCURRENT_CONFIG=str(config), KAFKA_BOOTSTRAP_SERVERS=kafka,
            RIPCURRENT_TOPIC_PREFIX=prefix, RIPCURRENT_GROUP=prefix, RIPCURRENT_CHECKPOINT_SECONDS="1",
            RIPCURRENT_TICK_SECONDS="1",
        )  # fmt: skip

    with workers() as running:
        running.append(worker(0))
        for n in range(kills):
            at, who = START + n * BETWEEN, f"repeats_{n}"
            crowd = [event(f"c{i}", "order.paid", at + i) for i in range(5)]
            send(kafka, topics.source, [*crowd, violation(who, at + 1_000), violation(who, at + 1_001)])

            def told(who: bytes = who.encode()) -> bool:
                return any(record.key == who for record in everything(kafka, topics.alerts))

            wait_until("a tick opens the alert", told, SECONDS, running, every=0.1)
            running.pop().kill()
            send(kafka, topics.source, [violation(who, at + 1_002)])
            sent += len(crowd) + 3
            running.append(worker(n + 1))
            all_of_it = {0: sent}

            def applied(it: dict[int, int] = all_of_it) -> bool:
                return committed(kafka, prefix, topics.source) == it

            wait_until("its successor has applied it all", applied, SECONDS, running)
        running[0].stop()
    return Report({"kill": kills}, sent, 0, 0, 0, judge(kafka, prefix, config, folder, 0), {})
