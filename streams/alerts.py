"""A decision becomes a revision of an alert: what was measured, what was expected, why, and the evidence."""

from typing import Any, NamedTuple

import numpy as np

from config.effective import TestPolicy
from config.schema import Catalogue, Repeat, Sequence
from detectors.shift import CountShift
from streams.calendar import in_force
from streams.columns import Entities
from streams.dating import changed_at
from streams.evidence import EvidenceBuffer
from streams.patterns import RepeatWatch, SequenceWatch
from streams.plan import Plan, parse_window
from streams.policy import LEVELS, Decision, thresholds, window_thresholds
from streams.pseudonyms import Pseudonyms, named
from streams.rates import SCALE, Judged, RateWatch
from streams.reasons import iso_duration, reason
from streams.records import Alert, Entity, Peers
from streams.rulebook import Rulebook
from streams.series import SeriesWatch

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
    changed_at: int | None = None  # ms


class Saying(NamedTuple):
    """How a rate is said."""

    unit: str
    code: str
    of: float  # what the count is divided by
    part: bool  # whether it is one of two counts
    peers: float  # what peers have, in the alert's unit


class AlertWriter:
    """Builds revisions; reads the engine's parts and changes none."""

    def __init__(
        self, catalogue: Catalogue, plan: Plan, rules: Rulebook, evidence: EvidenceBuffer, entities: Entities,
        engine_version: str, pseudonyms: Pseudonyms | None = None,
    ) -> None:  # fmt: skip
        self.pseudonyms = pseudonyms
        self.catalogue = catalogue
        self.rules = rules
        self.config_version = catalogue.version
        self.engine_version = engine_version
        self.plan = plan
        self.evidence = evidence
        self.entities = entities

    def whose(self, slot: int) -> tuple[str, str, str | None]:
        """Creator, market and newest category of a row."""
        creator, market = self.entities.names[slot] or ("", "")
        code = int(self.plan.people.category[slot])
        return creator, market, list(self.entities.categories)[code] if code >= 0 else None

    def _labels(self, index: int, slot: int, aside: str, end: int) -> dict[str, str]:
        """The signal's own, the campaigns in force, and why the alert stands aside."""
        creator, market, _ = self.whose(slot)
        labels = dict(self.plan.signals[index].labels)
        campaigns = [occasion.name for occasion in in_force(self.catalogue, market, end - 1)]
        if campaigns:
            labels["campaign"] = ", ".join(campaigns)
        if aside == "shadow":
            labels["status"] = "shadow"
        elif aside:
            labels |= {"status": "exempt", "exempt_group": aside}
            exemption = self.rules.exemption(index, creator, market, end)
            if exemption is not None:
                labels |= {"exempt_reason": exemption.member.reason, "exempt_until": exemption.member.until}
        return labels

    def write(self, index: int, slot: int, decision: Decision, end: int, upto: int) -> Alert:
        """The alert for this decision on the pane that ended at `end`; evidence from before offset `upto`."""
        signal, name = self.plan.signals[index], self.plan.names[index]
        reading, episode = decision.reading, decision.episode
        watch = self.plan.watches[index][reading.test]
        size, hop = parse_window(signal.tests[reading.test].windows[reading.window])
        creator, market, category = self.whose(slot)
        facts = self.facts(index, reading.test, reading.window, slot, end)
        if decision.status in ("resolved", "retracted"):
            policy = self.rules.of(index, creator, market, category, end)
            over: dict[str, str | int | float] = {"title": signal.title, "calm_ms": policy.resolve_after}
            facts = facts._replace(code=decision.code or f"over_{decision.status_reason}", args=facts.args | over)
        window = (creator, market), end - size, end, hop, upto
        found = self.evidence.evidence(self.plan.routes, _matchers(watch), *window)
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
            changed_at=None if decision.status in ("resolved", "retracted") else facts.changed_at,
            cohort=facts.peers,
            reason=reason(facts.code, facts.args),
            reason_code=facts.code,
            reason_args=facts.args,
            status_reason=decision.status_reason,
            evidence=named(found, self.catalogue, market, self.pseudonyms),
            incident_id=None,
            labels=self._labels(index, slot, episode.aside, end),
            config_version=self.config_version,
            engine_version=self.engine_version,
        )

    def facts(self, index: int, test: int, window: int, slot: int, end: int) -> Facts:
        """What a window of a test says of a row now; `end` is that of the pane that was judged last."""
        watch, (creator, market, category) = self.plan.watches[index][test], self.whose(slot)
        args: dict[str, str | int | float] = {"market": market, "category": category or ""}
        policy = self.rules.of(index, creator, market, category, end).tests[test]
        if isinstance(watch, RateWatch):
            return self._rate_facts(watch, policy, index, window, slot, end, args)
        args["window_ms"] = watch.size_ms
        mark = min(thresholds(policy.severity))
        if isinstance(watch, RepeatWatch):
            return self._repeat_facts(watch, mark, index, slot, end, args)
        count, steps = int(watch.score(end, np.array([slot]))[0]), watch.test.steps
        said = ", then ".join(step.says for step in steps[:count]) or "nothing more"
        args |= {"count": count, "of": len(steps), "steps": said, "title": self.plan.signals[index].title.lower()}
        return _rule_facts(watch.test, "steps", "pattern_seen", count, mark, args)

    def _repeat_facts(
        self, watch: RepeatWatch, mark: float, index: int, slot: int, end: int, args: dict[str, Any]
    ) -> Facts:
        total, value, events = watch.most(end, slot)
        measure = self.plan.signals[index].measures[watch.test.measure]
        args |= {"count": events, "value": value, "one": measure.one, "many": measure.many, "limit": int(mark)}
        if watch.test.weight is None:
            return _rule_facts(watch.test, "events", "repeated" if watch.test.by else "counted", total, mark, args)
        args |= {"total": total, "weight": watch.test.weight}
        # the contract has no unit for weights
        return _rule_facts(watch.test, "events", "added_up", total, mark, args)

    def _rate_facts(
        self, watch: RateWatch, policy: TestPolicy, index: int, window: int, slot: int, end: int, args: dict[str, Any]
    ) -> Facts:
        slots, market = np.array([slot]), str(args["market"])
        judged = watch.observe(end, window, slots)
        memory, x = watch.lifted(judged), judged.x
        result = watch.score(window, judged)
        count, mean, score = float(x.value[0]), float(result.expected[0]), float(result.score[0])
        low, high = (float(v[0]) for v in watch.detector.usual_range(memory, x, COVERAGE))
        clears = self._clears(watch, policy, window, memory, x, count, mean)
        began = changed_at(watch, window, slot, end, mean)
        if isinstance(watch, SeriesWatch) and began is not None:
            args["since"] = began
        saying = self._saying(watch, index, window, slot, count, mean, judged, args)
        many = watch.units.total(1.0, market)
        of = saying.of

        def shown(value: float) -> float:
            return _rounded(value * many / of)

        return Facts(
            saying.unit, shown(count), shown(mean), shown(low), shown(high), None if clears is None else shown(clears),
            _figures(count * many, 12) if saying.part else None, of if saying.part else None,
            detector_of(watch.test), score, _p_value(watch, score),
            self._peers(slot, saying.peers), saying.code, args, began,
        )  # fmt: skip

    def _saying(
        self, watch: RateWatch, index: int, window: int, slot: int, count: float, mean: float, judged: Judged,
        args: dict[str, Any],
    ) -> Saying:  # fmt: skip
        """Fills in what the sentence needs, and chooses it."""
        signal, test, market = self.plan.signals[index], watch.test, str(args["market"])
        measure, many = signal.measures[test.measure], watch.units.total(1.0, market)
        args |= {"one": measure.one, "many": measure.many, "count": _figures(count * many, 12)}
        args |= {"window_ms": watch.windows[window][0], "expected": _figures(mean * many, 4)}
        if watch.units.money:
            args |= {"currency": self.catalogue.market(market).currency}
            args |= {"digits": self.catalogue.market(market).minor_units}
        if isinstance(watch, SeriesWatch):
            return Saying(str(args.get("currency", "events")), "series", 1.0, False, float(judged.x.expected[0]) * many)
        if watch.kind == "volume":
            if watch.newcomers is not None:
                args["newcomer_ms"] = watch.newcomers
            actors = measure.once is not None and measure.once.by == "actor_id"
            unit = str(args.get("currency", "actors" if actors else "events"))
            code = "newcomer_high" if watch.newcomers else "volume_low" if watch.low else "volume_high"
            return Saying(unit, code, 1.0, False, float(judged.x.expected[0]) * many)
        behind = signal.measures[test.of]
        rate, own = float(judged.peer_rate[0]), int(watch.own[slot]) / SCALE
        scale = many / watch.of_units.total(1.0, market)  # where the two are not counted in the same unit
        of = float(judged.x.exposure[0]) * watch.of_units.total(1.0, market)
        if watch.kind != "ratio":
            rate, own, of = min(rate, 1.0), min(own, 1.0), max(of if many != 1.0 else float(np.rint(of)), count * many)
        of = max(_rounded(of), 1.0)
        args |= {"of": of, "of_one": behind.one, "of_many": behind.many}
        args |= {"own": _figures(own * scale, 4), "peers": _figures(rate * scale, 4)}
        if watch.kind == "ratio":
            return Saying("ratio", "ratio_low" if watch.low else "ratio_high", of, True, rate * scale)
        if watch.kind == "share":
            return Saying("share", "share_high", of, True, rate)
        beyond = float(judged.x.exposure[0]) < count
        return Saying("ratio", "outcome_beyond" if beyond else "outcome_high", of, True, rate)

    def _clears(
        self, watch: RateWatch, policy: TestPolicy, window: int, memory: Any, x: Any, count: float, mean: float
    ) -> float | None:
        """The count nearest to this one that fails the score, the minimum or the effect; None where this one does."""
        if isinstance(watch, SeriesWatch):
            return None  # no single pane made the alert, and none would have cleared it
        mark = min(window_thresholds(policy.severity, watch.windows[window][0]))
        mark = watch.calibration.raw(window, mark, np.array([mean]))
        by_score = float(watch.detector.clears_at(memory, x, mark)[0])
        if watch.low:
            clears = min(by_score, np.floor(mean / policy.effect) + 1.0)
            return float(clears) if count < clears else None
        clears = max(by_score, np.ceil(policy.minimum) - 1.0, np.ceil(policy.effect * mean) - 1.0)
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


