"""Simulated events as columns, and what their numbers stand for."""

from typing import NamedTuple

import numpy as np

from streams.simulate_market import Flags, Floats, Ints

TYPES = (
    "account.registered", "account.login", "account.credential_changed", "account.payout_changed",
    "account.withdrawal", "video.published", "live.started", "live.minute", "live.ended", "content.engaged",
    "content.flagged", "product.clicked", "order.paid", "order.cancelled", "order.shipped", "order.delivered",
    "refund.approved", "chargeback.received", "review.posted", "complaint.received", "report.received",
    "violation.confirmed", "violation.overturned", "incentive.redeemed", "commission.earned", "commission.reversed",
    "sample.received", "sample.posted",
)  # fmt: skip
ENGAGEMENTS = ("like", "follow", "comment", "share")
TRUSTS = ("low", "normal")
FAULTS = ("seller", "buyer", "carrier")
COMPLAINTS = ("counterfeit", "misleading", "safety", "other")
VIOLATIONS = ("misleading", "counterfeit", "low_quality", "prohibited", "redirect", "copyright")
FLAGS = ("link", "phone", "handle", "qr")
POINTS = (4, 8, 2, 6, 2, 4)


Column = Ints | int


class Rows(NamedTuple):
    """Events as columns. -1 is an absent integer, NaN an absent amount; a, b, c are attributes."""

    kind: Ints
    unit: Ints
    at: Ints
    actor: Ints
    ref: Ints
    amount: Floats
    a: Ints
    b: Ints
    c: Ints


def rows(kind: str, unit: Ints, at: Ints, *, actor: Column = -1, ref: Column = -1, a: Column = -1,
         b: Column = -1, c: Column = -1, amount: Floats | float = np.nan) -> Rows:  # fmt: skip
    whole = (TYPES.index(kind), unit, at, actor, ref, a, b, c)
    columns = [np.broadcast_to(np.asarray(x, dtype=np.int64), np.shape(at)) for x in whole]
    money = np.broadcast_to(np.asarray(amount, dtype=np.float64), np.shape(at))
    return Rows._make([*columns[:5], money, *columns[5:]])


def joined(parts: list[Rows]) -> Rows:
    return Rows._make(np.concatenate(columns) for columns in zip(*parts, strict=True))


def chosen(r: Rows, mask: Flags | Ints) -> Rows:
    return Rows._make(column[mask] for column in r)
