"""Parquet: the same events give the same alerts, columns are checked to the letter, and `convert` loses nothing."""

import io
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.catalogue import load
from streams import parquet
from streams.columns import Record
from streams.parquet_writing import FIELDS, event_row, write_rows
from streams.recording import Recording, head_line, record_line, tick_line, write_recording
from streams.records import MILLIS_MAX, decode_event
from streams.replay import replay, write_result
from streams.simulate import Simulation, simulate, write_jsonl
from streams.sources import open_source
from streams.spread import partition_of
from streams.ticks import Tick
from tests.test_cli import ripcurrent as ripcurrent
from tests.test_sources import DAY, T0, entries, event, lines, piped, refusal, values

Rows = list[dict[str, Any]]


def row(n: int = 0, **more: Any) -> dict[str, Any]:
    return {"event_id": f"e{n}", "type": "order.paid", "creator_id": f"c_{n % 7}", "occurred_at": T0 + n,
            "market": "TH", **more}  # fmt: skip


def write(path: Path, rows: Rows, schema: Any = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema), path, row_group_size=50)
    return path


def columns(path: Path, **arrays: Any) -> Path:
    pq.write_table(pa.table(arrays), path)
    return path


def read(path: Path, **how: Any) -> list[Any]:
    return [msgspec.json.decode(value or b"") for value in values(path, **how)]


# ---- the same alerts ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with events.jsonl, and what a replay of it gives in out/."""
    folder = tmp_path_factory.mktemp("market")
    events, _ = simulate(Simulation(seed=5, days=4, creators=30, planted=1, campaign_days=()))
    write_jsonl(events, folder / "events.jsonl")
    replayed(folder / "events.jsonl", folder / "out")
    assert (folder / "out" / "alerts.jsonl").read_bytes().count(b"\n") > 5
    return folder


def replayed(path: Path, out: Path) -> dict[str, bytes]:
    with open_source(path, 2) as source:
        write_result(replay(source.entries(), load(), topic=source.topic, close=source.kind == "events"), out)
    return {file.name: file.read_bytes() for file in out.iterdir()}


def results(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (folder / "out").iterdir()}


def fields(market: Path) -> Rows:
    return [json.loads(line) for line in (market / "events.jsonl").read_bytes().splitlines()]


def test_events_as_columns_give_the_alerts_of_their_lines(ripcurrent: Any, market: Path, tmp_path: Path) -> None:
    done = ripcurrent("convert", market / "events.jsonl", "--out", tmp_path / "e.parquet")
    assert (done.code, done.err) == (0, "")
    assert "attrs" in pq.read_schema(tmp_path / "e.parquet").names
    assert replayed(tmp_path / "e.parquet", tmp_path / "out") == results(market)


def test_attributes_as_a_struct_and_events_split_as_hive_does_give_the_same_alerts(
    market: Path, tmp_path: Path
) -> None:
    by_day: dict[str, Rows] = {}
    kinds: dict[str, Any] = {}
    for found in fields(market):
        kinds |= {name: pa.array([value]).type for name, value in found.get("attrs", {}).items()}
        day = datetime.fromtimestamp(found["occurred_at"] / 1000, UTC).strftime("%Y-%m-%d")
        by_day.setdefault(max([day, *by_day]), []).append(found)  # what is late stands where it arrived
    assert len(by_day) > 3
    texts = ("event_id", "type", "creator_id", "market", "category", "actor_id", "ref_id", "currency")
    schema = pa.schema([*((name, pa.string()) for name in texts), ("occurred_at", pa.int64()), ("amount", pa.float64()),
                        ("attrs", pa.struct(list(kinds.items())))])  # fmt: skip
    for day, found_then in by_day.items():
        half = len(found_then) // 2
        write(tmp_path / "lake" / f"dt={day}" / "part-0.parquet", found_then[:half], schema)
        write(tmp_path / "lake" / f"dt={day}" / "part-1.parquet", found_then[half:], schema)
    assert replayed(tmp_path / "lake", tmp_path / "out") == results(market)


