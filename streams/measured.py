"""What was measured of each shipped signal, as `measured` in its file: config/signals/*.yaml.

Figures are those of the last line of JSON that `benchmarks/quality/creators.py` printed into
benchmarks/results/creators.json. `python -m streams.reference` writes them behind all else in each file, and touches
nothing else there; docs/signals.md takes them from here as well. Where nothing was measured there is no such block.
"""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

from msgspec import Struct, convert

from config.schema import Measured, PlantedKind, Repeat, Sequence, Series, Signal, Test
from streams.labels import read_kinds
from streams.simulate_spec import KINDS

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results" / "creators.json"
DIGITS = 3  # of what is written
_BLOCK = re.compile(r"^measured:.*\n?(?:[ ].*\n?)*", re.MULTILINE)  # up to the next line that begins at its left edge
_HEAD = "measured:  # by python -m streams.reference, from benchmarks/results/creators.json; decides nothing\n"
# What is planted, and what its creators have at least, as the functions that plant it say; KINDS fills the numbers in.
_SIZES = {
    "account_takeover": ("{strength} failed logins, a login from a new device and country, a change, a withdrawal", ""),
    "brushing": ("{strength} times the usual orders for {span}, {fewest} or more, by 3 to 8 buyers", "2 orders a day"),
    "cancellation_surge": (
        "{strength} times the usual share of cancelled orders for {span}, {fewest} or more", "10 orders a day",
    ),
    "chargeback_surge": ("{strength} times the usual chargebacks for {span}, {fewest} or more", "20 orders a day"),
    "clickless_orders": (
        "{strength} times the usual orders for {span}, {fewest} or more of them without a click", "10 orders a day",
    ),
    "commission_clawback": (
        "{strength} of a week's commissions reversed within {span}, {fewest} or more", "25 commissions in that week",
    ),
    "complaint_surge": (
        "{strength} times the usual complaints for {span}, {fewest} or more, mostly of one kind", "15 orders a day",
    ),
    "counterfeit_wave": (
        "{strength} complaints of counterfeits within {span}, each by another buyer", "twice as many buyers",
    ),
    "defect_surge": (
        "{strength} times the usual low reviews, complaints and chargebacks for {span}, {fewest} or more",
        "40 orders a day",
    ),
    "fake_engagement": (
        "{strength} times the usual engagement for {span}, {fewest} or more, 60 to 95 % of low trust",
        "10 engagements a day",
    ),
    "incentive_abuse": (
        "{strength} times the usual subsidised orders for {span}, {fewest} or more, by 3 to 10 redeemers",
        "5 orders a day",
    ),
    "late_shipments": (
        "{strength} times the usual share of late parcels for {span}, {fewest} or more", "10 orders a day",
    ),
    "live_viewbot": (
        "bots of {strength} times the usual crowd in additional live sessions of {span}", "15 usual viewers",
    ),
    "negative_reviews": (
        "{strength} times the usual reviews of one and two stars for {span}, {fewest} or more", "20 orders a day",
    ),
    "newcomer_surge": (
        "{strength} times the orders of the median newcomer of its age for {span}, {fewest} or more, "
        "outside of live sessions",
        "",
    ),
    "off_platform_redirect": ("{strength} items of content flagged within {span}, four in five for one reason", ""),
    "order_spike": (
        "{strength} times the usual orders for {span}, {fewest} or more of them by few buyers and without clicks",
        "5 orders a day",
    ),
    "refund_surge": (
        "{strength} times the usual refunds of the orders of {span}, {fewest} or more", "15 orders a day",
    ),
    "report_wave": ("{strength} reports within {span}, by as many reporters, or nearly", ""),
    "review_burst": (
        "{strength} times the usual reviews within {span}, at least 20 to 60, most of no order", "3 orders a day",
    ),
    "seller_fault_surge": (
        "{strength} times the usual refunds for the seller's fault of the orders of {span}, {fewest} or more",
        "15 orders a day",
    ),
    "unposted_samples": ("{strength} samples received within {span}, none of which is shown", ""),
    "violation_burst": ("{strength} confirmed violations of one kind within {span}", ""),
}  # fmt: skip


class Kind(Struct, frozen=True):
    """What was measured of one kind of planted episode."""

    planted: int
    caught: int
    recall: float
    median_delay_hours: float | None = None
    right: float | None = None  # share that the signal it is made for caught


class Results(Struct, frozen=True):
    """The line of JSON that creators.py ends with."""

    seeds: list[int]
    creators: int
    days: int
    kinds: dict[str, Kind]
    false_by_signal: dict[str, dict[str, float]] = {}  # "null" and "planted": by signal


class FalseAlarms(Struct, frozen=True):
    """For 1,000 creator-days: with nothing planted, and with everything planted."""

    null: float
    planted: float


def read_results(path: Path = RESULTS) -> Results | None:
    """The last line that is JSON, or nothing where there is no file."""
    if not path.exists():
        return None
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("{")]
    return convert(json.loads(lines[-1]), Results) if lines else None


# ---- the figures -------------------------------------------------------------------------------------------


def made_for(name: str) -> list[str]:
    """The kinds of planted episodes that a signal is made for.

    >>> made_for("refund_rate")
    ['refund_surge', 'seller_fault_surge']
    """
    return [kind for kind, signals in read_kinds().items() if signals[0] == name]


def lowest_mark(test: Test) -> float:
    """The score from which a test speaks in a window of a day."""
    marks = (test.severity.info, test.severity.warning, test.severity.critical)
    return min(mark for mark in marks if mark is not None)


