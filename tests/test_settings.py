"""Settings: the environment, the flags over it, and a refusal that says which, what and what to do."""

from pathlib import Path

import pytest

from config.catalogue import SHIPPED
from config.settings import FIELDS, Settings, SettingsError, read_settings, unknown_variables


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read_settings({}) == read_settings({"RIPCURRENT_HTTP_PORT": ""}) == Settings()
    assert Settings().config == SHIPPED
    assert Settings().http_host == "127.0.0.1"


def test_every_setting_is_read_from_its_variable(tmp_path: Path) -> None:
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": "kafka-1:9092, kafka-2:9093",
        "RIPCURRENT_GROUP": "staging",
        "RIPCURRENT_INSTANCE_ID": "worker-0",
        "RIPCURRENT_TOPIC_PREFIX": "staging-",
        "RIPCURRENT_CONFIG": str(tmp_path),
        "RIPCURRENT_STATE_DIR": str(tmp_path),
        "RIPCURRENT_HTTP_HOST": "0.0.0.0",
        "RIPCURRENT_HTTP_PORT": "0",
        "RIPCURRENT_CHECKPOINT_SECONDS": "2.5",
        "RIPCURRENT_CHECKPOINT_SHARE": "0.1",
        "RIPCURRENT_TICK_SECONDS": "7",
        "RIPCURRENT_RELOAD_SECONDS": "3",
        "RIPCURRENT_LOG_LEVEL": "debug",
    }
    settings = read_settings(environ)
    assert environ.keys() == {said.variable for said in FIELDS.values()}
    assert all(getattr(settings, field) != getattr(Settings(), field) for field in FIELDS)
    assert settings.bootstrap_servers == "kafka-1:9092,kafka-2:9093"
    assert (settings.checkpoint_seconds, settings.tick_seconds, settings.log_level) == (2.5, 7.0, "DEBUG")
    assert settings.checkpoint_share == 0.1
    assert set(FIELDS) == set(Settings.__struct_fields__)


def test_a_flag_wins_over_the_environment() -> None:
    assert read_settings({"RIPCURRENT_HTTP_PORT": "1"}, http_port="2", group=None).http_port == 2


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka:0"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka:99999"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:1,,b:2"),
        ("RIPCURRENT_GROUP", "a group"),
        ("RIPCURRENT_TOPIC_PREFIX", "sl/ash"),
        ("RIPCURRENT_CONFIG", "/no/such/folder"),
        ("RIPCURRENT_STATE_DIR", "/no/such/folder"),
        ("RIPCURRENT_HTTP_PORT", "http"),
        ("RIPCURRENT_HTTP_PORT", "65536"),
        ("RIPCURRENT_HTTP_PORT", "1.5"),
        ("RIPCURRENT_CHECKPOINT_SECONDS", "0"),
        ("RIPCURRENT_CHECKPOINT_SECONDS", "nan"),
        ("RIPCURRENT_CHECKPOINT_SHARE", "0"),
        ("RIPCURRENT_TICK_SECONDS", "-1"),
        ("RIPCURRENT_TICK_SECONDS", "inf"),
        ("RIPCURRENT_LOG_LEVEL", "loud"),
    ],
)
def test_a_bad_value_is_refused_by_its_name_with_what_was_expected(variable: str, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({variable: text})
    (problem,) = caught.value.problems
    assert problem.startswith(f"{variable} is {text!r}; expected ")
    assert "set it so, or unset it" in problem


def test_every_problem_is_told_at_once_and_a_flag_by_its_own_name() -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({"RIPCURRENT_LOG_LEVEL": "loud"}, http_port="x")
    assert [problem.split(" is ")[0] for problem in caught.value.problems] == ["--http-port", "RIPCURRENT_LOG_LEVEL"]


def test_a_mistyped_variable_is_noticed_but_not_what_kubernetes_sets_for_a_service() -> None:
    environ = dict.fromkeys(
        ["RIPCURRENT_HTTPPORT", "RIPCURRENT_GROUP", "RIPCURRENT_SERVICE_HOST", "RIPCURRENT_SERVICE_PORT_HTTP",
         "RIPCURRENT_PORT", "RIPCURRENT_PORT_9640_TCP_ADDR", "RIPCURRENT_METRICS_SERVICE_PORT", "HOME"], "x"
    )  # fmt: skip
    assert unknown_variables(environ) == ["RIPCURRENT_HTTPPORT"]


def test_the_table_in_the_docstring_is_complete_and_true() -> None:
    import config.settings

    rows = [line.split("|")[1:3] for line in (config.settings.__doc__ or "").splitlines() if line.startswith("| `")]
    table = {name.strip(" `"): default.strip(" `") for name, default in rows}
    assert table.keys() == {said.variable for said in FIELDS.values()}
    for field, (variable, _) in FIELDS.items():
        default = getattr(Settings(), field)
        if table[variable] not in ("none", "what is shipped"):
            assert read_settings({variable: table[variable]}) == Settings(), variable
        else:
            assert default in (None, "", SHIPPED)
