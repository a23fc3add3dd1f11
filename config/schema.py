"""The catalogue as types: what an analyst may write in config/, and what each field means.

A signal asks one question of one creator. It has tests; each test measures something over sliding windows and
lets a detector say how strange that is. Durations are written `15m`, `24h`, `7d`; windows `24h by 1h` (size by hop).
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from detectors.beta_binomial import BetaBinomialTail
from detectors.bocpd import Bocpd
from detectors.broken_trend import BrokenTrend
from detectors.cusum import CountCusum, GaussianCusum
from detectors.ensemble import Ensemble
from detectors.ewma import EwmaZ
from detectors.ewma_chart import EwmaChart
from detectors.focus import PoissonFocus
from detectors.gaussian_focus import GaussianFocus
from detectors.generalized_pareto import PeaksOverThreshold
from detectors.histogram import RelativeEntropy
from detectors.negative_binomial import NegativeBinomialTail
from detectors.neighbours import NearestNeighbours
from detectors.page_hinkley import PageHinkley
from detectors.predictive import PredictiveTail
from detectors.robust_z import RobustZ
from detectors.seasonal import SeasonalResidual
from detectors.shift import CountShift

Duration = Annotated[str, Meta(pattern="^[1-9][0-9]{0,5}(s|m|h|d)$")]
Windows = Annotated[str, Meta(pattern="^[1-9][0-9]{0,5}(s|m|h|d) by [1-9][0-9]{0,5}(s|m|h|d)$")]
Name = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{1,47}$")]
Sentence = Annotated[str, Meta(min_length=8, max_length=400)]
MarketCode = Annotated[str, Meta(pattern="^[A-Z]{2}$")]
Date = Annotated[str, Meta(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
EventType = Literal[
    "account.registered", "account.login", "account.credential_changed", "account.payout_changed",
    "account.withdrawal", "video.published", "live.started", "live.minute", "live.ended", "content.engaged",
    "content.flagged", "product.clicked", "order.paid", "order.cancelled", "order.shipped", "order.delivered",
    "refund.approved", "chargeback.received", "review.posted", "complaint.received", "report.received",
    "violation.confirmed", "violation.overturned", "case.decided", "incentive.redeemed", "commission.earned",
    "commission.reversed", "sample.received", "sample.posted",
]  # fmt: skip
Lifecycle = Literal["onboarding", "performance", "compliance", "incentivisation"]
Status = Literal["active", "shadow"]
Value = str | int | bool

UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def millis(duration: str) -> int:
    """A duration in milliseconds.

    >>> millis("24h")
    86400000
    """
    return int(duration[:-1]) * UNIT_MS[duration[-1]]


class Spec(Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all that is written in YAML: frozen, and a mistyped key is an error."""


class Range(Spec, frozen=True, kw_only=True):
    """A number between these, both included; a missing bound is none."""

    min: float | None = None
    max: float | None = None


Condition = Value | list[Value] | Range


class Events(Spec, frozen=True, kw_only=True):
    """Events of one type whose attributes have these values."""

    type: EventType
    where: dict[str, Condition] = {}


class Sum(Spec, frozen=True, kw_only=True):
    """Adds up a number of each event instead of counting events: `amount`, or an attribute."""

    of: str
    less: str | None = None  # this attribute is taken off first
    per: Annotated[float, Meta(ge=1e-6)] = 1.0  # so much of it weighs like one event; of an amount: so many money units


class Link(Spec, frozen=True, kw_only=True):
    """Which earlier event of the same creator an event belongs with: the newest with the same value."""

    by: str  # actor_id, ref_id, or an attribute
    within: Duration
    apart: Duration | None = None  # with `again`: and at least so long ago, so that what is bought at once is one


class Follows(Spec, frozen=True, kw_only=True):
    """Only events whose ref_id is that of an event of another measure, of so long ago at most."""

    measure: Name
    within: Duration


