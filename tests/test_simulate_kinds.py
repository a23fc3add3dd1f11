"""What is planted is what each kind says of itself; lookalikes and shocks resemble it and are nobody's fault."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from streams.labels import read_kinds
from streams.scorecard import LOOKALIKE, Label
from streams.simulate import KINDS, LOOKALIKES, Plan, Shock, Simulation, background, simulate, streams_of
from streams.simulate_plant import ALIKE, APART_MS, PLANTS, of_kind
from streams.simulate_planting import Planted, World, make_slot, per_day, spread
from streams.simulate_rows import COMPLAINTS, FAULTS, TYPES, Rows, chosen, joined
from streams.simulate_spec import DAY, HOUR

COUNT = 4
SPEC = Simulation(seed=12, days=21, creators=260, planted=COUNT, campaign_days=(), shocks=())
Episodes = dict[str, list[tuple[Planted, Label]]]


@pytest.fixture(scope="module")
def market() -> tuple[World, Rows]:
    return background(SPEC, streams_of(SPEC))


@pytest.fixture(scope="module")
def world(market: tuple[World, Rows]) -> World:
    return market[0]


@pytest.fixture(scope="module")
def planted(world: World) -> Episodes:
    """Every kind for itself, as if it were alone."""
    return {kind: of_kind(world, kind, how, {}, np.random.default_rng(8)) for kind, how in (PLANTS | ALIKE).items()}


def only(r: Rows, name: str) -> Rows:
    return chosen(r, r.kind == TYPES.index(name))


def everything(done: Planted) -> Rows:
    return joined([done.marked, *done.after])


def unit_of(done: Planted) -> int:
    (unit,) = set(done.marked.unit.tolist())
    return int(unit)


def per_day_of(r: Rows, days: int) -> Any:
    return np.bincount((r.at - SPEC.start_ms) // DAY, minlength=days)[:days]


# ---- what holds for all of them ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*KINDS, *LOOKALIKES])
def test_a_label_encloses_the_marked_events_of_one_creator_within_the_run(
    kind: str, planted: Episodes, world: World
) -> None:
    known = (KINDS | LOOKALIKES)[kind]
    assert len(planted[kind]) == COUNT
    for done, label in planted[kind]:
        assert label.kind == (LOOKALIKE + kind if kind in LOOKALIKES else kind)
        assert SPEC.start_ms <= label.start_ms < label.end_ms < SPEC.end_ms
        assert len(done.marked.at) >= known.fewest
        unit = unit_of(done)
        assert label.creator_id == f"c_{world.pop.creator[unit]:05d}"
        assert label.market == world.pop.names[world.pop.market[unit]]
        assert set(everything(done).unit.tolist()) == {unit}
        if done.span_ms is None:
            assert (label.start_ms, label.end_ms) == (done.marked.at.min(), done.marked.at.max())


def test_every_kind_is_known_to_the_scorecard_and_says_what_it_is() -> None:
    assert set(read_kinds()) == set(KINDS) == set(PLANTS)
    assert set(ALIKE) == set(LOOKALIKES)
    for how in (PLANTS | ALIKE).values():
        assert "Marked: " in " ".join((how.__doc__ or "").split())
        assert "`strength`" in (how.__doc__ or "")


def test_a_ramp_grows_and_what_is_repeated_comes_in_several_bursts_over_days() -> None:
    rng = np.random.default_rng(1)
    even, ramp = (spread(make_slot(0, 0, 10 * HOUR, 1.0, s, rng), 4_000, rng) for s in ("burst", "ramp"))
    assert 0.45 < (even > 5 * HOUR).mean() < 0.55
    assert (ramp > 5 * HOUR).mean() > 0.7
    for span in (4 * HOUR, 5 * DAY):
        slot = make_slot(0, 0, span, 1.0, "repeated", rng)
        gaps = np.diff(np.sort(spread(slot, 4_000, rng)))
        assert 2 <= (gaps > 3 * HOUR).sum() <= 4
        assert 2 * DAY < slot.span_ms < 6 * DAY


def test_strengths_shapes_and_counts_can_be_chosen_for_each_kind(world: World) -> None:
    plans = {
        "off_platform_redirect": Plan(count=2, strength=(9, 9), shapes=("repeated",)),
        "report_wave": Plan(strength=(30, 31)),
        "raid": Plan(count=1),
    }
    spec = Simulation(seed=12, days=21, creators=40, planted=1, kinds=("off_platform_redirect", "report_wave"),
                      lookalikes=0, plans=plans)  # fmt: skip
    events, labels = simulate(spec)
    found = Counter(label.kind for label in labels)
    assert found == {"off_platform_redirect": 2, "report_wave": 1, "lookalike:raid": 1}
    for label in labels:
        unit = np.flatnonzero(events.pop.creator == int(label.creator_id[2:]))[0]
        mine = chosen(events.rows, (events.rows.unit == unit) & (events.rows.at >= label.start_ms))
        if label.kind == "off_platform_redirect":
            assert 9 <= len(only(mine, "content.flagged").at) <= 12
            assert label.end_ms - label.start_ms > DAY


def test_episodes_and_lookalikes_of_a_creator_lie_apart_and_the_lookalikes_change_no_episode() -> None:
    small = {"seed": 4, "days": 21, "creators": 100, "planted": 2}
    _, labels = simulate(Simulation(**small))
    _, alone = simulate(Simulation(**small, lookalikes=0))
    assert [x for x in labels if not x.kind.startswith(LOOKALIKE)] == alone
    by_creator: dict[str, list[Label]] = {}
    for label in labels:
        for other in by_creator.get(label.creator_id, []):
            assert label.start_ms >= other.end_ms + APART_MS or other.start_ms >= label.end_ms + APART_MS
        by_creator.setdefault(label.creator_id, []).append(label)
    none, none_labels = simulate(Simulation(**small, null=True))
    assert none_labels == []
    assert len(none) > 100_000


# ---- what each kind says of itself -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["refund_surge", "seller_fault_surge"])
def test_refunds_surge_on_orders_that_were_not_refunded_and_take_their_commissions_along(
    kind: str, planted: Episodes, world: World
) -> None:
    for done, _ in planted[kind]:
        refunds, reversed_ = only(done.marked, "refund.approved"), only(everything(done), "commission.reversed")
        assert len(refunds.at) == len(done.marked.at)
        assert not world.fate.refunded[refunds.ref].any()
        assert set(reversed_.ref.tolist()) == set(refunds.ref[world.orders.commission[refunds.ref] > 0].tolist())
        assert per_day(world, world.act.usual, _slot(done)) >= 10.0
        if kind == "seller_fault_surge":
            assert set(refunds.a.tolist()) == {FAULTS.index("seller")}


def _slot(done: Planted) -> Any:
    return make_slot(unit_of(done), int(done.marked.at.min()), DAY, 1.0, "burst", np.random.default_rng(0))


def test_chargebacks_reviews_and_complaints_surge_on_orders_that_had_none(planted: Episodes, world: World) -> None:
    for done, _ in planted["chargeback_surge"]:
        assert set(done.marked.kind.tolist()) == {TYPES.index("chargeback.received")}
        assert not world.fate.disputed[done.marked.ref].any()
        assert (done.marked.a == world.orders.at[done.marked.ref]).all()
    for done, _ in planted["negative_reviews"]:
        assert set(done.marked.a.tolist()) <= {1, 2}
        assert not world.fate.reviewed[done.marked.ref].any()
    for done, _ in planted["complaint_surge"]:
        assert set(done.marked.kind.tolist()) == {TYPES.index("complaint.received")}
        assert np.bincount(done.marked.a, minlength=4)[1:].max() >= 0.4 * len(done.marked.a)
    for done, _ in planted["counterfeit_wave"]:
        assert set(done.marked.a.tolist()) == {COMPLAINTS.index("counterfeit")}
        assert len(set(done.marked.actor.tolist())) == len(done.marked.actor)


def test_a_defect_surge_is_of_three_kinds_on_different_orders(planted: Episodes) -> None:
    for done, _ in planted["defect_surge"]:
        parts = [only(done.marked, n) for n in ("review.posted", "complaint.received", "chargeback.received")]
        assert min(len(part.at) for part in parts) >= 2
        assert sum(len(part.at) for part in parts) == len(done.marked.at) == len(set(done.marked.ref.tolist()))
        assert set(parts[0].a.tolist()) <= {1, 2}


def test_cancelled_orders_are_cancelled_within_hours_and_late_parcels_are_late(planted: Episodes, world: World) -> None:
    for done, _ in planted["cancellation_surge"]:
        lag = done.marked.at - done.marked.a
        assert lag.min() > 0
        assert lag.max() <= 0.4 * DAY
        assert {"order.paid", "product.clicked"} <= {TYPES[k] for k in set(everything(done).kind.tolist())}
        assert "order.shipped" not in {TYPES[k] for k in set(everything(done).kind.tolist())}
    for done, _ in planted["late_shipments"]:
        assert set(done.marked.a.tolist()) == {1}
        assert (done.marked.at - world.orders.at[done.marked.ref] > 2 * DAY).all()


def test_sales_without_clicks_have_none_and_others_have_the_creator_s_own(planted: Episodes, world: World) -> None:
    for kind in ("order_spike", "clickless_orders", "brushing"):
        for done, _ in planted[kind]:
            assert len(only(everything(done), "product.clicked").at) == 0
    for kind in ("restock", "newcomer_surge", "launch_party", "cancellation_surge", "incentive_abuse"):
        for done, _ in planted[kind]:
            r = everything(done)
            expected = world.pop.clicks[unit_of(done)] * len(only(r, "order.paid").at)
            assert abs(len(only(r, "product.clicked").at) - expected) < 5 * expected**0.5


def test_brushing_is_of_few_buyers_at_low_prices_who_praise(planted: Episodes, world: World) -> None:
    for done, label in planted["brushing"]:
        orders, reviews = only(done.marked, "order.paid"), only(done.marked, "review.posted")
        assert len(set(orders.actor.tolist())) <= 8
        assert len(orders.at) >= 25
        mine = world.orders.unit == unit_of(done)
        assert np.median(orders.amount) < 0.5 * np.median(world.orders.amount[mine])
        assert set(reviews.a.tolist()) == {5}
        assert set(reviews.actor.tolist()) <= set(orders.actor.tolist())
        assert label.end_ms - label.start_ms > 2 * DAY


def test_many_reviews_come_with_few_orders_behind_them(planted: Episodes) -> None:
    for done, _ in planted["review_burst"]:
        assert (done.marked.a == 5).mean() > 0.7
        assert (done.marked.ref < 0).mean() >= 0.79
        assert len(set(done.marked.actor.tolist())) > 0.8 * len(done.marked.actor)


def test_incentives_are_redeemed_by_few_and_their_orders_come_back(planted: Episodes) -> None:
    for done, _ in planted["incentive_abuse"]:
        redeemed = only(done.marked, "incentive.redeemed")
        back = [only(done.marked, name) for name in ("order.cancelled", "refund.approved")]
        assert len(redeemed.at) >= 25 - 5  # some may fall behind the end of the run
        assert len(set(redeemed.actor.tolist())) <= 10
        assert sum(len(r.at) for r in back) > 0.5 * len(redeemed.at)
        assert set(only(everything(done), "order.paid").a.tolist()) == {1}


def test_commissions_are_clawed_back_once_and_without_a_refund(planted: Episodes, world: World) -> None:
    for done, _ in planted["commission_clawback"]:
        assert not world.fate.reversed[done.marked.ref].any()
        assert len(set(done.marked.ref.tolist())) == len(done.marked.ref)
        assert (done.marked.amount == world.orders.commission[done.marked.ref]).all()
        assert done.after == []


def test_bots_lower_the_logged_in_share_and_a_raid_does_not(planted: Episodes, world: World) -> None:
    for kind in ("live_viewbot", "raid", "live_giveaway"):
        for done, _ in planted[kind]:
            minutes, pop, unit = only(done.marked, "live.minute"), world.pop, unit_of(done)
            viewers, known, talking = (int(column.sum()) for column in (minutes.a, minutes.b, minutes.c))
            assert pop.goes_live[unit]
            assert known / viewers < 0.8 * pop.logged_in[unit] if kind == "live_viewbot" else True
            if kind != "live_viewbot":
                assert abs(known / viewers - pop.logged_in[unit]) < 0.1
                assert talking / known > 0.7 * pop.talking[unit]
            starts = only(everything(done), "live.started")
            assert set(starts.ref.tolist()) == set(minutes.ref.tolist())


def test_samples_stay_unshown_until_their_deadlines_pass_within_the_run(planted: Episodes) -> None:
    for done, label in planted["unposted_samples"]:
        assert label.start_ms == done.marked.at.min() + 14 * DAY
        assert label.end_ms < SPEC.end_ms
        assert len(only(everything(done), "sample.posted").at) == 0
    _, labels = simulate(Simulation(days=12, creators=40, planted=1, kinds=("unposted_samples",), lookalikes=0))
    assert labels == []


def test_newcomers_surge_for_days_outside_of_lives_and_party_on_their_first_evening(
    planted: Episodes, world: World
) -> None:
    typical = np.median(world.pop.level[world.pop.registered_ms > 0])
    for done, label in planted["newcomer_surge"]:
        age = label.start_ms - world.pop.registered_ms[unit_of(done)]
        assert 0 < age < 12 * DAY
        days = (label.end_ms - label.start_ms) / DAY
        assert len(done.marked.at) / max(days, 1.0) > min(12.0, typical) * 0.5
        sessions = world.act.sessions
        for start in sessions.start_ms[sessions.unit == unit_of(done)]:
            assert not ((done.marked.at >= start) & (done.marked.at < start + HOUR)).any()
    for done, label in planted["launch_party"]:
        assert 0 < label.start_ms - world.pop.registered_ms[unit_of(done)] < 1.2 * DAY
        assert label.end_ms - label.start_ms < 3 * HOUR
        assert len(set(only(done.marked, "order.paid").actor.tolist())) > 10


def test_viral_videos_and_restocks_are_of_many_people_of_the_usual_mixture(planted: Episodes, world: World) -> None:
    for done, _ in planted["viral_video"]:
        low = (only(done.marked, "content.engaged").b == 0).mean()
        assert low < 0.2
    for done, _ in planted["restock"]:
        assert not world.pop.goes_live[unit_of(done)]
        orders = only(done.marked, "order.paid")
        assert len(set(orders.actor.tolist())) > 0.9 * len(orders.actor)


def test_flags_reports_and_fake_engagement_come_in_their_numbers(planted: Episodes) -> None:
    for kind, low, high in (("off_platform_redirect", 5, 25), ("report_wave", 8, 40), ("violation_burst", 4, 8)):
        for done, _ in planted[kind]:
            assert low <= len(done.marked.at) <= high
    for done, _ in planted["report_wave"]:
        assert len(set(done.marked.actor.tolist())) > 0.9 * len(done.marked.actor)
    for done, _ in planted["fake_engagement"]:
        assert (done.marked.b == 0).mean() > 0.5


# ---- the background and what befalls it --------------------------------------------------------------------


def test_the_background_has_every_outcome_at_a_believable_share(market: tuple[World, Rows]) -> None:
    world, r = market
    stars, fate = only(r, "review.posted").a, world.fate
    assert 0.02 < only(r, "order.shipped").a.mean() < 0.04
    assert 0.03 < (stars <= 2).mean() < 0.06
    assert 0.002 < fate.disputed.mean() < 0.004
    assert 0.025 < fate.cancelled.mean() < 0.035
    assert len(only(r, "incentive.redeemed").at) == only(r, "order.paid").a.sum()
    earned, back = only(r, "commission.earned"), only(r, "commission.reversed")
    assert 0.4 < len(earned.at) / len(only(r, "order.paid").at) < 0.7
    assert 0.03 < len(back.at) / len(earned.at) < 0.12
    assert (back.at > back.a).all()
    received, posted = (only(r, f"sample.{name}") for name in ("received", "posted"))
    shown = dict(zip(posted.ref.tolist(), posted.at.tolist(), strict=True))
    old = chosen(received, received.at < SPEC.end_ms - 14 * DAY)
    in_time = [shown.get(ref, SPEC.end_ms) - at <= 14 * DAY for ref, at in zip(old.ref, old.at, strict=True)]
    assert 0.9 < np.mean(in_time) < 0.99


def test_a_creator_s_clicks_and_live_crowds_are_its_own_habit(market: tuple[World, Rows]) -> None:
    world, r = market
    halves = []
    for first in (0, SPEC.days // 2):
        low = SPEC.start_ms + first * DAY
        part = chosen(r, (r.at >= low) & (r.at < low + SPEC.days // 2 * DAY))
        n = len(world.pop.level)
        clicks, orders = (np.bincount(only(part, t).unit, minlength=n) for t in ("product.clicked", "order.paid"))
        minutes = only(part, "live.minute")
        seen, known = (np.bincount(minutes.unit, w, minlength=n) for w in (minutes.a, minutes.b))
        halves.append((clicks / np.maximum(orders, 1), known / np.maximum(seen, 1)))
    large, live = world.pop.level > 20, (world.pop.registered_ms == 0) & (world.crowd > 30) & world.pop.goes_live
    for which, who in ((0, large & (world.pop.registered_ms == 0)), (1, live)):
        assert np.corrcoef(halves[0][which][who], halves[1][which][who])[0, 1] > 0.8


def test_a_strike_delays_a_market_and_an_outage_keeps_it_from_buying() -> None:
    shocks = (Shock(kind="carrier_strike", market="TH", day=8, hours=72),
              Shock(kind="payment_outage", market="ID", day=10, hours=24))  # fmt: skip
    runs = []
    for struck in ((), shocks):
        spec = Simulation(seed=6, days=16, creators=150, campaign_days=(), shocks=struck, null=True)
        events, labels = simulate(spec)
        assert labels == []
        runs.append((events.rows, events.pop.market[events.rows.unit], events.pop.names))
    for market, kind, first, last, low, high in (
        ("TH", "order.shipped", 8, 11, 5, 99), ("ID", "order.shipped", 8, 11, 0.5, 2),
        ("TH", "refund.approved", 11, 15, 1.2, 9), ("TH", "complaint.received", 10, 14, 1.3, 9),
        ("ID", "order.paid", 10, 11, 0.1, 0.7), ("ID", "order.cancelled", 10, 11, 1.3, 9),
        ("TH", "order.paid", 10, 11, 0.8, 1.25),
    ):  # fmt: skip
        n = []
        for r, of, names in runs:
            day = (r.at - SPEC.start_ms) // DAY
            on = (r.kind == TYPES.index(kind)) & (of == names.index(market)) & (day >= first) & (day < last)
            n.append(int((r.a[on] == 1).sum() if kind == "order.shipped" else on.sum()))
        assert low < n[1] / n[0] < high, (market, kind, n)


def test_days_of_a_market_are_good_or_bad_for_all_and_there_may_be_several_campaigns() -> None:
    totals = []
    for mood, campaigns in ((0.0, ()), (0.4, ()), (0.0, (3, 9))):
        spec = Simulation(seed=3, days=14, creators=80, markets={"TH": 1.0}, mood=mood, campaign_days=campaigns,
                          shocks=(), null=True)  # fmt: skip
        r = simulate(spec)[0].rows
        totals.append(per_day_of(only(r, "order.paid"), 14))
    calm, moody, campaigned = totals
    assert np.std(np.log(moody)) > 1.5 * np.std(np.log(calm))
    assert set(np.argsort(campaigned)[-2:].tolist()) == {3, 9}
