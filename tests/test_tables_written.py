"""What a replay leaves in its folder reads back as the rows it was made of, whole or not at all, the same each time."""

import csv
import errno
import io
import json
import os
import resource
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from config.catalogue import load
from config.schema import Catalogue
from streams import write_duckdb, write_excel, write_outcome
from streams.files import whole_path
from streams.outcome import Rows
from streams.outcome_rows import TABLES, Column, columns
from streams.recording import Recording
from streams.replay import Result, replay
from streams.run_facts import run_facts, source_facts
from streams.scorecard import Label
from streams.write_arrow import rows_of, tables
from streams.write_csv import cell, write_csv
from streams.write_excel import Sheet, cell_text, flat
from streams.write_outcome import OutcomeError
from tests.outcomes import DAY, HOUR, T0, opened, result
from tests.test_replay import takeover

NASTY = '=HYPERLINK("http://a","b"), über\n@x'
WRITERS = ("write_csv", "write_parquet", "write_duckdb", "write_excel", "write_report", "write_result")
LABELS = [Label("c_1", "TH", "refund_surge", T0 - HOUR, T0), Label("c_2", "TH", "lookalike:raid", T0, T0 + HOUR)]


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load()


@pytest.fixture(scope="module")
def found() -> Result:
    """One alert that ended, one that is open with a reason that looks like a formula, one aside."""
    ended = opened("a", severity="critical", expected_low=None)
    over = structs.replace(ended, revision=2, status="resolved", window_end=T0 + 2 * HOUR)
    odd = opened("b", "c_2", "order_spike", T0 + DAY, reason=NASTY, category=None)
    return result([ended, over, odd], [opened("c", "c_3", market="VN")])


@pytest.fixture(scope="module")
def run(found: Result, catalogue: Catalogue) -> dict[str, Any]:
    sources = [source_facts(__file__, Path(__file__), "events")]
    return run_facts(found, catalogue, sources, {"close": True, "config": "=1+1"})


@pytest.fixture(scope="module")
def rows(found: Result, catalogue: Catalogue) -> Rows:
    return rows_of(found, catalogue, LABELS)


@pytest.fixture(scope="module")
def written(
    found: Result, catalogue: Catalogue, run: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("written")
    write_outcome.write_outcome(found, out, catalogue, run, labels=LABELS, timings={"replay_seconds": 1.0})
    return out


@pytest.fixture(scope="module")
def database(written: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(written / "replay.duckdb", read_only=True) as connection:
        yield connection


def values(rows: Rows, name: str, zone: Any = UTC) -> list[tuple[Any, ...]]:
    """Rows as a reader gets them: instants and days as such."""
    epoch = datetime(1970, 1, 1, tzinfo=zone)
    made = {"instant": lambda ms: epoch + timedelta(milliseconds=ms), "day": lambda n: date(1970, 1, 1) + timedelta(n)}
    same = columns(TABLES[name])
    return [
        tuple(None if (v := getattr(row, c.name)) is None else made.get(c.kind, lambda x: x)(v) for c in same)
        for row in rows[name]
    ]


# ---- what is there -----------------------------------------------------------------------------------------


def test_a_folder_holds_these_files_and_nothing_else(written: Path) -> None:
    both = {f"{name}.{ending}" for name in TABLES for ending in ("csv", "parquet")}
    lines = {"alerts.jsonl", "shadow_alerts.jsonl", "dead_letters.jsonl"}
    rest = lines | {"run.json", "report.html", "replay.duckdb", "replay.xlsx"}
    assert {path.name for path in written.iterdir()} == both | rest


@pytest.mark.parametrize("name", TABLES)
def test_parquet_reads_back_as_the_rows(written: Path, rows: Rows, name: str) -> None:
    table = pq.read_table(written / f"{name}.parquet")
    assert [tuple(row.values()) for row in table.to_pylist()] == values(rows, name)
    for column in columns(TABLES[name]):
        field = table.schema.field(column.name)
        assert field.nullable is column.nullable
        assert field.metadata[b"description"].decode() == column.meaning
        if column.kind == "instant":
            assert field.type == pa.timestamp("ms", tz="UTC")


def test_from_python_the_same_tables_are_one_call(found: Result, catalogue: Catalogue, written: Path) -> None:
    made = tables(found, catalogue, LABELS)
    assert list(made) == list(TABLES)
    assert all(pq.read_table(written / f"{name}.parquet").equals(table) for name, table in made.items())
    assert list(tables(found, catalogue)) == ["episodes", "daily"]


def test_the_example_of_the_documents_makes_arrow_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(takeover()))
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parent.parent / "docs" / "replay.md").read_text(encoding="utf-8")
    known: dict[str, Any] = {"Path": Path, "Recording": Recording, "load": load, "replay": replay, "tables": tables}
    exec(page.split("```python\n")[1].split("```")[0], known)
    assert known["episodes"].column("signal").to_pylist() == ["account_takeover"]


