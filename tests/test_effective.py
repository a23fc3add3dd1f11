"""The policy that holds for one creator: who changes it, in which order, and where each value is written."""

from pathlib import Path

import pytest

from config.catalogue import load
from config.effective import Explained, explain, policy_of
from config.schema import Catalogue, Severity, Share
from tests.catalogues import spoil, write_catalogue


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_catalogue(tmp_path)


@pytest.fixture
def catalogue(folder: Path) -> Catalogue:
    return load(folder)


def told(rows: list[Explained]) -> dict[str, tuple[str, str]]:
    return {row.path: (row.value, row.source) for row in rows}


def test_without_a_change_the_signals_own_policy_holds(catalogue: Catalogue) -> None:
    policy = policy_of(catalogue, "refunds", "SG")
    assert policy.status == "active"
    assert (policy.resolve_after, policy.cooldown) == (86_400_000, 86_400_000)
    assert policy.tests[0].severity == Severity(warning=3, critical=5)
    assert (policy.tests[1].minimum, policy.tests[1].minimum_of) == (3, 0)


def test_a_markets_change_holds_there_and_for_the_tests_that_it_names(catalogue: Catalogue) -> None:
    policy = policy_of(catalogue, "refunds", "TH")
    assert (policy.tests[0].effect, policy.tests[0].severity) == (3, Severity(warning=4))
    assert policy.tests[1] == policy_of(catalogue, "refunds", "SG").tests[1]


def test_an_override_wins_over_the_market_and_the_later_over_the_earlier(folder: Path) -> None:
    policy = policy_of(load(folder), "refunds", "TH", "beauty")
    assert (policy.tests[0].effect, policy.tests[0].severity) == (1.5, Severity(warning=4))
    spoil(folder, "signals/refunds.yaml", "    status: shadow", "    status: shadow\n    effect: 9")
    assert policy_of(load(folder), "refunds", "TH", "beauty", ["partners"]).tests[0].effect == 9


def test_what_is_added_to_a_severity_moves_every_mark_of_the_chosen_tests(folder: Path) -> None:
    more = "\n    tests: [1]\n    severity_add: 0.4"
    spoil(folder, "signals/refunds.yaml", "    status: shadow", "    status: shadow" + more)
    catalogue = load(folder)
    own, partners = (policy_of(catalogue, "refunds", "SG", None, groups).tests for groups in ([], ["partners"]))
    assert own[0].severity == Severity(warning=3, critical=5)
    assert partners[0].severity == Severity(warning=3.4, critical=5.4)
    assert partners[1] == own[1]
    rows = told(explain(catalogue, "refunds", "SG", None, ["partners"]))
    assert rows["test 1: severity"][0] == "warning 3.4, critical 5.4"
    assert rows["test 1: severity"][1].startswith("signals/refunds.yaml: $.overrides[")


def test_no_shipped_market_asks_for_less_than_the_signal_itself() -> None:
    catalogue = load()
    for name, signal in catalogue.signals.items():
        for market in catalogue.markets:
            for own, there in zip(signal.tests, policy_of(catalogue, name, market).tests, strict=True):
                for mark in ("info", "warning", "critical"):
                    if (asked := getattr(own.severity, mark)) is not None:
                        assert getattr(there.severity, mark) >= asked, (name, market)


def test_every_list_that_an_override_gives_must_name_the_creator(catalogue: Catalogue) -> None:
    assert policy_of(catalogue, "refunds", "TH", "fashion").tests[0].effect == 3
    assert policy_of(catalogue, "refunds", "SG", "beauty").tests[0].effect == 2
    assert policy_of(catalogue, "refunds", "SG", None, ["partners"]).status == "shadow"
    assert policy_of(catalogue, "refunds", "SG", None, []).status == "active"


def test_a_change_of_the_default_market_holds_in_every_market_until_its_own_says_otherwise(folder: Path) -> None:
    change = "thresholds: {refunds: {because: Everywhere for now., effect: 7, cooldown: 3d}}"
    spoil(folder, "markets/default.yaml", "currency: USD", f"currency: USD\n{change}")
    catalogue = load(folder)
    assert [policy_of(catalogue, "refunds", market).tests[0].effect for market in ("default", "SG", "TH")] == [7, 7, 3]
    assert {policy_of(catalogue, "refunds", market).cooldown for market in ("default", "SG", "TH")} == {3 * 86_400_000}


def test_each_value_is_explained_by_the_place_that_set_it_last(catalogue: Catalogue) -> None:
    assert told(explain(catalogue, "refunds", "TH", "beauty", ["partners"])) == {
        "status": ("shadow", "signals/refunds.yaml: $.overrides[1]: Partners are watched in silence."),
        "hysteresis": ("0.5", "default"),
        "resolve_after": ("24h", "default"),
        "cooldown": ("24h", "default"),
        "test 1: severity": ("warning 4", "markets/TH.yaml: $.thresholds.refunds: Cash on delivery."),
        "test 1: minimum": ("5", "default"),
        "test 1: minimum_of": ("10", "default"),
        "test 1: effect": ("1.5", "signals/refunds.yaml: $.overrides[0]: A stricter rule for beauty."),
        "test 2: severity": ("info 4", "signals/refunds.yaml"),
        "test 2: minimum": ("3", "signals/refunds.yaml"),
        "test 2: effect": ("2", "default"),
        "exempt": ("alerts go to risk-alerts-shadow", "groups/partners.yaml: $.exempt_from"),
    }


@pytest.mark.parametrize("market", ["default", "ID", "TH", "JP"])
def test_what_is_explained_is_the_policy_that_holds(market: str) -> None:
    catalogue = load()
    for name, signal in catalogue.signals.items():
        policy, rows = policy_of(catalogue, name, market), told(explain(catalogue, name, market))
        assert rows["status"][0] == policy.status
        for number, (test, own) in enumerate(zip(policy.tests, signal.tests, strict=True), start=1):
            assert float(rows[f"test {number}: minimum"][0]) == test.minimum
            assert float(rows[f"test {number}: effect"][0]) == test.effect
            if isinstance(own, Share):
                assert float(rows[f"test {number}: minimum_of"][0]) == test.minimum_of
