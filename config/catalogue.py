"""Loads the catalogue from a folder (engine.yaml, signals/, markets/), or refuses it with every error at once."""

from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from config.schema import (
    Catalogue,
    EngineSettings,
    Market,
    Outcome,
    Repeat,
    Sequence,
    Share,
    Signal,
    Test,
    Volume,
    millis,
)

SHIPPED = Path(__file__).parent
FILE_BYTES_MAX = 256 * 1024
T = TypeVar("T")


class CatalogueError(ValueError):
    """The configuration is refused; `problems` has a line for each error: file, path, what was expected, what to do."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load(folder: Path = SHIPPED) -> Catalogue:
    """The configuration of a folder, checked as a whole."""
    problems: list[str] = []
    if not (folder / "signals").is_dir():
        raise CatalogueError([f"{folder}: expected a folder with signals/, markets/ and engine.yaml; right path?"])
    engine = _read(folder / "engine.yaml", EngineSettings, problems)
    signals = {p.stem: _read(p, Signal, problems) for p in sorted((folder / "signals").glob("*.yaml"))}
    markets = {p.stem: _read(p, Market, problems) for p in sorted((folder / "markets").glob("*.yaml"))}
    if not signals:
        problems.append(f"{folder / 'signals'}: expected at least one *.yaml; there is none")
    if "default" not in markets:
        problems.append(f"{folder / 'markets' / 'default.yaml'}: expected this file: it stands for every other market")
    good = {name: signal for name, signal in signals.items() if signal is not None}
    if engine is not None:
        problems += _check_engine(folder / "engine.yaml", engine)
        for name, signal in good.items():
            problems += _check_signal(folder / "signals" / f"{name}.yaml", signal, engine, markets)
    if problems or engine is None:
        raise CatalogueError(problems)
    known = {name: market for name, market in markets.items() if market is not None}
    version = _version(engine, good, known)
    return Catalogue(version=version, engine=engine, signals=good, markets=known)


def _read(path: Path, kind: type[T], problems: list[str]) -> T | None:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ValueError(f"expected at most {FILE_BYTES_MAX} bytes")
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_NoAliases)
        return msgspec.convert(raw if raw is not None else {}, kind)
    except FileNotFoundError:
        problems.append(f"{path}: expected this file; it is not there")
    except (msgspec.ValidationError, yaml.YAMLError, ValueError, RecursionError) as error:
        problems.append(f"{path}: " + " ".join(str(error).split()))
    return None


class _NoAliases(yaml.SafeLoader):
    """Aliases are refused: a short file could stand for gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise ValueError("expected no YAML aliases (*name); write the value out")
        return super().compose_node(parent, index)


def _check_engine(path: Path, engine: EngineSettings) -> list[str]:
    pane = millis(engine.pane)
    problems = []
    if 3_600_000 % pane:
        problems.append(f"{path}: $.pane is {engine.pane}; expected a length that divides an hour, such as 15m")
    if millis(engine.ahead) < 3_600_000:
        problems.append(f"{path}: $.ahead is {engine.ahead}; expected at least 1h")
    return problems


def _check_signal(
    path: Path, signal: Signal, engine: EngineSettings, markets: dict[str, Market | None]
) -> list[str]:
    problems = []
    for i, test in enumerate(signal.tests):
        at = f"{path}: $.tests[{i}]"
        problems += [f"{at}.windows: {text!r}: {why}" for text in test.windows for why in _window_faults(text, engine)]
        names = [getattr(test, field) for field in ("measure", "of") if hasattr(test, field)]
        for name in names:
            if name not in signal.measures:
                known = ", ".join(sorted(signal.measures)) or "none"
                problems.append(f"{at}: {name!r} is not a measure of this signal; expected one of: {known}")
        if all(mark is None for mark in (test.severity.info, test.severity.warning, test.severity.critical)):
            problems.append(f"{at}.severity: expected a score for info, warning or critical; this test never alerts")
        if isinstance(test, Outcome) and test.measure in signal.measures:
            event, default = signal.measures[test.measure].events[0], markets.get("default")
            if default is not None and event not in default.delays:
                problems.append(f"{at}.measure: markets/default.yaml has no delay for {event!r}; add one to $.delays")
        problems += _check_hops(at, test)
        if isinstance(test, Repeat | Sequence) and len(test.windows) > 1:
            problems.append(f"{at}.windows: a {type(test).__name__.lower()} has one window; expected one, got more")
    if signal.require == "all" and any(isinstance(test, Repeat | Sequence) for test in signal.tests):
        problems.append(f"{path}: $.require is 'all'; expected only volume, outcome and share tests with it")
    if signal.require == "all" and len({tuple(test.windows) for test in signal.tests}) > 1:
        problems.append(f"{path}: $.require is 'all'; expected the same windows in every test")
    return problems


def _check_hops(at: str, test: Test) -> list[str]:
    if not isinstance(test, Volume | Outcome | Share):
        return []
    hops = sorted({millis(text.split(" by ")[1]) for text in test.windows})
    if any(hop % hops[0] for hop in hops) or 3_600_000 % hops[0]:
        return [f"{at}.windows: expected a shortest hop that divides an hour and all other hops"]
    return []


def _window_faults(text: str, engine: EngineSettings) -> list[str]:
    size, hop = (millis(part) for part in text.split(" by "))
    faults = []
    if size % hop:
        faults.append("expected a size that is a whole number of hops")
    if hop % millis(engine.pane):
        faults.append(f"expected a hop that is a whole number of panes ({engine.pane}, engine.yaml)")
    if size > 90 * 86_400_000:
        faults.append("expected at most 90d")
    return faults


def _version(engine: EngineSettings, signals: dict[str, Signal], markets: dict[str, Market]) -> str:
    canonical = msgspec.json.encode([engine, signals, markets], order="deterministic")
    return blake2b(canonical, digest_size=8).hexdigest()