def test_raw_records_keep_even_what_is_no_event(ripcurrent: Any, market: Path, tmp_path: Path) -> None:
    bad = (market / "events.jsonl").read_bytes().splitlines()
    for n in range(100, len(bad), 997):
        bad[n] = b"not json"
    (tmp_path / "bad.jsonl").write_bytes(lines(*bad))
    done = ripcurrent("convert", tmp_path / "bad.jsonl", "--out", tmp_path / "e.parquet")
    assert (done.code, "bad.jsonl: line 101: is no event" in done.error, "--raw" in done.error) == (1, True, True)
    assert ripcurrent("convert", tmp_path / "bad.jsonl", "--raw", "--out", tmp_path / "e.parquet").code == 0
    assert entries(tmp_path / "e.parquet") == entries(tmp_path / "bad.jsonl")


def test_parquet_by_standard_input_is_read(market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "e.parquet", [row(n) for n in range(100)])
    assert entries(piped(path.read_bytes(), monkeypatch)) == entries(path)


# ---- rows --------------------------------------------------------------------------------------------------


def test_rows_are_spread_by_their_creator_in_the_order_of_paths(tmp_path: Path) -> None:
    for n, name in enumerate(["b.parquet", "a/z.parquet", "a/c.parquet"]):
        write(tmp_path / name, [row(10 * n + i) for i in range(10)])
    for name in ("_temporary/x.parquet", ".hidden.parquet", "a/_SUCCESS", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = entries(tmp_path, partitions=3)
    order = [20, 21, 22, 23, 24, 25, 26, 27, 28, 29, *range(10, 20), *range(10)]
    assert [json.loads(r.value or b"")["event_id"] for _, r in found if isinstance(r, Record)] == [
        f"e{n}" for n in order
    ]
    offsets: dict[int, int] = {}
    for partition, record in found:
        assert isinstance(record, Record)
        assert partition == partition_of(record.key or b"", 3)
        assert record.offset == offsets.get(partition, 0)
        offsets[partition] = record.offset + 1


def test_a_null_is_a_field_that_is_absent(tmp_path: Path) -> None:
    path = write(tmp_path / "e.parquet", [row(0, category=None, amount=2.5), row(1, category="beauty", amount=None)])
    assert read(path) == [row(0, amount=2.5), row(1, category="beauty")]


def test_a_required_field_that_is_null_makes_a_bad_record(tmp_path: Path) -> None:
    path = write(tmp_path / "e.parquet", [row(0), row(1, creator_id=None), row(2, occurred_at=None)])
    result = replay(entries(path), load(), close=True)
    assert [(dead.letter.error.reason, dead.letter.record.key) for dead in result.dead] == [
        ("missing_field", None), ("missing_field", b"c_2"),
    ]  # fmt: skip


ATTRS = {"viewers": 12, "late": True, "kind": "qr", "share": 0.5}


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (ATTRS, pa.struct({"viewers": pa.float64(), "late": pa.bool_(), "kind": pa.string(), "share": pa.float32(),
                           "stars": pa.int32()})),
        (json.dumps(ATTRS), pa.string()),
        (json.dumps(ATTRS), pa.large_string()),
    ],
    ids=["struct", "json", "large json"],
)  # fmt: skip
def test_attributes_may_be_a_struct_or_json(tmp_path: Path, given: Any, kind: Any) -> None:
    twice = {name: [value, value] for name, value in row().items()}
    path = columns(tmp_path / "e.parquet", **twice, attrs=pa.array([given, None], kind))
    assert read(path) == [row(attrs=ATTRS), row()]
    decode_event(b"c_0", values(path)[0] or b"")


def test_attributes_may_be_a_map(tmp_path: Path) -> None:
    kind = pa.map_(pa.string(), pa.float64())
    given = pa.array([[("ref_at", float(T0)), ("share", 0.5), ("gone", None)]], kind)
    path = columns(tmp_path / "e.parquet", **{name: [value] for name, value in row().items()}, attrs=given)
    assert read(path) == [row(attrs={"ref_at": T0, "share": 0.5})]
    decode_event(b"c_0", values(path)[0] or b"")


@pytest.mark.parametrize("text", ['{"a":1', "", '{},"market":"US"', "[1]", '"x"'])
def test_attributes_that_are_no_object_make_a_bad_record_and_nothing_else(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "e.parquet", [row(0, attrs=text)])
    (dead,) = replay(entries(path), load(), close=True).dead
    assert (dead.letter.error.reason, dead.letter.error.path) == ("invalid_field", "$.attrs")


