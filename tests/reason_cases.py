"""The sentence of every reason, for one, two and many: this table is the specification."""

from typing import NamedTuple

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000

Args = dict[str, str | int | float]
PLACE: Args = {"category": "beauty", "market": "TH"}
REFUNDS: Args = PLACE | {
    "one": "refund", "many": "refunds", "of_one": "order", "of_many": "orders", "own": 0.06, "peers": 0.05,
}  # fmt: skip
MONEY: Args = PLACE | {
    "one": "reversed commission", "many": "reversed commission", "of_one": "earned commission",
    "of_many": "earned commission", "own": 0.07, "peers": 0.065,
}  # fmt: skip
LATE: Args = PLACE | {
    "one": "late shipment", "many": "late shipments", "of_one": "shipment", "of_many": "shipments", "own": 0.05,
    "peers": 0.0512,
}  # fmt: skip
CLICKS: Args = PLACE | {
    "one": "order", "many": "orders", "of_one": "product click", "of_many": "product clicks", "own": 0.18,
    "peers": 0.23,
}  # fmt: skip
TALK: Args = PLACE | {
    "one": "comment", "many": "comments", "of_one": "viewer", "of_many": "viewers", "own": 0.06, "peers": 0.055,
}  # fmt: skip
ORDERS: Args = PLACE | {"one": "order outside live sessions", "many": "orders outside live sessions"}
VIOLATIONS: Args = PLACE | {"one": "violation", "many": "violations"}
TAKEOVER: Args = PLACE | {"of": 4, "title": "account takeover"}
OVER: Args = PLACE

WHAT = {
    "outcome_high": "What follows orders: refunds, complaints, chargebacks",
    "outcome_beyond": "The same, where more came than orders were due for one",
    "share_high": "A part of a whole",
    "ratio_high": "A count for each of another: too many",
    "ratio_low": "A count for each of another: too few",
    "volume_high": "A count against what is usual: too many",
    "volume_low": "A count against what is usual: too few",
    "series": "A count pane after pane: a change that lasts",
    "newcomer_high": "A count of a newcomer against other newcomers",
    "repeated": "A policy's rule: so many of one kind",
    "counted": "A policy's rule: so many",
    "added_up": "A policy's rule: so much in all",
    "pattern_seen": "Steps in their order",
    "over_normal_again": "An episode has ended: back to usual",
    "over_silent": "An episode has ended: nothing more came",
    "over_overturned": "An alert is withdrawn",
    "over_late_data": "An alert is withdrawn: late events",
    "over_config": "The configuration changed",
    "over_erased": "The creator was erased",
}


class Case(NamedTuple):
    """A sentence that must be."""

    code: str
    what: str
    args: Args
    sentence: str


