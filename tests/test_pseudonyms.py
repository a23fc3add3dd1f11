"""Pseudonyms: the same key gives the same bytes, no id of an actor is left, and without a key nothing begins."""

import os
from base64 import b32decode
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from config.catalogue import load, unpack
from config.packed import pack
from config.problems import SettingsError
from config.schema import Catalogue
from config.security import read_pseudonym_key
from streams import cli
from streams.engine import Engine
from streams.errors import ConfigError
from streams.pseudonyms import Pseudonyms
from streams.records import decode_event, encode_alert
from streams.reload import Folder
from streams.replay import Result, replay
from streams.simulate import Simulation, simulate
from tests.catalogues import spoil, write_catalogue
from tests.streamed import eager, hostile

KEY = b"0123456789abcdef0123456789abcdef"
RECORDS = hostile(24, n=1_200, hours=20)  # in TH, SG and US


def asking(engine: Any = UNSET, **markets: bool) -> Catalogue:
    """Low thresholds, and pseudonyms as engine.yaml and these markets' files say."""
    base, change = eager(), msgspec.structs.replace
    files = {name: change(market, pseudonyms=markets.get(name, UNSET)) for name, market in base.markets.items()}
    return change(base, engine=change(base.engine, pseudonyms=engine), markets=files)


def told(catalogue: Catalogue, key: bytes | None = KEY, run_records: int = 4_000) -> Result:
    pseudonyms = None if key is None else Pseudonyms(key)
    entries = [(0, record) for record in RECORDS]
    return replay(entries, catalogue, run_records=run_records, engine=partial(Engine, pseudonyms=pseudonyms))


def actors() -> set[str]:
    events = []
    for record in RECORDS:
        try:
            events.append(decode_event(record.key, record.value or b""))
        except Exception:
            continue
    return {event.actor_id for event in events if event.actor_id is not UNSET}


def bytes_of(result: Result) -> list[bytes]:
    return [encode_alert(alert) for alert in [*result.alerts, *result.shadow]]


@pytest.fixture(scope="module")
def plain() -> Result:
    return told(asking(), None)


def test_a_pseudonym_is_the_stated_hash_in_the_stated_form() -> None:
    made = Pseudonyms(KEY).of("u_552")
    assert made == "p_lvzawg2gtp2xcgjnoorm3yjg24"
    assert made != Pseudonyms(KEY[::-1]).of("u_552")
    digest = blake2b(b"u_552", digest_size=16, key=KEY, person=b"ripcurrent-actor").digest()
    assert b32decode(made[2:].upper() + "======") == digest


@given(st.text(max_size=64))
def test_any_id_has_a_pseudonym_of_28_characters(actor: str) -> None:
    made = Pseudonyms(KEY).of(actor)
    assert len(made) == 28
    assert made.isascii()
    assert made == Pseudonyms(KEY).of(actor)


def test_off_changes_no_byte_and_on_changes_contributors_only(plain: Result) -> None:
    assert bytes_of(told(asking(), KEY)) == bytes_of(plain)
    assert bytes_of(told(asking(False), KEY)) == bytes_of(plain)
    hidden = told(asking(True))
    ids = Pseudonyms(KEY)
    for ours, theirs in zip(hidden.alerts, plain.alerts, strict=True):
        contributors = [msgspec.structs.replace(c, id=ids.of(c.id)) for c in theirs.evidence.contributors]
        evidence = msgspec.structs.replace(theirs.evidence, contributors=contributors)
        assert ours == msgspec.structs.replace(theirs, evidence=evidence)
    assert any(alert.evidence.contributors for alert in hidden.alerts)


def test_no_actor_is_named_anywhere_in_an_alert() -> None:
    wire = b"\n".join(bytes_of(told(asking(True))))
    assert all(f'"{actor}"'.encode() not in wire for actor in actors())
    assert b'"id":"p_' in wire


def test_the_same_key_gives_the_same_bytes_however_the_records_are_cut() -> None:
    assert bytes_of(told(asking(True), run_records=37)) == bytes_of(told(asking(True)))
    assert bytes_of(told(asking(True), KEY[::-1])) != bytes_of(told(asking(True)))