@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.timestamp("ns", "UTC"), pa.timestamp("ms", "Asia/Bangkok")])
def test_a_time_may_be_a_timestamp(tmp_path: Path, kind: Any) -> None:
    at = pa.array([T0], pa.timestamp("ms", "UTC")).cast(pa.timestamp(kind.unit, kind.tz))
    path = columns(tmp_path / "e.parquet", **{n: [v] for n, v in row().items()} | {"occurred_at": at})
    assert read(path) == [row()]


def test_texts_may_be_dictionaries_and_amounts_decimals_or_integers(tmp_path: Path) -> None:
    plain = {name: pa.array([value]) for name, value in row(3, category="beauty").items()}
    texts = {name: array.dictionary_encode() for name, array in plain.items() if pa.types.is_string(array.type)}
    for amount in (pa.array([12]), pa.array(["12.00"]).cast(pa.decimal128(9, 2)), pa.array([12.0], pa.float32())):
        path = columns(tmp_path / "e.parquet", **plain | texts, amount=amount, unknown=[[1, 2]])
        assert read(path) == [row(3, category="beauty", amount=12)]


def test_the_name_of_a_folder_says_a_field(tmp_path: Path) -> None:
    found = [{n: v for n, v in row(n).items() if n not in ("market", "category")} for n in range(2)]
    write(tmp_path / "market=SG" / "category=a%2Fb" / "x.parquet", found[:1])
    write(tmp_path / "market=TH" / "category=__HIVE_DEFAULT_PARTITION__" / "x.parquet", found[1:])
    assert read(tmp_path) == [row(0, market="SG", category="a/b"), row(1, market="TH")]
    assert read(tmp_path / "market=SG") == [row(0, market="SG", category="a/b")]


def test_no_more_than_a_batch_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "BATCH_ROWS", 30)
    path = write(tmp_path / "e.parquet", [row(n) for n in range(200)])
    source = parquet.ParquetSource(path)
    assert max(batch.rows for batch in source.batches()) <= 30
    assert [batch.first for batch in source.batches()][:3] == [1, 31, 61]
    assert len(list(source.entries())) == 200
    assert source.done == source.total


text = st.text(min_size=1, max_size=8)
some_events = st.fixed_dictionaries(
    {"event_id": text, "type": st.just("order.paid"), "creator_id": text, "occurred_at": st.integers(0, MILLIS_MAX),
     "market": st.just("TH")},
    optional={"category": st.text(max_size=8), "actor_id": text, "ref_id": text, "amount": st.floats(0, 1e12),
              "currency": st.just("USD"),
              "attrs": st.dictionaries(text, text | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-9, 9))},
)  # fmt: skip


@given(st.lists(some_events, min_size=1, max_size=8))
def test_what_is_written_as_columns_is_the_same_event_when_it_is_read(found: Rows) -> None:
    sent = [(one["creator_id"].encode(), msgspec.json.encode(one)) for one in found]
    out = io.BytesIO()
    write_rows(out, FIELDS, (event_row(key, value, "line 1") for key, value in sent))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "e.parquet").write_bytes(out.getvalue())
        rows = list(parquet.ParquetSource(Path(folder) / "e.parquet").plain())
    assert [decode_event(key, value or b"") for _, key, _, value in rows] == [decode_event(*one) for one in sent]
    assert [time for _, _, time, _ in rows] == [one["occurred_at"] for one in found]


# ---- recordings --------------------------------------------------------------------------------------------

TICKS = [Tick(0, 1, 1, 900), Tick(1, 1, 0, 700), Tick(0, 1, 2, 950)]


def recorded() -> list[tuple[int, Record | Tick]]:
    placed = [(0, 0), (1, 0), (0, 1), (0, 2), (1, 7)]
    return [(p, Record(n, b"c_1", event(n, creator="c_1"), 1_000 + n)) for p, n in placed]


def recording(path: Path, ticks: list[Tick]) -> Path:
    found = [record_line(p, r) for p, r in recorded() if isinstance(r, Record)]
    path.write_bytes(head_line("staging-events", 2) + b"".join(found) + b"".join(map(tick_line, ticks)))
    return path


