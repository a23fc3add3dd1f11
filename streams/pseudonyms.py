"""Keyed hashes in the place of actor ids: who reads alerts can tell actors apart, and without the key can't tell who
they are. The same key gives the same pseudonym, in every market, live and in a replay.

    p_ and 26 small letters and digits: BLAKE2b of the id in UTF-8, 16 bytes, keyed, with the name below as its person,
    in base32 (RFC 4648) without the padding
"""

from base64 import b32encode
from hashlib import blake2b

from msgspec import UNSET
from msgspec.structs import replace

from config.schema import Catalogue
from streams.errors import ConfigError
from streams.records import Evidence

PERSON = b"ripcurrent-actor"  # another rule of making them would be another name
VARIABLE = "RIPCURRENT_PSEUDONYM_KEY_FILE"


class Pseudonyms:
    """Knows the key, and shows it to nobody.

    >>> Pseudonyms(b"0123456789abcdef0123456789abcdef").of("u_552")
    'p_lvzawg2gtp2xcgjnoorm3yjg24'
    """

    __slots__ = ("_keyed",)

    def __init__(self, key: bytes) -> None:
        self._keyed = blake2b(digest_size=16, key=key, person=PERSON)

    def of(self, actor_id: str) -> str:
        keyed = self._keyed.copy()
        keyed.update(actor_id.encode())
        return "p_" + b32encode(keyed.digest()).decode().rstrip("=").lower()


def needed(catalogue: Catalogue) -> str | None:
    """Where the configuration asks for pseudonyms; None where nowhere."""
    asking = [f"markets/{name}.yaml" for name, market in catalogue.markets.items() if market.pseudonyms is True]
    if catalogue.engine.pseudonyms is True:
        asking.insert(0, "engine.yaml")
    return asking[0] if asking else None


def check(catalogue: Catalogue, pseudonyms: Pseudonyms | None) -> None:
    """ConfigError where they are asked for and there is no key: ids must not go out because a secret was forgotten."""
    if pseudonyms is None and (where := needed(catalogue)) is not None:
        raise ConfigError(f"{where}: $.pseudonyms is true, but there is no key; set {VARIABLE} to a file with one")


def named(evidence: Evidence, catalogue: Catalogue, market: str, pseudonyms: Pseudonyms | None) -> Evidence:
    """The only place of an alert in which actors stand: by their ids, or by pseudonyms."""
    if pseudonyms is None or not applied(catalogue, market):
        return evidence
    return replace(evidence, contributors=[replace(one, id=pseudonyms.of(one.id)) for one in evidence.contributors])


def applied(catalogue: Catalogue, market: str) -> bool:
    """Whether alerts of this market have pseudonyms: as its file says, else as engine.yaml does."""
    own = catalogue.market(market).pseudonyms
    return (catalogue.engine.pseudonyms if own is UNSET else own) is True
