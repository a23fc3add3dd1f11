"""How connections to Kafka are made safe, and the key of pseudonyms: from the environment, secrets from it or a file.

| variable | default | what it is |
|---|---|---|
| `RIPCURRENT_KAFKA_SECURITY_PROTOCOL` | `PLAINTEXT` | `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`: TLS or not, with a user or not |
| `RIPCURRENT_KAFKA_SASL_MECHANISM` | `SCRAM-SHA-512` | `SCRAM-SHA-512` or, over TLS only, `OAUTHBEARER` |
| `RIPCURRENT_KAFKA_SASL_USERNAME` | none | the user of SCRAM |
| `RIPCURRENT_KAFKA_SASL_PASSWORD_FILE` | none | a file with the user's password |
| `RIPCURRENT_KAFKA_SASL_PASSWORD` | none | the password itself, where there is no such file |
| `RIPCURRENT_KAFKA_OAUTH_TOKEN_FILE` | none | a file with the token of OAUTHBEARER; read again for each connection |
| `RIPCURRENT_KAFKA_CA_FILE` | the system's | a file with the certificates (PEM) that sign those of the brokers |
| `RIPCURRENT_KAFKA_CERT_FILE` | none | a file with our own certificate (PEM), where Kafka asks for one |
| `RIPCURRENT_KAFKA_KEY_FILE` | none | a file with that certificate's key (PEM, not encrypted), if it is not in the same file |
| `RIPCURRENT_PSEUDONYM_KEY_FILE` | none | a file with the key of pseudonyms, at least 32 bytes |
| `RIPCURRENT_PSEUDONYM_KEY` | none | the key itself, where there is no such file |

There are no flags for these: a command line can be read by others. The name of the broker in its certificate is always checked.
"""  # noqa: E501  a table

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal, get_args

from msgspec import Struct

from config.problems import SettingsError

KAFKA = "RIPCURRENT_KAFKA_"
PROTOCOL, MECHANISM = KAFKA + "SECURITY_PROTOCOL", KAFKA + "SASL_MECHANISM"
USERNAME, PASSWORD, PASSWORD_FILE = KAFKA + "SASL_USERNAME", KAFKA + "SASL_PASSWORD", KAFKA + "SASL_PASSWORD_FILE"
TOKEN_FILE, CA_FILE = KAFKA + "OAUTH_TOKEN_FILE", KAFKA + "CA_FILE"
CERT_FILE, KEY_FILE = KAFKA + "CERT_FILE", KAFKA + "KEY_FILE"
PSEUDONYM_KEY, PSEUDONYM_KEY_FILE = "RIPCURRENT_PSEUDONYM_KEY", "RIPCURRENT_PSEUDONYM_KEY_FILE"
OF_SCRAM, OF_TLS = (USERNAME, PASSWORD, PASSWORD_FILE), (CA_FILE, CERT_FILE, KEY_FILE)
VARIABLES = (PROTOCOL, MECHANISM, *OF_SCRAM, TOKEN_FILE, *OF_TLS, PSEUDONYM_KEY, PSEUDONYM_KEY_FILE)

FILE_BYTES_MAX = 1 << 20
KEY_BYTES_MIN, KEY_BYTES_MAX = 32, 64  # 64: what BLAKE2b takes
Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["SCRAM-SHA-512", "OAUTHBEARER"]


