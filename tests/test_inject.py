"""Known episodes in recorded activity: all that was recorded is still there, and what was planted is found."""

import csv
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.columns import Record
from streams.inject import PlantedEvent, plan_episodes
from streams.injected import Injected, Waiting
from streams.labels import read_kinds, read_labels
from streams.recording import Recording, write_recording
from streams.scenario import Injection, read_injection
from streams.scorecard import is_episode, score
from streams.simulate import Plan, Simulation, simulate, write_jsonl
from streams.spread import partition_of
from streams.ticks import Tick
from tests.outcomes import opened
from tests.test_cli import ripcurrent as ripcurrent

HOUR, DAY = 3_600_000, 86_400_000
T0 = Simulation().start_ms
DAYS = 10
CLEAR = """
kinds:
  account_takeover: {strength: [10, 15]}
  fake_engagement: {strength: [12, 15], shapes: [burst]}
  off_platform_redirect: {strength: [20, 25], shapes: [burst]}
  order_spike: {strength: [18, 20], shapes: [burst]}
  refund_surge: {strength: [10, 10], shapes: [burst]}
  report_wave: {strength: [30, 40], shapes: [burst]}
"""


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten days of a market in which nothing is planted."""
    path = tmp_path_factory.mktemp("quiet") / "events.jsonl"
    events, _ = simulate(Simulation(seed=3, days=DAYS, creators=30, null=True))
    write_jsonl(events, path)
    return path


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "episodes.yaml"
    path.write_text(CLEAR)
    return path


def inject(ripcurrent: Any, events: Path, scenario: Path, out: Path, *more: str) -> Any:
    labels = out.parent / f"{out.name}.labels.csv"
    return ripcurrent("inject", events, "--scenario", scenario, "--out", out, "--labels", labels, *more)


def planted(path: Path) -> list[dict[str, Any]]:
    events = map(json.loads, path.read_bytes().splitlines())
    return [event for event in events if event["event_id"].startswith("injected-")]


# ---- the whole way ---------------------------------------------------------------------------------------------


def test_clear_episodes_are_all_found_and_all_that_was_recorded_is_still_there(
    quiet: Path, scenario: Path, tmp_path: Path, ripcurrent: Any
) -> None:
    out = tmp_path / "injected.jsonl"
    assert inject(ripcurrent, quiet, scenario, out).code == 0
    kept = [line for line in out.read_bytes().splitlines() if b'"event_id":"injected-' not in line]
    assert kept == quiet.read_bytes().splitlines()
    labels = tmp_path / "injected.jsonl.labels.csv"
    replayed = ripcurrent("replay", out, "--out", tmp_path / "out", "--labels", labels, "--no-tables",
                          "--partitions", "1")  # fmt: skip
    assert replayed.code == 0, replayed.err
    found = list(csv.DictReader((tmp_path / "out" / "labels.csv").read_text().splitlines()))
    assert len(found) == 6
    assert {row["kind"] for row in found if row["caught"] != "true"} == set()


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(
    quiet: Path, scenario: Path, tmp_path: Path, ripcurrent: Any
) -> None:
    for name, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        assert inject(ripcurrent, quiet, scenario, tmp_path / f"{name}.jsonl", "--seed", seed).code == 0
    a, b, c = ((tmp_path / f"{name}.jsonl").read_bytes() for name in "abc")
    assert a == b
    assert a != c
    one, two = (read_labels(tmp_path / f"{name}.jsonl.labels.csv") for name in "ac")
    assert {label.creator_id for label in one} != {label.creator_id for label in two}


def test_parquet_gets_the_very_episodes_that_lines_get(
    quiet: Path, scenario: Path, tmp_path: Path, ripcurrent: Any
) -> None:
    assert ripcurrent("convert", quiet, "--out", tmp_path / "events.parquet").code == 0
    assert inject(ripcurrent, tmp_path / "events.parquet", scenario, tmp_path / "p.jsonl").code == 0
    assert inject(ripcurrent, quiet, scenario, tmp_path / "l.jsonl").code == 0
    assert (tmp_path / "p.jsonl").read_bytes() == (tmp_path / "l.jsonl").read_bytes()


# ---- what is planted -------------------------------------------------------------------------------------------


def test_refunds_are_of_recorded_orders_and_their_buyers(
    quiet: Path, scenario: Path, tmp_path: Path, ripcurrent: Any
) -> None:
    inject(ripcurrent, quiet, scenario, tmp_path / "i.jsonl")
    paid = [event for line in quiet.read_bytes().splitlines() if (event := json.loads(line))["type"] == "order.paid"]
    orders = {(event["creator_id"], event["ref_id"]): event["actor_id"] for event in paid}
    (label,) = (x for x in read_labels(tmp_path / "i.jsonl.labels.csv") if x.kind == "refund_surge")
    refunds = [
        event for event in planted(tmp_path / "i.jsonl")
        if event["type"] == "refund.approved" and event["creator_id"] == label.creator_id
    ]  # fmt: skip
    assert len(refunds) >= 6
    assert all(orders[event["creator_id"], event["ref_id"]] == event["actor_id"] for event in refunds)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None)
def test_episodes_are_of_active_creators_within_the_recording_and_apart(quiet: Path, seed: int) -> None:
    injection = Injection(seed=seed, kinds={"report_wave": Plan(count=4), "order_spike": Plan(count=3)})
    plan = plan_episodes(Recording(quiet), injection)
    assert [event.arrived_at for event in plan.events] == sorted(event.arrived_at for event in plan.events)
    mine: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for label in filter(is_episode, plan.labels):
        assert T0 <= label.start_ms <= label.end_ms < T0 + DAYS * DAY
        mine[label.creator_id].append((label.start_ms, label.end_ms))
    assert mine.keys() <= {json.loads(line)["creator_id"] for line in quiet.read_bytes().splitlines()}
    assert mine.keys() == {event.creator_id for event in plan.events}
    for spans in mine.values():
        assert all(later[0] - earlier[1] > 4 * DAY for earlier, later in pairwise(sorted(spans)))


def test_named_creators_are_the_only_ones_that_get_episodes(quiet: Path) -> None:
    busy = json.loads(quiet.read_bytes().splitlines()[0])["creator_id"]
    plan = plan_episodes(Recording(quiet), Injection(creators=(busy,), kinds={"report_wave": Plan(count=3)}))
    assert {label.creator_id for label in plan.labels} == {busy}
    assert plan.short == {"report_wave": (sum(map(is_episode, plan.labels)), 3)}


def test_lookalikes_are_planted_only_where_the_scenario_names_them(quiet: Path) -> None:
    one = {"report_wave": Plan()}
    without = plan_episodes(Recording(quiet), Injection(kinds=one))
    plan = plan_episodes(Recording(quiet), Injection(kinds=one, lookalikes={"viral_video": None}))
    assert {label.kind for label in without.labels} == {"report_wave", "covered"}
    assert {label.kind for label in plan.labels} == {"report_wave", "lookalike:viral_video", "covered"}


def test_what_is_wrong_in_the_recording_itself_is_called_neither_true_nor_false(quiet: Path) -> None:
    plan = plan_episodes(Recording(quiet), Injection(kinds={"report_wave": Plan(count=2)}))
    one = next(filter(is_episode, plan.labels))
    theirs = opened("theirs", "c_other", "refund_rate", one.start_ms, market=one.market)
    beside = opened("beside", one.creator_id, "refund_rate", one.start_ms, market=one.market)
    right = opened("right", one.creator_id, "report_spike", one.start_ms, market=one.market)
    card = score([theirs, beside, right], plan.labels, read_kinds())
    assert (card.false, card.unlabelled, card.partial) == (("beside",), ("theirs",), True)
    assert (sum(one.caught for one in card.episodes), len(card.episodes)) == (1, 2)


# ---- where it stands -------------------------------------------------------------------------------------------


def event_of(creator: str, at: int, n: int) -> bytes:
    return json.dumps({"event_id": f"e{n}", "type": "order.paid", "creator_id": creator, "occurred_at": at,
                       "market": "TH"}).encode()  # fmt: skip


Entry = tuple[int, Record | Tick]


@st.composite
def recordings(draw: st.DrawFn) -> list[Entry]:
    """Records of two partitions with gaps in their offsets, bad ones among them, and ticks behind some."""
    entries: list[Entry] = []
    offset, now = [draw(st.integers(0, 5)) for _ in range(2)], [T0, T0]
    for n in range(draw(st.integers(1, 25))):
        partition = draw(st.integers(0, 1))
        now[partition] += draw(st.integers(0, 2 * HOUR))
        value = event_of("c", now[partition], n) if draw(st.integers(0, 5)) else b"{"
        entries.append((partition, Record(offset[partition], b"c", value, now[partition] + n)))
        if draw(st.integers(0, 3)) == 0:
            now[partition] += HOUR
            behind = offset[partition]
            entries.append((partition, Tick(partition, 1, behind, now[partition])))
        offset[partition] += draw(st.integers(1, 3))
    return entries


added = st.lists(st.tuples(st.integers(T0 - HOUR, T0 + 30 * HOUR), st.integers(0, 1)), max_size=12)


@given(recordings(), added)
@settings(max_examples=60, deadline=None)
def test_in_a_recording_each_record_and_tick_stays_behind_what_it_stood_behind(
    entries: list[Entry], more: list[tuple[int, int]]
) -> None:
    events = [PlantedEvent(at, "p", partition, event_of("p", at, 900 + n)) for n, (at, partition) in enumerate(more)]
    events.sort(key=lambda event: event.arrived_at)
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "before.jsonl"), Path(folder, "after.jsonl")
        write_recording(before, iter(entries), topic="t", partitions=2)
        recorded = list(Recording(before).entries())
        write_recording(after, Injected(Recording(before), events).entries(), topic="t", partitions=2)
        found = list(Recording(after).entries())  # RecordingError unless the offsets rise
    kept = [x for x in map(bare, found) if x[1] != b"p"]  # each partition in its order: among them there is none
    assert sorted(kept, key=itemgetter(0)) == sorted(map(bare, recorded), key=itemgetter(0))
    own = [entry for _, entry in found if isinstance(entry, Record) and entry.key == b"p"]
    assert sorted(entry.value or b"" for entry in own) == sorted(event.value for event in events)
    newest: dict[int, int] = {}
    for partition, entry in found:
        if isinstance(entry, Record):
            newest[partition] = entry.offset
        else:
            assert entry.after_offset == newest[partition]


def bare(entry: Entry) -> tuple[int, Any, Any, Any]:
    """Without its place."""
    partition, one = entry
    if isinstance(one, Tick):
        return partition, "tick", one.up_to, one.epoch
    return partition, one.key, one.value, one.timestamp


def test_a_planted_event_comes_behind_what_came_before_it() -> None:
    times = [T0 + n * 60_000 for n in range(50)]
    events = [PlantedEvent(T0 + n * 60_000 + 30_000, "p", 0, b"") for n in range(49)]
    waiting, seen = Waiting(events), []
    for time in times:
        seen += [event.arrived_at for event in waiting.before(time)]
        seen.append(time)
    assert seen == sorted(seen)
    assert len(seen) == 99


@given(st.sets(st.integers(0, 49), max_size=4))
def test_a_few_wrong_clocks_pull_nothing_forward(wrong: set[int]) -> None:
    waiting = Waiting([PlantedEvent(T0 + 3 * HOUR, "p", 0, b"")])
    for n in range(50):
        time = T0 + n * 60_000 + (400 * DAY if n in wrong and n > 4 else 0)
        assert not list(waiting.before(time))
    assert sum(len(list(waiting.before(T0 + 4 * HOUR))) for _ in range(5)) == 1


def test_a_recording_gets_its_events_where_its_creators_are(
    quiet: Path, scenario: Path, tmp_path: Path, ripcurrent: Any
) -> None:
    entries = ((p, Record(r.offset * 2 + 7, r.key, r.value, 5)) for p, r in records(quiet))
    write_recording(tmp_path / "r.jsonl", entries, topic="mine", partitions=3)
    assert inject(ripcurrent, tmp_path / "r.jsonl", scenario, tmp_path / "i.jsonl.gz").code == 0
    found = Recording(tmp_path / "i.jsonl.gz")
    found.head()
    assert (found.topic, found.partitions) == ("mine", 3)
    for partition, entry in found.entries():
        assert isinstance(entry, Record)
        assert partition == partition_of(entry.key or b"", 3)
        assert (entry.timestamp == 5) == (b'"event_id":"injected-' not in (entry.value or b""))


def records(path: Path) -> Iterator[tuple[int, Record]]:
    return ((p, entry) for p, entry in Recording(path, 3).entries() if isinstance(entry, Record))


# ---- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("days: 9\n", "unknown field `days`"),
        ("kinds: {haunting: {}}\n", "$.kinds: haunting; known are refund_surge"),
        ("kinds: {report_wave: {strength: [5]}}\n", "$.kinds.report_wave.strength"),
        ("seed: -1\n", "$.seed"),
        ("creators: [c_nobody]\n", "c_nobody: not in"),
    ],
)
def test_a_scenario_that_does_not_fit_is_refused_in_one_line(
    text: str, said: str, quiet: Path, tmp_path: Path, ripcurrent: Any
) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    run = inject(ripcurrent, quiet, path, tmp_path / "i.jsonl")
    assert run.code == 2
    assert said in run.err
    assert run.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [path]


def test_an_hour_of_events_is_too_little(tmp_path: Path, scenario: Path, ripcurrent: Any) -> None:
    (tmp_path / "e.jsonl").write_bytes(event_of("c", T0, 1) + b"\n")
    run = inject(ripcurrent, tmp_path / "e.jsonl", scenario, tmp_path / "i.jsonl")
    assert (run.code, run.err.count("\n")) == (1, 1)
    assert "e.jsonl: spans 0 days; expected 2 to 400" in run.err


def test_the_same_seed_is_not_injected_twice(quiet: Path, scenario: Path, tmp_path: Path, ripcurrent: Any) -> None:
    assert inject(ripcurrent, quiet, scenario, tmp_path / "once.jsonl").code == 0
    again = inject(ripcurrent, tmp_path / "once.jsonl", scenario, tmp_path / "twice.jsonl")
    assert again.code == 2
    assert "holds episodes of seed 1 already" in again.err
    assert inject(ripcurrent, tmp_path / "once.jsonl", scenario, tmp_path / "twice.jsonl", "--seed", "2").code == 0


def test_an_empty_scenario_plants_one_of_each_kind(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("")
    assert read_injection(tmp_path / "s.yaml") == Injection()
    assert Injection().simulation().count("brushing") == 1
    assert Injection().simulation().count("raid") == 0
