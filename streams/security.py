"""The one place that knows how a connection to Kafka is made: what each client library is to be told, read from the
environment each time (config/security.py), and whether it works, with what to correct where it doesn't.

aiokafka tries a broker that refuses it for ever, and kafka-python for ten seconds; neither says which setting is wrong.
So `reach` makes one connection before anything else does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from config.problems import SettingsError
from config.schema import Catalogue
from config.security import (
    CA_FILE,
    CERT_FILE,
    KEY_FILE,
    MECHANISM,
    PASSWORD,
    PASSWORD_FILE,
    PROTOCOL,
    TOKEN_FILE,
    USERNAME,
    KafkaSecurity,
    read_pseudonym_key,
    read_secret,
    read_security,
)
from streams.errors import RipcurrentError
from streams.pseudonyms import Pseudonyms, check

log = logging.getLogger(__name__)

SERVERS = "KAFKA_BOOTSTRAP_SERVERS"
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
ANOTHER_HOST = (62, 64)  # OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH


class KafkaRefusesError(RipcurrentError):
    """Kafka is there, but the connection can't be made; says which variable to correct."""


class NobodyAnswersError(RipcurrentError):
    """Nothing listens there."""


def security() -> KafkaSecurity:
    return read_security(os.environ)


def pseudonyms_for(catalogue: Catalogue) -> Pseudonyms | None:
    """By the key of this environment; ConfigError where the catalogue needs one and there is none."""
    key = read_pseudonym_key(os.environ)
    pseudonyms = None if key is None else Pseudonyms(key)
    check(catalogue, pseudonyms)
    return pseudonyms


# ---- what the libraries are told ---------------------------------------------------------------------------


def for_kafka_python() -> dict[str, Any]:
    """Arguments of KafkaConsumer, KafkaProducer and KafkaAdminClient."""
    said = security()
    options: dict[str, Any] = {"security_protocol": said.protocol, "ssl_context": tls(said)}
    if said.mechanism == "OAUTHBEARER":
        from kafka.net.sasl.oauth import AbstractTokenProvider

        assert said.token_file is not None
        file = TokenFile(said.token_file)

        class Provider(AbstractTokenProvider):  # type: ignore[misc]
            def token(self) -> str:
                return file.read()

        options["sasl_oauth_token_provider"] = Provider()
    return options | _user(said)


def for_aiokafka() -> dict[str, Any]:
    """Arguments of AIOKafkaConsumer and its like."""
    said = security()
    options: dict[str, Any] = {"security_protocol": said.protocol, "ssl_context": tls(said)}
    if said.mechanism == "OAUTHBEARER":
        options["sasl_oauth_token_provider"] = _async_provider(said)
    return options | _user(said)


def for_faust() -> dict[str, Any]:
    """Settings of a Faust app: its consumer and its producer."""
    from faust import auth

    said = security()
    match said.mechanism:
        case "OAUTHBEARER":
            return {"broker_credentials": auth.OAuthCredentials(oauth_cb=_async_provider(said), ssl_context=tls(said))}
        case "SCRAM-SHA-512":
            assert said.password is not None
            made = auth.SASLCredentials(
                username=said.username, password=said.password.reveal(), mechanism=said.mechanism, ssl_context=tls(said)
            )
            return {"broker_credentials": made}
    return {"broker_credentials": auth.SSLCredentials(tls(said))} if said.tls else {}


def _user(said: KafkaSecurity) -> dict[str, Any]:
    if said.mechanism is None:
        return {}
    if said.password is None:
        return {"sasl_mechanism": said.mechanism}
    return {
        "sasl_mechanism": said.mechanism,
        "sasl_plain_username": said.username,
        "sasl_plain_password": said.password.reveal(),
    }


class TokenFile:
    """The token as its file has it now: whoever renews it writes the file, and nothing is restarted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = read_secret(path, TOKEN_FILE)

    def read(self) -> str:
        try:
            self._last = read_secret(self._path, TOKEN_FILE)
        except SettingsError as error:  # perhaps just being written; an error here would end a worker
            log.warning("%s; the token before is used", error)
        return self._last


def _async_provider(said: KafkaSecurity) -> Any:
    from aiokafka.abc import AbstractTokenProvider

    assert said.token_file is not None
    file = TokenFile(said.token_file)

    class Provider(AbstractTokenProvider):  # type: ignore[misc]
        async def token(self) -> str:
            return file.read()

    return Provider()


def tls(said: KafkaSecurity) -> ssl.SSLContext | None:
    """The brokers' certificates and the names in them are checked, always."""
    if not said.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=said.ca_file)
    except (ssl.SSLError, OSError):
        raise SettingsError([f"{CA_FILE} is {str(said.ca_file)!r}; expected certificates in PEM"]) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if said.cert_file is not None:
        try:
            context.load_cert_chain(said.cert_file, said.key_file, password=lambda: "")
        except (ssl.SSLError, OSError):
            files = f"{CERT_FILE} is {str(said.cert_file)!r} and {KEY_FILE} {_named(said.key_file)}"
            expected = "expected a certificate in PEM and its key, not encrypted"
            raise SettingsError([f"{files}; {expected}"]) from None
    return context


