"""`ripcurrent check`: every mistake a line, warnings beside the table, the policy explained; editors' schemas."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from config.catalogue import SHIPPED
from config.documents import read_document
from config.schema import EventType
from streams import reference
from streams.cli import main
from tests.catalogues import spoil, write_catalogue


@pytest.fixture
def check(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Run `ripcurrent check` on the small catalogue: code, output, and the lines on standard error."""
    write_catalogue(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")

    def run(*arguments: str) -> tuple[int, str, list[str]]:
        with pytest.raises(SystemExit) as ended:
            main(["check", "--config", str(tmp_path), *arguments])
        out, err = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out, [line.replace(f"{tmp_path}/", "") for line in err.splitlines()]

    return run


def test_a_good_catalogue_is_a_table_and_exit_code_0(check) -> None:
    code, out, err = check()
    assert (code, err) == (0, [])
    assert "2 signals, configuration" in out
    assert "Was this account broken into" in out


def test_every_mistake_is_a_line_and_the_exit_code_is_2(check, tmp_path: Path) -> None:
    spoil(tmp_path, "signals/refunds.yaml", "lifecycle: performance", "lifecycl: performance")
    spoil(tmp_path, "groups/partners.yaml", "[refunds]", "[refund]")
    code, out, err = check()
    assert (code, out) == (2, "")
    assert err == [
        "ripcurrent: error: signals/refunds.yaml:3: $.lifecycl: unknown key; did you mean lifecycle?",
        "ripcurrent: error: groups/partners.yaml:2: $.exempt_from[0]: 'refund' is not a signal of signals/; "
        "did you mean refunds?",
    ]


def test_a_warning_changes_no_exit_code(check, tmp_path: Path) -> None:
    spoil(tmp_path, "groups/partners.yaml", "2026-12-31", "2020-12-31")
    code, out, err = check()
    assert code == 0
    assert "2 signals" in out
    assert err == [
        "ripcurrent: warning: groups/partners.yaml:5: $.members[0].until: '2020-12-31': 'c_1' is no longer in the "
        "group; leave it out, or renew it"
    ]


def test_the_policy_of_a_market_is_explained_value_by_value(check, tmp_path: Path) -> None:
    spoil(tmp_path, "groups/partners.yaml", "2026-12-31", "2099-12-31")
    code, out, err = check("--explain", "refunds", "TH", "--category", "beauty", "--group", "partners")
    assert (code, err) == (0, [])
    rows = [[cell.strip() for cell in line.split("│")[1:4]] for line in out.splitlines() if line.startswith("│")]
    assert ["test 1: severity", "warning 4", "markets/TH.yaml: $.thresholds.refunds: Cash on delivery."] in rows
    assert ["status", "shadow", "signals/refunds.yaml: $.overrides[1]: Partners are watched in silence."] in rows
    assert "refunds in TH, beauty, partners" in out


def test_a_market_without_a_file_is_explained_by_the_default(check) -> None:
    code, out, err = check("--explain", "refunds", "JP")
    assert code == 0
    assert "refunds in JP" in out
    assert err[-1] == "ripcurrent: note: JP has no file in markets/; default.yaml stands for it"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--explain", "refund", "TH"), "--explain: there is no signal 'refund'; did you mean refunds?"),
        (("--explain", "refunds", "TH", "--group", "partner"),
         "--group: there is no group 'partner'; did you mean partners?"),
        (("--group", "partners"), "--category and --group are for --explain SIGNAL MARKET"),
        (("--category", "beauty"), "--category and --group are for --explain SIGNAL MARKET"),
    ],
)  # fmt: skip
def test_what_can_not_be_explained_is_said(check, arguments: tuple[str, ...], said: str) -> None:
    code, _, err = check(*arguments)
    assert (code, err[-1]) == (2, f"ripcurrent: error: {said}")


def test_no_variable_of_the_environment_is_printed(check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIPCURRENT_PASSWORD", "hunter2")
    code, out, err = check()
    assert code == 0
    assert "hunter2" not in out + "".join(err)


# ---- the schemas of editors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(reference.json_schemas()))
def test_a_schema_is_as_fresh_as_the_types(name: str) -> None:
    assert (SHIPPED / name).read_text(encoding="utf-8") == reference.json_schemas()[name], (
        "stale: python -m streams.reference"
    )


def definitions(name: str) -> dict[str, Any]:
    schema = json.loads((SHIPPED / f"{name}.schema.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = schema["$defs"]
    return found


def test_a_schema_knows_no_other_keys_and_says_what_each_is_for() -> None:
    measure = definitions("signal")["Measure"]
    assert measure["additionalProperties"] is False
    assert measure["properties"]["once"]["description"].startswith("only the first of each value")
    assert definitions("signal")["Outcome"]["properties"]["minimum"]["description"].startswith("events in the window")


def test_a_schema_offers_every_type_of_event() -> None:
    events = definitions("market")["Market"]["properties"]["delays"]
    assert events["additionalProperties"] == {"$ref": "#/$defs/Delay"}
    assert set(EventType.__args__) <= set(re.findall(r'"([a-z]+\.[a-z_]+)"', json.dumps(definitions("signal"))))


@pytest.mark.parametrize("kind", ["signal", "market", "group"])
def test_what_is_shipped_has_only_keys_that_its_schema_knows(kind: str) -> None:
    known = set(definitions(kind)[kind.capitalize()]["properties"])
    for path in sorted((SHIPPED / f"{kind}s").glob("*.yaml")):
        assert read_document(path, path.name).value.keys() <= known