@pytest.mark.parametrize("engine", [True, False])
def test_a_market_may_differ_from_engine_yaml(engine: bool) -> None:
    result = told(asking(engine, TH=not engine))
    named: dict[str, set[bool]] = {"TH": set(), "SG": set()}
    for alert in result.alerts:
        if alert.market in named:
            named[alert.market] |= {c.id.startswith("p_") for c in alert.evidence.contributors}
    assert named == {"TH": {not engine}, "SG": {engine}}


def test_without_a_key_nothing_begins_and_the_line_says_what_to_set() -> None:
    for catalogue, where in ((asking(True), "engine.yaml"), (asking(TH=True), "markets/TH.yaml")):
        with pytest.raises(ConfigError) as caught:
            Engine(catalogue, "creator-events", 0)
        remedy = "set RIPCURRENT_PSEUDONYM_KEY_FILE to a file with one"
        assert str(caught.value) == f"{where}: $.pseudonyms is true, but there is no key; {remedy}"
    Engine(asking(), "creator-events", 0).reconfigure(asking(False))
    with pytest.raises(ConfigError):
        Engine(asking(), "creator-events", 0).reconfigure(asking(True))


def test_the_setting_is_part_of_the_hash_only_where_it_is_written(tmp_path: Path) -> None:
    path = write_catalogue(tmp_path)
    before = load(path).version
    spoil(path, "engine.yaml", "pane: 15m", "pane: 15m\npseudonyms: true")
    changed = load(path)
    assert changed.version != before
    assert unpack(pack(changed)).engine.pseudonyms is True
    assert b"pseudonyms" not in pack(load())


async def test_a_running_worker_refuses_to_turn_it_on_without_a_key(tmp_path: Path) -> None:
    path = write_catalogue(tmp_path)
    without, having = Folder(path, load(path)), Folder(path, load(path), Pseudonyms(KEY))
    spoil(path, "engine.yaml", "pane: 15m", "pane: 15m\npseudonyms: true")
    for folder in (without, having):
        for _ in range(2):
            await folder.changed()
    assert [len(folder.problems) for folder in (without, having)] == [1, 0]
    assert "RIPCURRENT_PSEUDONYM_KEY_FILE" in without.problems[0]
    assert having.catalogue.engine.pseudonyms is True


@pytest.mark.parametrize(
    ("text", "said"),
    [("short", "has 5 bytes; expected 32 to 64"), ("x" * 65, "has 65 bytes"), ("", "empty"), (None, "No such file")],
)
def test_a_bad_key_is_refused_and_not_shown(text: str | None, said: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SettingsError, match="RIPCURRENT_PSEUDONYM_KEY_FILE") as caught:
        read_pseudonym_key({"RIPCURRENT_PSEUDONYM_KEY_FILE": str(file)})
    assert said in str(caught.value)
    assert not text or text not in str(caught.value)


def test_the_key_shows_in_no_repr() -> None:
    engine = Engine(asking(True), "creator-events", 0, Pseudonyms(KEY))
    assert KEY.decode() not in f"{engine.pseudonyms!r}{vars(engine)!r}{vars(engine.writer)!r}"


def test_replay_takes_the_key_from_the_environment_and_is_refused_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_catalogue(tmp_path / "config")
    spoil(path, "engine.yaml", "pane: 15m", "pane: 15m\npseudonyms: true")
    events, _ = simulate(Simulation(seed=3, days=1, creators=5, null=True))
    (tmp_path / "e.jsonl").write_bytes(b"".join(value + b"\n" for _, value, _ in events.iter_records()))
    arguments = ["replay", str(tmp_path / "e.jsonl"), "--out", str(tmp_path / "out"), "--config", str(path)]
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "RIPCURRENT_PSEUDONYM_KEY_FILE" in capsys.readouterr().err
    (tmp_path / "key").write_text(os.urandom(32).hex() + "\n")
    monkeypatch.setenv("RIPCURRENT_PSEUDONYM_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 0
