"""A changed configuration takes over: what stays, what learns anew, and that a replay follows it."""

from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest

from config.catalogue import CatalogueError, unpack
from config.packed import pack
from config.schema import Catalogue, Measure, Severity
from streams import state
from streams.columns import Record
from streams.engine import Engine
from streams.records import encode_alert
from streams.shard import Shard
from streams.ticks import Tick, first_catalogue, valid
from tests.streamed import TOPIC, eager, hostile, shipped

change = msgspec.structs.replace


def with_signal(catalogue: Catalogue, name: str, version: str = "other", **fields: Any) -> Catalogue:
    signals = {**catalogue.signals, name: change(catalogue.signals[name], **fields)}
    return change(catalogue, version=version, signals=signals)


def lines(engine: Engine, records: list[Record]) -> list[bytes]:
    out = engine.feed(records)
    return [encode_alert(alert) for alert in (*out.alerts, *out.shadow)]


@cache
def halves(seed: int = 15) -> tuple[list[Record], list[Record]]:
    records = hostile(seed, n=900, hours=22)
    return records[:500], records[500:]


def test_the_same_catalogue_again_changes_nothing() -> None:
    first, second = halves()
    plain, changed = Engine(eager(), TOPIC, 0), Engine(eager(), TOPIC, 0)
    assert lines(plain, first) == lines(changed, first)
    assert changed.reconfigure(eager()) == ([], [], [])
    assert lines(plain, second) == lines(changed, second)
    assert state.take(plain).arrays.keys() == state.take(changed).arrays.keys()


def test_thresholds_texts_and_labels_change_and_all_memory_stays() -> None:
    first, second = halves()
    patient = eager(inactive_after="60d")  # who is forgotten hangs on who has an open episode
    plain, changed = Engine(patient, TOPIC, 0), Engine(patient, TOPIC, 0)
    lines(plain, first)
    lines(changed, first)
    catalogue = patient
    for name, signal in catalogue.signals.items():
        tests = [change(test, severity=Severity(critical=250.0)) for test in signal.tests]
        catalogue = with_signal(catalogue, name, tests=tests, title="Another title")
    open_before = dict(changed.episodes)
    assert not changed.reconfigure(catalogue).alerts
    assert changed.episodes == open_before
    told = changed.feed(second).alerts
    assert {alert.status for alert in told} <= {"resolved", "updated", "retracted"}
    lines(plain, second)
    mine, theirs = state.take(changed).arrays, state.take(plain).arrays
    learned = [path for path in mine if path.startswith(("ring/", "people", "links"))]
    assert learned
    assert [path for path in learned if not np.array_equal(mine[path], theirs[path])] == []


def test_a_removed_signal_resolves_its_episodes_and_says_why() -> None:
    first, second = halves()
    engine = Engine(eager(), TOPIC, 0)
    lines(engine, first)
    of = {signal for signal, _ in engine.episodes}
    name = engine.plan.names[min(of)]
    n_open = sum(signal == min(of) for signal, _ in engine.episodes)
    kept = {key: signal for key, signal in eager().signals.items() if key != name}
    out = engine.reconfigure(change(eager(), version="fewer", signals=kept))
    assert len(out.alerts) == n_open > 0
    assert {(a.signal, a.status, a.status_reason) for a in out.alerts} == {(name, "resolved", "config")}
    assert all("the configuration changed" in a.reason for a in out.alerts)
    assert name not in {alert.signal for alert in engine.feed(second).alerts}


def test_a_new_measure_learns_anew_and_is_silent_until_it_has_warmed_up() -> None:
    first, second = halves()
    engine = Engine(eager(), TOPIC, 0)
    lines(engine, first)
    signal = eager().signals["report_spike"]
    measures = {**signal.measures, "reports": Measure(one="report", many="reports", events=["order.paid"])}
    engine.reconfigure(with_signal(eager(), "report_spike", measures=measures, warmup="90d"))
    assert "report_spike" not in {alert.signal for alert in engine.feed(second).alerts}
    assert list(engine.begun) == [(engine.plan.names.index("report_spike"), 0)]


def test_a_checkpoint_behind_a_change_holds_the_configuration_of_then() -> None:
    first, second = halves()
    engine = Engine(eager(), TOPIC, 0)
    lines(engine, first)
    catalogue = with_signal(eager(), "order_spike", version="two", cooldown="1h")
    engine.reconfigure(catalogue)
    snapshot = state.take(engine)
    kept = unpack(snapshot.arrays[state.CATALOGUE].tobytes())
    assert kept == catalogue
    restored = Engine(kept, TOPIC, 0)
    state.restore(restored, snapshot)
    restored.prefill(first)
    assert lines(restored, second) == lines(engine, second)