def detector_of(test: Any) -> str:
    """What an alert of this test says as its detector."""
    if isinstance(test, Repeat):
        return "limit"
    return "ordered_pattern" if isinstance(test, Sequence) else str(type(test.detector).__struct_config__.tag)


def _rule_facts(test: Repeat | Sequence, unit: str, code: str, count: int, mark: float, args: dict[str, Any]) -> Facts:
    """What a rule says: it expects nothing, and clears one below its mark."""
    clears = float(mark - 1) if count >= mark else None
    seen, usual = float(count), float(mark - 1)
    return Facts(unit, seen, 0.0, 0.0, usual, clears, None, None, detector_of(test), seen, None, None, code, args)


def _p_value(watch: RateWatch, score: float) -> float | None:
    """None where the score promises a time between false alarms instead."""
    if isinstance(watch, SeriesWatch) and isinstance(watch.test.detector, CountShift):
        return None
    return _figures(max(float(10.0**-score), 1e-300), 4) if score > 0 else 1.0


def _matchers(watch: RateWatch | RepeatWatch | SequenceWatch) -> list[int]:
    if isinstance(watch, SequenceWatch):
        return watch.matchers
    return [watch.matcher]


def _rounded(value: float) -> float:
    return round(value, DECIMALS) + 0.0


def _figures(value: float, digits: int) -> float:
    """Rounded to so many figures: what a sentence or a reader can use."""
    return float(f"{value:.{digits}g}")