CASES = (
    Case(
        "outcome_high", "one", REFUNDS | {"count": 1, "of": 2, "window_ms": DAY},
        "Refunds on 1 of the 2 orders that were due for one (50 %) in the last 24 hours; this creator's usual"
        " rate is 6 %, beauty creators in TH 5 %.",
    ),
    Case(
        "outcome_high", "two", REFUNDS | {"count": 2, "of": 4, "window_ms": 6 * HOUR},
        "Refunds on 2 of the 4 orders that were due for one (50 %) in the last 6 hours; this creator's usual "
        "rate is 6 %, beauty creators in TH 5 %.",
    ),
    Case(
        "outcome_high", "many", REFUNDS | {"count": 23, "of": 61, "window_ms": DAY},
        "Refunds on 23 of the 61 orders that were due for one (38 %) in the last 24 hours; this creator's "
        "usual rate is 6 %, beauty creators in TH 5 %.",
    ),
    Case(
        "outcome_high", "nearly all", REFUNDS | {"count": 1999, "of": 2000, "window_ms": 7 * DAY},
        "Refunds on 1,999 of the 2,000 orders that were due for one (99.9 %) in the last 7 days; this "
        "creator's usual rate is 6 %, beauty creators in TH 5 %.",
    ),
    Case(
        "outcome_high", "without a category", REFUNDS | {"count": 23, "of": 61, "window_ms": DAY, "category": ""},
        "Refunds on 23 of the 61 orders that were due for one (38 %) in the last 24 hours; this creator's "
        "usual rate is 6 %, creators in TH 5 %.",
    ),
    Case(
        "outcome_high", "of money", MONEY | {
            "count": 1800.0, "of": 2400.0, "window_ms": DAY, "currency": "THB", "digits": 2
        },
        "THB 1,800 of reversed commission against THB 2,400 of earned commission (75 %) in the last 24 hours;"
        " this creator's usual rate is 7 %, beauty creators in TH 6.5 %.",
    ),
    Case(
        "outcome_high", "of money without a small unit", MONEY | {
            "count": 1250000.0, "of": 3000000.0, "window_ms": 7 * DAY, "currency": "IDR", "digits": 0
        },
        "IDR 1,250,000 of reversed commission against IDR 3,000,000 of earned commission (42 %) in the last 7"
        " days; this creator's usual rate is 7 %, beauty creators in TH 6.5 %.",
    ),
    Case(
        "outcome_beyond", "one", REFUNDS | {"count": 1, "of": 1, "expected": 0.02, "window_ms": DAY},
        "1 refund in the last 24 hours, where the orders so far would usually bring about 0.02; this "
        "creator's usual rate is 6 %, beauty creators in TH 5 %.",
    ),
    Case(
        "outcome_beyond", "two", REFUNDS | {"count": 2, "of": 2, "expected": 0.9, "window_ms": 6 * HOUR},
        "2 refunds in the last 6 hours, where the orders so far would usually bring about 0.9; this creator's"
        " usual rate is 6 %, beauty creators in TH 5 %.",
    ),
    Case(
        "outcome_beyond", "many", REFUNDS | {"count": 54, "of": 54, "expected": 2.0, "window_ms": DAY},
        "54 refunds in the last 24 hours, where the orders so far would usually bring about 2; this creator's"
        " usual rate is 6 %, beauty creators in TH 5 %.",
    ),
    Case(
        "outcome_beyond", "of money", MONEY | {
            "count": 95.5, "of": 95.5, "expected": 9.5, "window_ms": DAY, "currency": "USD", "digits": 2
        },
        "USD 95.50 of reversed commission in the last 24 hours, where the earned commission so far would "
        "usually bring about USD 9.50; this creator's usual rate is 7 %, beauty creators in TH 6.5 %.",
    ),
    Case(
        "share_high", "one", LATE | {"count": 1, "of": 3, "window_ms": DAY},
        "1 of 3 shipments (33 %) in the last 24 hours was a late shipment; this creator's usual share is 5 %,"
        " beauty creators in TH 5.1 %.",
    ),
    Case(
        "share_high", "two", LATE | {"count": 2, "of": 5, "window_ms": DAY},
        "2 of 5 shipments (40 %) in the last 24 hours were late shipments; this creator's usual share is 5 %,"
        " beauty creators in TH 5.1 %.",
    ),
    Case(
        "share_high", "one of one", LATE | {"count": 1, "of": 1, "window_ms": HOUR},
        "1 of 1 shipment (100 %) in the last hour was a late shipment; this creator's usual share is 5 %, "
        "beauty creators in TH 5.1 %.",
    ),
    Case(
        "share_high", "many", LATE | {"count": 45, "of": 234, "window_ms": 3 * DAY},
        "45 of 234 shipments (19 %) in the last 3 days were late shipments; this creator's usual share is 5 "
        "%, beauty creators in TH 5.1 %.",
    ),
    Case(
        "share_high", "all", LATE | {"count": 30, "of": 30, "window_ms": 7 * DAY},
        "30 of 30 shipments (100 %) in the last 7 days were late shipments; this creator's usual share is 5 "
        "%, beauty creators in TH 5.1 %.",
    ),
    Case(
        "ratio_high", "one", CLICKS | {"count": 1, "of": 1, "window_ms": 6 * HOUR},
        "1 order from 1 product click in the last 6 hours: 1 for each product click; usual are 0.18 for this "
        "creator and 0.23 for beauty creators in TH.",
    ),
    Case(
        "ratio_high", "two", CLICKS | {"count": 2, "of": 1, "window_ms": 6 * HOUR},
        "2 orders from 1 product click in the last 6 hours: 2 for each product click; usual are 0.18 for this"
        " creator and 0.23 for beauty creators in TH.",
    ),
    Case(
        "ratio_high", "many", CLICKS | {"count": 40, "of": 19, "window_ms": 6 * HOUR},
        "40 orders from 19 product clicks in the last 6 hours: 2.1 for each product click; usual are 0.18 for"
        " this creator and 0.23 for beauty creators in TH.",
    ),
    Case(
        "ratio_low", "none", TALK | {"count": 0, "of": 600, "window_ms": HOUR},
        "No comments from 600 viewers in the last hour; usual are 0.06 for this creator and 0.055 for beauty "
        "creators in TH.",
    ),
    Case(
        "ratio_low", "one", TALK | {"count": 1, "of": 600, "window_ms": 30 * MINUTE},
        "Only 1 comment from 600 viewers in the last 30 minutes: 0.0017 for each viewer; usual are 0.06 for "
        "this creator and 0.055 for beauty creators in TH.",
    ),
    Case(
        "ratio_low", "two", TALK | {"count": 2, "of": 600, "window_ms": HOUR},
        "Only 2 comments from 600 viewers in the last hour: 0.0033 for each viewer; usual are 0.06 for this "
        "creator and 0.055 for beauty creators in TH.",
    ),
    Case(
        "ratio_low", "many", TALK | {"count": 30, "of": 6000, "window_ms": HOUR},
        "Only 30 comments from 6,000 viewers in the last hour: 0.005 for each viewer; usual are 0.06 for this"
        " creator and 0.055 for beauty creators in TH.",
    ),
    Case(
        "series", "one", REFUNDS | {"count": 1, "expected": 0.4, "window_ms": 6 * HOUR, "since": 1_768_435_200_000},
        "1 refund in the last 6 hours, where about 0.4 would be usual for this creator; refunds have been off their "
        "usual level since 2026-01-15 00:00 UTC.",
    ),
    Case(
        "series", "many", ORDERS | {"count": 1234, "expected": 900.0, "window_ms": DAY},
        "1,234 orders outside live sessions in the last 24 hours, where about 900 would be usual for this creator.",
    ),
    Case(
        "series", "of money", MONEY | {
            "count": 12345.6, "expected": 9000.0, "window_ms": DAY, "currency": "THB", "digits": 2,
            "since": 1_768_435_200_000,
        },
        "THB 12,346 of reversed commission in the last 24 hours, where about THB 9,000 would be usual for this "
        "creator; reversed commission has been off its usual level since 2026-01-15 00:00 UTC.",
    ),
    Case(
        "volume_high", "one", ORDERS | {"count": 1, "expected": 0.04, "window_ms": HOUR},
        "1 order outside live sessions in the last hour, where about 0.04 would be usual for this creator at "
        "this hour and with what its market sees now.",
    ),
    Case(
        "volume_high", "two", ORDERS | {"count": 2, "expected": 0.3, "window_ms": 6 * HOUR},
        "2 orders outside live sessions in the last 6 hours, where about 0.3 would be usual for this creator "
        "at this hour and with what its market sees now.",
    ),
    Case(
        "volume_high", "many", ORDERS | {"count": 1234, "expected": 85.5, "window_ms": DAY},
        "1,234 orders outside live sessions in the last 24 hours, where about 86 would be usual for this "
        "creator at this hour and with what its market sees now.",
    ),
    Case(
        "volume_high", "of money", MONEY | {
            "count": 12345.6, "expected": 900.0, "window_ms": DAY, "currency": "THB", "digits": 2
        },
        "THB 12,346 of reversed commission in the last 24 hours, where about THB 900.00 would be usual for "
        "this creator at this hour and with what its market sees now.",
    ),
    Case(
        "volume_low", "none", ORDERS | {"count": 0, "expected": 12.0, "window_ms": DAY},
        "No orders outside live sessions in the last 24 hours, where about 12 would be usual for this creator"
        " at this hour and with what its market sees now.",
    ),
    Case(
        "volume_low", "one", ORDERS | {"count": 1, "expected": 12.0, "window_ms": DAY},
        "Only 1 order outside live sessions in the last 24 hours, where about 12 would be usual for this "
        "creator at this hour and with what its market sees now.",
    ),
    Case(
        "volume_low", "two", ORDERS | {"count": 2, "expected": 12.0, "window_ms": DAY},
        "Only 2 orders outside live sessions in the last 24 hours, where about 12 would be usual for this "
        "creator at this hour and with what its market sees now.",
    ),
    Case(
        "volume_low", "many", ORDERS | {"count": 30, "expected": 120.0, "window_ms": DAY},
        "Only 30 orders outside live sessions in the last 24 hours, where about 120 would be usual for this "
        "creator at this hour and with what its market sees now.",
    ),
    Case(
        "newcomer_high", "one", ORDERS | {"count": 1, "expected": 0.2, "window_ms": DAY, "newcomer_ms": 30 * DAY},
        "1 order outside live sessions in the last 24 hours by a creator who registered at most 30 days ago; "
        "about 0.2 would be usual for newcomers among beauty creators in TH.",
    ),
    Case(
        "newcomer_high", "two", ORDERS | {"count": 2, "expected": 0.2, "window_ms": DAY, "newcomer_ms": 30 * DAY},
        "2 orders outside live sessions in the last 24 hours by a creator who registered at most 30 days ago;"
        " about 0.2 would be usual for newcomers among beauty creators in TH.",
    ),
    Case(
        "newcomer_high", "many", ORDERS | {
            "count": 420, "expected": 3.6, "window_ms": 3 * DAY, "newcomer_ms": 30 * DAY
        },
        "420 orders outside live sessions in the last 3 days by a creator who registered at most 30 days ago;"
        " about 3.6 would be usual for newcomers among beauty creators in TH.",
    ),
    Case(
        "repeated", "two", VIOLATIONS | {"count": 2, "value": "counterfeit", "limit": 2, "window_ms": 90 * DAY},
        "2 violations of the same kind (counterfeit) in the last 90 days; the policy's limit is 2.",
    ),
    Case(
        "repeated", "many", VIOLATIONS | {"count": 6, "value": "counterfeit", "limit": 4, "window_ms": 90 * DAY},
        "6 violations of the same kind (counterfeit) in the last 90 days; the policy's limit is 4.",
    ),
    Case(
        "repeated", "of no stated kind", VIOLATIONS | {"count": 6, "value": "", "limit": 4, "window_ms": 90 * DAY},
        "6 violations of the same kind in the last 90 days; the policy's limit is 4.",
    ),
    Case(
        "counted", "one", VIOLATIONS | {"count": 1, "limit": 1, "window_ms": 90 * DAY},
        "1 violation in the last 90 days; the policy's limit is 1.",
    ),
    Case(
        "counted", "two", VIOLATIONS | {"count": 2, "limit": 2, "window_ms": 90 * DAY},
        "2 violations in the last 90 days; the policy's limit is 2.",
    ),
    Case(
        "counted", "many", VIOLATIONS | {"count": 12, "limit": 10, "window_ms": 7 * DAY},
        "12 violations in the last 7 days; the policy's limit is 10.",
    ),
    Case(
        "added_up", "one", VIOLATIONS | {"count": 1, "total": 1, "weight": "points", "limit": 1, "window_ms": 90 * DAY},
        "1 point from 1 violation in the last 90 days; the policy's limit is 1.",
    ),
    Case(
        "added_up", "two", VIOLATIONS | {
            "count": 2, "total": 36, "weight": "points", "limit": 36, "window_ms": 90 * DAY
        },
        "36 points from 2 violations in the last 90 days; the policy's limit is 36.",
    ),
    Case(
        "added_up", "many", VIOLATIONS | {
            "count": 9, "total": 54, "weight": "points", "limit": 36, "window_ms": 90 * DAY
        },
        "54 points from 9 violations in the last 90 days; the policy's limit is 36.",
    ),
    Case(
        "pattern_seen", "the first step", TAKEOVER | {"count": 1, "steps": "repeated failed logins", "window_ms": DAY},
        "Repeated failed logins in the last 24 hours: 1 of the 4 steps of the pattern “account takeover”.",
    ),
    Case(
        "pattern_seen", "two steps", TAKEOVER | {
            "count": 2, "steps": "repeated failed logins, then a login from a new device or country", "window_ms": DAY
        },
        "Repeated failed logins, then a login from a new device or country in the last 24 hours: 2 of the 4 "
        "steps of the pattern “account takeover”.",
    ),
    Case(
        "pattern_seen", "all steps", TAKEOVER | {
            "count": 4, "steps": "repeated failed logins, then a login from a new device or country, then a change of "
            "credentials or payout account, then a withdrawal", "window_ms": DAY,
        },
        "Repeated failed logins, then a login from a new device or country, then a change of credentials or "
        "payout account, then a withdrawal in the last 24 hours: all 4 steps of the pattern “account "
        "takeover”.",
    ),
    Case(
        "over_normal_again", "after a day", OVER | {"title": "Refund surge", "calm_ms": DAY},
        "Refund surge: over. What was measured has been back to usual for 24 hours.",
    ),
    Case(
        "over_normal_again", "after hours", OVER | {"title": "Order spike", "calm_ms": 12 * HOUR},
        "Order spike: over. What was measured has been back to usual for 12 hours.",
    ),
    Case(
        "over_normal_again", "of several", OVER | {"title": "Late shipments", "calm_ms": 7 * DAY},
        "Late shipments: over. What was measured has been back to usual for 7 days.",
    ),
    Case(
        "over_silent", "after a day", OVER | {"title": "Refund surge", "calm_ms": DAY},
        "Refund surge: over. Nothing of it for 24 hours.",
    ),
    Case(
        "over_silent", "of several", OVER | {"title": "Negative reviews", "calm_ms": DAY},
        "Negative reviews: over. Nothing of it for 24 hours.",
    ),
    Case(
        "over_overturned", "retracted", OVER | {"title": "Violation burst", "calm_ms": DAY},
        "Violation burst: withdrawn. Events that it rested on were overturned, and what is left calls for no "
        "alert.",
    ),
    Case(
        "over_late_data", "retracted", OVER | {"title": "Low reviews", "calm_ms": DAY},
        "Low reviews: withdrawn. Events that came late belong to its window, and with them it calls for no alert.",
    ),
    Case(
        "over_config", "of a signal that is gone", OVER | {"title": "Refund surge", "calm_ms": DAY},
        "Refund surge: over. It is no longer watched as before, since the configuration changed.",
    ),
    Case(
        "over_erased", "by `ripcurrent erase`", OVER | {"title": "Refund surge", "calm_ms": DAY},
        "Refund surge: over. The creator was erased on request, and nothing is known of it any more.",
    ),
)  # fmt: skip
