"""The catalogue's loader: every mistake at once, each with its line and place, what was found and what was expected."""

import shutil
from datetime import date
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.calendar import occasions
from config.catalogue import SHIPPED, CatalogueError, load, load_with_warnings
from config.packed import pack
from config.schema import Catalogue, Measured
from streams.records import TYPES
from tests.catalogues import FILES, SIGNAL, spoil, write_catalogue
from tests.mutations import damaged_bytes, mutated

TODAY = date(2026, 6, 1)
ENGINE_TOO = True  # whether the fuzz tests build an engine of each catalogue that loads


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_catalogue(tmp_path)


def problems(folder: Path) -> list[str]:
    """What is said of a folder, the files by their names in it."""
    with pytest.raises(CatalogueError) as caught:
        load(folder)
    return [problem.replace(f"{folder}/", "").replace(str(folder), "") for problem in caught.value.problems]


def warnings(folder: Path) -> list[str]:
    return [text.replace(f"{folder}/", "") for text in load_with_warnings(folder, TODAY).warnings]


# ---- a good one --------------------------------------------------------------------------------------------


def test_the_shipped_catalogue_loads_without_a_warning() -> None:
    catalogue, said = load_with_warnings(SHIPPED, TODAY)
    assert said == []
    assert {"SG", "MY", "TH", "VN", "PH", "ID", "US", "GB", "default"} <= catalogue.markets.keys()
    assert catalogue.calendar.keys() == catalogue.markets.keys() == catalogue.offsets.keys()


def test_a_market_takes_the_delays_that_it_leaves_out_from_the_default(folder: Path) -> None:
    markets = load(folder).markets
    assert markets["TH"].delays["refund.approved"].mean == "7d"
    assert markets["TH"].delays["complaint.received"] == markets["default"].delays["complaint.received"]
    assert markets["default"].delays["refund.approved"].mean == "5d"


def test_a_folder_without_groups_is_fine(folder: Path) -> None:
    shutil.rmtree(folder / "groups")
    spoil(folder, "signals/refunds.yaml", "groups: [partners]", "markets: [TH]")
    assert load(folder).groups == {}


def test_the_version_is_the_same_for_the_same_meaning_and_differs_for_another(folder: Path) -> None:
    version = load(folder).version
    spoil(folder, "markets/TH.yaml", "lift: 0.8", "lift: 0.80")
    spoil(folder, "markets/TH.yaml", "currency: THB", "currency: 'THB'  # a remark")
    assert load(folder).version == version
    spoil(folder, "groups/partners.yaml", "2026-12-31", "2027-01-31")
    changed = load(folder).version
    assert changed != version
    spoil(folder, "markets/TH.yaml", "lift: 0.80", "lift: 0.9")
    assert load(folder).version not in (version, changed)


def test_what_was_measured_changes_neither_the_version_nor_the_packed_bytes(folder: Path) -> None:
    """Or else figures would replace the configuration of running workers, and be written into alerts."""
    version, packed = load(folder).version, pack(load(folder))
    figures = 'measured: {among: "a trial in May", false_per_1000_creator_days: 0.3}\n'
    spoil(folder, "signals/refunds.yaml", "lifecycle: performance\n", f"lifecycle: performance\n{figures}")
    catalogue = load(folder)
    assert catalogue.signals["refunds"].measured == Measured(among="a trial in May", false_per_1000_creator_days=0.3)
    assert (catalogue.version, pack(catalogue)) == (version, packed)


def test_the_version_hangs_on_the_calendar_as_it_was_resolved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new release of the public holidays' library can change alerts, so it must change the version."""
    version = load(folder).version
    monkeypatch.setattr("config.catalogue.occasions", lambda market: occasions(market)[1:])
    assert load(folder).version != version


def test_words_that_other_readers_of_yaml_take_for_something_else_are_text(folder: Path) -> None:
    spoil(folder, "markets/TH.yaml", "country: TH", "country: NO")  # Norway, and not false
    spoil(folder, "markets/TH.yaml", "holidays: [songkran]", "holidays: [Good Friday]")
    assert load(folder).markets["TH"].country == "NO"


# ---- mistakes ----------------------------------------------------------------------------------------------


