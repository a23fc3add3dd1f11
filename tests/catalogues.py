"""A small catalogue that tests write, spoil and load."""

from pathlib import Path

SIGNAL = """\
title: Refund surge
question: Are more of this creator's orders refunded than usual?
lifecycle: performance
measures:
  orders: {one: order, many: orders, events: [order.paid]}
  refunds:
    one: refund
    many: refunds
    events: [refund.approved]
    where: {fault: seller}
tests:
  - kind: outcome
    measure: refunds
    of: orders
    windows: [24h by 1h, 7d by 6h]
    severity: {warning: 3, critical: 5}
  - kind: repeat
    measure: refunds
    windows: [90d by 1h]
    minimum: 3
    severity: {info: 4}
overrides:
  - because: A stricter rule for beauty.
    markets: [TH]
    categories: [beauty]
    tests: [1]
    effect: 1.5
  - because: Partners are watched in silence.
    groups: [partners]
    status: shadow
false_positives: [A campaign's orders come back together.]
thresholds_from: A proposal of our own.
labels: {runbook: refund_rate}
"""
TAKEOVER = """\
title: Account takeover
question: Was this account broken into and emptied?
lifecycle: onboarding
tests:
  - kind: sequence
    windows: [24h by 15m]
    minimum: 1
    severity: {critical: 2}
    steps:
      - {name: login, says: a login, events: [account.login], where: {success: true}, novel: [device_id], within: 1d}
      - {name: withdrawal, says: a withdrawal, events: [account.withdrawal], within: 24h}
false_positives: [A traveller with a new phone.]
thresholds_from: A proposal of our own.
labels: {runbook: account_takeover}
"""
DEFAULT = """\
currency: USD
delays:
  refund.approved: {mean: 5d}
  complaint.received: {mean: 4d}
"""
THAILAND = """\
currency: THB
time_zone: Asia/Bangkok
country: TH
holiday_lift: 1.1
delays:
  refund.approved: {mean: 7d}
calendar:
  - {name: Double day, lift: 4, every_year: [11-11]}
  - {name: Songkran, lift: 0.8, holidays: [songkran]}
  - {name: Fair, dates: [2026-05-01..2026-05-03]}
thresholds:
  refunds:
    because: Cash on delivery.
    tests: [1]
    effect: 3
    severity: {warning: 4}
"""
GROUP = """\
title: Partners with a manager
exempt_from: [refunds]
members:
  - creator: c_1
    until: 2026-12-31
    reason: Contract of July.
"""
FILES = {
    "engine.yaml": "pane: 15m\n",
    "signals/refunds.yaml": SIGNAL,
    "signals/takeover.yaml": TAKEOVER,
    "markets/default.yaml": DEFAULT,
    "markets/TH.yaml": THAILAND,
    "groups/partners.yaml": GROUP,
}


def write_catalogue(folder: Path) -> Path:
    """The small catalogue in a folder."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def spoil(folder: Path, name: str, old: str, new: str) -> None:
    """Replace a text that stands once in a file."""
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
    path.write_text(text.replace(old, new), encoding="utf-8")
