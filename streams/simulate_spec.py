"""What may be simulated: the spec, the kinds of episodes with their usual strengths, lookalikes and shared shocks."""

from typing import NamedTuple

import msgspec

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
HISTORY_DAYS = 30  # orders before the start: not emitted, but their refunds and reviews are
SHAPES = ("burst", "ramp", "repeated")  # even; denser towards the end; three to five little bursts over days
SHOCKS = ("carrier_strike", "payment_outage")


class Market(NamedTuple):
    offset_hours: int
    currency: str
    decimals: int
    price: float  # what one price unit of a category costs here
    evening: float  # local hour of the main peak
    weekend: float  # orders on Saturday and Sunday against a weekday
    refund_days: float  # mean delay from payment to refund


MARKETS = {
    "TH": Market(7, "THB", 2, 330.0, 20.0, 1.15, 5.0),
    "ID": Market(7, "IDR", 0, 150_000.0, 19.5, 1.10, 6.0),
    "VN": Market(7, "VND", 0, 240_000.0, 20.5, 1.05, 4.5),
    "SG": Market(8, "SGD", 2, 13.0, 21.0, 1.25, 4.0),
    "MY": Market(8, "MYR", 2, 42.0, 20.5, 1.20, 5.0),
    "PH": Market(8, "PHP", 2, 560.0, 19.0, 1.10, 7.0),
    "GB": Market(0, "GBP", 2, 8.0, 20.0, 1.20, 5.5),
    "US": Market(-5, "USD", 2, 10.0, 20.5, 1.10, 6.5),
}


class Kind(NamedTuple):
    """How long, how strong and in which shapes it is planted by default, and the fewest events that are an episode."""

    hours: tuple[float, float]
    strength: tuple[float, float]
    fewest: int
    shapes: tuple[str, ...] = SHAPES


