"""Labels beside alerts: episodes count in the recall, lookalikes never do, and alerts about them are counted apart."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from streams.labels import read_kinds, read_labels
from streams.records import Alert, Entity, decode_alert
from streams.scorecard import Label, LookalikeScore, score
from streams.tables import scorecard_lines, scorecard_table
from tests.outcomes import T0, opened

HOUR, DAY = 3_600_000, 86_400_000
RAID = Label("c_1", "TH", "lookalike:raid", 10 * DAY, 10 * DAY + 2 * HOUR)
GOLDEN = Path(__file__).parent / "golden" / "refund_rate" / "th-two-days-of-bad-orders-come-back.jsonl"
ANY = next(decode_alert(line) for line in GOLDEN.read_bytes().splitlines() if b"alert_id" in line)
KINDS = {"refund_surge": ["refund_rate"], "order_spike": ["order_spike"]}


def alert(creator: str, signal: str, at: int, number: str = "a") -> Alert:
    return replace(ANY, alert_id=number, signal=signal, entity=Entity("creator", creator), opened_at=at, window_end=at)


def test_an_alert_while_a_lookalike_is_on_or_a_day_after_is_a_lookalike_alert_and_false() -> None:
    for at, alerted in ((RAID.start_ms - 1, 0), (RAID.start_ms, 1), (RAID.end_ms + DAY, 1), (RAID.end_ms + DAY + 1, 0)):
        card = score([alert("c_1", "order_spike", at)], [RAID], KINDS)
        assert card.lookalikes == (LookalikeScore("lookalike:raid", 1, alerted),)
        assert card.false == ("a",)
    assert score([alert("c_2", "order_spike", RAID.start_ms)], [RAID], KINDS).lookalikes[0].alerted == 0


def test_an_alert_that_a_true_episode_explains_is_no_lookalike_alert() -> None:
    true = Label("c_1", "TH", "refund_surge", 10 * DAY, 11 * DAY)
    card = score([alert("c_1", "refund_rate", 10 * DAY + HOUR)], [RAID, true], KINDS)
    assert (card.lookalikes[0].alerted, card.false, card.recall) == (0, (), 1.0)
    card = score([alert("c_1", "order_spike", 10 * DAY + HOUR)], [RAID, true], KINDS)
    assert (card.lookalikes[0].alerted, card.false, card.recall) == (1, ("a",), 0.0)


def test_lookalikes_are_no_episodes() -> None:
    card = score([], [RAID, Label("c_2", "TH", "order_spike", 0, DAY)], KINDS)
    assert [e.label.kind for e in card.episodes] == ["order_spike"]
    assert [kind.kind for kind in card.kinds] == ["order_spike"]
    assert scorecard_table(card).row_count == 2
    assert any("raid 0/1" in line for line in scorecard_lines(card, 10, 20.0))
    assert not any("lookalike" in line for line in scorecard_lines(score([], [], KINDS), 10, 20.0))


def test_two_alerts_of_one_lookalike_count_once() -> None:
    said = [alert("c_1", "order_spike", RAID.start_ms, "a"), alert("c_1", "refund_rate", RAID.start_ms, "b")]
    assert score(said, [RAID, RAID], KINDS).lookalikes == (LookalikeScore("lookalike:raid", 2, 2),)
    assert score(said, [RAID], KINDS).lookalikes == (LookalikeScore("lookalike:raid", 1, 1),)


@pytest.mark.parametrize("kind", sorted(read_kinds()))
def test_every_kind_has_a_signal_that_it_is_made_for_and_none_twice(kind: str) -> None:
    signals = read_kinds()[kind]
    assert signals
    assert len(set(signals)) == len(signals)


def test_kinds_are_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "k.yaml").write_text("a: [b, c]\n")
    assert read_kinds(tmp_path / "k.yaml") == {"a": ["b", "c"]}


@pytest.mark.parametrize("times", ["5,4", "-1,4", "0,99999999999999999"])
def test_a_label_at_no_time_is_refused_with_its_line(tmp_path: Path, times: str) -> None:
    path = tmp_path / "l.csv"
    path.write_text(f"creator_id,market,kind,start_ms,end_ms\nc_1,TH,order_spike,1,5\nc_2,TH,order_spike,{times}\n")
    with pytest.raises(ValueError, match=r"l\.csv: line 3: expected start_ms and end_ms in this order"):
        read_labels(path)


# ---- where somebody looked -------------------------------------------------------------------------------------


def covered(creator: str = "", market: str = "", start: int = T0, end: int = T0 + HOUR) -> Label:
    return Label(creator, market, "covered", start, end)


@pytest.mark.parametrize(
    ("cover", "looked"),
    [
        (covered(), True),
        (covered("c_1", "TH"), True),
        (covered(market="TH"), True),
        (covered("c_2"), False),
        (covered(market="VN"), False),
        (covered(start=T0 + 1), False),
        (covered(start=0, end=T0 - DAY), True),
        (covered(start=0, end=T0 - DAY - 1), False),
    ],
)
def test_an_alert_is_false_only_where_somebody_looked(cover: Label, looked: bool) -> None:
    card = score([opened("a", "c_1", at=T0, market="TH")], [cover], KINDS)
    assert (card.false, card.unlabelled) == ((("a",), ()) if looked else ((), ("a",)))
    assert card.partial


def test_what_is_covered_is_no_episode_and_lowers_no_recall() -> None:
    label = Label("c_1", "TH", "refund_surge", T0, T0 + HOUR)
    card = score([opened("a", "c_1", "refund_rate", T0)], [label, covered()], {"refund_surge": ["refund_rate"]})
    assert (len(card.episodes), card.recall, card.false) == (1, 1.0, ())


def test_where_only_a_part_was_looked_at_no_rate_is_printed_and_what_is_unlabelled_is() -> None:
    lines = scorecard_lines(score([opened("a", "c_1"), opened("b", "c_2")], [covered("c_1")], KINDS), 10, 20.0)
    assert lines[1] == "1 of them unlabelled: nobody looked there, so they count as neither"
    assert not any("creator-days" in line for line in lines)
    assert any("creator-days" in line for line in scorecard_lines(score([opened("a")], [], KINDS), 10, 20.0))


def test_what_began_in_the_warm_up_makes_alerts_true_and_should_not_have_been_caught() -> None:
    early, late = (Label("c_1", "TH", "refund_surge", at, at + HOUR) for at in (T0, T0 + 10 * DAY))
    alert = opened("a", "c_1", "refund_rate", T0 + 30 * 60_000)
    card = score([alert], [early, late], {"refund_surge": ["refund_rate"]}, since=T0 + DAY)
    assert (card.false, [episode.label for episode in card.episodes]) == ((), [late])
    assert score([alert], [late], {"refund_surge": ["refund_rate"]}, since=T0 + DAY).false == ("a",)