def by_partition(found: list[tuple[int, Record | Tick]]) -> list[tuple[int, Record | Tick]]:
    return sorted(found, key=lambda entry: entry[0])


def test_a_recording_converts_to_a_folder_and_back_with_its_ticks(ripcurrent: Any, tmp_path: Path) -> None:
    path = recording(tmp_path / "r.jsonl", TICKS)
    done = ripcurrent("convert", path, "--out", tmp_path / "folder")
    assert (done.code, done.err) == (0, "")
    assert done.out == f"5 records and 3 ticks of {path} to {tmp_path / 'folder'}\n"
    assert sorted(file.name for file in (tmp_path / "folder").iterdir()) == ["part-0.parquet", "ticks.jsonl"]
    assert by_partition(entries(tmp_path / "folder")) == by_partition(entries(path))
    assert ripcurrent("convert", tmp_path / "folder", "--out", tmp_path / "back.jsonl.gz").code == 0
    for found in (tmp_path / "folder", tmp_path / "back.jsonl.gz"):
        with open_source(found) as source:
            assert (source.kind, source.topic, source.partitions) == ("recording", "staging-events", 2)
            assert all(path.is_file() for _, path in source.files)
            assert by_partition(list(source.entries())) == by_partition(entries(path))


def test_a_recording_with_ticks_is_no_single_parquet_file_and_without_is(ripcurrent: Any, tmp_path: Path) -> None:
    done = ripcurrent("convert", recording(tmp_path / "r.jsonl", TICKS), "--out", tmp_path / "r.parquet")
    assert (done.code, "name a folder" in done.error) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["r.jsonl"]
    assert ripcurrent("convert", recording(tmp_path / "r.jsonl", []), "--out", tmp_path / "r.parquet").code == 0
    assert entries(tmp_path / "r.parquet") == recorded()


def test_what_is_no_event_stays_what_it_is_in_a_recording(ripcurrent: Any, tmp_path: Path) -> None:
    odd: list[tuple[int, Record | Tick]] = [
        (0, Record(n, key, value, n))
        for n, (key, value) in enumerate([(None, None), (b"", b""), (b"\xff", b"\xff\n"), (b"c", b"not json")])
    ]
    write_recording(tmp_path / "r.jsonl", iter(odd), topic="t", partitions=1)
    assert ripcurrent("convert", tmp_path / "r.jsonl", "--out", tmp_path / "r.parquet").code == 0
    assert ripcurrent("convert", tmp_path / "r.parquet", "--out", tmp_path / "s.jsonl.zst").code == 0
    assert entries(tmp_path / "r.parquet") == entries(tmp_path / "s.jsonl.zst") == odd


def test_columns_of_fields_with_their_place_are_a_recording(tmp_path: Path) -> None:
    found = [row(n, partition=n % 2, offset=5 * n, timestamp=T0 + n) for n in range(10)]
    write(tmp_path / "x.parquet", found)
    with open_source(tmp_path) as source:
        assert source.kind == "recording"
        read = [(p, r.offset, r.timestamp) for p, r in source.entries() if isinstance(r, Record)]
    assert read == [(n % 2, 5 * n, T0 + n) for n in range(10)]
    (tmp_path / "ticks.jsonl").write_bytes(tick_line(Tick(0, 1, 10, 900)))
    assert [p for p, entry in entries(tmp_path) if isinstance(entry, Tick)] == [0]


def test_a_partition_may_be_the_name_of_a_folder_as_kafka_connect_writes_it(tmp_path: Path) -> None:
    for partition in (0, 1):
        write(tmp_path / f"partition={partition}" / "x.parquet", [{"key": "c_1", "value": "v", "offset": 4}])
    assert entries(tmp_path) == [(p, Record(4, b"c_1", b"v")) for p in (0, 1)]