class Measure(Spec, frozen=True, kw_only=True):
    """Which events count (of one of these types, with these attributes) and what a sentence calls them."""

    one: Annotated[str, Meta(min_length=3, max_length=80)]  # "refund"
    many: Annotated[str, Meta(min_length=3, max_length=80)]  # "refunds"
    events: Annotated[list[EventType | Events], Meta(min_length=1)]
    where: dict[str, Condition] = {}  # of the types that stand without their own
    live: bool | None = None  # true: only while the creator is live; false: only while it is not
    sum: Sum | None = None
    once: Link | None = None  # only the first of each value: "by distinct reporters"
    again: Link | None = None  # only those whose value came before: "by a buyer who had bought already"
    follows: Follows | None = None
    after: Duration | None = None  # counted so long after it happened
    unless: list[EventType] = []  # with `after`: not if one of these with the same ref_id came meanwhile
    undone_by: EventType | None = None  # an event of this type takes the one back that its ref_id names


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
    newcomers: Duration | None = None  # only creators registered at most so long ago, beside each other
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


class Ratio(Test, tag="ratio", frozen=True, kw_only=True):
    """A count for each of another count of the same window, of which it is no part: orders for each click."""

    measure: Name
    of: Name
    minimum_of: Annotated[float, Meta(ge=0)] = 10
    detector: NegativeBinomialTail = NegativeBinomialTail()


SeriesDetector = (
    CountShift | CountCusum | PoissonFocus | PredictiveTail | EwmaZ | EwmaChart | RobustZ | GaussianCusum | PageHinkley
    | GaussianFocus | BrokenTrend | Bocpd | SeasonalResidual | RelativeEntropy | NearestNeighbours | PeaksOverThreshold
    | Ensemble
)  # fmt: skip


class Series(Test, tag="series", frozen=True, kw_only=True):
    """Pane after pane of a count beside its expectation: a small rise that lasts, a slow ramp, a shape never seen.

    One window, as long as its hop. Only what is beyond `effect` times the expectation adds up. Scores are those of
    `count_shift` and `predictive` themselves; another detector's are ranked among the creator's own past: -log10 p.
    """

    measure: Name
    of: Name | None = None  # then expected as an outcome of these, else as a volume
    minimum_of: Annotated[float, Meta(ge=0)] = 0  # exposure in the pane, below which nothing is said
    detector: SeriesDetector = CountShift()


class Repeat(Test, tag="repeat", frozen=True, kw_only=True):
    """How often something happened within the window, or what it adds up to: a policy's rule, not a statistic."""

    measure: Name
    by: str | None = None  # only events with the same value of this attribute together
    weight: str | None = None  # what each adds to the sum: an attribute; without it, one


class Step(Spec, frozen=True, kw_only=True):
    """One step of a pattern; `within` is counted from the step before (the first: from its own first event)."""

    name: Name
    says: Annotated[str, Meta(min_length=3, max_length=80)]  # "a login from a new device or country"
    events: Annotated[list[EventType], Meta(min_length=1)]
    within: Duration
    where: dict[str, Condition] = {}
    count: Annotated[int, Meta(ge=1, le=16)] = 1
    novel: list[str] = []  # at least one of these attributes has a value that this creator never had


class Sequence(Test, tag="sequence", frozen=True, kw_only=True):
    """Events in this order, each soon after the one before."""

    steps: Annotated[list[Step], Meta(min_length=2, max_length=8)]


class Change(Spec, frozen=True, kw_only=True):
    """What differs from a signal's own policy; what is left out stays."""

    because: Sentence
    tests: list[Annotated[int, Meta(ge=1, le=4)]] = []  # which of the signal's tests, counted from 1; none given: all
    status: Status | None = None
    severity: Severity | None = None
    severity_add: Annotated[float, Meta(gt=0)] | None = None  # to each mark: so much rarer must a score be, in its unit
    minimum: Annotated[float, Meta(ge=0)] | None = None
    minimum_of: Annotated[float, Meta(ge=0)] | None = None
    effect: Annotated[float, Meta(ge=1)] | None = None
    hysteresis: Annotated[float, Meta(gt=0, le=1)] | None = None
    resolve_after: Duration | None = None
    cooldown: Duration | None = None


