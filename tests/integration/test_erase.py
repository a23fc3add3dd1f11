"""`ripcurrent erase` on Apache Kafka: asked for, recorded, obeyed; no checkpoint and no copy on disk has it any more,
also after a kill; and a replay of the recording says the same."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from streams import erasure
from streams.records import Alert, decode_alert
from streams.simulate import Simulation, simulate
from streams.ticks import decode_tick
from streams.topics import Topics, create
from streams.vault import held_after
from tests.chaos_quiet import send
from tests.integration.test_worker import environ
from tests.integration.workers import COMMAND, WorkerProcess, committed, everything, revisions, wait_until, workers

PARTITIONS = 2


def held(kafka: str, topic: str) -> list[bytes]:
    """What a compacted checkpoints topic holds."""
    return [v for p in range(PARTITIONS) for v in held_after((), everything(kafka, topic, p)).values.values()]


def on_disk(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in folder.rglob("*") if file.is_file()]


def named(who: str, among: list[bytes]) -> bool:
    return any(who.encode() in data for data in among)


def with_open_alert(kafka: str, topic: str) -> str:
    newest: dict[str, Alert] = {}
    for alert in (decode_alert(record.value) for record in everything(kafka, topic)):
        newest[alert.alert_id] = alert
    still = [a.entity.id for a in newest.values() if a.status not in ("resolved", "retracted")]
    assert still, "the stream has no open alert at its middle: another seed"
    return still[-1]


def erase(kafka: str, who: str, *more: str) -> subprocess.CompletedProcess[str]:
    options = ["--bootstrap-servers", kafka, "--topic-prefix", "erase-", *more]
    return subprocess.run([COMMAND, "erase", who, *options], capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def played(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Half a stream, an erasure, a kill right behind it, and the other half, of which the erased has no part."""
    tmp, topics = tmp_path_factory.mktemp("erase"), Topics.with_prefix("erase-")
    create(kafka, topics.specs(PARTITIONS, 1))
    (tmp / "state").mkdir()
    settings = environ(kafka, "erase", RIPCURRENT_STATE_DIR=str(tmp / "state"))
    events, _ = simulate(Simulation(seed=12, creators=60, days=8, planted=8))
    records = [(key, value) for key, value, _ in events.iter_records()]
    first, second = records[: len(records) * 5 // 8], records[len(records) * 5 // 8 :]

    def applied() -> int:
        return sum(committed(kafka, "erase", topics.source).values())

    with workers() as running:
        running.append(WorkerProcess(tmp / "1.log", **settings))
        send(kafka, topics.source, first)
        wait_until("the first half is in a checkpoint", lambda: applied() == len(first), 240, running)
        who = with_open_alert(kafka, topics.alerts)
        before = named(who, held(kafka, topics.checkpoints)), named(who, on_disk(tmp / "state"))
        done = erase(kafka, who)
        running.pop().kill()
        again, stranger = erasure.erase(kafka, topics.ticks, who, (), seconds=1), "nobody"
        running.append(WorkerProcess(tmp / "2.log", **settings))
        rest = [(key, value) for key, value in second if key != who.encode()]
        send(kafka, topics.source, rest)
        wait_until("all is applied", lambda: applied() == len(first) + len(rest), 240, running)
        unknown = erase(kafka, stranger), erase(kafka, who, "--market", "XX")
        gone = lambda: not named(who, held(kafka, topics.checkpoints)) and not named(who, on_disk(tmp / "state"))  # noqa: E731
        wait_until("no checkpoint and no copy names it", gone, 60, running)
        code = running[0].stop()
    options = ["--bootstrap-servers", kafka, "--topic-prefix", "erase-"]
    subprocess.run([COMMAND, "record", "--out", tmp / "r.jsonl.gz", "--until-end", *options], check=True)
    subprocess.run([COMMAND, "replay", tmp / "r.jsonl.gz", "--out", tmp / "out", "--traces", "0"], check=True)
    return {
        "who": who, "before": before, "done": done, "again": again, "unknown": unknown, "code": code,
        "live": revisions(r.value for r in everything(kafka, topics.alerts)), "log": (tmp / "1.log").read_text(),
        "replayed": revisions((tmp / "out" / "alerts.jsonl").read_bytes().splitlines()),
        "ticks": [r.value for r in everything(kafka, topics.ticks)], "held": held(kafka, topics.checkpoints),
    }  # fmt: skip


def test_who_was_erased_stands_in_no_checkpoint_after_a_kill_and_did_before(played: dict[str, Any]) -> None:
    assert played["before"] == (True, True)
    assert played["code"] == 0
    assert played["held"]
    assert not named(played["who"], played["held"])


def test_the_command_says_where_the_creator_was_known(played: dict[str, Any]) -> None:
    done = played["done"]
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("forgotten in ")


def test_a_creator_that_nobody_knows_is_said_in_a_line(played: dict[str, Any]) -> None:
    for done, who in zip(played["unknown"], ("nobody", played["who"]), strict=True):
        assert done.returncode == 1
        assert done.stderr == (
            f"ripcurrent: error: no worker knows {who!r} there; is it the creator_id of its events, to the letter?\n"
        )


def test_live_and_replay_say_the_same_over_an_erasure_and_a_kill_behind_it(played: dict[str, Any]) -> None:
    live, again = played["live"], played["replayed"]
    only = [decode_alert(line).reason for line in sorted(live ^ again)[:5]]
    assert live == again, f"{len(live)} live, {len(again)} replayed; {only}"
    codes = {a.entity.id for a in map(decode_alert, live) if a.reason_code == "over_erased"}
    assert codes == {played["who"]}


def test_a_request_that_no_worker_was_there_for_is_obeyed_by_the_next(played: dict[str, Any]) -> None:
    assert played["again"] == ((), (0, 1))
    ticks = [decode_tick(value) for value in played["ticks"]]
    requests = [tick for tick in ticks if tick.erase is not None and tick.asked is None]
    answers = [tick for tick in ticks if tick.asked is not None]
    assert len(requests) == len(answers) == 4 * PARTITIONS
    assert all(tick.epoch == 0 for tick in requests)
    assert {tick.epoch for tick in answers} == {1, 2}


def test_neither_the_ticks_topic_nor_the_log_names_the_erased(played: dict[str, Any]) -> None:
    assert not named(played["who"], played["ticks"])
    assert "a creator is forgotten in" in played["log"]
    assert played["who"] not in played["log"]