def test_a_replay_of_a_recording_is_the_same_from_parquet(market: Path, tmp_path: Path, ripcurrent: Any) -> None:
    found = list(Recording(market / "events.jsonl", 2).entries())[:2_000]
    first = decode_event(found[0][1].key, found[0][1].value).occurred_at
    ticks = [(0, Tick(0, 1, 500, first + DAY)), (1, Tick(1, 1, 10, first + DAY))]
    write_recording(tmp_path / "r.jsonl", iter([*found, *ticks]), topic="creator-events", partitions=2)
    assert ripcurrent("convert", tmp_path / "r.jsonl", "--out", tmp_path / "folder").code == 0
    expected = replayed(tmp_path / "r.jsonl", tmp_path / "a")
    assert replayed(tmp_path / "folder", tmp_path / "b") == expected
    assert sum(isinstance(entry, Tick) for _, entry in entries(tmp_path / "folder")) == 2


# ---- what is refused ---------------------------------------------------------------------------------------


def without(name: str) -> dict[str, Any]:
    return {n: v for n, v in row().items() if n != name}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (without("market"), "has no column market (string; or key and value); its columns: event_id, type"),
        (without("occurred_at"), "has no column occurred_at (int64, ms since 1970"),
        ({"value": "v"}, "has no column key (binary or string)"),
        (row(event_id=7), "column event_id is int64; expected string"),
        (row(occurred_at="soon"), "column occurred_at is string; expected int64, ms since 1970"),
        (row(amount="9"), "column amount is string; expected a number"),
        (row(attrs=[1]), "column attrs is list<"),
        (row(attrs={"a": {"b": 1}}), "column attrs is struct<"),
        (row(partition=0), "has a column partition but none called offset"),
        (row(partition="0", offset=1), "column partition is string; expected int"),
        (row(partition=-1, offset=1), "row 1: expected a partition and an offset, 0 or more"),
        (row(partition=None, offset=1), "column partition is null; expected int"),
    ],
)
def test_wrong_columns_are_one_line_that_names_file_and_column(tmp_path: Path, found: Any, said: str) -> None:
    path = write(tmp_path / "x.parquet", [found])
    assert refusal(path).startswith(f"{path}: {said}")
    write(tmp_path / "folder" / "a.parquet", [found])
    assert refusal(tmp_path / "folder").startswith(f"{tmp_path / 'folder' / 'a.parquet'}: {said}")


def test_files_of_one_folder_have_the_same_columns(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [row()])
    write(tmp_path / "b.parquet", [row(partition=0, offset=0)])
    assert f"{tmp_path / 'b.parquet'}: has other columns than {tmp_path / 'a.parquet'}" in refusal(tmp_path)


def test_offsets_that_fall_from_file_to_file_are_refused_with_the_row(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [row(n, partition=0, offset=10 + n) for n in range(3)])
    write(tmp_path / "b.parquet", [row(n, partition=0, offset=11 + n) for n in range(3)])
    assert refusal(tmp_path).startswith(f"{tmp_path / 'b.parquet'}: row 1: offset 11 of partition 0 comes after 12")


def test_rows_far_out_of_order_are_refused_with_the_row_unless_they_are_sorted(tmp_path: Path) -> None:
    for name, day in (("a", 30), ("b", 0)):
        write(tmp_path / f"{name}.parquet", [row(n, occurred_at=T0 + day * DAY + n) for n in range(200)])
    assert refusal(tmp_path).startswith(f"{tmp_path / 'b.parquet'}: row 1: is of 2026-01-05")
    times = [found["occurred_at"] for found in read(tmp_path, partitions=1, sort=True)]
    assert times == sorted(times)


@pytest.mark.parametrize("kept", [0, 4, 300, -1])
def test_a_truncated_parquet_says_which_file(tmp_path: Path, kept: int) -> None:
    path = write(tmp_path / "x.parquet", [row(n) for n in range(100)])
    path.write_bytes(path.read_bytes()[:kept])
    said = refusal(path)
    assert said.startswith(f"{path}: is {'broken Parquet' if kept else 'empty'}")