KINDS = {  # what strength means for each: docs/scenarios.md, the function that plants it, and streams/measured.py
    "refund_surge": Kind((48, 120), (4, 10), 6),
    "order_spike": Kind((2, 12), (6, 20), 10),
    "fake_engagement": Kind((1, 6), (3, 15), 30),
    "violation_burst": Kind((48, 240), (4, 8), 4, ("burst", "ramp")),
    "complaint_surge": Kind((48, 96), (5, 12), 5),
    "account_takeover": Kind((1, 8), (5, 15), 7, ("burst",)),
    "seller_fault_surge": Kind((48, 120), (6, 18), 6),
    "chargeback_surge": Kind((72, 192), (6, 20), 5),
    "defect_surge": Kind((96, 168), (3, 6), 9, ("burst", "ramp")),
    "negative_reviews": Kind((48, 144), (5, 15), 6),
    "cancellation_surge": Kind((24, 96), (4, 12), 6),
    "late_shipments": Kind((48, 120), (4, 14), 8),
    "clickless_orders": Kind((6, 72), (2, 8), 20),
    "brushing": Kind((72, 192), (0.5, 4), 25),
    "review_burst": Kind((4, 48), (5, 20), 15),
    "live_viewbot": Kind((1, 3), (3, 12), 4),
    "counterfeit_wave": Kind((24, 96), (6, 25), 5),
    "off_platform_redirect": Kind((6, 72), (5, 25), 5),
    "report_wave": Kind((2, 48), (8, 40), 8),
    "incentive_abuse": Kind((24, 96), (2, 10), 25),
    "commission_clawback": Kind((24, 96), (0.3, 0.7), 10),
    "unposted_samples": Kind((48, 130), (6, 20), 5, ("burst",)),
    "newcomer_surge": Kind((48, 120), (4, 12), 30),
}
LOOKALIKES = {
    "viral_video": Kind((6, 24), (5, 12), 20, ("burst",)),
    "live_giveaway": Kind((1, 3), (2, 5), 10, ("burst",)),
    "raid": Kind((1, 3), (3, 12), 4, ("burst",)),
    "restock": Kind((3, 10), (3, 5), 10, ("burst",)),
    "launch_party": Kind((2, 3), (15, 60), 12, ("burst",)),
}


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one kind is planted; what is left out is as usual."""

    count: int | None = None  # episodes
    strength: tuple[float, float] | None = None  # from, to; drawn log-uniformly
    shapes: tuple[str, ...] | None = None  # of SHAPES, each as likely

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 0:
            raise ValueError("count must be 0 or more")
        if self.strength is not None and not 0 < self.strength[0] <= self.strength[1]:
            raise ValueError("strength must be two numbers over 0, the smaller first")
        if self.shapes is not None and (not self.shapes or set(self.shapes) - set(SHAPES)):
            raise ValueError(f"shapes must be some of {', '.join(SHAPES)}")


class Shock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that befalls a whole market and is nobody's fault; what is left out is drawn."""

    kind: str  # carrier_strike or payment_outage
    market: str | None = None
    day: float | None = None  # its start, counted from 0
    hours: float | None = None  # 48 to 96 for a strike, 6 to 24 for an outage

    def __post_init__(self) -> None:
        if self.kind not in SHOCKS:
            raise ValueError(f"kind must be one of {', '.join(SHOCKS)}")
        if (self.day is not None and self.day < 0) or (self.hours is not None and self.hours <= 0):
            raise ValueError("day must be 0 or more, hours over 0")


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """What to simulate. The same spec gives the same bytes."""

    seed: int = 1
    start_ms: int = 1_767_571_200_000  # Monday 2026-01-05T00:00Z
    days: int = 21
    creators: int = 400
    markets: dict[str, float] = msgspec.field(
        default_factory=lambda: {"TH": 0.3, "ID": 0.3, "VN": 0.2, "SG": 0.08, "MY": 0.12}
    )  # market: weight
    volume: float = 1.0  # multiplies orders, clicks and engagement
    campaign_days: tuple[int, ...] = (16,)  # counted from 0, in each market's own time
    mood: float = 0.12  # how much a market's demand varies from day to day, as a deviation of its logarithm
    shocks: tuple[Shock, ...] = (Shock(kind="carrier_strike"), Shock(kind="payment_outage"))
    planted: int | None = None  # episodes of each kind; None: 8 for each 400 creators
    kinds: tuple[str, ...] = tuple(KINDS)
    lookalikes: int | None = None  # of each kind of them; None: as many as planted
    plans: dict[str, Plan] = {}  # what differs for a kind, or for a lookalike by its name
    null: bool = False  # nothing planted; the background is the very same

    def __post_init__(self) -> None:
        for name, given, known in (
            ("markets", set(self.markets), MARKETS),
            ("kinds", set(self.kinds), KINDS),
            ("plans", set(self.plans), KINDS | LOOKALIKES),
            ("markets of shocks", {s.market for s in self.shocks if s.market}, self.markets),
        ):
            if unknown := sorted(given - set(known)):
                raise ValueError(f"{name}: {', '.join(unknown)}; known are {', '.join(known)}")
        for kind, plan in self.plans.items():
            own = (KINDS | LOOKALIKES)[kind].shapes
            if set(plan.shapes or ()) - set(own):
                raise ValueError(f"{kind}: shapes must be some of {', '.join(own)}")
        if not self.markets or min(*self.markets.values(), self.days, self.creators, self.volume) <= 0:
            raise ValueError("days, creators, volume and the markets' weights must be positive")
        if min(self.mood, self.seed, self.planted or 0, self.lookalikes or 0, *self.campaign_days) < 0:
            raise ValueError("seed, mood, planted, lookalikes and campaign_days must not be negative")

    @property
    def end_ms(self) -> int:
        return self.start_ms + self.days * DAY

    @property
    def hours(self) -> int:
        return (HISTORY_DAYS + self.days) * 24

    @property
    def grid_ms(self) -> int:
        """The start of hour 0 of every (unit, hour) array here."""
        return self.start_ms - HISTORY_DAYS * DAY

    def count(self, kind: str) -> int:
        """Episodes of a kind, or lookalikes by their name."""
        plan = self.plans.get(kind, Plan())
        each = max(1, round(8 * self.creators / 400)) if self.planted is None else self.planted
        if kind in LOOKALIKES:
            each = each if self.lookalikes is None else self.lookalikes
        elif kind not in self.kinds:
            return 0
        return 0 if self.null else each if plan.count is None else plan.count

    def strength(self, kind: str) -> tuple[float, float]:
        return self.plans.get(kind, Plan()).strength or (KINDS | LOOKALIKES)[kind].strength

    def shapes(self, kind: str) -> tuple[str, ...]:
        return self.plans.get(kind, Plan()).shapes or (KINDS | LOOKALIKES)[kind].shapes
