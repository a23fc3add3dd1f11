"""Security on Apache Kafka: TLS, users and tokens, the rights of each command, and what is told of secrets: nothing."""

import contextlib
import os
import random
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from kafka import KafkaProducer

from streams import clients
from streams.pseudonyms import Pseudonyms
from streams.records import decode_alert
from streams.rights import MissingRightsError, Right, needed, require
from streams.security import KafkaRefusesError, reach
from streams.topics import Topics, create
from tests.chaos_quiet import START, event
from tests.conftest import LOGS
from tests.integration.secure_kafka import SecureKafka, unsecured_token
from tests.integration.test_worker import fast_catalogue
from tests.integration.workers import COMMAND, WorkerProcess, everything, wait_until, workers

__all__ = ["fast_catalogue"]

PASSWORD = "correct horse battery staple"
WRONG = "Tr0ub4dor and three"
KEY = "0123456789abcdef0123456789abcdef"  # of pseudonyms
PREFIX = "RIPCURRENT_KAFKA_"


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, own_kafka: None) -> Iterator[SecureKafka]:
    if os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        pytest.skip("needs a Kafka of its own, to set up its users")
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl, for certificates")
    kafka = SecureKafka(tmp_path_factory.mktemp("secure"), LOGS)
    try:
        for user in ("worker", "operator", "oncall", "feed"):
            kafka.add_user(user, PASSWORD)
        yield kafka
    finally:
        kafka.stop()


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("RIPCURRENT_")]:
        monkeypatch.delenv(name)


def as_user(kafka: SecureKafka, user: str, password: str = PASSWORD, **more: object) -> dict[str, str]:
    """The environment of somebody who comes by TLS and SCRAM; the password in a file, as a secret is mounted."""
    file = kafka.folder / f"password-{abs(hash(password))}"
    file.write_text(password + "\n")
    said = {
        "SECURITY_PROTOCOL": "SASL_SSL", "SASL_USERNAME": user, "SASL_PASSWORD_FILE": file,
        "CA_FILE": kafka.certificates.ca,
    }  # fmt: skip
    return {"KAFKA_BOOTSTRAP_SERVERS": kafka.sasl, **{PREFIX + k: str(v) for k, v in (said | more).items()}}


def with_token(kafka: SecureKafka, file: Path) -> dict[str, str]:
    said = {
        "SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "OAUTHBEARER", "OAUTH_TOKEN_FILE": file,
        "CA_FILE": kafka.certificates.ca, "SASL_USERNAME": "", "SASL_PASSWORD_FILE": "",
    }  # fmt: skip
    return {"KAFKA_BOOTSTRAP_SERVERS": kafka.sasl, **{PREFIX + k: str(v) for k, v in said.items()}}


class Done(NamedTuple):
    code: int
    out: str
    error: str
    seconds: float


def ripcurrent(*arguments: str | Path, **environ: str) -> Done:
    began = time.monotonic()
    done = subprocess.run([COMMAND, *arguments], env=os.environ | environ, capture_output=True, text=True, timeout=60)
    return Done(done.returncode, done.stdout, done.stderr, time.monotonic() - began)


