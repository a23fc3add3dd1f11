"""Dead letters as values: which are meant, what a note says, and text that anybody may have written."""

import codecs
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import commands_dlq
from streams.command_line import Refused
from streams.dead_letters import Choice, Letter, NoteError, Redriven, cut, encode_note, escaped, is_note
from streams.errors import RecordError
from streams.records import dead_letter_headers
from streams.redrive import BATCH_BYTES, _batches, _Routes


def letter(
    reason: str = "invalid_json", *, at: int = 1_000, partition: int = 0, offset: int = 7,
    topic: str = "creator-events", value: bytes = b"{", path: str = "$",
) -> Letter:  # fmt: skip
    headers = dead_letter_headers(RecordError(reason, path, "Expected another"), topic, 2, 41, 5)
    return Letter(partition, offset, at, b"c_1", value, headers)


# ---- which are meant ---------------------------------------------------------------------------------------


def test_without_a_choice_every_letter_is_meant() -> None:
    assert Choice().takes(letter())
    assert Choice().takes(Letter(0, 0, -1, None, None, []))


def test_reasons_are_alternatives() -> None:
    some, reasons = Choice(("too_large", "key_mismatch")), ("too_large", "key_mismatch", "invalid_json")
    assert [some.takes(letter(reason)) for reason in reasons] == [True, True, False]


def test_since_is_included_and_until_is_not() -> None:
    hour = Choice(since=1_000, until=2_000)
    assert [hour.takes(letter(at=at)) for at in (999, 1_000, 1_999, 2_000)] == [False, True, True, False]


def test_a_record_that_the_worker_did_not_write_has_the_reason_unknown() -> None:
    foreign = Letter(0, 0, 0, b"k", b"v", [("something", None)])
    assert (foreign.reason, foreign.origin) == ("unknown", None)
    assert Choice(("unknown",)).takes(foreign)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("source_topic", b""),
        ("source_topic", b"a b"),
        ("source_topic", b"x\x1b[2J"),
        ("source_topic", None),
        ("source_partition", b"-1"),
        ("source_partition", "٣".encode()),
        ("source_partition", b"\xff"),
        ("source_offset", b"1" * 400),
    ],
)
def test_headers_that_say_no_origin_are_not_taken_for_one(header: str, value: bytes | None) -> None:
    headers = [(name, value if name == header else said) for name, said in letter().headers]
    assert letter().origin == ("creator-events", 2, 41)
    assert letter()._replace(headers=headers).origin is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", 10_000_000 - 90_000),
        ("7d", 10_000_000 - 7 * 86_400_000),
        ("1970-01-01", 0),
        ("1970-01-01T01:00", 3_600_000),
        ("1970-01-01T01:00:00.250Z", 3_600_250),
        ("1970-01-01T07:00+07:00", 0),
    ],
)
def test_a_time_is_so_long_ago_or_a_date_in_utc(text: str, expected: int) -> None:
    assert commands_dlq._moment(text, "--since", 10_000_000) == expected


