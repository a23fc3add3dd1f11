"""The engine over reviews, with a log of every score: what the sweep over thresholds looks at."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from reviews_alarms import Scores, ordered
from reviews_plant import Reviews

from config.catalogue import load
from config.schema import Catalogue, Severity
from streams.columns import Record
from streams.engine import Engine
from streams.judging import Judge, Read
from streams.plan import Plan, Probe
from streams.policy import window_thresholds
from streams.rates import Judged, RateWatch
from streams.records import Alert

OWN = Path(__file__).parent / "reviews_config"
SHIPPED = ("negative_review_rate",)
BATCH = 4_000
LEAST = 1.0  # no lower score is logged


def catalogue() -> Catalogue:
    """The benchmark's own signals and the shipped ones about reviews."""
    own, shipped = load(OWN), load()
    both = own.signals | {name: shipped.signals[name] for name in SHIPPED}
    return msgspec.structs.replace(own, signals=both)


class LoggingJudge(Judge):
    """Reads as ever; it also notes what it reads of every window, before any threshold."""

    log: dict[str, list[Scores]]

    def score(self, watch: RateWatch, probe: Probe, minimum_of: float, judged: Judged, is_open: np.ndarray) -> Read:
        read = super().score(watch, probe, minimum_of, judged, is_open)
        offset = window_thresholds(Severity(warning=0.0), probe.size)[1]
        some = np.flatnonzero(read.alarms & (read.score - offset >= LEAST))
        if len(some):
            end = int(judged.x.time[0])
            names = [self.whose(slot)[0] for slot in judged.slot[some].tolist()]  # rows have new owners later
            vendor = np.array([int(name.removeprefix("v_")) for name in names], dtype=np.int64)
            self.log[_name(self.plan, probe, self.plan.watches[probe.signal].index(watch))].append(
                Scores(np.full(len(some), end), vendor, read.score[some] - offset))  # fmt: skip
        return read


def _name(plan: Plan, probe: Probe, test: int) -> str:
    """Signal, test and window: `low_stars.2 7d`."""
    window = plan.signals[probe.signal].tests[test].windows[probe.window]
    return f"{plan.names[probe.signal]}.{test + 1} {window.split()[0]}"


class LoggingEngine(Engine):
    """The engine, with a judge that notes what it reads."""

    def __init__(self, spec: Catalogue) -> None:
        self.log: dict[str, list[Scores]] = {}
        super().__init__(spec, "creator-events", 0)
        self.log |= {_name(self.plan, probe, probe.tests[0]): [] for probe in self.plan.probes}

    def _judge_of(self) -> Judge:
        judge = LoggingJudge(self.plan, self.rules, self.writer.whose, self.counts)
        judge.log = self.log
        return judge


def run(reviews: Reviews, spec: Catalogue) -> tuple[dict[str, Scores], list[Alert]]:
    """The scores of each signal, and the alerts that the catalogue's own thresholds gave.

    A score is less what its window's size takes off a threshold, so that one threshold is for all windows.
    """
    engine, alerts = LoggingEngine(spec), []
    records = list(_records(reviews))
    for at in range(0, len(records), BATCH):
        out = engine.feed(records[at : at + BATCH])
        assert not out.dead, out.dead[0]
        alerts += out.alerts
    alerts += engine.close().alerts
    none = Scores(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    log = {name: [none, *parts] for name, parts in engine.log.items()}
    scores = {n: ordered(Scores(*(np.concatenate(c) for c in zip(*p, strict=True)))) for n, p in log.items()}
    return scores, alerts


def _records(reviews: Reviews) -> Any:
    columns = (a.tolist() for a in reviews)
    for i, (time, vendor, reviewer, stars) in enumerate(zip(*columns, strict=True)):
        value = (
            f'{{"event_id":"e{i}","type":"review.posted","creator_id":"v_{vendor}","occurred_at":{time},'
            f'"market":"US","actor_id":"u_{reviewer}","attrs":{{"stars":{stars}}}}}'
        )
        yield Record(i, f"v_{vendor}".encode(), value.encode())
