"""How many bytes do checkpoints write to Kafka, beside those of the source, while a market goes on as usual?

    python benchmarks/bench_checkpoints.py [--creators 2000] [--days 30] [--share 0.2]

One shard with all shipped signals is fed a simulated market of all types of events, from an empty start. Its cadence
is the worker's, with event time as the clock: a checkpoint is written when it would be, were the market live. It is
packed and compared with the one before as the worker does it, and its bytes are counted as Kafka's producer gets them;
those of the source are the values of its records. Nothing is compressed on either side. `steady_share` leaves out the
first half, in which the state grows. Ends with one line of JSON. Kafka is not part of it.
"""

import argparse
import json
import time
from typing import Any

from config.catalogue import load
from streams import checkpoint, state
from streams.cadence import Cadence, bytes_from
from streams.columns import Record
from streams.engine import Engine
from streams.simulate import Simulation, simulate
from streams.windows import NEVER

LOOK = 2_000  # records between two looks at the clock
SECONDS = 10.0  # RIPCURRENT_CHECKPOINT_SECONDS as shipped


class Shard:
    """The engine, its account, and what was written."""

    def __init__(self, share: float) -> None:
        self.engine = Engine(load(), "creator-events", 0)
        self.cadence = Cadence(share, SECONDS, False, 0.0)
        self.before: checkpoint.Manifest | None = None
        self.source_bytes = 0
        self.written: list[dict[str, Any]] = []

    def feed(self, records: list[Record]) -> None:
        came = bytes_from(records, self.engine.next_offset)
        self.engine.feed(records)
        self.cadence.behind += came
        self.source_bytes += came
        holds, now = (self.engine.next_offset, -1), self.engine.clock.closed / 1_000
        if self.engine.clock.closed != NEVER and self.cadence.checkpoint_due(holds, now, leaving=False):
            self.save(holds, now)

    def save(self, holds: tuple[int, int], now: float) -> None:
        began, behind = time.perf_counter(), self.cadence.behind
        written = checkpoint.encode(state.take(self.engine), 1, len(self.written) + 1, -1, self.before)
        size = len(checkpoint.encode_manifest(written.manifest)) + sum(map(len, written.blocks.values()))
        self.before = written.manifest
        self.cadence.saved_now(holds, size, behind, now)
        whole = sum(block.length for block in written.manifest.blocks.values())
        row = {
            "at_day": round(now / 86_400, 2), "bytes": size, "whole_bytes": whole, "behind_bytes": behind,
            "source_bytes": self.source_bytes, "seconds": round(time.perf_counter() - began, 3),
        }  # fmt: skip
        self.written.append(row)
        print(row, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--creators", type=int, default=2_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--share", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    shard, run = Shard(args.share), []
    events, _ = simulate(Simulation(seed=args.seed, creators=args.creators, days=args.days))
    for offset, (key, value, _) in enumerate(events.iter_records()):
        run.append(Record(offset, key, value))
        if len(run) == LOOK:
            shard.feed(run)
            run = []
    shard.feed(run)
    wrote = sum(row["bytes"] for row in shard.written)
    half = [row for row in shard.written if row["source_bytes"] >= shard.source_bytes / 2]
    steady = sum(row["bytes"] for row in half) / sum(row["behind_bytes"] for row in half)
    print(json.dumps({
        "creators": args.creators, "days": args.days, "events": shard.engine.next_offset,
        "bytes_a_creator_and_day": round(shard.source_bytes / args.creators / args.days),
        "source_bytes": shard.source_bytes, "checkpoint_bytes": wrote, "checkpoints": len(shard.written),
        "share": round(wrote / shard.source_bytes, 4), "steady_share": round(steady, 4),
        "behind_bytes_max": max(row["behind_bytes"] for row in shard.written),
        "state_bytes_a_creator": round(shard.written[-1]["whole_bytes"] / args.creators),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
