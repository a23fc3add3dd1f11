"""The reference pages, made from the code so that they can't lie: `python -m streams.reference` writes them anew.

    docs/detectors.md   from the docstrings and fields of detectors/
    docs/settings.md    from config/settings.py and config/schema.py
    docs/commands.md    from streams/cli.py and the commands that it gathers
    docs/signals.md     from the shipped catalogue and benchmarks/results/creators.json (reference_signals.py)
    docs/replay.md      the columns in it, from streams/outcome_rows.py and write_duckdb.py (reference_outcome.py)
    config/signals/*.yaml  the block `measured` in each, from the same results (measured.py)
    config/*.schema.json  the same types for an editor, which completes and checks a file that begins with
                          # yaml-language-server: $schema=../signal.schema.json

A test fails when one of them is stale. docs/metrics.md is made by streams/metrics.py.
"""

import importlib
import inspect
import json
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import typer.main

import config.security
import config.settings
import detectors
from config import schema
from config.catalogue import SHIPPED, load
from config.schema import Catalogue, Repeat, Sequence
from config.words import allowed
from detectors.limit import Limit
from detectors.pattern import OrderedPattern
from streams.cli import app
from streams.measured import read_results, signal_files
from streams.reference_outcome import with_columns
from streams.reference_signals import signals_page

DOCS = Path(__file__).parent.parent / "docs"
MADE = "Made by `python -m streams.reference`; a test fails when it is stale.\n"
_FIELD = re.compile(r"^    (?P<name>\w+): [^#]*?(?:  # (?P<comment>.*))?$")
CATALOGUE_NOTES = """\
An unknown key is an error. `ripcurrent check --config FOLDER` says what is wrong, and where;
`ripcurrent check --explain SIGNAL MARKET` says which policy holds there, and why. YAML is read as its version 1.2 has
it: `NO` and `2026-11-11` are text. An editor with a YAML language server completes and checks a file that begins
with the line `# yaml-language-server: $schema=../signal.schema.json` (or `market`, `group`; in engine.yaml
`./engine.schema.json`)."""
SPECS = (
    schema.EngineSettings, schema.Limits, schema.Signal, schema.Measure, schema.Events, schema.Range, schema.Sum,
    schema.Link, schema.Follows, schema.Severity, schema.Test, schema.Volume, schema.Outcome, schema.Share,
    schema.Ratio, schema.Series, schema.Repeat, schema.Sequence, schema.Step, schema.Override, schema.Change,
    schema.Measured, schema.PlantedKind, schema.Market, schema.Delay, schema.Campaign, schema.Group, schema.Member,
)  # fmt: skip


def pages() -> dict[str, str]:
    """The text of every page, by its name in docs/."""
    return {
        "detectors.md": detectors_page(),
        "settings.md": settings_page(),
        "commands.md": commands_page(),
        "signals.md": signals_page(load(), MADE, read_results()),
        "replay.md": with_columns((DOCS / "replay.md").read_text(encoding="utf-8")),
    }


def json_schemas() -> dict[str, str]:
    """The JSON Schema of each kind of file, by its name in config/."""
    kinds = {"engine": schema.EngineSettings, "signal": schema.Signal, "market": schema.Market, "group": schema.Group}
    return {f"{name}.schema.json": json_schema(kind) for name, kind in kinds.items()}


# ---- detectors ---------------------------------------------------------------------------------------------


def detectors_page() -> str:
    lines = ["# Detectors", "", MADE, "A detector says how strange a value is; it decides nothing. The contract is",
             "[detectors/base.py](../detectors/base.py).", "", "| detector | question it answers | used by |",
             "|---|---|---|"]  # fmt: skip
    users = _users(load())
    found = [(_tag(spec), spec, module) for module in _modules() for spec in _specs(module)]
    for tag, _, module in sorted(found, key=lambda one: one[0]):
        used = ", ".join(f"`{name}`" for name in users.get(tag, ())) or "no shipped signal"
        lines.append(f"| [`{tag}`](#{tag}) | {_title(module)} | {used} |")
    lines.append("")
    for tag, spec, module in sorted(found, key=lambda one: one[0]):
        lines += [f"## {tag}", "", *_prose(module), *_table(spec)]
    return "\n".join(lines).rstrip() + "\n"


