"""Replay: the same records give the same bytes, however they are cut; ticks and the end close windows; results are
whole or not there.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from config.catalogue import load
from config.schema import Catalogue
from streams import replay as replayer
from streams.columns import Record
from streams.recording import Recording, head_line, record_line, tick_line
from streams.records import decode_alert
from streams.replay import Result, reading_order, replay, write_result
from streams.simulate import Simulation, simulate, write_jsonl
from streams.ticks import Tick

T0 = 1_767_571_200_000
MINUTE = 60_000


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load()


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four days of thirty creators with two planted episodes of each kind, and a bad record now and then."""
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    simulated, _ = simulate(Simulation(seed=5, days=4, creators=30, planted=1, campaign_days=()))
    write_jsonl(simulated, path)
    lines = path.read_bytes().splitlines()
    for n in range(100, len(lines), 997):
        lines[n] = [b"not json", b'{"creator_id":"c_00001"}', lines[n].replace(b'"occurred_at":', b'"occurred_at":-')][
            n % 3
        ]
    path.write_bytes(b"\n".join(lines))
    return path


def run(
    path: Path,
    catalogue: Catalogue,
    out: Path,
    run_records: int = 4_000,
    progress: Callable[[int], None] = lambda records: None,
) -> Result:
    source = Recording(path, 2)
    result = replay(source.entries(), catalogue, close=True, run_records=run_records, progress=progress)
    write_result(result, out)
    return result


@pytest.fixture(scope="module")
def heard() -> list[int]:
    """How far the replay of `base` said that it was."""
    return []


@pytest.fixture(scope="module")
def base(
    events: Path, catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory, heard: list[int]
) -> tuple[Result, Path]:
    """The result of those events, and where it was written."""
    out = tmp_path_factory.mktemp("base")
    return run(events, catalogue, out, progress=heard.append), out


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir()}


def test_runs_of_any_size_give_the_same_bytes(
    events: Path, catalogue: Catalogue, base: tuple[Result, Path], tmp_path: Path
) -> None:
    run(events, catalogue, tmp_path, 61)
    assert files(tmp_path) == files(base[1])
    assert base[0].alerts


def test_alerts_are_written_in_the_order_of_reading_and_as_the_contract_has_them(base: tuple[Result, Path]) -> None:
    result, out = base
    lines = (out / "alerts.jsonl").read_bytes().splitlines()
    alerts = [decode_alert(line) for line in lines]
    assert alerts == result.alerts == sorted(alerts, key=reading_order)
    assert all(b", " not in line.split(b'"reason"')[0] for line in lines)
    ids = [(alert.alert_id, alert.revision) for alert in alerts]
    assert len(set(ids)) == len(ids)


def test_dead_letters_say_why_and_where_and_keep_the_original(events: Path, base: tuple[Result, Path]) -> None:
    letters = [json.loads(line) for line in (base[1] / "dead_letters.jsonl").read_bytes().splitlines()]
    assert {letter["reason"] for letter in letters} == {"invalid_json", "missing_field", "invalid_field"}
    assert [(x["source_partition"], x["source_offset"]) for x in letters] == sorted(
        (x["source_partition"], x["source_offset"]) for x in letters
    )
    lines = events.read_bytes().splitlines()
    assert all(letter["value"].encode() in lines for letter in letters)
    assert {letter["path"] for letter in letters if letter["reason"] == "invalid_field"} == {"$.occurred_at"}


def test_a_recording_of_the_events_gives_the_alerts_of_the_events(
    events: Path, catalogue: Catalogue, base: tuple[Result, Path], tmp_path: Path
) -> None:
    recording = tmp_path / "r.jsonl.gz"
    with replayer.whole_file(recording) as file:
        file.write(head_line("creator-events", 2))
        by_partition = sorted(Recording(events, 2).entries(), key=lambda entry: entry[0])  # another order of partitions
        file.writelines(record_line(p, entry) for p, entry in by_partition if isinstance(entry, Record))
    run(recording, catalogue, tmp_path / "out")
    assert files(tmp_path / "out") == files(base[1])


# ---- ticks and the end -------------------------------------------------------------------------------------


def takeover() -> list[bytes]:
    """An account takeover in 20 minutes, and two others who are there, after which all is silent."""
    rows = [(0, "c_1", "account.login", {"success": True, "device_id": "d_1", "country": "TH"})]
    rows += [(n, who, "order.paid", {}) for n in (1, 2) for who in ("c_2", "c_3")]
    rows += [(n, "c_1", "account.login", {"success": False, "device_id": "d_9", "country": "RU"}) for n in range(3, 8)]
    rows += [(8, "c_1", "account.login", {"success": True, "device_id": "d_9", "country": "RU"})]
    rows += [(9, "c_1", "account.payout_changed", {}), (10, "c_2", "order.paid", {}), (10, "c_3", "order.paid", {})]
    return [
        json.dumps({"event_id": f"e{i}", "type": kind, "creator_id": who, "occurred_at": T0 + n * MINUTE,
                    "market": "TH", "attrs": attrs}).encode()
        for i, (n, who, kind, attrs) in enumerate(rows)
    ]  # fmt: skip


def recorded(path: Path, *ticks: Tick) -> Path:
    lines = [record_line(0, Record(n, json.loads(v)["creator_id"].encode(), v, 0)) for n, v in enumerate(takeover())]
    path.write_bytes(b"".join([*lines, *map(tick_line, ticks)]))
    return path


def signals(path: Path, catalogue: Catalogue, close: bool = False) -> list[str]:
    return [alert.signal for alert in replay(Recording(path).entries(), catalogue, close=close).alerts]


def test_without_a_tick_the_last_window_stays_open(catalogue: Catalogue, tmp_path: Path) -> None:
    assert signals(recorded(tmp_path / "r.jsonl"), catalogue) == []


def test_a_tick_closes_it(catalogue: Catalogue, tmp_path: Path) -> None:
    last = len(takeover()) - 1
    path = recorded(tmp_path / "r.jsonl", Tick(0, 1, last, T0 + 15 * MINUTE))
    assert signals(path, catalogue) == ["account_takeover"]


def test_a_void_tick_does_not(catalogue: Catalogue, tmp_path: Path) -> None:
    last = len(takeover()) - 1
    path = recorded(tmp_path / "r.jsonl", Tick(0, 2), Tick(0, 1, last, T0 + 15 * MINUTE))
    assert signals(path, catalogue) == []


def test_the_end_of_the_input_closes_it_if_asked(catalogue: Catalogue, tmp_path: Path) -> None:
    assert signals(recorded(tmp_path / "r.jsonl"), catalogue, close=True) == ["account_takeover"]


# ---- results -----------------------------------------------------------------------------------------------


def test_an_interrupted_replay_leaves_what_was_there(
    base: tuple[Result, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, _ = base
    write_result(result, tmp_path)
    before = files(tmp_path)

    def interrupted(alert: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(replayer, "encode_alert", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_result(result._replace(dead=[]), tmp_path)
    assert files(tmp_path) == before


def test_a_replay_tells_how_far_it_is(base: tuple[Result, Path], heard: list[int]) -> None:
    result, _ = base
    assert len(heard) > 1
    assert heard == sorted(heard)
    assert heard[-1] == result.records
    assert result.partitions == (0, 1)
    assert result.creators == 30
    assert result.days == pytest.approx(4, abs=0.1)
