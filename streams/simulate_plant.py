"""Which episodes and lookalikes are planted where and when, and their labels.

A creator is chosen only if the episode could be seen in principle: each kind names the usual volume that it needs, and
one of fewer marked events than its `fewest` is not planted. Nothing else is made easy: strengths are log-uniform, and
shapes as likely as one another.
"""

from collections.abc import Sequence

import numpy as np

from streams import simulate_conduct_kinds as conduct
from streams import simulate_lookalikes as alike
from streams import simulate_outcome_kinds as outcome
from streams import simulate_sales_kinds as sales
from streams.scorecard import LOOKALIKE, Label
from streams.simulate_events import SAMPLE_DAYS
from streams.simulate_planting import Plant, Planted, Slot, World, make_slot, stretch
from streams.simulate_rows import Rows, chosen
from streams.simulate_sales_kinds import NEWCOMER_DAYS
from streams.simulate_spec import DAY, HOUR, KINDS, LOOKALIKES, Kind

__all__ = ["ALIKE", "PLANTS", "World", "lookalikes", "of_kind", "plant"]

FIRST_DAY = 8  # nothing is planted before, but what needs it
APART_MS = 5 * DAY  # between two episodes of a creator

PLANTS: dict[str, Plant] = {
    "refund_surge": outcome.refund_surge,
    "order_spike": sales.order_spike,
    "fake_engagement": conduct.fake_engagement,
    "violation_burst": conduct.violation_burst,
    "complaint_surge": outcome.complaint_surge,
    "account_takeover": conduct.account_takeover,
    "seller_fault_surge": outcome.seller_fault_surge,
    "chargeback_surge": outcome.chargeback_surge,
    "defect_surge": outcome.defect_surge,
    "negative_reviews": outcome.negative_reviews,
    "cancellation_surge": outcome.cancellation_surge,
    "late_shipments": outcome.late_shipments,
    "clickless_orders": sales.clickless_orders,
    "brushing": sales.brushing,
    "review_burst": sales.review_burst,
    "live_viewbot": conduct.live_viewbot,
    "counterfeit_wave": outcome.counterfeit_wave,
    "off_platform_redirect": conduct.off_platform_redirect,
    "report_wave": conduct.report_wave,
    "incentive_abuse": sales.incentive_abuse,
    "commission_clawback": outcome.commission_clawback,
    "unposted_samples": conduct.unposted_samples,
    "newcomer_surge": sales.newcomer_surge,
}
ALIKE: dict[str, Plant] = {
    "viral_video": alike.viral_video,
    "live_giveaway": alike.live_giveaway,
    "raid": alike.raid,
    "restock": alike.restock,
    "launch_party": alike.launch_party,
}
YOUNG = ("newcomer_surge", "launch_party")  # of newcomers
# Creators that suit these are few, so they choose before the others, who take their turn in the order of PLANTS.
FIRST = (
    "newcomer_surge", "defect_surge", "chargeback_surge", "negative_reviews", "complaint_surge", "refund_surge",
    "seller_fault_surge", "commission_clawback", "clickless_orders", "cancellation_surge", "late_shipments",
    "live_viewbot",
)  # fmt: skip
Taken = dict[int, list[tuple[int, int]]]  # creator: from, to


def plant(world: World, rng: np.random.Generator) -> tuple[list[Rows], list[Label]]:
    """Kind by kind, over the units in a random order, until there are enough of it or no unit is left."""
    parts: list[Rows] = []
    labels: list[Label] = []
    taken: Taken = {}
    for kind in sorted(PLANTS, key=lambda k: FIRST.index(k) if k in FIRST else len(FIRST)):
        for done, label in of_kind(world, kind, PLANTS[kind], taken, rng):
            parts += [done.marked, *done.after]
            labels.append(label)
    return parts, labels


def lookalikes(world: World, planted: Sequence[Label], rng: np.random.Generator) -> tuple[list[Rows], list[Label]]:
    """Likewise, of creators and at times that leave the episodes alone."""
    parts: list[Rows] = []
    labels: list[Label] = []
    taken: Taken = {}
    for label in planted:
        taken.setdefault(int(label.creator_id.removeprefix("c_")), []).append((label.start_ms, label.end_ms))
    for kind in sorted(ALIKE, key=lambda k: k not in YOUNG):
        for done, label in of_kind(world, kind, ALIKE[kind], taken, rng):
            parts += [done.marked, *done.after]
            labels.append(label)
    return parts, labels


def of_kind(world: World, kind: str, how: Plant, taken: Taken, rng: np.random.Generator) -> list[tuple[Planted, Label]]:
    """As many as the spec wants, over the units in a random order, if that many units suit. Adds to `taken`."""
    spec, pop, known = world.spec, world.pop, (KINDS | LOOKALIKES)[kind]
    fits = (pop.registered_ms > 0) & pop.home if kind in YOUNG else pop.home | (kind != "account_takeover")
    left, out = spec.count(kind), []
    for unit in rng.permutation(np.flatnonzero(fits)) if left else ():
        slot = draw_slot(world, kind, known, int(unit), rng)
        done = None if slot is None else how(world, slot, rng)
        found = None if done is None else _span(world, done, known)
        if done is None or found is None:
            continue
        creator, (start, end) = int(pop.creator[unit]), found
        if any(start < e + APART_MS and end > s - APART_MS for s, e in taken.get(creator, [])):
            continue
        taken.setdefault(creator, []).append(found)
        marked = chosen(done.marked, done.marked.at < spec.end_ms)
        name = LOOKALIKE + kind if kind in LOOKALIKES else kind
        label = Label(f"c_{creator:05d}", pop.names[pop.market[unit]], name, start, end)
        out.append((done._replace(marked=marked), label))
        left -= 1
        if not left:
            break
    return out


def _span(world: World, done: Planted, kind: Kind) -> tuple[int, int] | None:
    """From the first to the last marked event within the run; None if they are too few."""
    at = done.marked.at[done.marked.at < world.spec.end_ms]
    if len(at) < kind.fewest:
        return None
    return done.span_ms or (int(at.min()), int(at.max()))


def draw_slot(world: World, kind: str, known: Kind, unit: int, rng: np.random.Generator) -> Slot | None:
    """From day 8 on (or from 40 % of a shorter run), ending before the run does where there is room."""
    spec, joined = world.spec, int(world.pop.registered_ms[unit])
    span, shapes = int(stretch(rng, *known.hours) * HOUR), spec.shapes(kind)
    strength, shape = stretch(rng, *spec.strength(kind)), shapes[rng.integers(0, len(shapes))]
    whole = make_slot(unit, 0, span, strength, shape, rng).span_ms
    first = int(min(FIRST_DAY, 0.4 * spec.days) * DAY)
    last = max(spec.days * DAY - whole - DAY, first + HOUR)
    if kind == "unposted_samples":  # whose deadline must pass within the run
        first = max(first - SAMPLE_DAYS * DAY, DAY // 4)
        last = max((spec.days - SAMPLE_DAYS) * DAY - whole, first + HOUR)
    since = joined - spec.start_ms
    if kind == "newcomer_surge":
        first, last = max(first, since + 6 * HOUR), min(last, since + NEWCOMER_DAYS * DAY)
    start = int(rng.integers(first, max(last, first + 1)))
    if last <= first or (kind not in YOUNG and start < since + DAY):
        return None
    return make_slot(unit, spec.start_ms + start, span, strength, shape, rng)
