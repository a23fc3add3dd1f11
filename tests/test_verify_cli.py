"""`ripcurrent verify`: alerts of a file or a folder beside their events; exit code 1 where anything differs."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from config.catalogue import load
from config.packed import pack
from streams.ticks import Tick
from tests.test_explain import done, folder, id_of, replayed
from tests.test_replay import MINUTE, T0, recorded, takeover

__all__ = ["folder", "replayed"]  # fixtures


def alerts(folder: Path) -> Path:
    return folder / "out" / "alerts.jsonl"


def test_all_alerts_of_a_replay_are_verified_at_once(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert done("verify", "out") == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert out.splitlines()[-1] == f"1 alerts, {len(alerts(folder).read_bytes().splitlines())} revisions: identical"


def test_one_alert_is_told_of_at_length(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert done("verify", str(alerts(folder)), "--id", id_of(folder)[:5]) == 0
    out = capfd.readouterr().out
    assert f"{id_of(folder)} revision 1, opened: account_takeover, c_1 in TH" in out
    assert "  quoted   all 5 events are there" in out
    assert "  decided  identical" in out


@pytest.mark.parametrize("pretty", [False, True])
def test_an_alert_may_come_by_standard_input(
    pretty: bool, folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = alerts(folder).read_bytes().splitlines()[0]
    line = json.dumps(json.loads(line), indent=2).encode() if pretty else line
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(line)))
    assert done("verify", "-", "--events", "events.jsonl") == 0
    assert "1 alerts, 1 revisions: identical" in capfd.readouterr().out


def test_a_changed_event_is_found_and_the_fields_are_shown(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = folder / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(b"account.payout_changed", b"video.published"))
    assert done("verify", "out") == 1
    out, err = capfd.readouterr()
    assert "is not what was replayed" in err
    assert "of them differ" in out.splitlines()[-1]


def test_a_change_that_no_alert_holds_is_found_by_the_hash(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = folder / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"event_id": "e1"', b'"event_id": "e_other"'))
    assert done("verify", "out") == 1
    out, err = capfd.readouterr()
    assert "revisions: identical" in out.splitlines()[-1]
    assert err.startswith("ripcurrent: warning: events.jsonl: is not what was replayed: the hash of its content")


def test_the_same_events_in_another_form_are_as_good(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert done("convert", "events.jsonl", "--out", "events.jsonl.gz") == 0
    assert done("verify", "out", "--events", "events.jsonl.gz") == 0
    out, err = capfd.readouterr()
    assert "revisions: identical" in out.splitlines()[-1]
    assert err.startswith("ripcurrent: warning: events.jsonl.gz: is not what was replayed")


def test_a_changed_alert_is_found_with_the_field(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    alerts(folder).write_bytes(alerts(folder).read_bytes().replace(b'"observed":', b'"observed":1'))
    assert done("verify", "out") == 1
    out = capfd.readouterr().out
    assert "decided  otherwise: 1 fields differ" in out
    assert "│ observed │ 1" in out


def test_an_alert_of_another_configuration_is_refused(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    version = json.loads(alerts(folder).read_bytes().splitlines()[0])["config_version"]
    alerts(folder).write_bytes(alerts(folder).read_bytes().replace(version.encode(), b"0123456789abcdef"))
    assert done("verify", "out") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "can't be verified here: configuration 0123456789abcdef decided" in line
    assert "--config" in line


def test_an_alert_of_another_engine_is_refused(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = alerts(folder).read_text().replace('"engine_version":"', '"engine_version":"1')
    alerts(folder).write_text(text)
    assert done("verify", "out") == 2
    assert "its arithmetic is another" in capfd.readouterr().err


def test_without_a_run_the_events_must_be_named(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "out" / "run.json").unlink()
    assert done("verify", "out") == 2
    assert "--events is needed" in capfd.readouterr().err
    assert done("verify", "out", "--events", "events.jsonl") == 0


def test_with_other_partitions_its_place_differs(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert done("verify", "out", "--partitions", "1") == 1
    assert "no such revision comes out" in capfd.readouterr().out


def test_an_id_in_a_folder_without_alerts_is_refused(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert done("replay", "events.jsonl", "--out", "none", "--no-tables", "--no-close") == 0
    assert done("verify", "none", "--id", "0") == 2
    assert "has 0 alerts" in capfd.readouterr().err


def test_a_file_without_alerts_is_refused(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    alerts(folder).write_bytes(b"")
    (folder / "out" / "shadow_alerts.jsonl").write_bytes(b"")
    assert done("verify", "out") == 2
    assert "has no alerts" in capfd.readouterr().err


def test_alerts_with_pseudonyms_are_verified_with_the_key(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert done("init", "other") == 0
    engine = folder / "other" / "engine.yaml"
    engine.write_text(engine.read_text() + "\npseudonyms: true\n")
    (folder / "key").write_bytes(b"k" * 32)
    (folder / "key").chmod(0o600)
    monkeypatch.setenv("RIPCURRENT_PSEUDONYM_KEY_FILE", str(folder / "key"))
    path = folder / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"market"', b'"actor_id": "u_1", "market"'))
    assert done("replay", "events.jsonl", "--out", "out", "--no-tables", "--config", "other") == 0
    assert b'"id":"p_' in alerts(folder).read_bytes()
    assert done("verify", "out") == 0
    assert "revisions: identical" in capfd.readouterr().out.splitlines()[-1]
    monkeypatch.delenv("RIPCURRENT_PSEUDONYM_KEY_FILE")
    assert done("explain", id_of(folder), "--in", "out") == 0
    assert "Window by window" in capfd.readouterr().out  # measures name nobody: no key is needed
    assert done("verify", "out") == 2
    assert "there is no key" in capfd.readouterr().err


def test_a_recording_is_verified_by_its_own_offsets_and_ticks(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    last = len(takeover()) - 1
    recorded(folder / "recording.jsonl", Tick(0, 1, last, T0 + 15 * MINUTE))
    assert done("replay", "recording.jsonl", "--out", "live", "--no-tables") == 0
    assert done("verify", "live") == 0
    assert capfd.readouterr().out.splitlines()[-1].endswith("revisions: identical")
    assert done("verify", "live", "--close") == 0
    assert done("explain", id_of(folder)[:3], "--in", "live") == 0
    assert "Window by window" in capfd.readouterr().out


def test_alerts_told_aside_are_verified_as_well(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shadow = folder / "out" / "shadow_alerts.jsonl"
    assert done("init", "other") == 0
    signal = folder / "other" / "signals" / "account_takeover.yaml"
    signal.write_text(signal.read_text() + "\nstatus: shadow\n")
    assert done("replay", "events.jsonl", "--out", "out", "--no-tables", "--config", "other") == 0
    assert shadow.read_bytes()
    assert not alerts(folder).read_bytes()
    assert done("verify", "out") == 0
    assert "revisions: identical" in capfd.readouterr().out.splitlines()[-1]


def test_a_recording_whose_configuration_changed_is_verified_from_the_one_it_began_under(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert done("init", "later") == 0
    signal = folder / "later" / "signals" / "account_takeover.yaml"
    signal.write_text(signal.read_text().replace("title: Account takeover", "title: Taken over"))
    first, then = load(), load(folder / "later")
    change = Tick(0, 1, 4, replaces=first.version, catalogue=pack(then).decode())
    recorded(folder / "recording.jsonl", change, Tick(0, 1, len(takeover()) - 1, T0 + 15 * MINUTE))
    assert done("replay", "recording.jsonl", "--out", "live", "--no-tables") == 0
    said = json.loads((folder / "live" / "alerts.jsonl").read_bytes().splitlines()[0])
    assert said["config_version"] == then.version != first.version
    capfd.readouterr()
    assert done("verify", "live") == 0
    assert capfd.readouterr().out.splitlines()[-1].endswith("revisions: identical")
    assert done("explain", said["alert_id"], "--in", "live") == 0
    assert f"configuration {then.version} decided" in capfd.readouterr().err
