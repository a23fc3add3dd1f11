"""Hot reload under load, on Apache Kafka: live and replay say the same over the change, a kill behind it included."""

import shutil
import subprocess
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from config.catalogue import SHIPPED, load
from streams.records import decode_alert
from streams.simulate import Simulation, simulate
from streams.ticks import decode_tick
from streams.topics import Topics, create
from tests.integration.test_end_to_end import _send
from tests.integration.workers import COMMAND, WorkerProcess, committed, everything, revisions, wait_until, workers

PARTITIONS = 2
NEW = """
title: Parcel flood
question: Does this creator ship far more parcels than its own level explains?
lifecycle: performance
measures:
  parcels: {one: parcel, many: parcels, events: [order.shipped]}
tests:
  - {kind: volume, measure: parcels, windows: [24h by 1h], minimum: 5, effect: 1, severity: {info: 1.5, warning: 3}}
warmup: 2d
false_positives: [A campaign brings everybody more parcels.]
thresholds_from: "A test's own."
labels: {runbook: none}
"""


@pytest.fixture(scope="module")
def played(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Two weeks through a worker whose configuration is changed, broken and mended; one that is killed behind what it
    told; and one that finds another configuration.
    """
    tmp = tmp_path_factory.mktemp("reload")
    topics, before, folder = Topics.with_prefix("reload-"), tmp / "before", tmp / "config"
    for copy in (before, folder):
        shutil.copytree(SHIPPED, copy, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    create(kafka, topics.specs(PARTITIONS, 1))
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka, "RIPCURRENT_TOPIC_PREFIX": "reload-", "RIPCURRENT_GROUP": "reload",
        "RIPCURRENT_CHECKPOINT_SECONDS": "1", "RIPCURRENT_RELOAD_SECONDS": "0.5", "RIPCURRENT_TICK_SECONDS": "2",
        "RIPCURRENT_CONFIG": str(folder),
    }  # fmt: skip
    events, _ = simulate(Simulation(seed=23, creators=70, days=14, planted=3))
    records = [(key, value) for key, value, _ in events.iter_records()]
    cuts = [round(part * len(records)) for part in (0.0, 0.55, 0.7, 0.8, 0.9, 1.0)]  # before it tests are warming up
    parts = [records[first:last] for first, last in pairwise(cuts)]

    def applied() -> int:
        return sum(committed(kafka, "reload", topics.source).values())

    def reloads(worker: WorkerProcess, result: str) -> float:
        return worker.metric("ripcurrent_config_reloads_total", result=result)

    with workers() as running:
        running.append(WorkerProcess(tmp / "worker-1.log", **environ))
        _send(kafka, topics.source, parts[0], "lz4")
        wait_until("it is at work", lambda: applied() > len(parts[0]) // 2, 120, running)
        load_on = threading.Thread(target=_send, args=(kafka, topics.source, parts[1], "lz4"))
        load_on.start()  # the change comes while records do
        signals = folder / "signals"
        (signals / "parcel_flood.yaml").write_text(NEW)
        (signals / "account_takeover.yaml").unlink()
        spike = signals / "order_spike.yaml"
        spike.write_text(spike.read_text().replace("effect: 3", "effect: 2").replace("5.6", "4"))
        wait_until("the change is taken", lambda: reloads(running[0], "taken") == 1, 60, running)
        load_on.join()
        (signals / "parcel_flood.yaml").write_text(NEW.replace("24h by 1h", "24h by 7h"))
        refused = lambda: running[0].metric("ripcurrent_config_refused")  # noqa: E731
        wait_until("the broken one is refused", lambda: refused() == 1, 60, running)
        _send(kafka, topics.source, parts[2], "lz4")
        wait_until("it goes on under the last good one", lambda: applied() > cuts[2], 120, running)
        (signals / "parcel_flood.yaml").write_text(NEW)
        wait_until("it is mended", lambda: refused() == 0, 60, running)
        running.pop(0).kill()
        running.append(WorkerProcess(tmp / "worker-2.log", **environ | {"RIPCURRENT_CHECKPOINT_SECONDS": "3600"}))
        _send(kafka, topics.source, parts[3], "lz4")
        told = lambda: len(everything(kafka, topics.alerts))  # noqa: E731
        before_it = told()
        lag = lambda: running[0].metric("ripcurrent_consumer_lag_records")  # noqa: E731
        wait_until("the second has told of more", lambda: told() > before_it and lag() == 0, 120, running)
        running.pop(0).kill()  # what it told stands, and no checkpoint holds it
        spike.write_text(spike.read_text().replace("effect: 2", "effect: 2.5"))  # while nobody looks
        running.append(WorkerProcess(tmp / "worker-3.log", **environ))
        changed = lambda: running[0].log.read_text().count("takes the place of") == PARTITIONS  # noqa: E731
        wait_until("the third takes the change", changed, 120, running)
        _send(kafka, topics.source, parts[4], "lz4")
        wait_until("every record is in a checkpoint", lambda: applied() == len(records), 240, running)
        codes = [worker.stop() for worker in running]
    options = ["--bootstrap-servers", kafka, "--topic-prefix", "reload-"]
    recording = tmp / "recording.jsonl.gz"
    subprocess.run([COMMAND, "record", "--out", recording, "--until-end", *options], check=True)
    for name, config in (("out", before), ("what-if", folder)):
        how = ("--out", tmp / name, "--config", config, "--traces", "0")
        subprocess.run([COMMAND, "replay", recording, *how], check=True)
    return {
        "live": revisions(r.value for r in everything(kafka, topics.alerts)), "folder": tmp, "codes": codes,
        "ticks": [decode_tick(r.value) for r in everything(kafka, topics.ticks)],
    }  # fmt: skip


def replayed(played: dict, name: str) -> set[bytes]:
    return revisions((Path(played["folder"]) / name / "alerts.jsonl").read_bytes().splitlines())


def test_live_and_replay_say_the_same_over_a_change_and_a_kill_behind_it(played: dict) -> None:
    assert played["codes"] == [0]
    live, again = played["live"], replayed(played, "out")
    only = [decode_alert(line).reason for line in sorted(live ^ again)[:5]]
    assert live == again, f"{len(live)} live, {len(again)} replayed; {only}"


def test_the_change_is_recorded_for_every_partition_and_shows_in_the_alerts(played: dict) -> None:
    changes = [tick for tick in played["ticks"] if tick.catalogue is not None]
    assert {tick.partition for tick in changes} == set(range(PARTITIONS))
    first = load(Path(played["folder"]) / "before").version
    assert {tick.replaces for tick in changes} > {first}
    alerts = [decode_alert(line) for line in played["live"]]
    assert len({alert.config_version for alert in alerts}) == 3
    assert any(alert.signal == "parcel_flood" for alert in alerts)
    assert all(alert.config_version == first for alert in alerts if alert.signal == "account_takeover")


def test_a_replay_under_a_configuration_of_its_own_keeps_it(played: dict) -> None:
    mine = load(Path(played["folder"]) / "config").version
    assert {decode_alert(line).config_version for line in replayed(played, "what-if")} == {mine}
