"""A decision becomes a revision of an alert: what was measured, what was expected, why, and the evidence."""

from typing import Any, NamedTuple

import numpy as np

from config.schema import Catalogue, millis
from streams.columns import Entities
from streams.evidence import EvidenceBuffer
from streams.patterns import RepeatWatch, SequenceWatch
from streams.plan import Plan, parse_window
from streams.policy import LEVELS, Decision, thresholds, window_thresholds
from streams.rates import SCALE, RateWatch
from streams.reasons import iso_duration, reason
from streams.records import Alert, Entity, Peers

COVERAGE = 0.98  # of the range that is called usual
DECIMALS = 6


class Facts(NamedTuple):
    """What one window of one test says of one entity, in the alert's unit."""

    unit: str
    observed: float
    expected: float
    low: float | None
    high: float | None
    clears_at: float | None
    numerator: float | None
    denominator: float | None
    detector: str
    score: float
    p_value: float | None
    peers: Peers | None
    code: str
    args: dict[str, str | int | float]


class AlertWriter:
    """Builds revisions; reads the engine's parts and changes none."""

    def __init__(
        self, catalogue: Catalogue, plan: Plan, evidence: EvidenceBuffer, entities: Entities, engine_version: str
    ) -> None:
        self.config_version = catalogue.version
        self.engine_version = engine_version
        self.plan = plan
        self.evidence = evidence
        self.entities = entities

    def write(self, index: int, slot: int, decision: Decision, end: int, upto: int) -> Alert:
        """The alert for this decision on the pane that ended at `end`; evidence from before offset `upto`."""
        signal, name = self.plan.signals[index], self.plan.names[index]
        reading, episode = decision.reading, decision.episode
        watch = self.plan.watches[index][reading.test]
        size, hop = parse_window(signal.tests[reading.test].windows[reading.window])
        creator, market = self.entities.names[slot] or ("", "")
        code = int(self.plan.people.category[slot])
        category = list(self.entities.categories)[code] if code >= 0 else None
        facts = self._facts(index, reading.test, reading.window, slot, end, market, category)
        if decision.status == "resolved":
            over: dict[str, str | int | float] = {"title": signal.title, "calm_ms": millis(signal.resolve_after)}
            facts = facts._replace(code=f"over_{decision.status_reason}", args=facts.args | over)
        matchers = _matchers(watch)
        return Alert(
            alert_id=episode.alert_id,
            revision=episode.revision,
            status=decision.status,
            signal=name,
            lifecycle=signal.lifecycle,
            entity=Entity("creator", creator),
            market=market,
            category=category,
            severity=LEVELS[episode.severity],
            opened_at=episode.opened_at,
            window_start=end - size,
            window_end=end,
            window=iso_duration(size),
            unit=facts.unit,
            observed=facts.observed,
            expected=facts.expected,
            expected_low=facts.low,
            expected_high=facts.high,
            clears_at=facts.clears_at,
            numerator=facts.numerator,
            denominator=facts.denominator,
            detector=facts.detector,
            score=facts.score,
            p_value=facts.p_value,
            q_value=None,
            changed_at=None,
            cohort=facts.peers,
            reason=reason(facts.code, facts.args),
            reason_code=facts.code,
            reason_args=facts.args,
            status_reason=decision.status_reason,
            evidence=self.evidence.evidence(self.plan.routes, matchers, (creator, market), end - size, end, hop, upto),
            incident_id=None,
            labels=signal.labels,
            config_version=self.config_version,
            engine_version=self.engine_version,
        )

    def _facts(
        self, index: int, test: int, window: int, slot: int, end: int, market: str, category: str | None
    ) -> Facts:
        watch = self.plan.watches[index][test]
        signal = self.plan.signals[index]
        args: dict[str, str | int | float] = {"market": market, "category": category or ""}
        if isinstance(watch, RateWatch):
            return self._rate_facts(watch, index, window, slot, end, args)
        mark = min(thresholds(watch.test.severity))
        args["window_ms"] = watch.size_ms
        if isinstance(watch, RepeatWatch):
            count, value = watch.most(end, slot)
            measure = signal.measures[watch.test.measure]
            args |= {"count": count, "value": value, "one": measure.one, "many": measure.many, "limit": int(mark)}
            kind, unit, code = "limit", "events", "repeated"
        else:
            count = int(watch.score(end, np.array([slot]))[0])
            steps = watch.test.steps
            said = ", then ".join(step.says for step in steps[:count]) or "nothing more"
            args |= {"count": count, "of": len(steps), "steps": said, "title": signal.title.lower()}
            kind, unit, code = "ordered_pattern", "steps", "pattern_seen"
        clears = float(mark - 1) if count >= mark else None
        seen, usual = float(count), float(mark - 1)
        return Facts(unit, seen, 0.0, 0.0, usual, clears, None, None, kind, seen, None, None, code, args)

    def _rate_facts(
        self, watch: RateWatch, index: int, window: int, slot: int, end: int, args: dict[str, Any]
    ) -> Facts:
        signal, test = self.plan.signals[index], watch.test
        slots = np.array([slot])
        judged = watch.observe(end, window, slots)
        memory, x = watch.memory(slots), judged.x
        result = watch.score(window, judged)
        count, mean, score = float(x.value[0]), float(result.expected[0]), float(result.score[0])
        low, high = (float(v[0]) for v in test.detector.usual_range(memory, x, COVERAGE))
        clears = self._clears(watch, window, memory, x, count, mean)
        rate = float(judged.peer_rate[0])
        own = int(watch.own[slot]) / SCALE
        measure = signal.measures[test.measure]
        args |= {"one": measure.one, "many": measure.many, "count": count, "window_ms": watch.windows[window][0]}
        if watch.kind == "volume":
            of, unit, code = 1.0, "events", "volume_high"
            args["expected"] = _figures(mean, 4)
            peers = float(x.expected[0])
        else:
            of = max(float(np.rint(x.exposure[0])), count, 1.0)
            unit, code = ("share", "share_high") if watch.kind == "share" else ("ratio", "outcome_high")
            behind = signal.measures[test.of]  # type: ignore[union-attr]
            args |= {"of": of, "of_one": behind.one, "of_many": behind.many}
            args |= {"own": _figures(min(own, 1.0), 4), "peers": _figures(min(rate, 1.0), 4)}
            peers = rate
            if watch.kind == "outcome" and float(x.exposure[0]) < count:
                code = "outcome_beyond"
                args["expected"] = _figures(mean, 4)
        ratio = watch.kind != "volume"
        return Facts(
            unit,
            _rounded(count / of),
            _rounded(mean / of),
            _rounded(low / of),
            _rounded(high / of),
            None if clears is None else _rounded(clears / of),
            count if ratio else None,
            of if ratio else None,
            type(test.detector).__struct_config__.tag,  # type: ignore[arg-type]
            score,
            _figures(max(float(10.0**-score), 1e-300), 4) if score > 0 else 1.0,
            self._peers(slot, peers),
            code,
            args,
        )

    def _clears(self, watch: RateWatch, window: int, memory: Any, x: Any, count: float, mean: float) -> float | None:
        """The largest count that fails the score, the minimum or the effect; None where this one fails already."""
        test = watch.test
        mark = min(window_thresholds(test.severity, watch.windows[window][0]))
        mark = watch.calibration.raw(window, mark, np.array([mean]))
        by_score = float(test.detector.clears_at(memory, x, mark)[0])
        by_minimum = np.ceil(test.minimum) - 1.0
        by_effect = np.ceil(test.effect * mean) - 1.0
        clears = max(by_score, by_minimum, by_effect)
        return float(clears) if clears < count else None

    def _peers(self, slot: int, expected: float) -> Peers:
        people = self.plan.people
        cohort = int(people.cohort[slot])
        market, category = list(people.cohorts)[cohort]
        names = [list(self.entities.markets)[market]]
        if category >= 0:
            names.append(list(self.entities.categories)[category])
        level = "market_category" if category >= 0 else "market"
        return Peers("/".join(names), level, int(people.cohort_size[cohort]), _rounded(expected))


def _matchers(watch: RateWatch | RepeatWatch | SequenceWatch) -> list[int]:
    if isinstance(watch, SequenceWatch):
        return watch.matchers
    return [watch.matcher]


def _rounded(value: float) -> float:
    return round(value, DECIMALS) + 0.0


def _figures(value: float, digits: int) -> float:
    """Rounded to so many figures: what a sentence or a reader can use."""
    return float(f"{value:.{digits}g}")
