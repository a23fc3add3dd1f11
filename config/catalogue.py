"""Loads the catalogue from a folder (engine.yaml, signals/, markets/, groups/), or refuses it, all errors at once."""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from hashlib import blake2b
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from config.advice import advice
from config.calendar import occasions, standard_offset_ms
from config.checks import NAME, Around, signal_problems
from config.checks_policy import engine_problems, group_problems, market_problems
from config.conform import misfits
from config.documents import Document, DocumentError, read_document
from config.edits import Edit, EditError, edited
from config.packed import Packed, calendar_hash, deciding
from config.problems import Problem, one_of, told
from config.schema import Catalogue, EngineSettings, Group, Market, Occasion, Signal

SHIPPED = Path(__file__).parent
FILES_MAX = 500  # of a folder
MARKET = re.compile("default|[A-Z]{2}")
T = TypeVar("T")


class CatalogueError(ValueError):
    """The configuration is refused; `problems` has a line for each error: `file:line: path: found; expected`."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Loaded(NamedTuple):
    """A catalogue, and what is allowed in it but probably not meant."""

    catalogue: Catalogue
    warnings: list[str]


class _Read(NamedTuple, Generic[T]):
    """A file that fits its type."""

    document: Document
    value: T


class _Files(NamedTuple):
    """All that could be read; and the names of all files, whether they could or not."""

    engine: _Read[EngineSettings] | None
    signals: dict[str, _Read[Signal]]
    markets: dict[str, _Read[Market]]
    groups: dict[str, _Read[Group]]
    names: dict[str, list[str]]


def load(folder: Path = SHIPPED) -> Catalogue:
    """The configuration of a folder, checked as a whole."""
    return _catalogue(_checked(folder))


def load_with_warnings(folder: Path = SHIPPED, today: date | None = None) -> Loaded:
    """The same with what is suspicious in it; members of groups are judged as of a day, if one is given."""
    files = _checked(folder)
    catalogue = _catalogue(files)
    documents = {f"{kind}/{name}": read.document for kind in ("signals", "markets", "groups")
                 for name, read in getattr(files, kind).items()}  # fmt: skip
    warnings = [told(documents[where], problem) for where, problem in advice(catalogue, today)]
    return Loaded(catalogue, warnings)


def variants(folder: Path, settings: Iterable[Sequence[Edit]]) -> list[Catalogue]:
    """The configuration of a folder with other values in its signals: one for each setting, checked as a whole."""
    files = _checked(folder)
    return [_catalogue(_edited(files, edits)) for edits in settings]


def copy_shipped(folder: Path) -> int:
    """Copy what is shipped, with the schemas for editors, to a folder that is new or empty; how many files."""
    patterns = ("engine.yaml", "*.schema.json", "signals/*.yaml", "markets/*.yaml", "groups/*.yaml")
    found = [path for pattern in patterns for path in sorted(SHIPPED.glob(pattern))]
    for path in found:
        copy = folder / path.relative_to(SHIPPED)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    return len(found)


# ---- reading -----------------------------------------------------------------------------------------------


def _checked(folder: Path) -> _Files:
    if not (folder / "signals").is_dir():
        raise CatalogueError([f"{folder}: expected a folder with signals/, markets/ and engine.yaml; right path?"])
    problems: list[str] = []
    names = {kind: _names(folder / kind, shape, problems)
             for kind, shape in (("signals", NAME), ("markets", MARKET), ("groups", NAME))}  # fmt: skip
    files = _Files(
        _read(folder / "engine.yaml", EngineSettings, problems),
        _read_all(folder / "signals", names["signals"], Signal, problems),
        _read_all(folder / "markets", names["markets"], Market, problems),
        _read_all(folder / "groups", names["groups"], Group, problems),
        names,
    )
    if not names["signals"]:
        problems.append(f"{folder / 'signals'}: expected at least one *.yaml; there is none")
    if "default" not in names["markets"]:
        problems.append(f"{folder / 'markets' / 'default.yaml'}: expected this file: it stands for every other market")
    problems += _meaning(files)
    if problems:
        raise CatalogueError(problems)
    return files


def _names(folder: Path, shape: re.Pattern[str], problems: list[str]) -> list[str]:
    """The names of the files of a folder."""
    paths = sorted(folder.glob("*.y*ml"))
    if len(paths) > FILES_MAX:
        problems.append(f"{folder}: has {len(paths)} files; expected at most {FILES_MAX}")
        paths = paths[:FILES_MAX]
    for path in paths:
        if path.suffix != ".yaml":
            problems.append(f"{path}: ends in {path.suffix}; expected .yaml, else it is not read")
        elif shape.fullmatch(path.stem) is None:
            expected = "two capitals, or default" if shape is MARKET else "small letters, digits and _"
            problems.append(f"{path}: is called {path.stem[:60]!r}; expected {expected} before .yaml")
    return [path.stem for path in paths if path.suffix == ".yaml" and shape.fullmatch(path.stem)]


def _read_all(folder: Path, names: Iterable[str], kind: type[T], problems: list[str]) -> dict[str, _Read[T]]:
    found = {name: _read(folder / f"{name}.yaml", kind, problems) for name in names}
    return {name: read for name, read in found.items() if read is not None}


def _read(path: Path, kind: type[T], problems: list[str]) -> _Read[T] | None:
    try:
        document = read_document(path, str(path))
    except DocumentError as error:
        problems.append(f"{path}:{error.line}: {error}")
        return None
    except FileNotFoundError:
        problems.append(f"{path}: expected this file; it is not there")
        return None
    except OSError as error:
        problems.append(f"{path}: can't be read: {error.strerror}")
        return None
    if wrong := misfits(document.value, kind):
        problems += [told(document, problem) for problem in wrong]
        return None
    try:
        return _Read(document, msgspec.convert(document.value, kind))
    except msgspec.ValidationError as error:  # the last word, should the comparison have missed something
        problems.append(told(document, Problem((), str(error))))
        return None


# ---- meaning -----------------------------------------------------------------------------------------------


def _meaning(files: _Files) -> list[str]:
    """The mistakes that are in no file by itself."""
    around = _around(files)
    found: list[tuple[Document, Iterable[Problem]]] = []
    if files.engine is not None:
        found.append((files.engine.document, engine_problems(files.engine.value)))
    found += [(read.document, signal_problems(read.value, around)) for read in files.signals.values()]
    found += [(read.document, market_problems(read.value, around.signals, around.tests))
              for read in files.markets.values()]  # fmt: skip
    found += [(read.document, group_problems(read.value, around.signals)) for read in files.groups.values()]
    return [told(document, problem) for document, problems in found for problem in problems]


def _around(files: _Files) -> Around:
    default = files.markets.get("default")
    return Around(
        engine=None if files.engine is None or any(engine_problems(files.engine.value)) else files.engine.value,
        signals=files.names["signals"],
        markets=[name for name in files.names["markets"] if name != "default"],
        groups=files.names["groups"],
        delays=None if default is None else default.value.delays,
        tests={name: read.value for name, read in files.signals.items()},
    )


def _edited(files: _Files, edits: Sequence[Edit]) -> _Files:
    signals = dict(files.signals)
    for edit in edits:
        name = edit.place.signal
        if name not in signals:
            raise CatalogueError([f"{edit}: there is no signal {name}; {one_of(name, signals)}"])
        try:
            signals[name] = _Read(signals[name].document, edited(signals[name].value, edit))
        except EditError as error:
            raise CatalogueError([f"{edit}: {error}"]) from None
    changed = files._replace(signals=signals)
    if problems := _meaning(changed):
        tried = ", ".join(str(edit) for edit in edits)
        raise CatalogueError([f"with {tried}: {problem}" for problem in problems])
    return changed


# ---- the whole ---------------------------------------------------------------------------------------------


def _catalogue(files: _Files) -> Catalogue:
    assert files.engine is not None  # else it would have been refused
    engine, signals, written, groups = (
        files.engine.value, _values(files.signals), _values(files.markets), _values(files.groups)
    )  # fmt: skip
    delays = written["default"].delays
    markets = {name: msgspec.structs.replace(market, delays=delays | market.delays)
               for name, market in written.items()}  # fmt: skip
    calendar, offsets = _resolved(markets)
    version = _version(engine, deciding(signals), markets, groups, calendar, offsets)
    return Catalogue(
        version=version, engine=engine, signals=signals, markets=markets, groups=groups, calendar=calendar,
        offsets=offsets,
    )  # fmt: skip


def _resolved(markets: dict[str, Market]) -> tuple[dict[str, list[Occasion]], dict[str, int]]:
    """Campaigns and holidays at their time, and time zones in milliseconds."""
    calendar = {name: occasions(market) for name, market in markets.items()}
    return calendar, {name: standard_offset_ms(market.time_zone) for name, market in markets.items()}


def unpack(data: bytes) -> Catalogue:
    """The catalogue that `config.packed.pack` made these bytes of; CatalogueError where it comes out otherwise."""
    try:
        packed = msgspec.json.decode(data, type=Packed)
    except msgspec.DecodeError as error:
        raise CatalogueError([f"a packed configuration: {error}; was it written by another release?"]) from None
    calendar, offsets = _resolved(packed.markets)
    catalogue = Catalogue(
        version=packed.version, engine=packed.engine, signals=packed.signals, markets=packed.markets,
        groups=packed.groups, calendar=calendar, offsets=offsets,
    )  # fmt: skip
    if calendar_hash(catalogue) != packed.calendar:
        raise CatalogueError(["a packed configuration: its calendar comes out otherwise here; expected the same "
                              "releases of the packages holidays and tzdata"])  # fmt: skip
    return catalogue


def _values(part: dict[str, _Read[T]]) -> dict[str, T]:
    return {name: read.value for name, read in part.items()}


def _version(*parts: Any) -> str:
    """The hash of what decides and of the calendar as it was resolved, which also hangs on holidays and tzdata."""
    canonical = msgspec.json.encode(parts, order="deterministic")
    return blake2b(canonical, digest_size=8).hexdigest()