@pytest.mark.parametrize("name", TABLES)
def test_csv_reads_back_as_the_rows(written: Path, rows: Rows, name: str) -> None:
    with (written / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        header, *lines = csv.reader(file)
    same = columns(TABLES[name])
    assert header == [c.name for c in same]
    parsed = {"text": str, "integer": int, "number": float, "flag": {"true": True, "false": False}.__getitem__,
              "instant": datetime.fromisoformat, "day": date.fromisoformat}  # fmt: skip
    assert [tuple(parsed[c.kind](text) if text else None for c, text in zip(same, line, strict=True))
            for line in lines] == values(rows, name)  # fmt: skip


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_any_text_goes_through_csv_unchanged(texts: list[str]) -> None:
    line = ",".join(cell(text, "text") for text in texts) + "\n"
    assert list(csv.reader(io.StringIO(line, newline=""))) == [texts]


def test_null_and_no_text_differ_in_csv() -> None:
    assert (cell(None, "text"), cell("", "text")) == ("", '""')


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_goes_through_csv_unchanged(number: float) -> None:
    assert float(cell(number, "number")) == number


# ---- DuckDB ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TABLES)
def test_the_database_has_the_rows(database: duckdb.DuckDBPyConnection, rows: Rows, name: str) -> None:
    assert database.execute(f"SELECT * FROM {name}").fetchall() == values(rows, name, None)


def test_every_table_view_and_column_has_its_comment(database: duckdb.DuckDBPyConnection) -> None:
    said = database.execute(
        "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE schema_name = 'main' AND NOT internal"
    ).fetchall()
    assert [where[:2] for where in said if not where[2]] == []
    assert {where[0] for where in said} == {*TABLES, *write_duckdb.VIEWS}
    for kind in ("tables", "views"):
        query = f"SELECT {kind[:-1]}_name, comment FROM duckdb_{kind}() WHERE NOT internal"
        assert all(comment for _, comment in database.execute(query).fetchall())


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("SELECT alert_id, ended_at FROM open_episodes", [("b", None)]),
        ("SELECT CAST(day AS VARCHAR), alerts, creators, critical FROM alerts_by_day",
         [("2026-01-05", 1, 1, 1), ("2026-01-06", 1, 1, 0)]),
        ("SELECT signal, alerts, open, median_hours FROM alerts_by_signal",
         [("order_spike", 1, 1, None), ("refund_rate", 1, 0, 2.0)]),
        ("SELECT creator_id, market, signals, critical FROM creators_by_alerts",
         [("c_1", "TH", 1, 1), ("c_2", "TH", 1, 0)]),
        ("SELECT market, alerts, critical, info FROM severity_by_market", [("TH", 2, 1, 1)]),
        ("SELECT signal, alerts, true_alerts, false_alerts FROM told_aside", [("refund_rate", 1, 0, 1)]),
        ("SELECT signal, precision, labels FROM precision_by_signal WHERE alerts > 0",
         [("order_spike", 0.0, 0), ("refund_rate", 1.0, 1)]),
    ],
)  # fmt: skip
def test_a_view_answers(database: duckdb.DuckDBPyConnection, query: str, answer: list[Any]) -> None:
    assert database.execute(query).fetchall() == answer


