"""How connections are made safe: what the environment may say, what libraries are told, and that secrets stay hidden.
"""

import json
import logging
import re
import ssl
from pathlib import Path
from typing import Any

import pytest

from config.security import (
    KEY_FILE,
    MECHANISM,
    PASSWORD,
    PASSWORD_FILE,
    PROTOCOL,
    TOKEN_FILE,
    USERNAME,
    VARIABLES,
    KafkaSecurity,
    Secret,
    read_security,
)
from config.settings import SettingsError, unknown_variables
from streams import cli, rights, security
from streams.rights import needed
from streams.topics import Topics

PAGE = Path(__file__).parent.parent / "docs" / "security.md"
SECRET = "correct horse battery staple"
SCRAM = {PROTOCOL: "SASL_SSL", USERNAME: "worker", PASSWORD: SECRET}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


# ---- what the environment may say --------------------------------------------------------------------------


def test_an_empty_environment_is_plaintext_and_every_variable_is_known() -> None:
    assert read_security({}) == KafkaSecurity() == read_security(dict.fromkeys(VARIABLES, " "))
    assert unknown_variables(dict.fromkeys(VARIABLES, "x")) == []
    assert unknown_variables({"RIPCURRENT_KAFKA_PASSWORD": "x"}) == ["RIPCURRENT_KAFKA_PASSWORD"]


def test_a_password_comes_from_a_file_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(SECRET + "\n")
    said = {k: v for k, v in SCRAM.items() if k != PASSWORD} | {PASSWORD_FILE: str(tmp_path / "password")}
    assert read_security(said) == read_security(SCRAM)
    assert read_security(said).password == Secret(SECRET)


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({PROTOCOL: "TLS"}, [PROTOCOL]),
        (SCRAM | {MECHANISM: "PLAIN"}, [MECHANISM]),
        ({PROTOCOL: "SASL_SSL"}, [USERNAME, PASSWORD_FILE]),
        (SCRAM | {PASSWORD_FILE: "/no/such"}, [PASSWORD_FILE, PASSWORD]),
        ({PROTOCOL: "SASL_SSL", MECHANISM: "OAUTHBEARER"}, [TOKEN_FILE]),
        ({PROTOCOL: "SASL_PLAINTEXT", MECHANISM: "OAUTHBEARER", TOKEN_FILE: __file__}, [PROTOCOL]),
        ({USERNAME: "worker", PASSWORD: SECRET}, [USERNAME, PASSWORD]),
        ({PROTOCOL: "SSL", MECHANISM: "SCRAM-SHA-512"}, [MECHANISM]),
        ({PROTOCOL: "SSL", KEY_FILE: __file__}, [KEY_FILE]),
        ({PROTOCOL: "SASL_PLAINTEXT", USERNAME: "w", PASSWORD: SECRET, KEY_FILE: __file__}, [KEY_FILE, KEY_FILE]),
    ],
)
def test_what_can_not_be_meant_is_refused_by_its_name_and_without_secrets(
    environ: dict[str, str], names: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        read_security(environ)
    assert [problem.split(" ")[0] for problem in caught.value.problems] == names
    assert SECRET not in str(caught.value)


def test_files_that_are_not_there_empty_or_huge_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "huge").write_bytes(bytes(2 << 20))
    for name, why in (("none", "No such file"), ("empty", "it is empty"), ("huge", "too large"), (".", "directory")):
        with pytest.raises(SettingsError, match=f"expected a file that can be read: .*{why}"):
            read_security({PROTOCOL: "SSL", "RIPCURRENT_KAFKA_CA_FILE": str(tmp_path / name)})


@pytest.mark.parametrize("variable", ["RIPCURRENT_KAFKA_CA_FILE", "RIPCURRENT_KAFKA_CERT_FILE"])
def test_a_file_that_is_no_certificate_is_refused_by_its_variable(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.pem").write_text("no certificate")
    monkeypatch.setenv(PROTOCOL, "SSL")
    monkeypatch.setenv(variable, str(tmp_path / "x.pem"))
    with pytest.raises(SettingsError, match=variable):
        security.for_aiokafka()


# ---- what the libraries are told ---------------------------------------------------------------------------


def set_all(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)


def test_all_libraries_are_told_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, SCRAM)
    for options in (security.for_aiokafka(), security.for_kafka_python()):
        context = options.pop("ssl_context")
        assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert options == {
            "security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512", "sasl_plain_username": "worker",
            "sasl_plain_password": SECRET,
        }  # fmt: skip
    credentials = security.for_faust()["broker_credentials"]
    assert (credentials.protocol.value, credentials.mechanism.value) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (credentials.username, credentials.password) == ("worker", SECRET)
    assert SECRET not in repr(credentials)


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL"])
def test_without_a_user_none_is_named(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PROTOCOL, protocol)
    for options in (security.for_aiokafka(), security.for_kafka_python()):
        assert set(options) == {"security_protocol", "ssl_context"}
        assert (options["ssl_context"] is None) == (protocol == "PLAINTEXT")
    assert bool(security.for_faust()) == (protocol == "SSL")