def nominal(signal: Signal) -> float | None:
    """False alarms per 1,000 creator-days that the thresholds alone allow: by one window of a day for each test.

    Nothing where no test of windows speaks by itself: where all must agree, and for limits, patterns and series.
    """
    marks = [lowest_mark(test) for test in signal.tests if not isinstance(test, Series | Repeat | Sequence)]
    return sum(1_000 * 10.0**-mark for mark in marks) if marks and signal.require == "any" else None


def false_alarms(name: str, results: Results | None) -> FalseAlarms | None:
    """Nothing where it was not measured. A signal that was never false is in no list; its kinds are."""
    rates = results.false_by_signal if results is not None else {}
    if results is None or not {"null", "planted"} <= rates.keys():
        return None
    if not any(name in by_signal for by_signal in rates.values()) and not set(made_for(name)) & results.kinds.keys():
        return None
    return FalseAlarms(rates["null"].get(name, 0.0), rates["planted"].get(name, 0.0))


def measured(name: str, signal: Signal, results: Results | None) -> Measured | None:
    """All of it for one signal, rounded to what is written."""
    false = false_alarms(name, results)
    if results is None or false is None:
        return None
    promised = nominal(signal)
    return Measured(
        among=among(results),
        false_per_1000_creator_days=round(false.null, DIGITS),
        nominal_per_1000_creator_days=None if promised is None else round(promised, DIGITS),
        episodes=[_of_kind(kind, results.kinds[kind]) for kind in made_for(name) if kind in results.kinds],
    )


def _of_kind(kind: str, found: Kind) -> PlantedKind:
    own = None if found.right is None else round(found.right, DIGITS)
    return PlantedKind(kind=kind, size=episode_size(kind), caught_share=round(found.recall, DIGITS), own_share=own,
                       delay_hours_median=found.median_delay_hours)  # fmt: skip


def among(results: Results) -> str:
    """
    >>> among(Results([127, 128, 129, 7], 400, 21, {}))
    'simulated creators, seeds 7, 127 to 129, 33,600 creator-days'
    """
    creator_days = len(results.seeds) * results.creators * results.days
    return f"simulated creators, seeds {_runs(sorted(results.seeds))}, {creator_days:,} creator-days"


def _runs(numbers: list[int]) -> str:
    """
    >>> _runs([1, 2, 3, 7, 8])
    '1 to 3, 7 to 8'
    """
    firsts = [numbers[0], *(b for a, b in pairwise(numbers) if b != a + 1)]
    lasts = [*(a for a, b in pairwise(numbers) if b != a + 1), numbers[-1]]
    return ", ".join(f"{a}" if a == b else f"{a} to {b}" for a, b in zip(firsts, lasts, strict=True))


def episode_size(kind: str) -> str:
    """How large the episodes of a kind are that the simulator plants unless it is told otherwise, and on whom.

    >>> episode_size("violation_burst")
    '4 to 8 confirmed violations of one kind within 2 to 10 days'
    """
    known, (what, whom) = KINDS[kind], _SIZES[kind]
    low, high = known.strength
    strength = f"{low:g} to {high:g}" if high >= 1 else f"{100 * low:g} to {100 * high:g} %"  # of all: a share
    said = what.format(strength=strength, span=_span(*known.hours), fewest=known.fewest)
    return f"{said}; creators with at least {whom}" if whom else said


def _span(low: float, high: float) -> str:
    """
    >>> _span(6, 72), _span(24, 96), _span(48, 130)
    ('6 to 72 hours', '1 to 4 days', '2 to 5 days')
    """
    return f"{low:g} to {high:g} hours" if low < 24 else f"{low / 24:.0f} to {high / 24:.0f} days"


# ---- the files ---------------------------------------------------------------------------------------------


def signal_files(folder: Path, signals: Mapping[str, Signal], results: Results | None) -> dict[Path, str]:
    """The text that each file of a folder should have."""
    paths = {name: folder / f"{name}.yaml" for name in sorted(signals)}
    return {
        path: with_figures(path.read_bytes().decode(), measured(name, signals[name], results))
        for name, path in paths.items()
    }


def with_figures(text: str, figures: Measured | None) -> str:
    """A signal's file with these figures behind all else, in place of those that it had.

    >>> with_figures("a: 1\\nmeasured:\\n  b: 2\\nc: 3  # as it was\\n", None)
    'a: 1\\nc: 3  # as it was\\n'
    """
    rest = _BLOCK.sub("", text)
    if figures is None:
        return rest
    return rest + ("" if rest.endswith("\n") else "\n") + _HEAD + "".join(f"  {line}\n" for line in _lines(figures))


def _lines(figures: Measured) -> Iterator[str]:
    """YAML that every reader of it takes for the same."""
    yield f"among: {_text(figures.among)}"
    yield f"false_per_1000_creator_days: {figures.false_per_1000_creator_days:g}"
    if figures.nominal_per_1000_creator_days is not None:
        yield f"nominal_per_1000_creator_days: {figures.nominal_per_1000_creator_days:g}"
    if figures.episodes:
        yield "episodes:"
    for one in figures.episodes:
        yield f"  - kind: {one.kind}"
        yield f"    size: {_text(one.size)}"
        yield f"    caught_share: {one.caught_share:g}"
        if one.own_share is not None:
            yield f"    own_share: {one.own_share:g}"
        if one.delay_hours_median is not None:
            yield f"    delay_hours_median: {one.delay_hours_median:g}"


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