@pytest.mark.parametrize("cut", [3, 400])
def test_a_recorded_change_is_followed_at_its_record_however_the_input_is_cut(cut: int) -> None:
    first, second = halves()
    catalogue = with_signal(eager(), "refund_rate", version="two", cooldown="1h", resolve_after="1h")
    live = Engine(eager(), TOPIC, 0)
    expected = lines(live, first)
    live.reconfigure(catalogue)
    expected += lines(live, second)
    tick = Tick(0, 1, first[-1].offset, None, eager().version, pack(catalogue).decode())
    shard = Shard(Engine(eager(), TOPIC, 0), [(5, tick)])
    told: list[bytes] = []
    records = first + second
    for at in range(0, len(records), cut):
        out = shard.feed(records[at : at + cut])
        told += [encode_alert(alert) for alert in (*out.alerts, *out.shadow)]
    assert told == expected
    assert shard.engine.catalogue == catalogue


def test_a_change_of_another_configuration_is_not_followed() -> None:
    shard = Shard(Engine(eager(), TOPIC, 0))
    shard.tick(3, Tick(0, 1, -1, None, "somebody else's", pack(shipped()).decode()))
    assert shard.engine.catalogue == eager()
    assert shard.ticks_applied == 3


def test_changes_are_among_the_ticks_that_count() -> None:
    tick = Tick(0, 2, 5, None, "a", "{}")
    assert list(valid([(0, Tick(0, 1)), (1, tick), (2, Tick(0, 1, 5, None, "a", "{}"))])) == [(1, tick)]


def test_another_pane_is_refused() -> None:
    catalogue = eager()
    with pytest.raises(ValueError, match=r"\$\.pane was 15m, is 5m"):
        Engine(catalogue, TOPIC, 0).reconfigure(change(catalogue, engine=change(catalogue.engine, pane="5m")))


def test_a_catalogue_comes_out_of_its_bytes_as_it_was() -> None:
    assert unpack(pack(shipped())) == shipped()
    with pytest.raises(CatalogueError, match="written by another release"):
        unpack(b'{"version":"x"}')
    with pytest.raises(CatalogueError, match="calendar comes out otherwise"):
        unpack(pack(change(shipped(), calendar={})))


def test_an_episode_follows_its_test_to_another_place() -> None:
    first, second = halves()
    engine = Engine(eager(), TOPIC, 0)
    lines(engine, first)
    name = "violation_burst"
    signal = engine.plan.names.index(name)
    tests = eager().signals[name].tests
    of = {key: episode for key, episode in engine.episodes.items() if key[0] == signal}
    assert len({episode.test for episode in of.values()}) > 1
    turned = [*tests[1:], tests[0]]
    out = engine.reconfigure(with_signal(eager(), name, tests=turned))
    assert not out.alerts
    for key, episode in of.items():
        assert engine.episodes[key].test == (episode.test - 1) % len(tests)
    without = engine.reconfigure(with_signal(eager(), name, version="third", tests=[tests[2], tests[0]]))
    assert len(without.alerts) == sum(episode.test == 1 for episode in of.values())
    engine.feed(second)


def test_the_shape_of_a_week_is_that_of_the_new_configuration_live_and_restored() -> None:
    first, second = halves()
    engine = Engine(eager(), TOPIC, 0)
    lines(engine, first)
    hours = [float(1 + hour % 3) for hour in range(24)]
    markets = {code: change(market, hours=hours) for code, market in eager().markets.items()}
    engine.reconfigure(change(eager(), version="shape", markets=markets))
    snapshot = state.take(engine)
    restored = Engine(unpack(snapshot.arrays[state.CATALOGUE].tobytes()), TOPIC, 0)
    state.restore(restored, snapshot)
    restored.prefill(first)
    assert lines(restored, second) == lines(engine, second)


def test_a_new_signal_among_old_creators_expects_of_them_what_peers_do() -> None:
    first, _ = halves()
    engine = Engine(eager(), TOPIC, 0)
    lines(engine, first)
    signals = {**eager().signals, "second_orders": eager().signals["order_spike"]}
    engine.reconfigure(change(eager(), version="more", signals=signals))
    (fresh,) = engine.plan.watches[engine.plan.names.index("second_orders")]
    living = engine.people.born >= 0
    assert (fresh.own[living] > 0).all()
    assert fresh.total.sum() == fresh.own.sum() > 0


def test_a_smaller_quorum_closes_what_it_can_at_once() -> None:
    records = hostile(3, n=300, hours=8)
    engine = Engine(eager(quorum=9), TOPIC, 0)
    engine.feed(records)
    engine.reconfigure(change(eager(quorum=1), version="small"))
    assert not engine.clock.ready()


def test_an_owner_without_a_checkpoint_begins_as_the_first_owner_did() -> None:
    began = Tick(0, 1, -1, None, None, "{}")
    log = [(0, Tick(0, 1)), (1, began), (2, Tick(0, 1, 7, None, "a", '{"b":1}')), (3, Tick(0, 2))]
    assert first_catalogue(log) == "{}"
    assert first_catalogue(log[2:]) is None
    shard = Shard(Engine(eager(), TOPIC, 0), list(valid(log[:2])))
    shard.feed(halves()[0][:5])
    assert shard.engine.catalogue == eager()
