"""What the chaos suite plays: a market in which a single record that is lost or counts twice shows."""

import re
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np

from config.catalogue import SHIPPED
from streams.simulate import Simulation, simulate

BAD = (b"not json", b'{"event_id":"x"}', b"\xff\xfe", b'{"event_id":"x","type":"order.paid","creator_id":7}')
CREATOR_DAYS_EACH = 84  # for each fault, about 9,000 records: there is always work to do
CREATORS, DAYS = (60, 300), 10  # at least and at most; at least

Pair = tuple[bytes, bytes]


class Load(NamedTuple):
    """Key and value of every record, how many of them are bad, and how many repeat an earlier one."""

    records: list[Pair]
    bad: int
    repeated: int


def market(faults: int, rng: np.random.Generator) -> Load:
    """A market with planted episodes; bad records, repetitions and late ones among it."""
    creators = int(np.clip(faults * CREATOR_DAYS_EACH / DAYS, *CREATORS))
    days = max(faults * CREATOR_DAYS_EACH // creators, DAYS)
    events, _ = simulate(Simulation(seed=int(rng.integers(1 << 30)), creators=creators, days=days, planted=4))
    records: list[Pair] = []
    bad = repeated = 0
    for key, value, _ in events.iter_records():
        chance = rng.random()
        if chance < 0.0005:
            records.append((b"bad", BAD[bad % len(BAD)]))
            bad += 1
        elif chance < 0.02 and len(records) > 500:
            records.append(records[-int(rng.integers(1, 500))])
            repeated += records[-1][0] != b"bad"
            bad += records[-1][0] == b"bad"
        records.append((key, value))
    for at in sorted(rng.permutation(len(records) * 3 // 4)[: len(records) // 200].tolist(), reverse=True):
        records.insert(at + int(rng.integers(100, len(records) // 4)), records.pop(at))  # these are late
    return Load(records, bad, repeated)


def talkative(folder: Path) -> Path:
    """The shipped configuration, but orders speak of a creator at the least surprise."""
    shutil.copytree(SHIPPED, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    spike = folder / "signals" / "order_spike.yaml"
    text = re.sub(r"severity: .*", "severity: {info: 1, warning: 1.5, critical: 2}", spike.read_text())
    text = re.sub(r"minimum: .*", "minimum: 1", re.sub(r"effect: .*", "effect: 1", text))
    spike.write_text(re.sub(r"warmup: .*", "warmup: 1d\ncooldown: 1h", text))
    return folder
