"""The catalogue as types: what an analyst may write in config/, and what each field means.

A signal asks one question of one creator. It has tests; each test measures something over sliding windows and
lets a detector say how strange that is. Durations are written `15m`, `24h`, `7d`; windows `24h by 1h` (size by hop).
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from detectors.beta_binomial import BetaBinomialTail
from detectors.negative_binomial import NegativeBinomialTail

Duration = Annotated[str, Meta(pattern="^[1-9][0-9]{0,5}(s|m|h|d)$")]
Windows = Annotated[str, Meta(pattern="^[1-9][0-9]{0,5}(s|m|h|d) by [1-9][0-9]{0,5}(s|m|h|d)$")]
Name = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{1,47}$")]
Sentence = Annotated[str, Meta(min_length=8, max_length=400)]

UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def millis(duration: str) -> int:
    """A duration in milliseconds.

    >>> millis("24h")
    86400000
    """
    return int(duration[:-1]) * UNIT_MS[duration[-1]]


class Spec(Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all that is written in YAML: frozen, and a mistyped key is an error."""


class Measure(Spec, frozen=True, kw_only=True):
    """Which events count (of one of these types, with these attributes) and what a sentence calls them."""

    one: Annotated[str, Meta(min_length=3, max_length=60)]  # "refund"
    many: Annotated[str, Meta(min_length=3, max_length=60)]  # "refunds"
    events: Annotated[list[str], Meta(min_length=1)]
    where: dict[str, str | int | bool | list[str | int | bool]] = {}
    live: bool | None = None  # true: only while the creator is live; false: only while it is not


class Severity(Spec, frozen=True, kw_only=True):
    """Scores, in the detector's unit, from which an alert has this severity; None: never."""

    info: float | None = None
    warning: float | None = None
    critical: float | None = None


class Test(Spec, tag_field="kind", frozen=True, kw_only=True):
    """What every test has."""

    windows: Annotated[list[Windows], Meta(min_length=1, max_length=8)]
    severity: Severity
    minimum: Annotated[float, Meta(ge=0)] = 5  # events in the window, below which nothing is said
    effect: Annotated[float, Meta(ge=1)] = 2.0  # observed over expected, below which nobody would care


class Volume(Test, tag="volume", frozen=True, kw_only=True):
    """A count against the creator's own level x the market's week x what its peers do right now."""

    measure: Name
    detector: NegativeBinomialTail = NegativeBinomialTail()


class Outcome(Test, tag="outcome", frozen=True, kw_only=True):
    """A count against the earlier events that could have caused it, each weighted by the market's delay curve."""

    measure: Name
    of: Name
    minimum_of: Annotated[float, Meta(ge=0)] = 10  # exposure in the window, below which nothing is said
    detector: NegativeBinomialTail = NegativeBinomialTail()


class Share(Test, tag="share", frozen=True, kw_only=True):
    """A count that is part of another count."""

    measure: Name
    of: Name
    minimum_of: Annotated[float, Meta(ge=0)] = 10
    detector: BetaBinomialTail = BetaBinomialTail()


class Repeat(Test, tag="repeat", frozen=True, kw_only=True):
    """How often the same value of an attribute came back within the window: a policy's rule, not a statistic."""

    measure: Name
    by: str


class Step(Spec, frozen=True, kw_only=True):
    """One step of a pattern; `within` is counted from the step before (the first: from its own first event)."""

    name: Name
    says: Annotated[str, Meta(min_length=3, max_length=80)]  # "a login from a new device or country"
    events: Annotated[list[str], Meta(min_length=1)]
    within: Duration
    where: dict[str, str | int | bool | list[str | int | bool]] = {}
    count: Annotated[int, Meta(ge=1, le=16)] = 1
    novel: list[str] = []  # at least one of these attributes has a value that this creator never had


class Sequence(Test, tag="sequence", frozen=True, kw_only=True):
    """Events in this order, each soon after the one before."""

    steps: Annotated[list[Step], Meta(min_length=2, max_length=8)]


class Signal(Spec, frozen=True, kw_only=True):
    """One file of config/signals/: a question, and how its answer becomes an alert."""

    title: Annotated[str, Meta(min_length=3, max_length=80)]
    question: Sentence
    lifecycle: Literal["onboarding", "performance", "compliance", "incentivisation"]
    tests: Annotated[
        list[Volume | Outcome | Share | Repeat | Sequence], Meta(min_length=1, max_length=4)
    ]
    require: Literal["any", "all"] = "any"  # of the tests; `all` judges them window by window
    measures: dict[Name, Measure] = {}
    warmup: Duration = "48h"  # of the stream's own time, before which the statistical tests say nothing
    hysteresis: Annotated[float, Meta(gt=0, le=1)] = 0.6  # an episode lasts while a score is over this x its threshold
    resolve_after: Duration = "24h"  # normal for so long
    cooldown: Duration = "24h"  # after it resolved, only a higher severity opens another
    false_positives: list[Sentence] = []
    thresholds_from: Sentence
    labels: dict[str, str] = {}


class Delay(Spec, frozen=True, kw_only=True):
    """How long after its order an outcome comes: a gamma distribution."""

    mean: Duration
    shape: Annotated[float, Meta(gt=0, le=20)] = 2.0


class Market(Spec, frozen=True, kw_only=True):
    """One file of config/markets/; `default.yaml` is for every market without its own."""

    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    delays: dict[str, Delay] = {}  # by event type


class Limits(Spec, frozen=True, kw_only=True):
    """Each limit is a metric when it is hit, and part of the configuration's hash."""

    entities: Annotated[int, Meta(ge=1)] = 1_000_000  # (creator, market) pairs of a shard
    waiting: Annotated[int, Meta(ge=16)] = 100_000  # events too far ahead to be added yet
    evidence: Annotated[int, Meta(ge=0)] = 20_000  # newest records that an alert can quote
    open_episodes: Annotated[int, Meta(ge=1)] = 100_000
    dead_letter_ratio: Annotated[float, Meta(gt=0, le=1)] = 0.5  # judged after 1,000 records


class EngineSettings(Spec, frozen=True, kw_only=True):
    """config/engine.yaml: time, limits and memory of a shard."""

    pane: Duration = "15m"  # the shortest hop
    lateness: Duration = "5m"
    quorum: Annotated[int, Meta(ge=1, le=16)] = 3  # distinct creators that must have reached a time
    ahead: Duration = "24h"  # further ahead than this, a time must be confirmed by others
    inactive_after: Duration = "60d"  # a creator silent for so long is forgotten
    freeze: Duration = "7d"  # for so long an open episode keeps the baseline from learning
    limits: Limits = Limits()


class Catalogue(Spec, frozen=True, kw_only=True):
    """The whole configuration, checked; `version` is the hash of it."""

    version: str
    engine: EngineSettings
    signals: dict[str, Signal]
    markets: dict[str, Market]

    def market(self, code: str) -> Market:
        return self.markets.get(code) or self.markets["default"]
