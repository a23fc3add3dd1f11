"""One DuckDB file with every table and views on them, each with a comment. Times are UTC, without a zone: what a client
shows then does not hang on where it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import getdoc
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from streams.outcome import Rows
from streams.outcome_rows import TABLES, columns
from streams.write_arrow import arrow_table

if TYPE_CHECKING:
    import duckdb


class View(NamedTuple):
    meaning: str
    columns: Mapping[str, str]  # what each holds
    query: str


_SEVERITIES = {
    "critical": "alerts that reached it",
    "warning": "alerts that reached it and no more",
    "info": "alerts that stayed there",
}
_COUNTS = """count(*) AS alerts, count(DISTINCT creator_id) AS creators,
    count(*) FILTER (severity = 'critical') AS critical, count(*) FILTER (severity = 'warning') AS warning,
    count(*) FILTER (severity = 'info') AS info"""
_COUNTED = {"alerts": "alerts opened", "creators": "distinct creators", **_SEVERITIES}

VIEWS: Mapping[str, View] = {
    "open_episodes": View(
        "Alerts that were told and are open at the end of the input, the most severe and oldest first.",
        {column.name: column.meaning for column in columns(TABLES["episodes"])},
        """SELECT * FROM episodes WHERE ended_at IS NULL AND NOT shadow
    ORDER BY list_position(['critical', 'warning', 'info'], severity), opened_at, alert_id""",
    ),
    "alerts_by_day": View(
        "Alerts that were told, by the day they opened. Days without any are missing.",
        {"day": "UTC date of the end of the window in which they opened", **_COUNTED},
        f"SELECT CAST(opened_at AS DATE) AS day, {_COUNTS} FROM episodes WHERE NOT shadow GROUP BY day ORDER BY day",
    ),
    "alerts_by_signal": View(
        "Alerts that were told, by signal, the most first.",
        {"signal": "name in the catalogue", "title": "the signal's title", **_COUNTED,
         "open": "still open at the end", "median_hours": "median duration of those that ended"},
        f"""SELECT signal, any_value(title) AS title, {_COUNTS}, count(*) FILTER (ended_at IS NULL) AS open,
    median(duration_hours) AS median_hours
    FROM episodes WHERE NOT shadow GROUP BY signal ORDER BY alerts DESC, signal""",
    ),
    "creators_by_alerts": View(
        "Creators with alerts that were told, the most critical and most alerts first.",
        {"creator_id": "whom they are about", "market": "ISO 3166-1 code", "alerts": "alerts opened",
         "signals": "distinct signals", **_SEVERITIES, "open": "still open at the end",
         "last_opened_at": "when the newest opened, UTC"},
        """SELECT creator_id, market, count(*) AS alerts, count(DISTINCT signal) AS signals,
    count(*) FILTER (severity = 'critical') AS critical, count(*) FILTER (severity = 'warning') AS warning,
    count(*) FILTER (severity = 'info') AS info, count(*) FILTER (ended_at IS NULL) AS open,
    max(opened_at) AS last_opened_at
    FROM episodes WHERE NOT shadow GROUP BY creator_id, market
    ORDER BY critical DESC, alerts DESC, creator_id, market""",
    ),
    "severity_by_market": View(
        "Alerts that were told, by market.",
        {"market": "ISO 3166-1 code", **_COUNTED},
        f"SELECT market, {_COUNTS} FROM episodes WHERE NOT shadow GROUP BY market ORDER BY market",
    ),
    "told_aside": View(
        "Alerts of signals on trial and of creators that a group exempts, by signal; true and false only with labels, "
        "and behind the warm-up.",
        {"signal": "name in the catalogue", **_COUNTED, "true_alerts": "right about a label, or confirmed",
         "false_alerts": "right about none, or rejected"},
        f"""SELECT signal, {_COUNTS}, count(*) FILTER (verdict = 'true' AND NOT cold) AS true_alerts,
    count(*) FILTER (verdict = 'false' AND NOT cold) AS false_alerts
    FROM episodes WHERE shadow GROUP BY signal ORDER BY signal""",
    ),
    "precision_by_signal": View(
        "How good each signal was beside labels or cases. Without them it is empty.",
        {column.name: column.meaning for column in columns(TABLES["scorecard"])
         if column.name not in ("about", "market", "size")},
        """SELECT * EXCLUDE (about, market, size) FROM scorecard WHERE about = 'signal' ORDER BY signal""",
    ),
}  # fmt: skip


def write_duckdb(rows: Rows, path: Path) -> None:
    """Tables that there is nothing for, as those of labels, are there without rows, so that every view can be asked."""
    import duckdb

    settings: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False, "autoload_known_extensions": False,  # nothing is fetched
    }  # fmt: skip
    with duckdb.connect(path, config=settings) as connection:
        connection.begin()
        for name in TABLES:
            _write_table(connection, name, rows)
        for name, view in VIEWS.items():
            connection.execute(f"CREATE VIEW {name} AS {view.query}")
            _comment(connection, "VIEW", name, view.meaning, view.columns)
        connection.commit()
        connection.execute("CHECKPOINT")


def _write_table(connection: duckdb.DuckDBPyConnection, name: str, rows: Rows) -> None:
    row = TABLES[name]
    known = columns(row)
    connection.register("incoming", arrow_table(row, rows.get(name, ())))
    types = {"text": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "flag": "BOOLEAN", "instant": "TIMESTAMP",
             "day": "DATE"}  # fmt: skip
    declared = ", ".join(f'"{c.name}" {types[c.kind]}{"" if c.nullable else " NOT NULL"}' for c in known)
    connection.execute(f"CREATE TABLE {name} ({declared})")
    # an instant as what it counts: a cast from one with a zone would need a library of time zones
    picked = [f'make_timestamp(epoch_ms("{c.name}") * 1000)' if c.kind == "instant" else f'"{c.name}"' for c in known]
    connection.execute(f"INSERT INTO {name} SELECT {', '.join(picked)} FROM incoming")
    connection.unregister("incoming")
    said = {c.name: c.meaning + (", UTC" if c.kind == "instant" else "") for c in known}
    _comment(connection, "TABLE", name, " ".join((getdoc(row) or "").split()), said)


def _comment(
    connection: duckdb.DuckDBPyConnection, what: str, name: str, meaning: str, said: Mapping[str, str]
) -> None:
    connection.execute(f"COMMENT ON {what} {name} IS {_quoted(meaning)}")
    for column, text in said.items():
        connection.execute(f'COMMENT ON COLUMN {name}."{column}" IS {_quoted(text)}')


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