class Mistake(NamedTuple):
    file: str
    old: str
    new: str
    said: list[str]


def mistakes() -> list[Mistake]:
    """The rows of mistakes.txt."""
    text = (Path(__file__).parent / "mistakes.txt").read_text(encoding="utf-8")
    found = []
    for block in text.split("\n\n")[1:]:
        file, *lines = block.strip("\n").split("\n")
        parts = ["".join(line[2:] + "\n" for line in lines if line[0] == sign) for sign in "-+!"]
        found.append(Mistake(file, parts[0], parts[1], parts[2].splitlines()))
    return found


def test_there_are_many_kinds_of_mistakes_in_the_table() -> None:
    assert len(mistakes()) >= 60


@pytest.mark.parametrize("mistake", mistakes(), ids=lambda mistake: f"{mistake.file}: {mistake.new.strip()[:60]}")
def test_a_mistake_is_told_with_its_line_its_place_and_what_was_expected(folder: Path, mistake: Mistake) -> None:
    spoil(folder, mistake.file, mistake.old, mistake.new)
    assert problems(folder) == mistake.said


def test_all_mistakes_of_all_files_are_told_at_once(folder: Path) -> None:
    spoil(folder, "signals/refunds.yaml", "lifecycle: performance", "lifecycl: performance")
    spoil(folder, "signals/takeover.yaml", "minimum: 1", "minimum: none")
    spoil(folder, "markets/TH.yaml", "Asia/Bangkok", "Asia/Bangkog")
    spoil(folder, "markets/TH.yaml", "  refunds:", "  refundz:")
    spoil(folder, "engine.yaml", "15m", "7m")
    assert [problem.split(" ")[0] for problem in problems(folder)] == [
        "signals/refunds.yaml:3:", "signals/takeover.yaml:7:", "engine.yaml:1:", "markets/TH.yaml:2:",
        "markets/TH.yaml:12:",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("markets/Thailand.yaml", "markets/Thailand.yaml: is called 'Thailand'; expected two capitals, or default"),
        ("signals/Refunds.yaml", "signals/Refunds.yaml: is called 'Refunds'; expected small letters, digits and _"),
        ("signals/more.yml", "signals/more.yml: ends in .yml; expected .yaml, else it is not read"),
        ("groups/Partners.yaml", "groups/Partners.yaml: is called 'Partners'; expected small letters, digits and _"),
    ],
)
def test_a_file_that_is_called_wrongly_is_not_passed_over(folder: Path, name: str, said: str) -> None:
    (folder / name).write_text("title: x\n")
    assert [problem.removesuffix(" before .yaml") for problem in problems(folder)] == [said]


def test_what_is_not_there_is_said(folder: Path) -> None:
    (folder / "engine.yaml").unlink()
    (folder / "markets/default.yaml").unlink()
    assert problems(folder) == [
        "engine.yaml: expected this file; it is not there",
        "markets/default.yaml: expected this file: it stands for every other market",
    ]
    shutil.rmtree(folder / "signals")
    assert problems(folder) == [": expected a folder with signals/, markets/ and engine.yaml; right path?"]


# A billion of "lol" in a kilobyte: each line stands for the one before it ten times.
LAUGHS = b"a0: &a0 [lol]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 10)
)
NESTED = b"".join(b" " * n + b"a:\n" for n in range(500))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", "engine.yaml:1: expected text in UTF-8; the byte at 0 is none"),
        (b"# " + b"x" * 300_000, "engine.yaml:1: expected at most 262144 bytes"),
        (b"[" * 100_000, "engine.yaml:1: expected at most 16 levels"),
        (b"a: [" + b"1," * 30_000 + b"]", "engine.yaml:1: expected at most 20000 values"),
        (b"pane: \x00", "engine.yaml:1: is no YAML"),
        (LAUGHS, "engine.yaml:2: expected no YAML alias (*a0); write the value out"),
        (b"a: " + b"x" * (10 << 20), "engine.yaml:1: expected at most 262144 bytes"),
        (NESTED, "engine.yaml:17: expected at most 16 levels"),
        (b"{a: " * 1_000, "engine.yaml:1: expected at most 16 levels"),
        (b"a: !!python/object/apply:os.system [ls]", "engine.yaml:1: $.a: expected no tag"),
        (b"? [a]\n: 1", "engine.yaml:1: expected a name before the colon"),
        (b"limits: {entities: " + b"9" * 10_000 + b"}", "engine.yaml:1: $.limits.entities: '99999"),
        (b"a: 1\n---\nb: 2", "engine.yaml:2: is no YAML"),
    ],
)
def test_a_file_that_is_hardly_yaml_is_one_line(folder: Path, content: bytes, said: str) -> None:
    (folder / "engine.yaml").write_bytes(content)
    (problem,) = problems(folder)
    assert problem.startswith(said)
    assert len(problem) < 300