@pytest.mark.parametrize("text", ["", "soon", "5", "-5m", "5w", "٣h", "2026-02-30", "12:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="--since is"):
        commands_dlq._moment(text, "--since", 0)


# ---- notes -------------------------------------------------------------------------------------------------


@given(st.sets(st.integers(0, 60)), st.integers(0, 40), st.integers(0, 40))
def test_a_note_names_the_very_letters_of_its_batch(offsets: set[int], first: int, more: int) -> None:
    known = Redriven(first, first + more)
    known.add(encode_note("creator-events", sorted(offsets)))
    assert {o for o in range(-5, 90) if o in known} == {o for o in offsets if first <= o < first + more}


def test_notes_add_up() -> None:
    known = Redriven(0, 10)
    for offsets in ([1, 2], [7], [2, 3]):
        known.add(encode_note("creator-events", offsets))
    assert [o for o in range(10) if o in known] == [1, 2, 3, 7]


@pytest.mark.parametrize("value", [None, b"", b"{}", b'{"to":"t","redriven":[[1]]}', b"\xff"])
def test_a_note_that_can_not_be_read_stops_the_command_rather_than_sending_twice(value: bytes | None) -> None:
    with pytest.raises(NoteError):
        Redriven(0, 10).add(value)


def test_no_letter_is_taken_for_a_note() -> None:
    assert not is_note(letter().headers)
    assert not is_note([])


# ---- batches -----------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["a", "b"])), max_size=40), st.integers(1, 5))
def test_a_batch_is_of_one_partition_and_topic_and_the_order_stays(rows: list[tuple[int, str]], size: int) -> None:
    letters = [letter(partition=p, offset=n, topic=topic) for n, (p, topic) in enumerate(rows)]
    batches = list(_batches(letters, size, _Routes(None, "dlq", None)))
    assert [one for batch in batches for one in batch] == letters
    for batch in batches:
        assert 0 < len(batch) <= size
        assert len({(one.partition, one.origin and one.origin.topic) for one in batch}) == 1


def test_large_letters_make_small_batches() -> None:
    large = [letter(offset=n, value=bytes(BATCH_BYTES // 2)) for n in range(6)]
    assert [len(batch) for batch in _batches(large, 500, _Routes(None, "dlq", None))] == [2, 2, 2]


# ---- text that anybody may have written --------------------------------------------------------------------


def unescaped(text: str) -> bytes:
    """The bytes that `escaped` was given."""
    found = re.findall(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[nrt\\])|[^\\]", text)
    assert "".join(found) == text
    parts = [bytes.fromhex(one[2:]) if one.startswith("\\x") else one for one in found]
    return b"".join(
        one if isinstance(one, bytes) else (codecs.decode(one, "unicode_escape") if one[0] == "\\" else one).encode()
        for one in parts
    )


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_escaped_bytes_are_seen_on_one_line_and_can_be_told_from_it(data: bytes) -> None:
    text = escaped(data)
    assert text.isprintable()
    assert unescaped(text) == data


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ('{"shop":"ร้านค้า","n":1}'.encode(), '{"shop":"ร้านค้า","n":1}'),
        (b"[bold]a[/bold]", "[bold]a[/bold]"),
        (b"\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
        ("a\u202eb\u200b".encode(), "a\\u202eb\\u200b"),
        (b"a\r\nb\tc\x00", "a\\r\\nb\\tc\\x00"),
        (b'{"a":"\\n"}', '{"a":"\\\\n"}'),
    ],
)
def test_what_can_be_seen_stays_and_the_rest_is_spelled_out(data: bytes, shown: str) -> None:
    assert escaped(data) == shown


def test_a_row_keeps_its_columns_and_shows_neither_key_nor_value() -> None:
    bad = letter("\x1b[31m[red]" * 9, path="$.attrs." + "x" * 90, value=b"secret", at=10**18)
    rows = [commands_dlq._row(one, done) for one, done in ((letter(value=b"secret"), False), (bad, True))]
    assert len({len(row.rpartition(" ")[0].rstrip()) for row in rows}) == 1
    assert all(row.isprintable() and "secret" not in row for row in rows)
    assert rows[0].split() == [
        "0", "7", "1970-01-01", "00:00:01", "invalid_json", "$", "creator-events:2:41", "9", "no",
    ]  # fmt: skip


def test_a_line_of_json_says_all_but_key_and_value() -> None:
    line = json.loads(letter(value=b"secret").line(True))
    assert line == {
        "partition": 0, "offset": 7, "timestamp": 1_000, "reason": "invalid_json", "path": "$",
        "detail": "Expected another", "source_topic": "creator-events", "source_partition": 2, "source_offset": 41,
        "bytes": 9, "redriven": True,
    }  # fmt: skip


def test_a_line_of_json_is_ascii_whatever_the_headers_say() -> None:
    line = letter("\x1b[2J\u009b2J\u202e", path="ร้าน").line(False)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["path"] == "ร้าน"


def test_a_cut_text_says_that_it_was_cut() -> None:
    assert (cut("12345", 5), cut("123456", 5)) == ("12345", "1234…")
