"""The metrics: honest counts, bounded labels."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from config.catalogue import load
from config.schema import Catalogue
from streams.columns import Record
from streams.engine import Engine
from streams.metrics import (
    DEFINITIONS,
    MARKETS_MAX,
    PREFIX,
    REASONS,
    SURVEY_SECONDS,
    Definition,
    Metrics,
    reference,
    state_bytes,
)
from streams.policy import Episode
from streams.records import Alert, Entity, Evidence

HERE = Path(__file__).parent.parent
DAY0 = 1_700_000_000_000 // 86_400_000 * 86_400_000  # ms
ALL = [definition for section in DEFINITIONS.values() for definition in section]


class Clock:
    """A clock that a test sets."""

    def __init__(self, at: float = DAY0 / 1_000) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metrics(catalogue: Catalogue, clock: Clock) -> Metrics:
    return Metrics(catalogue, clock)


def order(offset: int, at: int, creator: str = "creator_secret", market: str = "TH") -> Record:
    event = {"event_id": f"e{offset}", "type": "order.paid", "creator_id": creator, "occurred_at": at, "market": market}
    return Record(offset, creator.encode(), json.dumps(event).encode())


def orders(first: int, count: int, hours: int = 6, creators: int = 10) -> list[Record]:
    """So many orders spread over so many hours."""
    step = hours * 3_600_000 // count
    return [order(i, DAY0 + i * step, f"creator_secret_{i % creators}") for i in range(first, first + count)]


def an_alert(market: str = "TH", signal: str = "refund_rate") -> Alert:
    return Alert(
        alert_id="alert_secret", revision=1, status="opened", signal=signal, lifecycle="performance",
        entity=Entity("creator", "creator_secret"), market=market, category=None, severity="warning", opened_at=DAY0,
        window_start=DAY0 - 3_600_000, window_end=DAY0, window="PT1H", unit="ratio", observed=1.0, expected=0.5,
        expected_low=None, expected_high=None, clears_at=None, numerator=None, denominator=None, detector="d",
        score=9.0, p_value=None, q_value=None, changed_at=None, cohort=None, reason="r", reason_code="r",
        reason_args={}, status_reason=None, evidence=Evidence([], [], []), incident_id=None, labels={},
        config_version="c", engine_version="1",
    )  # fmt: skip


def a_busy_process(metrics: Metrics, catalogue: Catalogue) -> Engine:
    """Everything that can be counted happens once."""
    engine = Engine(catalogue, "creator-events", 3)
    metrics.restored(3, engine, "checkpoint")
    metrics.assigned({3})
    engine.feed(orders(0, 600))
    engine.episodes[0, 0] = Episode("alert_secret", 1, 3, DAY0, DAY0, 1.0, 0, 0)
    metrics.fed(600, 0.004)
    metrics.position(3, 600, 610, DAY0)
    metrics.observe_engine(3, engine)
    metrics.alert(an_alert())
    metrics.dead_letter("key_mismatch")
    metrics.tick()
    metrics.checkpointed(3, 4_096, 2_048, 0.05)
    metrics.account(3, 700, 900)
    return engine


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


# -- the list ------------------------------------------------------------------------------------------------------


def test_the_reference_is_what_the_code_says() -> None:
    written = (HERE / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert written == reference(), "stale: python -m streams.metrics > docs/metrics.md"


def test_every_metric_is_in_the_exposition_with_its_meaning_and_nothing_else_of_ours_is(
    metrics: Metrics, catalogue: Catalogue
) -> None:
    a_busy_process(metrics, catalogue)
    families = {f.name: f for f in text_string_to_metric_families(metrics.exposition().decode())}
    ours = {name: family for name, family in families.items() if name.startswith(PREFIX)}
    expected = {(PREFIX + one.name).removesuffix("_total"): one for one in ALL}
    assert ours.keys() == expected.keys()
    for name, one in expected.items():
        assert ours[name].documentation == one.meaning
        assert ours[name].type == ("gauge" if one.kind == "info" else one.kind)
        assert ours[name].samples, f"{name} is empty although everything happened"
        labels = set(one.labels.split()) | ({"le"} if one.kind == "histogram" else set())
        assert {label for sample in ours[name].samples for label in sample.labels} == labels
    assert all(name.startswith("process_") for name in families.keys() - ours.keys())


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
def test_a_name_follows_prometheus_rules(one: Definition) -> None:
    words = one.name.split("_")
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", one.name)
    assert (one.kind == "counter") == one.name.endswith("_total")
    assert (one.kind == "info") == one.name.endswith("_info")
    assert words[-1] not in {"count", "sum", "bucket", "created"}
    assert not {"counter", "gauge", "histogram", "summary", "metric"}.intersection(words)
    not_base = {"ms", "s", "us", "ns", "millis", "milliseconds", "minutes", "hours", "days", "kb", "mb", "gb",
                "kilobytes", "megabytes", "bits", "percent", "percentage", "ratio", "sec", "secs"}  # fmt: skip
    assert not not_base.intersection(words)
    assert not {"lag", "age", "delay", "duration", "time"}.intersection(words) or words[-1] in {"seconds", "records"}
    if one.kind == "histogram":
        assert words[-1] in {"seconds", "bytes"}
        assert list(one.buckets) == sorted(set(one.buckets))
    for label in one.labels.split():
        assert re.fullmatch(r"[a-z]+", label)
        assert label not in {"le", "quantile", "job", "instance"}
        assert not label.endswith("id")
    for text in (one.meaning, one.action):
        assert text.endswith(".")
        assert "\n" not in text
        assert "|" not in text


def test_the_text_passes_promtool_where_there_is_one_and_has_help_and_type_for_each_series(
    metrics: Metrics, catalogue: Catalogue
) -> None:
    a_busy_process(metrics, catalogue)
    text = metrics.exposition().decode()
    described = set(re.findall(r"^# HELP (\S+) \S", text, re.M))
    assert described == set(re.findall(r"^# TYPE (\S+) (?:counter|gauge|histogram)$", text, re.M))
    for name in re.findall(r"^([a-z_]+)[ {]", text, re.M):
        assert {name, re.sub("_(bucket|sum|count)$", "", name)} & described
    assert "_created" not in text
    assert len(samples(text)) == len([line for line in text.splitlines() if not line.startswith("#")])
    if (promtool := shutil.which("promtool")) is not None:
        said = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
        assert (said.returncode, said.stdout + said.stderr) == (0, "")


def test_whatever_the_engine_counts_has_a_metric(metrics: Metrics, catalogue: Catalogue) -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (HERE / "streams").glob("*.py"))
    counted = set(re.findall(r'self\.counts\["(\w+)"', source))
    assert len(counted) >= 12
    for what in sorted(counted):
        engine = Engine(catalogue, "creator-events", 0)
        before = samples(metrics.exposition().decode())
        engine.counts[what, "refund_rate"] += 7
        metrics.observe_engine(0, engine)
        after = samples(metrics.exposition().decode())
        grown = {key for key, value in after.items() if key[0].endswith("_total") and value - before.get(key, 0) == 7}
        assert len(grown) == 1, f"Engine.counts[{what!r}] has no metric"


def test_every_reason_for_a_dead_letter_has_a_series_from_the_start(metrics: Metrics) -> None:
    used: set[str] = set()
    for path in (HERE / "streams").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        used.update(*re.findall(r'RecordError\(\s*"(\w+)"(?: if [^"]*"[^"]*"[^"]*else "(\w+)")?', text))
    assert used - {""} <= set(REASONS)
    assert all(metrics.value("dead_letters_total", reason=reason) == 0 for reason in REASONS)


# -- counts --------------------------------------------------------------------------------------------------------


def test_what_the_engine_counted_is_counted_once(metrics: Metrics, catalogue: Catalogue) -> None:
    engine = Engine(catalogue, "creator-events", 0)
    records = orders(0, 600)
    unknown = Record(602, records[0].key, (records[0].value or b"").replace(b"order.paid", b"order.eaten"))
    engine.feed([*records, Record(601, b"c", None), unknown])
    for _ in range(3):
        metrics.observe_engine(0, engine)
    assert metrics.value("events_total", type="order.paid") == 600
    assert metrics.value("events_total", type="video.published") == 0
    assert metrics.value("tombstones_total") == 1
    assert metrics.value("unknown_types_total") == 1
    assert metrics.value("panes_closed_total") == engine.counts["panes_closed", ""] > 0
    assert metrics.value("watermark_seconds", partition="0") == engine.clock.closed / 1_000
    assert metrics.value("entities", partition="0") == 10
    assert metrics.value("market_entities", market="TH") == 10
    assert metrics.value("market_newest_event_seconds", market="TH") == (DAY0 + 599 * 36_000) / 1_000


def test_counters_never_go_backwards_when_a_shard_is_rebuilt(metrics: Metrics, catalogue: Catalogue) -> None:
    first = Engine(catalogue, "creator-events", 0)
    metrics.restored(0, first, "empty")
    first.feed(orders(0, 600))
    metrics.observe_engine(0, first)
    assert metrics.value("events_total", type="order.paid") == 600

    second = Engine(catalogue, "creator-events", 0)  # restored from a checkpoint of 400 events, and replays the rest
    second.feed(orders(0, 400, hours=4))
    metrics.restored(0, second, "checkpoint")
    assert metrics.value("events_total", type="order.paid") == 600
    second.feed(orders(400, 200, hours=2))
    metrics.observe_engine(0, second)
    assert metrics.value("events_total", type="order.paid") == 800  # 200 were applied twice by this process

    second.reader.events.clear()  # state put back in place
    metrics.observe_engine(0, second)
    second.reader.events["order.paid"] += 5
    metrics.observe_engine(0, second)
    assert metrics.value("events_total", type="order.paid") == 805
    metrics.forget(0)
    metrics.observe_engine(0, second)
    assert metrics.value("events_total", type="order.paid") == 805
    assert metrics.value("checkpoint_restores_total", source="checkpoint") == 1
    assert metrics.value("checkpoint_restores_total", source="empty") == 1


def test_partitions_that_are_lost_leave_no_labels_and_late_news_of_them_brings_none_back(
    metrics: Metrics, catalogue: Catalogue
) -> None:
    metrics.assigned({3, 4})
    a_busy_process(metrics, catalogue)
    assert metrics.value("restored_partitions") == 1
    assert 'partition="3"' in metrics.exposition().decode()
    counted = metrics.value("events_total", type="order.paid")
    metrics.assigned({4})
    metrics.position(3, 700, 700, DAY0)
    metrics.checkpointed(3, 1, 1, 0.1)
    assert 'partition="3"' not in metrics.exposition().decode()
    assert metrics.value("market_entities", market="TH") is None
    assert metrics.value("open_episodes", signal=sorted(catalogue.signals)[0]) == 0
    assert metrics.value("events_total", type="order.paid") == counted
    assert (metrics.value("assigned_partitions"), metrics.value("restored_partitions")) == (1, 0)
    assert metrics.value("rebalances_total") == 3


def test_gauges_over_all_shards_of_a_worker_are_sums(metrics: Metrics, catalogue: Catalogue) -> None:
    for partition in (0, 1):
        engine = Engine(catalogue, "creator-events", partition)
        engine.feed(orders(0, 600, hours=6 + partition))
        for slot in range(3):
            engine.episodes[1, slot] = Episode("a", 1, 2, DAY0, DAY0, 1.0, 0, 0)
        metrics.observe_engine(partition, engine)
    signal = sorted(catalogue.signals)[1]
    assert metrics.value("open_episodes", signal=signal) == 6
    assert metrics.value("market_open_episodes", market="TH", severity="warning") == 6
    assert metrics.value("market_entities", market="TH") == 20
    assert metrics.value("market_newest_event_seconds", market="TH") == (DAY0 + 599 * 42_000) / 1_000


# -- time ----------------------------------------------------------------------------------------------------------


def test_lags_and_ages_grow_while_the_worker_says_nothing(
    metrics: Metrics, catalogue: Catalogue, clock: Clock
) -> None:
    engine = Engine(catalogue, "creator-events", 0)
    metrics.restored(0, engine, "empty")
    assert metrics.value("watermark_lag_seconds", partition="0") is None  # there is no watermark yet
    engine.feed(orders(0, 600))
    metrics.observe_engine(0, engine)
    metrics.position(0, 600, 650, int(clock.at * 1_000) - 4_000)
    before = metrics.value("watermark_lag_seconds", partition="0")
    assert before is not None
    assert metrics.value("consumer_lag_records", partition="0") == 50
    assert metrics.value("consumer_lag_seconds", partition="0") == pytest.approx(4)
    clock.at += 60
    assert metrics.value("watermark_lag_seconds", partition="0") == pytest.approx(before + 60)
    assert metrics.value("consumer_lag_seconds", partition="0") == pytest.approx(64)
    assert metrics.value("checkpoint_age_seconds", partition="0") == pytest.approx(60)
    metrics.checkpointed(0, 0, 100, 0.1)
    clock.at += 5
    assert metrics.value("checkpoint_age_seconds", partition="0") == pytest.approx(65)  # a copy on disk is none
    assert metrics.value("local_copy_age_seconds", partition="0") == pytest.approx(5)
    metrics.checkpointed(0, 100, 0, 0.1)
    metrics.position(0, 650, 650, DAY0)
    assert metrics.value("checkpoint_age_seconds", partition="0") == 0
    assert metrics.value("consumer_lag_seconds", partition="0") == 0  # nothing waits


def test_a_restore_says_how_far_it_is_and_its_checkpoint_keeps_its_age(
    metrics: Metrics, catalogue: Catalogue, clock: Clock
) -> None:
    metrics.assigned({0, 1})
    metrics.restoring(0, 0.25)
    metrics.restoring(1, 0.0)
    assert metrics.value("restore_progress", partition="0") == 0.25
    metrics.restored(0, Engine(catalogue, "creator-events", 0), "checkpoint", written=clock.at - 90)
    assert metrics.value("restore_progress", partition="0") == 1
    assert metrics.value("checkpoint_age_seconds", partition="0") == pytest.approx(90)
    metrics.assigned({0})
    assert metrics.value("restore_progress", partition="1") is None


def test_a_pass_over_the_shard_is_made_every_few_seconds_only(
    metrics: Metrics, catalogue: Catalogue, clock: Clock
) -> None:
    engine = Engine(catalogue, "creator-events", 0)
    engine.feed([order(0, DAY0)])
    metrics.observe_engine(0, engine)
    engine.episodes[0, 0] = Episode("a", 1, 2, DAY0, DAY0, 1.0, 0, 0)
    signal = sorted(catalogue.signals)[0]
    metrics.observe_engine(0, engine)
    assert metrics.value("open_episodes", signal=signal) == 0
    clock.at += SURVEY_SECONDS
    metrics.observe_engine(0, engine)
    assert metrics.value("open_episodes", signal=signal) == 1


# -- labels --------------------------------------------------------------------------------------------------------


def test_no_entity_and_no_alert_is_named(metrics: Metrics, catalogue: Catalogue) -> None:
    a_busy_process(metrics, catalogue)
    metrics.dead_letter("creator_secret")  # not a reason: never taken as it comes
    metrics.restored(4, Engine(catalogue, "creator-events", 4), "creator_secret")
    assert "secret" not in metrics.exposition().decode()
    assert metrics.value("dead_letters_total", reason="other") == 1


def test_markets_without_end_share_one_label_and_that_is_counted(metrics: Metrics, catalogue: Catalogue) -> None:
    codes = [a + b for a in "ABCDEFGHIJ" for b in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
    for code in codes:
        metrics.alert(an_alert(code))
    engine = Engine(catalogue, "creator-events", 0)
    engine.feed([order(i, DAY0 + i * 1_000, f"c{i}", code) for i, code in enumerate(codes)])
    engine.feed([order(1_000 + i, DAY0 + 7_200_000 + i, f"c{i}", "AA") for i in range(5)])
    metrics.observe_engine(0, engine)
    text = metrics.exposition().decode()
    markets = set(re.findall(r'market="(\w+)"', text))
    own = sum(code not in codes for code in catalogue.markets if code != "default")  # markets with a file go first
    assert len(markets) == MARKETS_MAX + 1 - own
    assert "other" in markets
    over = len(codes) - MARKETS_MAX
    over += own
    assert metrics.value("limit_hits_total", limit="market_labels") == over
    labels = {"signal": "refund_rate", "severity": "warning", "status": "opened"}
    assert metrics.value("alerts_total", market="other", **labels) == over
    assert metrics.value("limits", limit="market_labels") == MARKETS_MAX
    assert metrics.value("market_entities", market="other") == over


def test_a_market_with_its_own_configuration_keeps_its_label(catalogue: Catalogue) -> None:
    configured = msgspec.structs.replace(catalogue, markets={**catalogue.markets, "ZZ": catalogue.markets["default"]})
    metrics = Metrics(configured)
    for i in range(MARKETS_MAX + 20):
        metrics.alert(an_alert(f"{i:03d}"))
    metrics.alert(an_alert("ZZ"))
    assert metrics.value("alerts_total", signal="refund_rate", severity="warning", market="ZZ", status="opened") == 1


def test_another_configuration_replaces_the_version_and_the_limits(metrics: Metrics, catalogue: Catalogue) -> None:
    limits = msgspec.structs.replace(catalogue.engine.limits, entities=7)
    engine = msgspec.structs.replace(catalogue.engine, limits=limits)
    metrics.configured(msgspec.structs.replace(catalogue, version="next", engine=engine))
    text = metrics.exposition().decode()
    assert re.findall(r'^ripcurrent_config_info\{version="(.*)"\} 1\.0$', text, re.M) == ["next"]
    assert metrics.value("limits", limit="entities") == 7


# -- memory --------------------------------------------------------------------------------------------------------


def test_state_bytes_are_those_of_the_arrays_each_counted_once(catalogue: Catalogue) -> None:
    engine = Engine(catalogue, "creator-events", 0)
    small = state_bytes(engine)
    rings = sum(ring.cells.nbytes for ring in engine.plan.rings.values())
    levels = sum(array.nbytes for watch in engine.plan.rate_watches() for array in watch.level)
    assert small >= rings + levels + engine.people.born.nbytes + engine.entities.hashes.nbytes
    engine.people.extra = engine.people.born[:10]  # type: ignore[attr-defined]
    assert state_bytes(engine) == small  # a view adds nothing
    engine.people.extra = np.zeros(1_000)  # type: ignore[attr-defined]
    assert state_bytes(engine) == small + 8_000
    engine.feed([order(i, DAY0 + i, f"c{i}") for i in range(3_000)])
    engine.feed([order(3_000 + i, DAY0 + 7_200_000, f"c{i}") for i in range(5)])
    assert state_bytes(engine) > 10 * small