def test_the_views_by_day_and_the_table_of_days_agree(database: duckdb.DuckDBPyConnection) -> None:
    by_table = "SELECT day, sum(alerts)::BIGINT FROM daily WHERE NOT shadow GROUP BY day ORDER BY day"
    assert database.execute("SELECT day, alerts FROM alerts_by_day").fetchall() == database.execute(by_table).fetchall()


def test_without_labels_their_tables_and_views_are_there_and_empty(
    found: Result, catalogue: Catalogue, tmp_path: Path
) -> None:
    write_duckdb.write_duckdb(rows_of(found, catalogue), tmp_path / "a.duckdb")
    with duckdb.connect(tmp_path / "a.duckdb", read_only=True) as database:
        for name in ("labels", "scorecard", "precision_by_signal"):
            assert database.execute(f"SELECT * FROM {name}").fetchall() == []
        assert database.execute("SELECT DISTINCT verdict FROM episodes").fetchall() == [("unlabelled",)]


# ---- Excel -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def book(written: Path) -> openpyxl.Workbook:
    return openpyxl.load_workbook(written / "replay.xlsx")


def test_the_workbook_has_its_sheets_with_a_filter_and_a_header_that_stays(book: openpyxl.Workbook) -> None:
    assert book.sheetnames == ["summary", "by signal", "by market", "episodes", "labels matched", "settings"]
    for sheet in book:
        assert sheet.freeze_panes == "A2"
        assert sheet.auto_filter.ref == sheet.dimensions
        assert all(cell.value and cell.font.bold for cell in sheet[1])
        assert all(one.width >= 9 for one in sheet.column_dimensions.values())


@pytest.mark.parametrize(("sheet", "name"), [("episodes", "episodes"), ("labels matched", "labels")])
def test_the_workbook_has_the_rows_as_numbers_and_dates(
    book: openpyxl.Workbook, rows: Rows, sheet: str, name: str
) -> None:
    header, *lines = book[sheet].iter_rows(values_only=True)
    assert [said.removesuffix(" (UTC)") for said in header] == [c.name for c in columns(TABLES[name])]
    assert lines == values(rows, name, None)
    for said, column in zip(header, columns(TABLES[name]), strict=True):
        assert said.endswith(" (UTC)") == (column.kind in ("instant", "day"))


def test_no_cell_of_the_workbook_is_a_formula(book: openpyxl.Workbook) -> None:
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert not any(cell.data_type == "f" for cell in cells)
    texts = [cell for cell in cells if cell.value in (NASTY, "=1+1")]
    assert {cell.value for cell in texts} == {NASTY, "=1+1"}
    assert {cell.data_type for cell in texts} == {"s"}


def test_the_settings_say_from_what_it_was_made(book: openpyxl.Workbook, catalogue: Catalogue) -> None:
    said = dict(book["settings"].iter_rows(min_row=2, values_only=True))
    assert said["config_version"] == catalogue.version
    assert said["sources.1.kind"] == "events"
    assert said["options.close"] is True
    assert not any(name.startswith("timings") for name in said)


def test_the_summary_says_whether_there_were_labels(
    book: openpyxl.Workbook, found: Result, catalogue: Catalogue, run: dict[str, Any]
) -> None:
    said = dict(book["summary"].iter_rows(min_row=2, values_only=True))
    assert (said["alerts"], said["alerts told aside"], said["true_alerts"], said["labels"]) == (2, 1, 1, 1)
    assert "nothing is said to be true" in str(dict(write_excel.summary(rows_of(found, catalogue), run))["labels"])