@contextlib.contextmanager
def being(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> Iterator[None]:
    with monkeypatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        yield


def settled(
    kafka: SecureKafka, monkeypatch: pytest.MonkeyPatch, user: str, command: str, names: Topics, group: str
) -> None:
    """ACLs reach the broker's authorizer a moment after they were accepted."""

    def allowed() -> bool:
        try:
            require(kafka.sasl, command, names, group)
        except MissingRightsError:
            return False
        return True

    with being(monkeypatch, as_user(kafka, user)):
        wait_until(f"{user} may {command}", allowed, 15)


# ---- all of it, with the least rights ----------------------------------------------------------------------


def test_the_whole_pipeline_runs_over_tls_and_scram_each_command_with_exactly_its_rights(
    secure: SecureKafka, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fast_catalogue: Path
) -> None:
    names, group = Topics.with_prefix("whole-"), "whole"
    topics_and_rights(secure, monkeypatch, names, group)
    (fast_catalogue / "engine.yaml").write_text("pane: 5s\nlateness: 1s\npseudonyms: true\n")
    (tmp_path / "key").write_text(KEY)
    crowd = [event(f"creator_{i}", "order.paid", START + i, actor_id=f"actor_{i}") for i in range(5)]
    burst = [
        event("creator_bad", "violation.confirmed", START + 8_000 + i, actor_id="actor_bad", attrs={"kind": "spam"})
        for i in range(4)
    ]
    settings = as_user(secure, "worker") | {
        "RIPCURRENT_TOPIC_PREFIX": "whole-", "RIPCURRENT_PSEUDONYM_KEY_FILE": str(tmp_path / "key"),
        "RIPCURRENT_GROUP": group, "RIPCURRENT_CONFIG": str(fast_catalogue), "RIPCURRENT_TICK_SECONDS": "1",
        "RIPCURRENT_CHECKPOINT_SECONDS": "1", "RIPCURRENT_LOG_LEVEL": "DEBUG",
    }  # fmt: skip
    with workers() as running:
        running.append(WorkerProcess(tmp_path / "worker.log", **settings))
        with being(monkeypatch, as_user(secure, "feed")), clients.producer(secure.sasl) as to:
            for key, value in [*crowd, *burst, (b"creator_x", b"{")]:
                to.send(names.source, value, key=key)
        send_large(secure, names)
        wait_until("an alert", lambda: len(everything(secure.plain, names.alerts)) >= 1, 60, running)
        wait_until("a checkpoint", lambda: everything(secure.plain, names.checkpoints) != [], 30, running)
        the_port_shows_counts_only(running[0])
        assert running[0].stop() == 0
        token = tmp_path / "token"
        token.write_text(unsecured_token("worker"))
        running.append(WorkerProcess(tmp_path / "token.log", **settings | with_token(secure, token)))
        wait_until("it is restored", lambda: '"ready":true' in running[1].get("/readyz"), 60, running[1:])
        loses_a_right(secure, running[1], names)
    for log in tmp_path.glob("*.log"):  # at DEBUG, of connections that were made
        assert PASSWORD not in log.read_text()
        assert KEY not in log.read_text()
        assert token.read_text().split(".")[1] not in log.read_text()
        assert "DEBUG" in log.read_text()
        assert not re.search("creator_(bad|x|[0-9])|actor_", log.read_text())
    alert = decode_alert(everything(secure.plain, names.alerts)[0].value)
    actor = Pseudonyms(KEY.encode()).of("actor_bad")
    assert (alert.entity.id, alert.evidence.contributors[0].id) == ("creator_bad", actor)
    the_other_commands_work(secure, monkeypatch, names, tmp_path)
    replayed = {name: settings[name] for name in ("RIPCURRENT_CONFIG", "RIPCURRENT_PSEUDONYM_KEY_FILE")}
    assert ripcurrent("replay", tmp_path / "r.jsonl", "--out", tmp_path / "out", **replayed).code == 0
    live = {record.value for record in everything(secure.plain, names.alerts)}
    assert live == set((tmp_path / "out" / "alerts.jsonl").read_bytes().splitlines())


def topics_and_rights(kafka: SecureKafka, monkeypatch: pytest.MonkeyPatch, names: Topics, group: str) -> None:
    need = needed(names, group)
    kafka.allow("operator", need["topics"])
    settled(kafka, monkeypatch, "operator", "topics --check", names, group)
    made = ripcurrent("topics", "--partitions", "1", "--topic-prefix", "whole-", **as_user(kafka, "operator"))
    assert (made.code, made.out.splitlines()[-1]) == (0, "6 topics are as they must be"), made.error
    kafka.allow("worker", need["run"])
    kafka.allow("feed", need["simulate --topic"])
    settled(kafka, monkeypatch, "worker", "run", names, group)
    settled(kafka, monkeypatch, "feed", "simulate --topic", names, group)


LARGE = random.Random(0).randbytes(1_030_000)


def send_large(kafka: SecureKafka, names: Topics) -> None:
    """What Kafka lets in at most, and what it lets in because it is compressed."""
    producer = KafkaProducer(bootstrap_servers=kafka.plain, compression_type="lz4", max_request_size=64 << 20)
    for value in (LARGE, bytes(20 << 20)):
        producer.send(names.source, value, key=b"creator_x")
    producer.close()


def loses_a_right(kafka: SecureKafka, worker: WorkerProcess, names: Topics) -> None:
    """While it runs: it ends, and says which."""
    kafka.take_away("worker", Right("topic", names.dlq, ("Write",)))
    with clients.producer(kafka.plain) as to:
        to.send(names.source, b"{", key=b"creator_x")
    assert worker.wait(60) == 1
    line = worker.log.read_text().splitlines()[-1]
    assert f"Kafka does not allow the user of the token Write on the topic {names.dlq}; the rights of each" in line


def the_port_shows_counts_only(worker: WorkerProcess) -> None:
    """No creator and no actor in any answer; no other page, no other method, and no page of Faust's."""
    told = worker.get("/metrics") + worker.get("/healthz") + worker.get("/readyz")
    assert "creator_" not in told.replace("creator_days", "")
    assert "actor_" not in told
    assert "ripcurrent_records_total" in told
    for path in ("/", "/stats/", "/router/", "/graph/", "/live/", "/metrics/x", "/../etc/passwd", "/static/x"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{worker.url}{path}", timeout=10)
        assert caught.value.code == 404
        caught.value.close()
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(f"{worker.url}/metrics", method=method), timeout=10)
        assert caught.value.code == 405
        caught.value.close()
    assert listening(worker.pid) == {int((worker.url or "").rpartition(":")[2])}


def listening(pid: int) -> set[int]:
    """The ports that a process listens on, as the kernel knows them."""
    ours = set()
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if (target := os.readlink(handle)).startswith("socket:["):
                ours.add(target[8:-1])
    ports = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in ours:
                ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports


def the_other_commands_work(
    kafka: SecureKafka, monkeypatch: pytest.MonkeyPatch, names: Topics, folder: Path
) -> None:
    environ = as_user(kafka, "oncall") | {"RIPCURRENT_TOPIC_PREFIX": "whole-"}
    for command in ("record", "dlq redrive"):  # which holds the rights of list, show and a dry run
        kafka.allow("oncall", needed(names, "")[command])
        settled(kafka, monkeypatch, "oncall", command, names, "")
    recorded = ripcurrent("record", "--out", folder / "r.jsonl", "--until-end", **environ)
    assert recorded.out.startswith("13 records of whole-creator-events to "), recorded.error
    assert "invalid_json: 1, of which 0 redriven" in ripcurrent("dlq", "list", **environ).out
    assert "invalid_json" in ripcurrent("dlq", "show", "0:0", **environ).out
    assert ripcurrent("dlq", "redrive", "--dry-run", **environ).out.startswith("2 dead letters would be redriven")
    redriven = ripcurrent("dlq", "redrive", **environ).out.splitlines()
    assert redriven[0] == "2 dead letters redriven to whole-creator-events: invalid_json 1, too_large 1"
    assert redriven[2] == "1 stay: they were too large to be kept whole, and only their producer can send them again"
    assert [len(r.value) for r in everything(kafka.plain, names.source)[-2:]] == [1, len(LARGE)]
    letters = everything(kafka.plain, names.dlq)[:3]
    assert (letters[1].value, letters[2].value) == (LARGE, bytes(65_536))
    assert ("cut_from", b"key 9, value 20971520 bytes") in letters[2].headers


# ---- rights that are missing -------------------------------------------------------------------------------


ONE_TOPIC = {"topics", "topics --check"}  # which ask the same of each


def test_each_right_that_is_taken_away_is_named_before_the_command_begins(
    secure: SecureKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Topics.with_prefix("each-")
    create(secure.plain, names.specs(1, 1))
    for number, (command, every) in enumerate(needed(names, "each").items()):
        user = f"each{number}"
        secure.add_user(user, PASSWORD)
        secure.allow(user, every)
        settled(secure, monkeypatch, user, command, names, "each")
        for right in every[:1] if command in ONE_TOPIC else every:
            for operation in right.operations if right.resource == "topic" else ():
                is_missed(secure, monkeypatch, user, command, names, right._replace(operations=(operation,)))


def is_missed(
    kafka: SecureKafka, monkeypatch: pytest.MonkeyPatch, user: str, command: str, names: Topics, right: Right
) -> None:
    """Without this one right, this one right is told."""
    told: list[str] = []

    def refused() -> bool:
        try:
            require(kafka.sasl, command, names, "each")
        except MissingRightsError as error:
            told[:] = error.problems
        return bool(told)

    kafka.take_away(user, right)
    with being(monkeypatch, as_user(kafka, user)):
        wait_until(f"{command} is refused without {right}", refused, 15, every=0.05)
    assert told == [f"Kafka does not allow user {user!r} {right}; the rights of each command are in docs/security.md"]
    kafka.allow(user, [right])


def refusal(done: Done) -> str:
    """The one line of a command that was refused within seconds."""
    assert done.code == 1
    assert done.seconds < 20
    (line,) = [line for line in done.error.splitlines() if " DEBUG asyncio: " not in line]
    assert "Traceback" not in done.error
    return line.removeprefix("ripcurrent: error: ")


def test_commands_are_refused_with_one_line_that_names_the_right(
    secure: SecureKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, group = Topics.with_prefix("less-"), "less"
    create(secure.plain, names.specs(1, 1))
    with clients.producer(secure.plain) as to:
        headers = [("reason", b"invalid_json"), ("source_topic", names.source.encode()), ("source_partition", b"0")]
        to.send(names.dlq, b"{", key=b"c", headers=[*headers, ("source_offset", b"0")])
    lacking = {
        "run": Right("topic", names.alerts, ("Write",)),
        "dlq redrive": Right("transactional-id", "less-creator-events-dlq-redrive", ("Write",)),
    }
    for command, lack in lacking.items():
        user = "no-" + command.replace(" ", "-")
        secure.add_user(user, PASSWORD)
        secure.allow(user, [right for right in needed(names, group)[command] if right != lack])
        end = "the rights of each command are in docs/security.md"
        rest = ("run", "--group", group) if command == "run" else ("dlq", "redrive")
        done = ripcurrent(*rest, "--topic-prefix", "less-", **as_user(secure, user))
        assert refusal(done) == f"Kafka does not allow user {user!r} {lack}; {end}"
    secure.add_user("no-create", PASSWORD)
    other = Topics.with_prefix("other-")
    secure.allow("no-create", needed(other, group)["topics --check"])
    settled(secure, monkeypatch, "no-create", "topics --check", other, group)
    done = ripcurrent("topics", "--topic-prefix", "other-", **as_user(secure, "no-create"))
    assert "Kafka does not allow user 'no-create' Create on the topic other-" in refusal(done)
    assert everything(secure.plain, names.source) == []


# ---- who is not let in -------------------------------------------------------------------------------------

COMMANDS = (("run", "--log-level", "debug"), ("topics",), ("dlq", "list"))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_wrong_password_is_refused_with_one_line_and_told_to_nobody(
    secure: SecureKafka, command: tuple[str, ...]
) -> None:
    done = ripcurrent(*command, **as_user(secure, "worker", WRONG))
    assert refusal(done) == (
        f"Kafka at {secure.sasl} refuses user 'worker' or the password; correct RIPCURRENT_KAFKA_SASL_USERNAME or "
        "RIPCURRENT_KAFKA_SASL_PASSWORD_FILE"
    )
    assert WRONG not in done.out + done.error


def test_a_wrong_password_is_in_no_traceback_and_not_in_what_check_prints(secure: SecureKafka) -> None:
    environ = as_user(secure, "worker") | {PREFIX + "SASL_PASSWORD": WRONG, PREFIX + "SASL_PASSWORD_FILE": ""}
    for command in (("--debug", "topics"), ("--debug", "run", "--log-level", "debug"), ("check",)):
        done = ripcurrent(*command, **environ)
        assert ("Traceback" in done.error) == (command[0] == "--debug")
        assert WRONG not in done.out + done.error


def test_certificates_of_a_stranger_and_of_another_host_are_refused_with_one_line(secure: SecureKafka) -> None:
    stranger = as_user(secure, "worker", CA_FILE=secure.stranger.ca)
    elsewhere = as_user(secure, "worker") | {"KAFKA_BOOTSTRAP_SERVERS": secure.elsewhere}
    for command in COMMANDS:
        assert refusal(ripcurrent(*command, **stranger)) == (
            f"Kafka at {secure.sasl} shows a certificate that we do not trust (unable to get local issuer "
            "certificate); correct RIPCURRENT_KAFKA_CA_FILE"
        )
    for command in COMMANDS[:1]:  # the others take the same way
        assert refusal(ripcurrent(*command, **elsewhere)) == (
            f"Kafka at {secure.elsewhere} shows a certificate of another host; correct KAFKA_BOOTSTRAP_SERVERS, or the "
            "certificate"
        )


def test_another_protocol_than_that_of_the_listener_is_named(
    secure: SecureKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = {PREFIX + "SECURITY_PROTOCOL": "SSL", PREFIX + "CA_FILE": str(secure.certificates.ca)}
    for environ, servers, protocol in (({}, secure.sasl, "PLAINTEXT"), (tls, secure.sasl, "SSL"),
                                       (as_user(secure, "worker"), secure.plain, "SASL_SSL")):  # fmt: skip
        with being(monkeypatch, environ), pytest.raises(KafkaRefusesError) as caught:
            reach(servers)
        expected = f"Kafka at {servers} does not speak {protocol}; correct RIPCURRENT_KAFKA_SECURITY_PROTOCOL"
        assert str(caught.value).startswith(expected)


def test_a_certificate_of_our_own_is_shown_where_kafka_asks_for_one(
    secure: SecureKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = secure.certificates.sign("robot")
    environ = {PREFIX + "SECURITY_PROTOCOL": "SSL", PREFIX + "CA_FILE": str(secure.certificates.ca)}
    ours = environ | {PREFIX + "CERT_FILE": str(cert), PREFIX + "KEY_FILE": str(key)}
    cert, key = secure.stranger.sign("robot")
    foreign = {PREFIX + "CERT_FILE": str(cert), PREFIX + "KEY_FILE": str(key)}
    names = Topics.with_prefix("mutual-")
    secure.allow("CN=robot", needed(names, "")["topics"])
    settled_as = ours | {"KAFKA_BOOTSTRAP_SERVERS": secure.mutual}
    with being(monkeypatch, ours):
        wait_until("it may", lambda: not _refused(secure.mutual, names), 15)
    assert ripcurrent("topics", "--topic-prefix", "mutual-", **settled_as).code == 0
    for wrong in (environ, environ | foreign):
        with being(monkeypatch, wrong), pytest.raises(KafkaRefusesError, match="RIPCURRENT_KAFKA_CERT_FILE"):
            reach(secure.mutual)


def _refused(servers: str, names: Topics) -> bool:
    try:
        require(servers, "topics --check", names)
    except MissingRightsError:
        return True
    return False


def test_a_token_is_read_again_for_each_connection_and_one_that_is_over_is_refused(
    secure: SecureKafka, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    with being(monkeypatch, with_token(secure, token)):
        for seconds, good in ((600, True), (-60, False), (600, True)):
            token.write_text(unsecured_token("operator", seconds) + "\n")
            if good:
                reach(secure.sasl)
                with clients.admin(secure.sasl) as admin:
                    assert admin.describe_cluster()["brokers"]
            else:
                with pytest.raises(KafkaRefusesError, match="refuses the token; correct what is in"):
                    reach(secure.sasl)
