"""Scenario files: what to simulate, in YAML. docs/scenarios.md describes them."""

import re
from pathlib import Path
from typing import Annotated, Any

import msgspec

from config.documents import DocumentError, read_document
from streams.errors import ConfigError
from streams.simulate_spec import LOOKALIKES, Plan, Shock, Simulation

_WHERE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>.+)`)?$", re.DOTALL)
USUAL = Simulation()
Seed = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]


class ScenarioError(ConfigError):
    """A scenario file that can't be used: its path, where in it, and what was expected."""


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that can be chosen of a simulation; what is left out is as usual."""

    seed: int = USUAL.seed  # the same seed gives the same bytes
    start_ms: int = USUAL.start_ms  # a Monday is a good choice
    days: int = USUAL.days
    creators: int = USUAL.creators
    markets: dict[str, float] = msgspec.field(default_factory=lambda: dict(USUAL.markets))  # market: weight
    volume: float = USUAL.volume  # multiplies orders, clicks and engagement
    campaign_days: tuple[int, ...] = USUAL.campaign_days  # counted from 0; [] for none
    mood: float = USUAL.mood  # how much a market's demand varies from day to day
    shocks: tuple[Shock, ...] = USUAL.shocks  # [] for none
    planted: int | None = None  # episodes of each kind; else 8 for each 400 creators
    kinds: dict[str, Plan | None] | None = None  # these only, each with what differs; else all
    lookalikes: dict[str, Plan | None] | None = None  # likewise; {} for none
    null: bool = False  # plant nothing

    def simulation(self, only: tuple[str, ...] | None = None, **changes: Any) -> Simulation:
        """The spec, with some fields changed; `only` are the kinds to plant of those that there are."""
        kinds, alike = self.kinds, self.lookalikes
        plans = {kind: plan for kind, plan in ((kinds or {}) | (alike or {})).items() if plan is not None}
        if alike is not None:
            plans |= {kind: Plan(count=0) for kind in LOOKALIKES if kind not in alike}
        for section, named, known in (("kinds", kinds, USUAL.kinds), ("lookalikes", alike, LOOKALIKES)):
            if unknown := sorted(set(named or ()) - set(known)):
                raise ValueError(f"$.{section}: {', '.join(unknown)}; known are {', '.join(known)}")
        names = only or (USUAL.kinds if kinds is None else tuple(kinds))
        same = ("seed", "start_ms", "days", "creators", "markets", "volume", "campaign_days", "mood", "shocks",
                "planted", "null")  # fmt: skip
        fields = {name: getattr(self, name) for name in same}
        return Simulation(**(fields | {"kinds": names, "plans": plans} | changes))


class Injection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to plant in events that are there; days, markets and creators are theirs."""

    seed: Seed = USUAL.seed  # chooses creators, times and strengths; the same seed gives the same bytes
    creators: tuple[str, ...] | None = None  # only these; else any with enough activity
    planted: int = 1  # episodes of each kind
    kinds: dict[str, Plan | None] | None = None  # these only, each with what differs; else all
    lookalikes: dict[str, Plan | None] = {}  # likewise; none unless named

    def simulation(self, **size: Any) -> Simulation:
        """The spec that the simulator plants by: start_ms, days and creators are those of the events."""
        return Scenario(
            seed=self.seed, planted=self.planted, kinds=self.kinds, lookalikes=self.lookalikes
        ).simulation(**size)


def read_scenario(path: Path) -> Scenario:
    """The scenario of a file, checked; ScenarioError in one line if anything is wrong with it."""
    scenario: Scenario = _read(path, Scenario)
    return scenario


def read_injection(path: Path) -> Injection:
    """Likewise what is to be injected."""
    injection: Injection = _read(path, Injection)
    return injection


def _read(path: Path, kind: type[Scenario] | type[Injection]) -> Any:
    try:
        return _checked(read_document(path, str(path)).value, kind)
    except OSError as error:
        raise ScenarioError(f"{path}: can't be read: {error.strerror}") from None
    except DocumentError as error:
        raise ScenarioError(f"{path}:{error.line}: {error}") from None
    except ValueError as error:  # msgspec.ValidationError is one
        raise ScenarioError(f"{path}: {error}") from None


def _checked(found: Any, kind: type[Scenario] | type[Injection]) -> Any:
    for section in ("kinds", "lookalikes"):  # each for itself, since msgspec doesn't say which of them is wrong
        plans = found.get(section) if isinstance(found, dict) else None
        for name, plan in plans.items() if isinstance(plans, dict) else ():
            _converted(plan, Plan | None, f"$.{section}.{name}")
    scenario = _converted(found, kind, "$")
    scenario.simulation()  # for what only the whole shows
    return scenario


def _converted(found: Any, kind: Any, at: str) -> Any:
    """ValueError with the place first, then what is wrong there."""
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        match = _WHERE.match(str(error))
        what, path = (match["what"], match["path"] or "$") if match else (str(error), "$")
        raise ValueError(f"{at}{path.removeprefix('$')}: {what}") from None