def sheet_of(texts: list[str], path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A workbook of one sheet with these texts; its cells as they are read."""
    content = [Sheet("texts", [Column("text", "text", False, "")], [[text] for text in texts])]
    with monkeypatch.context() as patched:
        patched.setattr(write_excel, "sheets", lambda rows, run: content)
        write_excel.write_excel({}, {}, path)
    return [row[0] for row in openpyxl.load_workbook(path).active.iter_rows(min_row=2)]


ODD = st.sampled_from(["=", "+", "-", "@", "\t", "\n", "<r>", "</r>", "_x0041_", "_x", "x0041_", "&", "<t>", '"', " "])
TEXT = st.lists(ODD | st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")))


@settings(max_examples=15)
@given(st.lists(TEXT.map("".join), min_size=10, max_size=60))
def test_any_text_goes_through_excel_unchanged_and_is_no_formula(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        cells = sheet_of(texts, tmp_path_factory.mktemp("x") / "t.xlsx", patch)
    assert [cell.value for cell in cells] == texts
    assert {cell.data_type for cell in cells} == {"s"}


def test_what_xml_can_not_hold_is_replaced_and_a_text_too_long_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = "".join(map(chr, [*range(32), 0xFFFE, 0xFFFF, 0xD800]))
    long = "🙂" * 20_000
    cells = sheet_of([f"a{every}b", long, "a\r\nb\rc"], tmp_path / "t.xlsx", monkeypatch)
    assert cells[0].value == cell_text(f"a{every}b")
    assert set(cells[0].value) == set("ab\t\n\ufffd")
    assert cells[1].value == "🙂" * 16_383 + "…"
    assert cells[2].value == "a\nb\nc"


def test_rows_above_the_limit_of_a_sheet_are_cut_and_it_says_where_all_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert write_excel.ROWS_MAX == 1_048_576
    monkeypatch.setattr(write_excel, "ROWS_MAX", 11)
    fits = sheet_of([str(n) for n in range(10)], tmp_path / "t.xlsx", monkeypatch)
    assert [cell.value for cell in fits] == [str(n) for n in range(10)]
    cut = sheet_of([str(n) for n in range(30)], tmp_path / "t.xlsx", monkeypatch)
    assert [cell.value for cell in cut[:9]] == [str(n) for n in range(9)]
    assert cut[9].value == "21 more rows do not fit on a sheet of Excel; the Parquet file has all"
    assert len(cut) == 10


# ---- the same each time, and whole -------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, Any]:
    """What a folder says, as whoever reads it gets it."""
    said: dict[str, Any] = {}
    for path in sorted(folder.iterdir()):
        match path.suffix:
            case ".parquet":
                said[path.name] = pq.read_table(path).to_pylist()
            case ".duckdb":
                with duckdb.connect(path, read_only=True) as database:
                    names = (*TABLES, *write_duckdb.VIEWS)
                    said[path.name] = [database.execute(f"SELECT * FROM {name}").fetchall() for name in names]
            case ".xlsx":
                book = openpyxl.load_workbook(path)
                said[path.name] = [list(sheet.iter_rows(values_only=True)) for sheet in book], book.properties.created
            case _:
                said[path.name] = path.read_bytes()
    return said


def test_the_same_result_gives_the_same_content_but_for_timings(
    found: Result, catalogue: Catalogue, run: dict[str, Any], written: Path, tmp_path: Path
) -> None:
    write_outcome.write_outcome(found, tmp_path, catalogue, run, labels=LABELS, timings={"replay_seconds": 2.0})
    one, two = contents(written), contents(tmp_path)
    first, second = json.loads(one.pop("run.json")), json.loads(two.pop("run.json"))
    assert first.pop("timings") != second.pop("timings")
    assert first == second
    assert one == two


def test_run_json_says_from_what_the_result_was_made(written: Path, catalogue: Catalogue) -> None:
    said = json.loads((written / "run.json").read_bytes())
    assert said["config_version"] == catalogue.version
    assert (said["records"], said["bad_records"], said["partitions"]) == (500, 0, [0])
    (source,) = said["sources"]
    assert source["bytes"] == Path(__file__).stat().st_size
    assert len(source["sha256"]) == 64
    assert said["libraries"]["duckdb"] == duckdb.__version__
    assert said["timings"]["replay_seconds"] == 1.0
    assert list(said)[-1] == "timings"


def test_a_path_that_is_no_text_costs_no_result(found: Result, catalogue: Catalogue, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.jsonl")
    path.write_bytes(b"1")
    facts = run_facts(found, catalogue, [source_facts(str(path), path, "events")], {"config": path})
    write_outcome.write_outcome(found, tmp_path / "out", catalogue, facts)
    assert json.loads((tmp_path / "out" / "run.json").read_bytes())["sources"][0]["path"].endswith("?.jsonl")


def test_nested_facts_become_lines() -> None:
    assert flat({"a": {"b": [1, {"c": None}]}, "d": []}) == [("a.b.1", 1), ("a.b.2.c", None)]


@pytest.mark.parametrize("where", WRITERS)
def test_an_interrupted_write_leaves_what_was_there_or_nothing(
    found: Result, catalogue: Catalogue, run: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:  # fmt: skip
    def half(*arguments: Any, **more: Any) -> None:
        path = arguments[-1]
        if isinstance(path, Path):
            path.write_bytes(b"half")
        raise KeyboardInterrupt

    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    (old / "run.json").write_text("old")
    monkeypatch.setattr(write_outcome, where, half)
    for folder in (old, new):
        with pytest.raises(KeyboardInterrupt):
            write_outcome.write_outcome(found, folder, catalogue, run, labels=LABELS)
    assert {path.name: path.read_text() for path in old.iterdir()} == {"run.json": "old"}
    assert list(new.iterdir()) == []


@pytest.mark.parametrize("where", WRITERS)
def test_a_disk_without_room_is_one_line_and_leaves_nothing(
    found: Result, catalogue: Catalogue, run: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:  # fmt: skip
    """The system itself refuses to let files grow, while one of the writers is at work."""
    alerts = [opened(f"{n:032}", at=T0 + n, reason=f"{n * 7919:x} {n * 104729:x}") for n in range(500)]
    for name in WRITERS:
        if name != where:
            monkeypatch.setattr(write_outcome, name, _touch)
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, before[1]))
    try:
        with pytest.raises(OutcomeError) as told:
            write_outcome.write_outcome(found._replace(alerts=alerts), tmp_path, catalogue, run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert where in {entry.name for entry in told.traceback} | _names(told.value.__cause__)
    assert str(told.value).startswith(f"{tmp_path}: no room there (")
    assert "\n" not in str(told.value)
    assert list(tmp_path.iterdir()) == []


def _touch(*given: Any, **more: Any) -> None:
    """Instead of a writer."""
    for each in given:
        if isinstance(each, Path):
            each.touch()


def _names(error: BaseException | None) -> set[str]:
    """The functions that an error went through."""
    assert error is not None
    return {frame.name for frame in traceback.extract_tb(error.__traceback__)}


def test_a_full_disk_is_told_however_a_library_wraps_it() -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    assert write_outcome._no_room(Exception(full)) == "No space left on device"
    assert write_outcome._no_room(duckdb.IOException('Could not write "x": No space left on device')) is not None
    assert write_outcome._no_room(ValueError("anything else")) is None


def test_a_path_gets_its_name_only_when_all_is_well(tmp_path: Path) -> None:
    with whole_path(tmp_path / "a") as part:
        part.write_bytes(b"1")
        assert not (tmp_path / "a").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_an_earlier_replay_left_is_gone(
    found: Result, catalogue: Catalogue, run: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    write_outcome.write_outcome(found, tmp_path, catalogue, run, labels=LABELS)
    write_outcome.write_outcome(found, tmp_path, catalogue, run, tables=False)
    assert {path.name for path in tmp_path.iterdir()} == {
        "alerts.jsonl", "shadow_alerts.jsonl", "dead_letters.jsonl", "run.json", "report.html", "episodes.csv",
        "daily.csv", "mine.txt",
    }  # fmt: skip


# ---- without the extra -------------------------------------------------------------------------------------


def test_the_worker_and_the_commands_load_none_of_the_libraries_of_tables() -> None:
    program = "import sys, streams.app, streams.cli, streams.write_outcome, streams.write_excel, streams.write_duckdb\n"
    program += "print([name for name in ('pyarrow', 'duckdb', 'xlsxwriter') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_table_without_rows_has_its_header(tmp_path: Path) -> None:
    write_csv(TABLES["daily"], [], tmp_path / "d.csv")
    assert (tmp_path / "d.csv").read_text() == "day,market,signal,severity,shadow,alerts,creators\n"