def test_an_empty_engine_file_stands_for_the_defaults(folder: Path) -> None:
    (folder / "engine.yaml").write_text("")
    assert load(folder).engine.pane == "15m"


SUM = "{one: viewer, many: viewers, events: [live.minute], sum: %s}"


@pytest.mark.parametrize(
    ("kind", "part", "whole", "said"),
    [
        ("share", "{of: viewers, less: logged_in_viewers}", "{of: viewers}", None),
        ("share", "{of: viewers, per: 2}", "{of: viewers}", "measure adds up per 2, of per 1; expected the same"),
        ("ratio", "{of: viewers, per: 2}", "{of: viewers}", None),
        ("ratio", "{of: amount}", "{of: viewers}",
         "measure and of add up different things; expected an amount in both or in neither"),
        ("ratio", "{of: amount}", "null", None),
        ("ratio", "null", "{of: amount}",
         "one of measure and of is a sum; expected both or neither to be one in a test 'ratio'"),
        ("share", "{of: viewers}", "null",
         "one of measure and of is a sum; expected both or neither to be one in a test 'share'"),
    ],
)  # fmt: skip
def test_only_like_is_divided_by_like(folder: Path, kind: str, part: str, whole: str, said: str | None) -> None:
    text = SIGNAL.replace("kind: outcome", f"kind: {kind}")
    text = text.replace("{one: order, many: orders, events: [order.paid]}", SUM % whole)
    text = text.replace("    where: {fault: seller}", f"    sum: {part}")
    (folder / "signals/refunds.yaml").write_text(text)
    if said is None:
        load(folder)
    else:
        assert problems(folder) == [f"signals/refunds.yaml:12: $.tests[0]: {said}"]


# ---- warnings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("signals/refunds.yaml", "fault: seller", "falt: seller",
         ":10: $.measures.refunds.where.falt: the contract has no 'falt' in refund.approved; did you mean fault?"),
        ("signals/refunds.yaml", "fault: seller", "fault: [seler]",
         ":10: $.measures.refunds.where.fault: 'seler' is no value that the contract has; did you mean seller?"),
        ("signals/refunds.yaml", "severity: {info: 4}", "severity: {info: 65}",
         ":21: $.tests[1].severity: 65 can't be reached: a rule keeps the newest 64 events; this test never alerts"),
        ("signals/refunds.yaml", "severity: {info: 4}", "severity: {info: 2}",
         ":21: $.tests[1].severity: 2 is under 'minimum' (3), from which on this test speaks"),
        ("signals/refunds.yaml", "minimum: 3", "minimum: 100",
         ":20: $.tests[1].minimum: 100 can't be reached: a rule keeps the newest 64 events; this test never alerts"),
        ("signals/refunds.yaml", "minimum: 3", "minimum: 3\n    by: falt",
         ":21: $.tests[1].by: the contract has no 'falt' in refund.approved; did you mean fault?"),
        ("signals/takeover.yaml", "{critical: 2}", "{critical: 3}",
         ":8: $.tests[0].severity.critical: 3 can't be reached: the sequence has 2 steps, and its score is how many "
         "were seen"),
        ("signals/refunds.yaml", "  refunds:\n    one", "  visits: {one: visit, many: visits, events: [live.minute]}\n"
         "  refunds:\n    one", ":6: $.measures.visits: is used by no test; leave it out?"),
        ("signals/refunds.yaml", "    groups: [partners]\n    status: shadow", "    effect: 3",
         ":28: $.overrides[1]: names no market, category or group, so that it holds for everybody"),
        ("groups/partners.yaml", "2026-12-31", "2026-06-01",
         ":5: $.members[0].until: '2026-06-01': 'c_1' is no longer in the group; leave it out, or renew it"),
    ],
)  # fmt: skip
def test_what_is_probably_not_meant_is_a_warning(folder: Path, file: str, old: str, new: str, said: str) -> None:
    assert warnings(folder) == []
    spoil(folder, file, old, new)
    assert warnings(folder) == [file + said]


