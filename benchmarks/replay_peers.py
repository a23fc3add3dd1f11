"""The peers' job of bench_replay.py: a one-hour sliding count and its z-score, for each creator, over one Parquet file.

    PYTHON benchmarks/replay_peers.py polars|duckdb EVENTS.parquet

Orders of each creator in panes of 15 minutes, of these the sum of an hour at each pane that has any, and its z-score
beside the creator's own earlier sums; what counts are those of ten orders or more and a z-score over 4. Written as the
library's documentation would have it, on one thread; only the columns of the job are read. Prints one line of JSON.
"""

import json
import sys
import time
from pathlib import Path

PANE_MS, PANES, FEWEST, MARK = 900_000, 4, 10, 4.0


def with_polars(path: str) -> int:
    import polars as pl  # type: ignore[import-not-found, unused-ignore]

    pane = pl.col("occurred_at") // PANE_MS
    sums = (
        pl.scan_parquet(path)
        .filter(pl.col("type") == "order.paid")
        .group_by("creator_id", pane.alias("pane"))
        .agg(pl.len().cast(pl.Int64).alias("n"))
        .sort("creator_id", "pane")
        .with_columns(pl.col("n").rolling_sum_by("pane", f"{PANES}i").over("creator_id").alias("orders"))
    )
    orders = pl.col("orders").cast(pl.Float64)
    k = (pl.int_range(pl.len()).over("creator_id")).cast(pl.Float64)
    total = orders.cum_sum().over("creator_id") - orders
    squares = (orders**2).cum_sum().over("creator_id") - orders**2
    variance = (squares - total**2 / k) / (k - 1)
    strange = sums.with_columns(k=k, z=(orders - total / k) / variance.sqrt()).filter(
        (pl.col("k") >= 2) & (pl.col("orders") >= FEWEST) & pl.col("z").is_finite() & (pl.col("z") > MARK)
    )
    return int(strange.select(pl.len()).collect().item())


def with_duckdb(path: str) -> int:
    import duckdb

    with duckdb.connect(config={"threads": 1}) as connection:
        (found,) = connection.execute(
            f"""
            WITH panes AS (
                SELECT creator_id, occurred_at // {PANE_MS} AS pane, count(*) AS n
                FROM read_parquet(?) WHERE type = 'order.paid' GROUP BY ALL
            ), sums AS (
                SELECT creator_id, pane, sum(n) OVER (PARTITION BY creator_id ORDER BY pane
                    RANGE BETWEEN {PANES - 1} PRECEDING AND CURRENT ROW)::DOUBLE AS orders FROM panes
            ), scored AS (
                SELECT orders, (orders - avg(orders) OVER past) / nullif(stddev_samp(orders) OVER past, 0) AS z
                FROM sums WINDOW past AS (PARTITION BY creator_id ORDER BY pane
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
            )
            SELECT count(*) FROM scored WHERE orders >= {FEWEST} AND z > {MARK}
            """,
            [path],
        ).fetchone() or (0,)
    return int(found)


def peak_bytes() -> int:
    """The most memory that this process ever had; what its parent had doesn't count, as it does in getrusage."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def main(which: str, path: str) -> None:
    run = {"polars": with_polars, "duckdb": with_duckdb}[which]
    version = __import__(which).__version__
    began, cpu = time.perf_counter(), time.process_time()
    found = run(path)
    took = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}
    print(json.dumps({**took, "found": found, "peak_bytes": peak_bytes(), "version": version}))


if __name__ == "__main__":
    main(*sys.argv[1:])