def test_damaged_parquet_says_which_file(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", [row(n) for n in range(1_000)])
    data = bytearray(path.read_bytes())
    data[10:200] = b"\xff" * 190
    path.write_bytes(data)
    assert refusal(path).startswith(f"{path}: is broken Parquet")


def test_folders_and_files_without_a_row_are_refused(ripcurrent: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = ripcurrent("replay", tmp_path / "empty", "--out", tmp_path / "out")
    assert done.code == 2
    assert done.error == f"{tmp_path / 'empty'}: is a folder without Parquet files; expected *.parquet, or a file"
    schema = pa.table({name: [value] for name, value in row().items()}).schema
    write(tmp_path / "none" / "x.parquet", [], schema)
    done = ripcurrent("replay", tmp_path / "none", "--out", tmp_path / "out")
    assert (done.code, done.error) == (1, f"{tmp_path / 'none'}: is empty; expected a row for each event")
    done = ripcurrent("replay", tmp_path / "nope.parquet", "--out", tmp_path / "out")
    assert (done.code, done.error) == (2, f"{tmp_path / 'nope.parquet'}: there is no such file; is the path right?")


def test_a_file_that_is_only_named_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(lines(event(1)))
    assert "is broken Parquet" in refusal(tmp_path / "x.parquet")


def test_a_file_beside_that_has_no_ticks_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "x.parquet", [row(0, partition=0, offset=0)])
    (tmp_path / "ticks.jsonl").write_bytes(b"")
    assert len(entries(tmp_path)) == 1
    (tmp_path / "ticks.jsonl").write_bytes(lines(event(1)))
    assert refusal(tmp_path).startswith(f"{tmp_path / 'ticks.jsonl'}: line 1: is no tick")


# ---- convert -----------------------------------------------------------------------------------------------


def test_events_go_through_every_kind_of_file_and_come_back(ripcurrent: Any, market: Path, tmp_path: Path) -> None:
    before = market / "events.jsonl"
    for name in ("a.jsonl.zst", "b.parquet", "c.jsonl.gz", "d", "e.jsonl"):
        assert ripcurrent("convert", before, "--out", tmp_path / name).code == 0
        before = tmp_path / name
    assert (tmp_path / "e.jsonl").read_bytes() == (market / "events.jsonl").read_bytes()


def test_convert_sorts(ripcurrent: Any, tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_bytes(lines(event(2, T0 + 2), event(1, T0 + 1)))
    assert ripcurrent("convert", tmp_path / "e.jsonl", "--sort", "--out", tmp_path / "s.jsonl").code == 0
    assert values(tmp_path / "s.jsonl") == [event(1, T0 + 1), event(2, T0 + 2)]


def test_an_event_with_line_breaks_becomes_one_line(ripcurrent: Any, tmp_path: Path) -> None:
    pretty = json.dumps(row(), indent=1)
    write(tmp_path / "e.parquet", [{"key": "c_0", "value": pretty}])
    assert ripcurrent("convert", tmp_path / "e.parquet", "--out", tmp_path / "e.jsonl").code == 0
    assert read(tmp_path / "e.jsonl") == [row()]
    for value, said in ((None, "is empty"), (" ", "is empty"), ("a\nb", "is no JSON and has a line break")):
        write(tmp_path / "e.parquet", [{"key": "c_0", "value": pretty}, {"key": "c_0", "value": value}])
        done = ripcurrent("convert", tmp_path / "e.parquet", "--out", tmp_path / "f.jsonl")
        assert (done.code, done.error.startswith(f"{tmp_path / 'e.parquet'}: row 2: {said}")) == (1, True)
    assert not (tmp_path / "f.jsonl").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("e.csv", "expected a file that ends in .jsonl, .jsonl.gz, .jsonl.zst or .parquet"),
        ("full", "is there already"),
        ("no/e.jsonl", "there is no folder"),
        ("no/folder", "there is no folder"),
    ],
)
def test_a_wrong_name_to_convert_to_is_one_line(ripcurrent: Any, tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_bytes(b"")
    (tmp_path / "e.jsonl").write_bytes(lines(event(1)))
    done = ripcurrent("convert", tmp_path / "e.jsonl", "--out", tmp_path / name)
    assert done.code == 2
    assert said in done.error


def test_an_error_while_converting_leaves_nothing(ripcurrent: Any, tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_bytes(lines(event(1), b"not json"))
    for name in ("a.parquet", "folder"):
        assert ripcurrent("convert", tmp_path / "e.jsonl", "--out", tmp_path / name).code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["e.jsonl"]


def test_the_same_events_are_the_same_parquet(ripcurrent: Any, market: Path, tmp_path: Path) -> None:
    for name in ("a.parquet", "b.parquet"):
        assert ripcurrent("convert", market / "events.jsonl", "--out", tmp_path / name).code == 0
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
