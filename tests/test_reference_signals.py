"""docs/signals.md: every way of counting is said, figures come from the benchmark's last line, or are not there."""

import json
from pathlib import Path

import msgspec
import pytest

from config.catalogue import load
from config.schema import Link, Measure, Override, Signal, Sum, Volume
from streams.measured import read_results
from streams.reference_signals import signals_page

KIND = {"planted": 32, "caught": 25, "recall": 0.7812, "right": 0.7, "median_delay_hours": 31.9}
LINE = {
    "seeds": [103, 104], "creators": 400, "days": 21, "shards": 4, "kinds": {"refund_surge": KIND, "order_spike": KIND},
    "false_by_signal": {"null": {"refund_rate": 0.42}, "planted": {"refund_rate": 0.5}},
}  # fmt: skip


def section(page: str, name: str) -> str:
    return page.split(f"\n### {name}\n")[1].split("\n### ")[0]


def test_figures_are_those_of_the_last_line_of_json(tmp_path: Path) -> None:
    path = tmp_path / "creators.json"
    path.write_text('kind  caught\n{"seeds": []}\n' + json.dumps(LINE) + "\n\n", encoding="utf-8")
    page = signals_page(load(), "", read_results(path))
    said = section(page, "refund_rate")
    assert "`refund_surge`: 25 of 32 (78 %), 70 % by this signal; half of them within 32 hours." in said
    assert "Planted: 4 to 10 times the usual refunds of the orders of 2 to 5 days, 6 or more; creators with" in said
    assert "`seller_fault_surge`: not measured." in said
    assert "0.42 with nothing planted, 0.50 with everything planted; nominal 0.0" in said
    assert "0.00 with nothing planted" in section(page, "order_spike"), "a signal that was never false"
    assert "false alarms**: not measured" in section(page, "review_burst"), "a signal that did not run"
    assert "400 creators over 21 days, seeds 103, 104" in page


def test_where_nothing_was_measured_it_says_so(tmp_path: Path) -> None:
    assert read_results(tmp_path / "creators.json") is None
    page = signals_page(load(), "", None)
    assert page.count("**Measured, false alarms**: not measured.") == len(load().signals)
    assert "`refund_surge`, `seller_fault_surge`: not measured." in page


def test_a_line_from_before_rates_by_signal_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "creators.json"
    path.write_text(json.dumps({name: value for name, value in LINE.items() if name != "false_by_signal"}))
    page = signals_page(load(), "", read_results(path))
    assert "**Measured, false alarms**: not measured." in section(page, "refund_rate")
    assert "25 of 32" in page


def test_what_is_committed_can_be_read() -> None:
    results = read_results()
    assert results is None or results.kinds


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"live": True}, "only during live sessions"),
        ({"once": Link(by="ref_id", within="60d")}, "each order or object (`ref_id`) counts once in 60 days"),
        ({"again": Link(by="device_id", within="3d")}, "only of a `device_id` that had one in the 3 days before"),
        ({"again": Link(by="actor_id", within="24h", apart="15m")}, "before, at least 15 minutes apart"),
        ({"after": "14d"}, "counted 14 days after it happened"),
        ({"after": "1h", "unless": ["sample.posted"]}, "not if `sample.posted` with the same `ref_id` came meanwhile"),
        ({"undone_by": "violation.overturned"}, "taken back by `violation.overturned`"),
        ({"sum": Sum(of="amount", per=2)}, "adds up `amount`, of which 2 money units weigh like one event"),
        ({"sum": Sum(of="viewers", less="logged_in_viewers")}, "adds up `viewers` less `logged_in_viewers`"),
        ({"where": {"subsidised": True}}, "`order.paid` with `subsidised` true"),
    ],
)
def test_every_way_of_counting_is_said(changed: dict[str, object], said: str) -> None:
    measure = msgspec.structs.replace(Measure(one="order", many="orders", events=["order.paid"]), **changed)
    page = signals_page(catalogue_with(signal(measure)), "", None)
    assert said in section(page, "asked")


def test_overrides_say_for_whom_and_why() -> None:
    override = Override(because="Too many of them.", markets=["TH"], categories=["beauty"], tests=[1], effect=4)
    page = signals_page(catalogue_with(signal(overrides=[override])), "", None)
    assert "TH, beauty: effect 4 (test 1), because: Too many of them." in section(page, "asked")


def signal(measure: Measure | None = None, overrides: list[Override] | None = None) -> Signal:
    test = Volume(measure="orders", windows=["24h by 1h"], severity=load().signals["order_spike"].tests[0].severity)
    return Signal(
        title="A question", question="Is it so, or is it not?", lifecycle="performance", tests=[test],
        measures={"orders": measure or Measure(one="order", many="orders", events=["order.paid"])},
        overrides=overrides or [], false_positives=["None that we know."], thresholds_from="A proposal of our own.",
        labels={"runbook": "order_spike"},
    )  # fmt: skip


def catalogue_with(one: Signal):  # type: ignore[no-untyped-def]
    return msgspec.structs.replace(load(), signals={"asked": one})
