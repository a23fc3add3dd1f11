"""The attributes of each event type, as docs/contract/events.md has them, and the words that they can be.

Producers may send more than the contract names, so what is not here is worth a warning, not an error.
"""

ANY = ("ref_at",)  # any type may carry it
OF_EVENT = ("actor_id", "ref_id", "category", "market", "amount")  # of the event itself, beside its attributes

ATTRIBUTES: dict[str, dict[str, tuple[str, ...]]] = {
    "account.login": {"success": (), "device_id": (), "country": ()},
    "live.minute": {"viewers": (), "logged_in_viewers": (), "commenters": ()},
    "content.engaged": {"kind": ("like", "follow", "comment", "share"), "trust": ("low", "normal")},
    "content.flagged": {"kind": ("link", "phone", "handle", "qr")},
    "order.paid": {"subsidised": ()},
    "order.shipped": {"late": ()},
    "refund.approved": {"fault": ("seller", "buyer", "carrier")},
    "review.posted": {"stars": ()},
    "complaint.received": {"kind": ("counterfeit", "misleading", "safety", "other")},
    "violation.confirmed": {"kind": (), "points": ()},
    "case.decided": {"alert_id": (), "verdict": ("confirmed", "rejected", "unclear")},
}
WITH_AMOUNT = frozenset({
    "account.withdrawal", "order.paid", "refund.approved", "incentive.redeemed", "commission.earned",
    "commission.reversed",
})  # fmt: skip