def _named(path: Path | None) -> str:
    return "is not set" if path is None else f"is {str(path)!r}"


def quiet_about_secrets() -> None:
    """Both libraries log their requests at DEBUG, in which tokens are, and every record that is sent."""
    for logger in map(logging.getLogger, ("aiokafka", "kafka")):
        logger.setLevel(max(logger.getEffectiveLevel(), logging.INFO))


def not_allowed(right: str) -> str:
    """How a missing right is told: `Write on the topic risk-alerts`."""
    return f"Kafka does not allow {security().who} {right}; the rights of each command are in docs/security.md"


# ---- whether it works --------------------------------------------------------------------------------------


def reach(servers: str) -> None:
    """Connect to one of these addresses as every client will. KafkaRefusesError or NobodyAnswersError where none lets
    us in, with the most telling reason.
    """
    said, options = security(), for_aiokafka()
    refused: RipcurrentError | None = None
    for address in servers.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            _in_a_thread(host.strip("[]"), int(port), options)
            return
        except _NoAnswerError:
            continue
        except Exception as error:
            refused = refused or _refusal(error, address.strip(), said)
    raise refused or NobodyAnswersError(f"No Kafka answers at {servers}: is it running, is the address right?")


class _NoAnswerError(Exception):
    """Nobody listens, or there is no such host, or nothing is said."""


class _HungUpError(Exception):
    """Somebody listens, but does not speak this protocol."""


def _in_a_thread(host: str, port: int, options: dict[str, Any]) -> None:
    """Some callers have a loop of their own, in which another one can't run."""
    failed: list[BaseException] = []

    def knock() -> None:
        try:
            with _silent():
                asyncio.run(_knock(host, port, options))
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=knock, name="reach")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


async def _knock(host: str, port: int, options: dict[str, Any]) -> None:
    """A connection, TLS, the user, and one question: a broker that wants a user lets anybody ask for its versions."""
    from aiokafka.conn import create_conn
    from aiokafka.errors import KafkaConnectionError, SaslAuthenticationFailed
    from aiokafka.protocol.metadata import MetadataRequest

    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
    except (OSError, TimeoutError) as error:
        raise _NoAnswerError from error
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            conn = await create_conn(host, port, client_id="ripcurrent", **options)
            try:
                answer = await conn.send(MetadataRequest([]))
            finally:
                await conn.close()
    except TimeoutError as error:  # it hangs, or has just begun
        raise _NoAnswerError from error
    except (KafkaConnectionError, ConnectionError, asyncio.IncompleteReadError) as error:
        raise _HungUpError from error
    if not answer.brokers:  # aiokafka takes a refused token for an accepted one, and Kafka answers with an empty list
        raise SaslAuthenticationFailed if "sasl_mechanism" in options else _NoAnswerError


def _refusal(error: Exception, address: str, said: KafkaSecurity) -> RipcurrentError:
    """What went wrong, and which variable to look at. Nothing of what the broker says is passed on."""
    from aiokafka import errors

    at = f"Kafka at {address}"
    match error:
        case SettingsError():
            return KafkaRefusesError(error.problems[0])
        case ssl.SSLCertVerificationError() if error.verify_code in ANOTHER_HOST:
            return KafkaRefusesError(f"{at} shows a certificate of another host; correct {SERVERS}, or the certificate")
        case ssl.SSLCertVerificationError():
            why = error.verify_message
            return KafkaRefusesError(f"{at} shows a certificate that we do not trust ({why}); correct {CA_FILE}")
        case ssl.SSLError() if "ALERT" in str(error.reason):
            return KafkaRefusesError(f"{at} does not accept our certificate ({error.reason}); correct {CERT_FILE}")
        case errors.UnsupportedSaslMechanismError():
            return KafkaRefusesError(f"{at} does not know {said.mechanism}; correct {MECHANISM}")
        case errors.SaslAuthenticationFailed() | errors.AuthenticationFailedError() | errors.IllegalSaslStateError():
            if said.mechanism == "OAUTHBEARER":
                return KafkaRefusesError(f"{at} refuses the token; correct what is in {TOKEN_FILE}")
            which = PASSWORD_FILE if os.environ.get(PASSWORD_FILE) else PASSWORD
            return KafkaRefusesError(f"{at} refuses {said.who} or the password; correct {USERNAME} or {which}")
    why = "it does not trust our certificate" if said.cert_file else "it asks for a certificate"
    more = f", or, if {why}, {CERT_FILE}" if said.tls else ""
    return KafkaRefusesError(f"{at} does not speak {said.protocol}; correct {PROTOCOL}{more}")


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """What aiokafka would log of a failure comes to us as an error."""
    logger = logging.getLogger("aiokafka")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
