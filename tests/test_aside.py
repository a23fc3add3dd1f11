"""A creator that a group exempts is judged as ever: its alerts stand aside, labelled, until its last day."""

from pathlib import Path

import msgspec
import pytest

from config.catalogue import load
from config.schema import Group, Member
from streams.recording import Recording
from streams.records import Alert
from streams.replay import Result, replay
from streams.simulate import Simulation, simulate

SIGNAL = "account_takeover"


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four days of forty creators in which an account is broken into."""
    path = tmp_path_factory.mktemp("aside") / "events.jsonl"
    found, _ = simulate(Simulation(days=4, creators=40, seed=4, kinds=(SIGNAL,), lookalikes=0))
    path.write_bytes(b"".join(value + b"\n" for _, value, _ in found.iter_records()))
    return path


def run(events: Path, *members: Member) -> Result:
    group = Group(title="Known and fine", exempt_from=[SIGNAL], members=list(members))
    shipped = load()
    catalogue = msgspec.structs.replace(shipped, groups={"known": group}, signals={SIGNAL: shipped.signals[SIGNAL]})
    source = Recording(events, 1)
    return replay(source.entries(), catalogue, topic=source.topic, close=True)


def told(alerts: list[Alert]) -> list[tuple[str, int, str, str]]:
    """What no exemption may change."""
    return [(a.alert_id, a.revision, a.status, a.reason) for a in alerts if a.signal == SIGNAL]


@pytest.fixture(scope="module")
def usual(events: Path) -> Result:
    result = run(events)
    assert told(result.alerts)
    assert told(result.shadow) == []
    return result


def whom(result: Result) -> str:
    return next(a.entity.id for a in result.alerts if a.signal == SIGNAL)


def test_an_exempt_creators_alerts_are_made_and_stand_aside_with_their_reason(events: Path, usual: Result) -> None:
    result = run(events, Member(creator=whom(usual), until="2026-12-31", reason="Its devices change."))
    assert told(result.alerts) == []
    assert told(result.shadow) == told(usual.alerts)
    for alert in result.shadow:
        said = {name: alert.labels[name] for name in ("status", "exempt_group", "exempt_reason", "exempt_until")}
        assert said == {
            "status": "exempt", "exempt_group": "known", "exempt_reason": "Its devices change.",
            "exempt_until": "2026-12-31",
        }  # fmt: skip


@pytest.mark.parametrize(
    "changed", [{"until": "2026-01-01"}, {"market": "GB"}, {"creator": "c_99999"}], ids=["over", "market", "another"]
)
def test_whom_the_exemption_does_not_fit_is_called(events: Path, usual: Result, changed: dict[str, str]) -> None:
    member = Member(**({"creator": whom(usual), "until": "2026-12-31", "reason": "Its devices change."} | changed))
    result = run(events, member)
    assert told(result.alerts) == told(usual.alerts)
    assert told(result.shadow) == []