def _modules() -> list[ModuleType]:
    return [importlib.import_module(f"detectors.{m.name}") for m in pkgutil.iter_modules(detectors.__path__)]


def _specs(module: ModuleType) -> list[Any]:
    """The detectors that a module defines."""
    own = [value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__]
    return [kind for kind in own if issubclass(kind, msgspec.Struct) and hasattr(kind, "step")]


def _tag(spec: Any) -> str:
    return str(spec.__struct_config__.tag)


def _users(catalogue: Catalogue) -> dict[str, list[str]]:
    """Which signals each detector serves."""
    users: dict[str, list[str]] = {}
    for name, signal in sorted(catalogue.signals.items()):
        for test in signal.tests:
            rule: dict[type, Any] = {Repeat: Limit, Sequence: OrderedPattern}
            tag = _tag(rule[type(test)] if type(test) in rule else type(test.detector))  # type: ignore[union-attr]
            users.setdefault(tag, [])
            if name not in users[tag]:
                users[tag].append(name)
    return users


def _title(module: ModuleType) -> str:
    text = " ".join((module.__doc__ or "").split("\n\n")[0].split())
    return text.rstrip(".").replace("|", "\\|")


def _prose(module: ModuleType) -> Iterator[str]:
    """The docstring's paragraphs, one for each of its labels; examples as they stand."""
    for paragraph in (module.__doc__ or "").strip().split("\n\n"):
        if paragraph.startswith(">>>"):
            yield from ("```python", paragraph, "```", "")
            continue
        for part in re.split(r"\s(?=(?:Sees|Misses|Formula|Score|Units|Cost|Reference): )", paragraph):
            text = _escaped(" ".join(part.split()))
            yield from (re.sub(r"^(Sees|Misses|Formula|Score|Units|Cost|Reference):", r"**\1:**", text), "")


def _escaped(text: str) -> str:
    """Stars and underscores of formulas are no emphasis; what stands between backticks is left alone."""
    parts = text.split("`")
    return "`".join(part if i % 2 else re.sub(r"([*_<])", r"\\\1", part) for i, part in enumerate(parts))


# ---- settings ----------------------------------------------------------------------------------------------


def settings_page() -> str:
    lines = ["# Settings", "", MADE, "## Of a worker", ""]
    lines += [*(config.settings.__doc__ or "").strip().splitlines(), "", "## Of security", ""]
    lines += [*(config.security.__doc__ or "").strip().splitlines(), ""]
    lines += ["## Of the catalogue", "", *(schema.__doc__ or "").strip().splitlines(), ""]
    lines += [*CATALOGUE_NOTES.splitlines(), ""]
    for spec in SPECS:
        lines += [f"### {spec.__name__}", "", inspect.getdoc(spec) or "", ""]
        if _tag(spec) != "None" and spec is not schema.Test:
            lines += [f"In a test: `kind: {_tag(spec)}`; beside its own fields it has those of [Test](#test).", ""]
        if spec.__base__ is schema.Change:
            lines += ["Beside its own fields it has those of [Change](#change).", ""]
        lines += _table(spec)
    return "\n".join(lines).rstrip() + "\n"


def _table(spec: Any) -> list[str]:
    """The fields that a spec itself declares."""
    if not (own := [field for field in msgspec.inspect.type_info(spec).fields if field.name in spec.__annotations__]):  # type: ignore[attr-defined]
        return []
    said = _comments(spec)
    lines = ["| field | default | allowed | meaning |", "|---|---|---|---|"]
    for field in own:
        meaning = said.get(field.name, "").replace("|", "\\|")
        lines.append(f"| `{field.name}` | {_default(field)} | {allowed(field.type, _link)} | {meaning} |")
    return [*lines, ""]