async def test_a_token_is_read_from_its_file_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    set_all(monkeypatch, {PROTOCOL: "SASL_SSL", MECHANISM: "OAUTHBEARER", TOKEN_FILE: str(file)})
    ours, faust = security.for_aiokafka(), security.for_faust()["broker_credentials"]
    python = security.for_kafka_python()
    for text in ("first", "second"):
        file.write_text(text + "\n")
        assert await ours["sasl_oauth_token_provider"].token() == text
        assert await faust.oauth_cb.token() == text
        assert python["sasl_oauth_token_provider"].token() == text
    for harm in (lambda: file.write_text(""), file.unlink):  # as while it is being replaced: the one before is used
        harm()
        assert await ours["sasl_oauth_token_provider"].token() == "second"
        assert python["sasl_oauth_token_provider"].token() == "second"
    with pytest.raises(SettingsError, match=TOKEN_FILE):
        security.for_aiokafka()


# ---- secrets stay hidden -----------------------------------------------------------------------------------


def test_no_form_of_the_settings_shows_a_password() -> None:
    said = read_security(SCRAM)
    for text in (repr(said), str(said), f"{said.password}", f"{said.password!r}", said.who):
        assert SECRET not in text
    with pytest.raises(TypeError):
        json.dumps(said.password)


def test_the_libraries_say_nothing_of_requests_and_records_at_debug() -> None:
    names = ("aiokafka.conn", "aiokafka.producer.producer", "kafka.net.connection", "kafka.protocol.parser")
    before = logging.getLogger().level
    levels = {name: logging.getLogger(name).level for name in ("aiokafka", "kafka")}
    try:
        logging.getLogger().setLevel(logging.DEBUG)
        security.quiet_about_secrets()
        assert not any(logging.getLogger(name).isEnabledFor(logging.DEBUG) for name in names)
        assert logging.getLogger("streams.app").isEnabledFor(logging.DEBUG)
    finally:
        logging.getLogger().setLevel(before)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def test_no_option_of_any_command_takes_a_secret() -> None:
    from streams.reference import all_commands

    for name, command in all_commands().items():
        for option in (opt for param in command.params for opt in param.opts):
            assert not re.search("password|secret|token|key", option), f"{name} {option}"


# ---- the rights of each command ----------------------------------------------------------------------------


def test_the_page_has_the_table_of_the_code() -> None:
    assert "\n".join(rights.table()) in PAGE.read_text(encoding="utf-8")


def test_the_page_names_every_variable() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in VARIABLES if name not in text] == []


def test_every_command_that_talks_to_kafka_has_its_rights() -> None:
    from streams.reference import all_commands

    asks = {name for name, one in all_commands().items() if any("--bootstrap-servers" in p.opts for p in one.params)}
    assert {name.partition(" --")[0] for name in needed(Topics(), "g")} == asks - {"acls"}


def test_acls_prints_a_line_for_each_right_and_refuses_what_it_does_not_know(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)

    def said(*arguments: str) -> tuple[Any, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(["acls", *arguments])
        told = capsys.readouterr()
        return ended.value.code, told.out, told.err

    code, out, _ = said("run", "--principal", "User:worker", "--topic-prefix", "a-", "--group", "g")
    start = "kafka-acls --bootstrap-server 127.0.0.1:9092 --add --allow-principal 'User:worker' --operation "
    assert code == 0
    assert out.splitlines() == [
        f"{start}{rest}"
        for rest in ("Read --topic a-creator-events", "Write --topic a-creator-events-dlq",
                     "Write --topic a-risk-alerts", "Write --topic a-risk-alerts-shadow",
                     "Read --operation Write --topic a-ripcurrent-ticks",
                     "Read --operation Write --topic a-ripcurrent-checkpoints", "Read --group g")
    ]  # fmt: skip
    assert said("dlq", "redrive", "--principal", "User:o")[1].splitlines()[-1].endswith(
        "--operation Write --transactional-id creator-events-dlq-redrive"
    )
    for arguments, expected in ((("check", "--principal", "User:o"), "asks nothing of Kafka"),
                                (("run", "--principal", "worker"), "expected a type and a name"),
                                (("run", "--principal", "User:x';rm"), "expected a type and a name")):  # fmt: skip
        code, out, error = said(*arguments)
        assert (code, out) == (2, "")
        assert expected in error