class Override(Change, frozen=True, kw_only=True):
    """A change for some creators: those that each list that is given names. Later overrides win over earlier ones."""

    markets: list[MarketCode] = []
    categories: list[str] = []
    groups: list[Name] = []


class PlantedKind(Spec, frozen=True, kw_only=True):
    """How a signal did on one kind of planted episode that it is made for."""

    kind: Name
    size: Sentence  # of the planted episodes, and on whom
    caught_share: Annotated[float, Meta(ge=0, le=1)]  # of the episodes: by any signal that may speak of this kind
    own_share: Annotated[float, Meta(ge=0, le=1)] | None = None  # of the episodes: by this signal
    delay_hours_median: Annotated[float, Meta(ge=0)] | None = None  # to the end of the first right window


class Measured(Spec, frozen=True, kw_only=True):
    """How a signal did as it is shipped: to be read by people; nothing is decided by it.

    Nominal false alarms are by one window of a day for each test; none where no test of windows speaks by itself.
    """

    among: Sentence  # what it was measured on
    false_per_1000_creator_days: Annotated[float, Meta(ge=0)]  # alerts where nothing was planted
    nominal_per_1000_creator_days: Annotated[float, Meta(ge=0)] | None = None  # what its thresholds alone allow
    episodes: list[PlantedKind] = []


class Signal(Spec, frozen=True, kw_only=True):
    """One file of config/signals/: a question, and how its answer becomes an alert."""

    title: Annotated[str, Meta(min_length=3, max_length=80)]
    question: Sentence
    lifecycle: Lifecycle
    status: Status = "active"  # shadow: evaluated and counted, but its alerts go to risk-alerts-shadow
    tests: Annotated[
        list[Volume | Outcome | Share | Ratio | Series | Repeat | Sequence], Meta(min_length=1, max_length=4)
    ]
    require: Literal["any", "all"] = "any"  # of the tests; `all` judges them window by window
    measures: dict[Name, Measure] = {}
    lateness: Duration | None = None  # beyond engine.yaml's: so long after a pane it is judged, where data comes slowly
    warmup: Duration = "48h"  # of the stream's own time, before which the statistical tests say nothing
    hysteresis: Annotated[float, Meta(gt=0, le=1)] = 0.5  # an episode lasts while a score is over this x its threshold
    resolve_after: Duration = "24h"  # normal for so long
    cooldown: Duration = "24h"  # after it resolved, only a higher severity opens another
    overrides: list[Override] = []
    false_positives: Annotated[list[Sentence], Meta(min_length=1)]
    thresholds_from: Sentence
    labels: dict[str, str] = {}
    measured: Measured | UnsetType = UNSET  # how it did as shipped; made by a command, and not part of the hash


class Delay(Spec, frozen=True, kw_only=True):
    """How long after its order an outcome comes: a gamma distribution."""

    mean: Duration
    shape: Annotated[float, Meta(gt=0, le=20)] = 2.0