def test_a_signal_that_every_market_has_in_shadow_is_a_warning(folder: Path) -> None:
    spoil(folder, "markets/default.yaml", "currency: USD",
          "currency: USD\nthresholds: {refunds: {because: Not for now., status: shadow}}")  # fmt: skip
    assert warnings(folder) == [
        "signals/refunds.yaml:1: $.status: 'active', but every market has it in shadow; is it meant to be?"
    ]


def test_two_signals_with_the_same_test_are_a_warning_however_it_is_worded(folder: Path) -> None:
    other = SIGNAL.replace("one: refund\n", "one: return\n").replace("kind: repeat", "kind: volume")
    (folder / "signals/returns.yaml").write_text(other)
    assert warnings(folder) == [
        "signals/refunds.yaml:12: $.tests[0]: signals/returns.yaml has the same test; an alert would come twice"
    ]
    spoil(folder, "signals/returns.yaml", "lifecycle: performance", "lifecycle: performance\nstatus: shadow")
    assert warnings(folder) == []


def test_the_events_that_a_rule_keeps_are_as_many_as_the_warnings_say() -> None:
    from config import advice
    from streams import patterns

    assert advice.TIMES_MAX == patterns.TIMES_MAX


def test_the_contract_of_attributes_names_types_that_exist() -> None:
    from config.contract import ATTRIBUTES, WITH_AMOUNT

    assert ATTRIBUTES.keys() | WITH_AMOUNT <= set(TYPES)


# ---- any mistake -------------------------------------------------------------------------------------------


def loads_or_is_refused(folder: Path) -> Catalogue | None:
    """A catalogue, or a refusal whose every line names a file and tells something."""
    try:
        catalogue = load(folder)
    except CatalogueError as error:
        said = error.problems
    else:
        if ENGINE_TOO:
            from streams.engine import Engine

            Engine(catalogue, "creator-events", 0)
        return catalogue
    assert said
    for problem in said:
        assert problem.startswith(str(folder)), problem
        assert len(problem.splitlines()) == 1, problem
        assert len(problem) < 1_000, problem
    return None


fuzzed = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@fuzzed
@given(data=st.data(), name=st.sampled_from(sorted(FILES)))
def test_a_file_with_any_part_changed_loads_or_is_refused(folder: Path, data: st.DataObject, name: str) -> None:
    write_catalogue(folder)
    value = mutated(yaml.safe_load(FILES[name]), data.draw(st.randoms(use_true_random=False)))
    (folder / name).write_text(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), encoding="utf-8")
    loads_or_is_refused(folder)


@fuzzed
@given(data=st.data(), name=st.sampled_from(sorted(FILES)))
def test_a_file_with_any_bytes_changed_loads_or_is_refused(folder: Path, data: st.DataObject, name: str) -> None:
    write_catalogue(folder)
    text = damaged_bytes(FILES[name].encode(), data.draw(st.randoms(use_true_random=False)))
    (folder / name).write_bytes(text)
    loads_or_is_refused(folder)


def shipped_files() -> list[str]:
    paths = [path for kind in ("signals", "markets", "groups") for path in (SHIPPED / kind).glob("*.yaml")]
    return ["engine.yaml", *sorted(path.relative_to(SHIPPED).as_posix() for path in paths)]


@pytest.mark.parametrize("name", shipped_files())
def test_a_shipped_file_means_the_same_to_other_readers_of_yaml(name: str) -> None:
    """Apart from days, which they take for dates."""
    from config.documents import read_document

    other = yaml.load((SHIPPED / name).read_text(encoding="utf-8"), Loader=yaml.SafeLoader) or {}
    assert msgspec.json.encode(read_document(SHIPPED / name, name).value) == msgspec.json.encode(other)
