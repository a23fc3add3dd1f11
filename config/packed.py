"""A catalogue as bytes, for ticks and checkpoints: what was written, without the calendar that follows from it."""

from collections.abc import Mapping
from hashlib import blake2b

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from config.schema import Catalogue, EngineSettings, Group, Market, Signal


class Packed(Struct, frozen=True, forbid_unknown_fields=True):
    """All that a catalogue decides by; `calendar` is the hash of what came of it."""

    version: str
    calendar: str
    engine: EngineSettings
    signals: dict[str, Signal]
    markets: dict[str, Market]
    groups: dict[str, Group]


def pack(catalogue: Catalogue) -> bytes:
    """One JSON object; the same catalogue gives the same bytes, whatever was measured of it."""
    packed = Packed(
        catalogue.version, calendar_hash(catalogue), catalogue.engine, deciding(catalogue.signals), catalogue.markets,
        catalogue.groups,
    )  # fmt: skip
    return msgspec.json.encode(packed)  # in the order of the files: that of labels shows in alerts


def deciding(signals: Mapping[str, Signal]) -> dict[str, Signal]:
    """Signals without what was measured of them: figures change no alert, so they must look like no change."""
    return {name: replace(signal, measured=UNSET) for name, signal in signals.items()}


def calendar_hash(catalogue: Catalogue) -> str:
    """Of campaigns and holidays as they were resolved: another release of the calendar's packages may differ."""
    canonical = msgspec.json.encode([catalogue.calendar, catalogue.offsets], order="deterministic")
    return blake2b(canonical, digest_size=8).hexdigest()
