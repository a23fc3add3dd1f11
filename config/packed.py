"""A catalogue as bytes, for ticks and checkpoints: what was written, without the calendar that follows from it."""

from hashlib import blake2b

import msgspec
from msgspec import Struct

from config.schema import Catalogue, EngineSettings, Group, Market, Signal


class Packed(Struct, frozen=True, forbid_unknown_fields=True):
    """All that a catalogue is made from; `calendar` is the hash of what came of it."""

    version: str
    calendar: str
    engine: EngineSettings
    signals: dict[str, Signal]
    markets: dict[str, Market]
    groups: dict[str, Group]


def pack(catalogue: Catalogue) -> bytes:
    """One JSON object; the same catalogue gives the same bytes."""
    packed = Packed(
        catalogue.version, calendar_hash(catalogue), catalogue.engine, catalogue.signals, catalogue.markets,
        catalogue.groups,
    )  # fmt: skip
    return msgspec.json.encode(packed)  # in the order of the files: that of labels shows in alerts


def calendar_hash(catalogue: Catalogue) -> str:
    """Of campaigns and holidays as they were resolved: another release of the calendar's packages may differ."""
    canonical = msgspec.json.encode([catalogue.calendar, catalogue.offsets], order="deterministic")
    return blake2b(canonical, digest_size=8).hexdigest()
