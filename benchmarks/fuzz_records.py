"""Damages records at random and feeds them to a shard: each must count, or become a dead letter with a reason.

    python -m benchmarks.fuzz_records --n 1000000

Of simulated events: bytes changed, moved or put in; the structure changed (values of other types, keys gone, moved or
renamed); and what a JSON parser may stumble over: deep nesting, huge numbers, keys that come twice, lone surrogates,
long strings. Some stay whole, so that the shard has work. Ends with one line of JSON; exit code 1 if anything was
raised, or a record neither counted nor became a dead letter.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from random import Random

import msgspec

from config.catalogue import load
from streams.columns import Record
from streams.engine import Engine
from streams.records import encode_alert
from streams.simulate import Simulation, simulate
from tests.mutations import damaged_bytes, mutated

RUN = 1_000  # records that are fed at once

Pair = tuple[bytes | None, bytes | None]


def odd(value: bytes, random: Random) -> bytes:
    """A record with what a JSON parser may stumble over."""
    depth, field = random.choice([10, 1_000, 30_000]), random.choice([b"amount", b"attrs", b"event_id", b"occurred_at"])
    put = random.choice([
        b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth, b"1" * depth, b"1e400", b"-0", b"1e-400",
        b"9" * 400, b"NaN", b"Infinity", b'"\\ud800"', b'"\\u0000"', b'"' + b"x" * depth + b'"', b"\xef\xbb\xbf1",
        b"nul",
        b'"\xc3\x28"', b"18446744073709551616", b"-9223372036854775809", b"1.0", b"true", b"{}", b'""',
    ])  # fmt: skip
    extra = b"\"" + field + b"\":" + put
    return b"{" + extra + b"," + value[1:] if random.random() < 0.5 else value[:-1] + b"," + extra + b"}"


def damaged(pair: tuple[bytes, bytes], random: Random) -> Pair:
    key, value = pair
    chance = random.random()
    if chance < 0.2:
        return pair
    if chance < 0.5:
        return key, damaged_bytes(value, random)
    if chance < 0.75:
        return key, msgspec.json.encode(mutated(msgspec.json.decode(value), random))
    if chance < 0.97:
        return key, odd(value, random)
    return random.choice([(None, value), (b"", value), (b"\xff" + key, value), (key, None), (key, b"")])


def records(n: int, random: Random) -> Iterator[Pair]:
    events, _ = simulate(Simulation(seed=1, creators=200, days=6, planted=2, campaign_days=()))
    pairs = [(key, value) for key, value, _ in events.iter_records()]
    for i in range(n):
        yield damaged(pairs[i * len(pairs) // n], random)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    random, began = Random(asked.seed), time.monotonic()
    engine, reasons, raised, alerts = Engine(load(), "creator-events", 0), Counter[str](), Counter[str](), 0
    run: list[Record] = []
    for offset, (key, value) in enumerate(records(asked.n, random)):
        run.append(Record(offset, key, value))
        if len(run) == RUN or offset == asked.n - 1:
            try:
                out = engine.feed(run)
                alerts += len([encode_alert(alert) for alert in out.alerts])
                reasons.update(letter.error.reason for letter in out.dead)
            except Exception as error:
                raised[f"{type(error).__name__}: {str(error)[:120]}"] += 1
            run = []
    out = engine.close()
    reasons.update(letter.error.reason for letter in out.dead)
    reader = engine.reader
    events = sum(reader.events.values())
    late_dead = reasons["time_unconfirmed"]  # these were read as events first
    accounted = events + reader.unknown_types + reader.tombstones + reasons.total() - late_dead
    print(json.dumps({
        "records": asked.n, "seed": asked.seed, "events": events, "unknown_types": reader.unknown_types,
        "tombstones": reader.tombstones, "dead_letters": dict(sorted(reasons.items())),
        "unaccounted": asked.n - accounted,
        "raised": dict(raised), "alerts": alerts, "duplicates": engine.counts["duplicates", "events"],
        "seconds": round(time.monotonic() - began),
    }))  # fmt: skip
    return 1 if raised or accounted != asked.n or not events else 0


if __name__ == "__main__":
    sys.exit(main())