class Campaign(Spec, frozen=True, kw_only=True):
    """Days, in the market's own time, on which more is expected of everybody."""

    name: Annotated[str, Meta(min_length=2, max_length=60)]
    lift: Annotated[float, Meta(ge=0.1, le=50)] = 1.0  # of volumes, before it was seen once; then it is learned
    dates: list[Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(\.\.[0-9]{4}-[0-9]{2}-[0-9]{2})?$")]] = []
    every_year: list[Annotated[str, Meta(pattern="^[0-9]{2}-[0-9]{2}$")]] = []  # "11-11"
    every_month: list[Annotated[int, Meta(ge=1, le=31)]] = []  # days of the month: payday
    holidays: list[str] = []  # names of public holidays, as the calendar of the market's country has them


class Market(Spec, frozen=True, kw_only=True):
    """One file of config/markets/; `default.yaml` is for every market without its own."""

    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    minor_units: Annotated[int, Meta(ge=0, le=3)] = 2  # digits behind the point that people of the market use
    money_unit: Annotated[float, Meta(ge=1e-6)] = 1.0  # sums of money are counted in units of so much
    time_zone: str = "UTC"
    country: MarketCode | None = None  # whose public holidays are in its calendar
    holiday_lift: Annotated[float, Meta(ge=0.1, le=50)] = 1.0  # of a public holiday that no campaign names
    hours: Annotated[list[Annotated[float, Meta(gt=0)]], Meta(min_length=24, max_length=24)] | None = None  # activity
    days: Annotated[list[Annotated[float, Meta(gt=0)]], Meta(min_length=7, max_length=7)] | None = None  # from Monday
    delays: dict[EventType, Delay] = {}  # what isn't here is as in default.yaml
    calendar: list[Campaign] = []
    thresholds: dict[Name, Change] = {}  # by signal
    pseudonyms: bool | UnsetType = UNSET  # in alerts of this market; none: as engine.yaml says


class Member(Spec, frozen=True, kw_only=True):
    """A creator in a group, up to a day."""

    creator: Annotated[str, Meta(min_length=1, max_length=64)]
    market: MarketCode | None = None  # none: in all
    until: Date  # the first day on which it is no longer
    reason: Sentence


class Group(Spec, frozen=True, kw_only=True):
    """One file of config/groups/: creators that overrides can name, or that some signals leave alone."""

    title: Annotated[str, Meta(min_length=3, max_length=80)]
    exempt_from: list[Name] = []  # signals whose alerts on members go to risk-alerts-shadow, labelled and counted
    members: list[Member] = []


class Occasion(Spec, frozen=True, kw_only=True):
    """A campaign of the calendar at its time."""

    name: str
    start_ms: int
    end_ms: int
    lift: float


class Limits(Spec, frozen=True, kw_only=True):
    """Each limit is a metric when it is hit, and part of the configuration's hash."""

    entities: Annotated[int, Meta(ge=1)] = 1_000_000  # (creator, market) pairs of a shard
    links: Annotated[int, Meta(ge=16)] = 2_000_000  # earlier events that others are joined with
    waiting: Annotated[int, Meta(ge=16)] = 100_000  # events too far ahead to be added yet
    evidence: Annotated[int, Meta(ge=0)] = 20_000  # newest records that an alert can quote
    duplicates: Annotated[int, Meta(ge=0)] = 100_000  # newest records among which an event_id counts once
    open_episodes: Annotated[int, Meta(ge=1)] = 100_000
    dead_letter_ratio: Annotated[float, Meta(gt=0, le=1)] = 0.5  # judged after 1,000 records
    brokers_away_seconds: Annotated[int, Meta(ge=10)] = 600  # then the worker ends; until then it waits


class EngineSettings(Spec, frozen=True, kw_only=True):
    """config/engine.yaml: time, limits and memory of a shard."""

    pane: Duration = "15m"  # the shortest hop
    lateness: Duration = "5m"
    quorum: Annotated[int, Meta(ge=1, le=16)] = 3  # distinct creators that must have reached a time
    ahead: Duration = "24h"  # further ahead than this, a time must be confirmed by others
    inactive_after: Duration = "60d"  # a creator silent for so long is forgotten
    freeze: Duration = "7d"  # for so long an open episode keeps the baseline from learning
    limits: Limits = Limits()
    pseudonyms: bool | UnsetType = UNSET  # true: alerts name actors by keyed hashes only; a key must be there


class Catalogue(Spec, frozen=True, kw_only=True):
    """The whole configuration, checked; `version` is the hash of it, but for what was measured."""

    version: str
    engine: EngineSettings
    signals: dict[str, Signal]
    markets: dict[str, Market]
    groups: dict[str, Group] = {}
    calendar: dict[str, list[Occasion]] = {}  # by market, in order of time
    offsets: dict[str, int] = {}  # ms by market: its standard time less UTC

    def market(self, code: str) -> Market:
        return self.markets.get(code) or self.markets["default"]