def _comments(spec: Any) -> dict[str, str]:
    """What the source says behind each field."""
    found = (_FIELD.match(line) for line in inspect.getsource(spec).splitlines())
    return {match["name"]: match["comment"] or "" for match in found if match}


def _default(field: Any) -> str:
    if field.required:
        return "required"
    if field.default is msgspec.NODEFAULT and field.default_factory is msgspec.NODEFAULT:  # unset
        return "none"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if isinstance(value, msgspec.Struct):
        return _link(type(value))
    if value is None or value in ([], {}, ()):
        return "none"
    return f"`{value:,}`" if isinstance(value, int) and value >= 10_000 else f"`{value}`"


def _link(spec: Any) -> str:
    detector = spec.__module__.startswith("detectors.")
    if detector and _tag(spec) == "None":  # a part of a detector's configuration
        return f"`{spec.__name__}({', '.join(spec.__struct_fields__)})`"
    return f"[{spec.__name__}]({'detectors.md#' + _tag(spec) if detector else '#' + spec.__name__.lower()})"


def json_schema(kind: type) -> str:
    """The schema of a type, in which the comments of its fields are what an editor shows."""
    described = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(kind)}
    specs = {name: value for name, value in vars(schema).items() if isinstance(value, type)}
    for name, part in described["$defs"].items():
        if name not in specs or "properties" not in part:
            continue
        bases = [base for base in reversed(specs[name].__mro__) if issubclass(base, schema.Spec)]
        said = {field: text for base in bases for field, text in _comments(base).items() if text}
        for field, what in part["properties"].items():
            if field in said:
                what["description"] = said[field]
        part["additionalProperties"] = False  # as the loader has it
    return json.dumps(described, indent=1, ensure_ascii=False) + "\n"


# ---- commands ----------------------------------------------------------------------------------------------


def all_commands() -> dict[str, Any]:
    """Every command by its words, `run` or `dlq list`, in the order of the help."""

    def below(name: str, command: Any) -> dict[str, Any]:
        if not hasattr(command, "commands"):
            return {name: command}
        names = command.list_commands(None)
        return {k: v for one in names for k, v in below(f"{name} {one}".strip(), command.commands[one]).items()}

    return below("", typer.main.get_command(app))


def commands_page() -> str:
    lines = ["# Commands", "", MADE]
    lines += ["`--debug` shows the traceback of an error; it may stand anywhere. Exit codes: 0 it worked; 1 it failed;",
              "2 the command line or the configuration is wrong; 130 stopped by Ctrl-C."]  # fmt: skip
    for name, command in all_commands().items():
        lines += ["", f"## ripcurrent {name}", "", _plain(inspect.cleandoc(command.help)), ""]
        lines += ["| option | default | meaning |", "|---|---|---|"]
        for param in command.params:
            option = "/".join([*param.opts, *param.secondary_opts]) if param.param_type_name == "option" else ""
            shown = f"`{option or param.metavar}`" + (f" {param.metavar}" if option and param.metavar else "")
            given = param.default if param.default not in (None, False) else ""
            default = "required" if param.required else f"`{given}`" if given != "" else ""
            lines.append(f"| {shown} | {default} | {_plain(param.help or '')} |")
        examples = [line.strip() for line in _plain(command.epilog).splitlines()[1:] if line.strip()]
        lines += ["", "```sh", *examples, "```"]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Without the markup of the terminal."""
    return re.sub(r"\[/?(bold|dim)\]", "", text)


def write(docs: Path = DOCS, catalogue: Path = SHIPPED) -> list[Path]:
    """Write what has changed; the paths of that."""
    texts = {docs / name: text for name, text in pages().items()}
    texts |= {catalogue / name: text for name, text in json_schemas().items()}
    texts |= signal_files(catalogue / "signals", load(catalogue).signals, read_results())
    stale = [path for path, text in texts.items() if not path.exists() or path.read_bytes() != text.encode()]
    for path in stale:
        path.write_bytes(texts[path].encode())  # as it is: signals are written by people, line ends are theirs
    return stale


if __name__ == "__main__":
    sys.stdout.writelines(f"{path.parent.name}/{path.name}\n" for path in write())
