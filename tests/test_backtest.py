"""A replay from Python: the tables are those of the command, made when asked for, and errors are one line."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from config.catalogue import CatalogueError
from streams import backtest
from streams.errors import RipcurrentError
from streams.labels import LabelsError
from streams.outcome_rows import TABLES
from streams.replay import ALERTS
from tests.test_cases import decided
from tests.test_cli import ripcurrent as ripcurrent
from tests.test_replay import takeover

HEADER = "creator_id,market,kind,start_ms,end_ms\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(takeover()))
    (tmp_path / "labels.csv").write_text(HEADER + "c_1,TH,account_takeover,1767571200000,1767571800000\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_tables_and_alerts_are_those_of_the_command(ripcurrent, folder: Path) -> None:  # type: ignore[no-untyped-def]
    done = ripcurrent("replay", "events.jsonl", "--out", "out", "--labels", "labels.csv", "--partitions", "1")
    assert done.code == 0
    found = backtest.run("events.jsonl", labels="labels.csv", partitions=1)
    for name in ("episodes", "daily", "labels", "scorecard"):
        assert getattr(found, name).equals(pq.read_table(folder / "out" / f"{name}.parquet")), name
    assert len(found.alerts) == len((folder / "out" / ALERTS).read_bytes().splitlines())
    assert repr(found) == "<Backtest: 1 alerts on 14 records of 3 creators in 0.3 days>"


def test_a_table_that_there_is_nothing_for_has_no_rows_but_its_columns(folder: Path) -> None:
    found = backtest.run("events.jsonl", partitions=1)
    assert found.episodes.column("verdict").to_pylist() == ["unlabelled"]
    for name in ("labels", "scorecard", "cases"):
        table = getattr(found, name)
        assert (table.num_rows, tuple(table.column_names)) == (0, TABLES[name].__struct_fields__)


def test_cases_are_labels_too(folder: Path) -> None:
    (alert,) = backtest.run("events.jsonl", partitions=1).alerts
    (folder / "events.jsonl").write_bytes(b"\n".join([*takeover(), decided(alert.alert_id, "rejected")]))
    found = backtest.run(folder / "events.jsonl", labels="cases", partitions=1)
    assert found.episodes.column("verdict").to_pylist() == ["false"]
    assert found.cases.column("raised").to_pylist() == [True]


def test_errors_are_one_line_and_a_label_of_somebody_else_is_a_warning(folder: Path) -> None:
    for call, error in (
        ({"events": "gone.jsonl"}, RipcurrentError),
        ({"events": "events.jsonl", "config": "gone"}, (CatalogueError, OSError)),
        ({"events": "events.jsonl", "labels": "others.csv"}, LabelsError),
    ):
        (folder / "others.csv").write_text(HEADER + "c_77,TH,order_spike,1,2\n")
        with pytest.raises(error) as told:
            backtest.run(**call)  # type: ignore[arg-type]
        assert "\n" not in str(told.value)
    (folder / "labels.csv").write_text((folder / "labels.csv").read_text() + "c_77,TH,order_spike,1,2\n")
    with pytest.warns(UserWarning, match="labels.csv: line 3: 'c_77' is not in events.jsonl; 1 of 2 labels"):
        backtest.run("events.jsonl", labels="labels.csv", partitions=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        backtest.run("events.jsonl", partitions=1)


def test_pyarrow_is_not_loaded_before_a_table_is_asked_for(folder: Path) -> None:
    code = "import sys; from streams.backtest import run; run('events.jsonl').alerts; print('pyarrow' in sys.modules)"
    root = Path(backtest.__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": str(root)})  # fmt: skip
    assert done.stdout == "False\n"
