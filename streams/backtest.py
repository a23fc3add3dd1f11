"""A replay from Python, with what it found as Arrow tables.

    from streams.backtest import run

    found = run("events.parquet", labels="labels.csv")
    found.scorecard          # a pyarrow.Table, as are episodes, daily, labels and cases
    found.alerts[0].reason

What `ripcurrent replay` does, without a folder between. Errors are of `streams.errors` or of `config.catalogue`, each
one line. The tables need the extra `tables`, and are made when they are asked for.
"""

from __future__ import annotations

import warnings
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from config.catalogue import load
from config.schema import Catalogue
from streams.cases import Cases
from streams.engine import Engine
from streams.labels import read_lines, strangers
from streams.outcome import Rows, Truth
from streams.outcome_rows import TABLES
from streams.records import Alert
from streams.replay import Result, replay
from streams.scorecard import Label
from streams.security import pseudonyms_for
from streams.sources import open_source
from streams.write_arrow import arrow_table, rows_of

if TYPE_CHECKING:
    import pyarrow as pa

CASES = "cases"  # as labels: what reviewers decided, among the events; a file of that name is ./cases


class Backtest:
    """What a replay found. A table that there is nothing for, as `labels` without labels, has no rows."""

    def __init__(self, result: Result, catalogue: Catalogue, truth: Truth | None) -> None:
        self.result, self.catalogue, self.truth = result, catalogue, truth

    @property
    def alerts(self) -> list[Alert]:
        """Every revision that was told, in the order of a log; those aside are `result.shadow`."""
        return self.result.alerts

    @cached_property
    def episodes(self) -> pa.Table:
        return self._table("episodes")

    @cached_property
    def daily(self) -> pa.Table:
        return self._table("daily")

    @cached_property
    def labels(self) -> pa.Table:
        return self._table("labels")

    @cached_property
    def scorecard(self) -> pa.Table:
        return self._table("scorecard")

    @cached_property
    def cases(self) -> pa.Table:
        return self._table("cases")

    @cached_property
    def _rows(self) -> Rows:
        return rows_of(self.result, self.catalogue, self.truth)

    def _table(self, name: str) -> pa.Table:
        return arrow_table(TABLES[name], self._rows.get(name, ()))

    def __repr__(self) -> str:
        alerts = len({alert.alert_id for alert in self.alerts})
        creators, days = f"{self.result.creators:,} creators", f"{self.result.days:.1f} days"
        return f"<Backtest: {alerts:,} alerts on {self.result.records:,} records of {creators} in {days}>"


def run(
    events: str | Path, *, config: str | Path | None = None, labels: str | Path | None = None, partitions: int = 4,
    sort: bool = False,
) -> Backtest:  # fmt: skip
    """Replay any source (docs/replay.md), under the shipped configuration or that of a folder.

    `labels` is a file of true episodes, or "cases". Plain events end the input; a recording says so with its ticks.
    """
    catalogue = load() if config is None else load(Path(config))
    decided = Cases() if labels == CASES else None
    lines = None if labels is None or decided is not None else read_lines(Path(labels))
    with open_source(Path(events), partitions, sort=sort) as source:
        entries = source.entries() if decided is None else decided.watch(source.entries())
        result = replay(entries, catalogue, topic=source.topic, close=source.kind == "events",
                        engine=partial(Engine, pseudonyms=pseudonyms_for(catalogue)))  # fmt: skip
        told = [source.warning()]
        if lines is not None:
            told.append(strangers(Path(str(labels)), lines, result.volumes, source.name))
    for warning in filter(None, told):
        warnings.warn(warning, stacklevel=2)
    return Backtest(result, catalogue, decided if lines is None else _labels(lines))


def _labels(lines: list[tuple[int, Label]]) -> list[Label]:
    return [label for _, label in lines]