class Secret:
    """A text that shows itself to nobody who doesn't ask for it by `reveal`.

    >>> f"{Secret('open sesame')} {Secret('open sesame')!r}", Secret("open sesame").reveal()
    ('(secret) (secret)', 'open sesame')
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "(secret)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def reveal(self) -> str:
        return self._text


class KafkaSecurity(Struct, frozen=True, kw_only=True):
    """What every connection to Kafka is made with; `streams.security` makes them."""

    protocol: Protocol = "PLAINTEXT"
    mechanism: Mechanism | None = None  # None: no user
    username: str | None = None
    password: Secret | None = None
    token_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    @property
    def tls(self) -> bool:
        return self.protocol.endswith("SSL")

    @property
    def who(self) -> str:
        """Whom Kafka knows us as, for a message."""
        if self.mechanism == "OAUTHBEARER":
            return "the user of the token"
        if self.mechanism is not None:
            return f"user {self.username!r}"
        return "the user of the certificate" if self.cert_file else "a user without a name"


def read_security(environ: Mapping[str, str]) -> KafkaSecurity:
    """How this environment says that connections are made; SettingsError with all its mistakes.

    >>> read_security({PROTOCOL: "SASL_SSL", USERNAME: "worker", PASSWORD: "open sesame"})
    KafkaSecurity(protocol='SASL_SSL', mechanism='SCRAM-SHA-512', username='worker', password=(secret), \
token_file=None, ca_file=None, cert_file=None, key_file=None)
    """
    given = _given(environ, VARIABLES)
    protocol, mechanism = given.get(PROTOCOL, "PLAINTEXT").upper(), given.get(MECHANISM, "SCRAM-SHA-512").upper()
    if problems := [*_word_problems(protocol, mechanism)]:
        raise SettingsError(problems)
    sasl = mechanism if protocol.startswith("SASL") else None
    if problems := [*_unused(given, protocol, sasl), *_missing(given, protocol, sasl), *_file_problems(given)]:
        raise SettingsError(problems)

    def path(name: str) -> Path | None:
        return Path(given[name]) if name in given else None

    return KafkaSecurity(
        protocol=protocol, mechanism=sasl, username=given.get(USERNAME),  # type: ignore[arg-type]
        password=_secret(given, PASSWORD, PASSWORD_FILE), token_file=path(TOKEN_FILE), ca_file=path(CA_FILE),
        cert_file=path(CERT_FILE), key_file=path(KEY_FILE),
    )  # fmt: skip


def _given(environ: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    return {name: environ[name].strip() for name in names if environ.get(name, "").strip()}


def _word_problems(protocol: str, mechanism: str) -> Iterator[str]:
    for name, text, kind in ((PROTOCOL, protocol, Protocol), (MECHANISM, mechanism, Mechanism)):
        if text not in get_args(kind):
            yield f"{name} is {text[:40]!r}; expected {' or '.join(get_args(kind))}: set it so, or unset it"


def _unused(given: Mapping[str, str], protocol: str, mechanism: str | None) -> Iterator[str]:
    """What is set and would do nothing: whoever set it believes that a connection is safer than it is."""
    idle = [] if protocol.endswith("SSL") else [*OF_TLS]
    idle += [] if mechanism else [MECHANISM]
    idle += [] if mechanism == "SCRAM-SHA-512" else [*OF_SCRAM]
    idle += [] if mechanism == "OAUTHBEARER" else [TOKEN_FILE]
    for name in idle:
        if name in given:
            how = f"{protocol} with {mechanism}" if mechanism else protocol
            yield f"{name} is set, but {PROTOCOL} makes it {how}, which has no use for it: correct one of them"


def _missing(given: Mapping[str, str], protocol: str, mechanism: str | None) -> Iterator[str]:
    if mechanism == "OAUTHBEARER":
        if protocol != "SASL_SSL":
            yield f"{PROTOCOL} is {protocol}; expected SASL_SSL with OAUTHBEARER: else anybody could read the token"
        if TOKEN_FILE not in given:
            yield f"{TOKEN_FILE} is not set; expected a file with a token, for OAUTHBEARER"
    elif mechanism:
        if USERNAME not in given:
            yield f"{USERNAME} is not set; expected the user, for {protocol}"
        if PASSWORD not in given and PASSWORD_FILE not in given:
            yield f"{PASSWORD_FILE} is not set; expected a file with the user's password, for {protocol}"
    if KEY_FILE in given and CERT_FILE not in given:
        yield f"{KEY_FILE} is set, but not {CERT_FILE}; expected both"


def _file_problems(given: Mapping[str, str]) -> Iterator[str]:
    for name in (PASSWORD_FILE, TOKEN_FILE, *OF_TLS):
        if name in given and (why := _unreadable(Path(given[name]))):
            yield f"{name} is {given[name]!r}; expected a file that can be read: {why}"
    if PASSWORD in given and PASSWORD_FILE in given:
        yield f"{PASSWORD} and {PASSWORD_FILE} are both set; expected one of them"


def _unreadable(path: Path) -> str | None:
    """Why a file can't be used; what it says shows in no message."""
    try:
        data = path.read_bytes() if path.stat().st_size <= FILE_BYTES_MAX else None
    except OSError as error:
        return error.strerror or type(error).__name__
    if data is None:
        return "it is too large"
    return None if data.strip() else "it is empty"


def _secret(given: Mapping[str, str], name: str, file: str) -> Secret | None:
    if name in given:
        return Secret(given[name])
    return Secret(read_secret(Path(given[file]), file)) if file in given else None


def read_secret(path: Path, variable: str) -> str:
    """The text of a file, without the line end that editors add."""
    if why := _unreadable(path):
        raise SettingsError([f"{variable} is {str(path)!r}; expected a file that can be read: {why}"])
    try:
        text = path.read_bytes().decode().strip()
    except UnicodeDecodeError:
        raise SettingsError([f"{variable} is {str(path)!r}; expected text in UTF-8"]) from None
    return text


def read_pseudonym_key(environ: Mapping[str, str]) -> bytes | None:
    """The key of pseudonyms; None where there is none.

    >>> read_pseudonym_key({PSEUDONYM_KEY: "short"})
    Traceback (most recent call last):
    config.problems.SettingsError: RIPCURRENT_PSEUDONYM_KEY has 5 bytes; expected 32 to 64, such as those of: \
openssl rand -hex 32
    """
    given = _given(environ, (PSEUDONYM_KEY, PSEUDONYM_KEY_FILE))
    if len(given) == 2:
        raise SettingsError([f"{PSEUDONYM_KEY} and {PSEUDONYM_KEY_FILE} are both set; expected one of them"])
    if not given:
        return None
    ((name, text),) = given.items()
    key = (text if name == PSEUDONYM_KEY else read_secret(Path(text), name)).encode()
    if not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
        expected = f"expected {KEY_BYTES_MIN} to {KEY_BYTES_MAX}, such as those of: openssl rand -hex 32"
        raise SettingsError([f"{name} has {len(key)} bytes; {expected}"])
    return key
