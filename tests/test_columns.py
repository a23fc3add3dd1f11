"""Records become columns: routes, rows, and what is counted on the way."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from config.schema import Range
from streams.columns import Entities, Matcher, Reader, Record, Routes, clauses_of, hash64, joined
from streams.records import Event, decode_event
from tests.streamed import START, event, hostile, numbered


def counts(events: list[str], where: dict) -> Matcher:  # type: ignore[type-arg]
    return Matcher(clauses_of(events, where))


MATCHERS = [
    counts(["violation.confirmed", "content.engaged"], {"points": Range(min=1, max=10)}),
    counts(["order.paid"], {}),
    counts(["content.engaged"], {}),
    counts(["content.engaged"], {"trust": "low"}),
    counts(["content.engaged", "account.login"], {"kind": ["like", "follow"], "trust": ["low", "normal"]}),
    counts(["account.login"], {"success": False}),
    counts(["account.login"], {"success": True}),
    counts(["violation.confirmed"], {"points": 1}),
]
VALUES = ["low", "normal", "like", "", "x" * 200, 0, 1, 2, True, False, 0.0, 1.0, 1.5, -1, 10**30, "True", "1"]

NAMES = st.sampled_from(["trust", "kind", "success", "points", "?"])


def read(kind: str, attrs: dict[str, object] | None) -> Event:
    more = {} if attrs is None else {"attrs": attrs}
    return decode_event(*event("x", kind, "c", START, **more))


@settings(max_examples=120, derandomize=True, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["order.paid", "content.engaged", "account.login", "violation.confirmed", "live.ended"]),
            st.none() | st.dictionaries(NAMES, st.sampled_from(VALUES)),
        ),
        max_size=12,
    )
)  # fmt: skip
def test_a_route_is_the_set_of_matchers_whatever_came_before(
    events: list[tuple[str, dict[str, object] | None]],
) -> None:
    routes = Routes(MATCHERS)
    for kind, attrs in events:
        seen = read(kind, attrs)
        code = routes.of(seen)
        assert routes.members[code] == tuple(i for i, m in enumerate(MATCHERS) if m.takes(seen))
        for i in range(len(MATCHERS)):
            assert bool(routes.table(i)[code]) == MATCHERS[i].takes(seen)
    assert routes.members[0] == ()


def test_values_that_no_matcher_asks_for_take_no_memory() -> None:
    routes = Routes(MATCHERS)
    for i in range(500):
        routes.of(read("content.engaged", {"trust": f"odd{i}" * 9, "kind": i, "more": "x"}))
        routes.of(read("account.login", {"success": f"{i}", "device_id": f"d{i}"}))
    assert len(routes._cache) <= 3
    assert len(routes.members) <= len(MATCHERS) + 1


def test_matchers_without_events_in_common_share_no_route() -> None:
    a, b = counts(["order.paid"], {}), counts(["live.ended"], {})
    routes = Routes([a, b])
    codes = {kind: routes.of(read(kind, None)) for kind in ("order.paid", "live.ended", "live.started")}
    assert len(set(codes.values())) == 3
    assert codes["live.started"] == 0


def test_hashes_are_those_of_their_stated_version() -> None:
    assert hash64("c_1") == 1_222_908_000_249_388_619
    assert hash64("c_1") == hash64("c_1") != hash64("c_2")
    assert len({hash64(f"c_{i}") for i in range(5_000)}) == 5_000


def test_rows_go_back_and_out_again() -> None:
    entities = Entities()
    rows = [entities.slot(f"c{i}", "TH") for i in range(100)]
    assert rows == list(range(100))
    assert entities.slot("c7", "ID") == 100
    assert entities.slot("c7", "TH") == 7
    entities.forget(7)
    entities.forget(7)
    assert entities.slot("new", "SG") == 7
    assert entities.names[7] == ("new", "SG")
    assert entities.hashes[7] == hash64("new")
    assert entities.slot("c7", "TH") == 101
    assert entities.capacity >= 102


def test_categories_are_limited() -> None:
    entities = Entities()
    codes = [entities.category_code(f"k{i}") for i in range(entities.CATEGORIES_MAX + 10)]
    assert codes == [*range(entities.CATEGORIES_MAX), *itertools.repeat(-1, 10)]
    assert entities.category_code("k5") == 5
    assert entities.category_code("k5000") == -1


def test_good_bad_unknown_and_empty_records_are_told_apart() -> None:
    records = numbered(
        [event(1, "order.paid", "a", 5, category="x"), (b"a", None), (b"a", b"{"), event(2, "un.known", "a", 6),
         event(3, "live.ended", "b", 4, "ID"), (b"b", event(4, "live.ended", "a", 4)[1])],
        first=10,
    )  # fmt: skip
    reader = Reader(Routes(MATCHERS), Entities())
    batch, dead = reader.read(records)
    assert batch.offset.tolist() == [10, 14]
    assert batch.time.tolist() == [5, 4]
    assert batch.slot.tolist() == [0, 1]
    assert batch.category.tolist() == [0, -1]
    assert batch.creator.tolist() == [hash64("a"), hash64("b")]
    assert batch.next_offset == 16
    assert [(letter.record.offset, letter.error.reason) for letter in dead] == [
        (12, "invalid_json"), (15, "key_mismatch"),
    ]  # fmt: skip
    assert all(letter.record is records[letter.record.offset - 10] for letter in dead)
    assert (reader.tombstones, reader.unknown_types) == (1, 1)
    assert reader.events == {"order.paid": 1, "live.ended": 1}
    empty, none = reader.read([])
    assert (len(empty.offset), empty.next_offset, none) == (0, 0, [])
    only, _ = reader.read([Record(99, b"a", None, 0)])
    assert (len(only.offset), only.next_offset) == (0, 100)


def test_parts_and_joins_of_a_batch_are_its_rows() -> None:
    batch, _ = Reader(Routes(MATCHERS), Entities()).read(hostile(1, n=300))
    again = joined([batch.part(0, 100), batch.part(100, 101), batch.part(101, len(batch.offset))])
    for mine, theirs in zip(batch, again, strict=True):
        assert np.array_equal(mine, theirs) if isinstance(mine, np.ndarray) else mine == theirs
