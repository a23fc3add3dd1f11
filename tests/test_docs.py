"""The documents can't lie: their commands print what they show, links lead somewhere, pages made from code are fresh.

    python -m tests.test_docs     run the commands of README and of the pages in docs/, and write down what they print,
                                  where nothing is left out

A command is a line `$ …` in a block `console`; what follows it is its output. A block `yaml` whose first line is
`# my-config/…yaml` is written to that file, with `, at its end` behind the file's name added to it. The commands of a
page run one after another in a folder of its own.
"""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from config.catalogue import load
from config.schema import Severity, millis
from streams import reference
from streams.policy import window_thresholds
from streams.records import TYPES, Alert

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TOLD = [page for page in PAGES if "\n```console\n" in page.read_text(encoding="utf-8")]
FILE = re.compile(r"# (?P<path>my-config/[\w./-]+\.yaml)(?P<added>, at its end)?")
COMMANDS: dict[str, Any] = reference.all_commands()
LEFT_OUT = "…"
README_LINES_MAX = 130  # two screens

each_page = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])


# ---- commands ----------------------------------------------------------------------------------------------


class Shown(NamedTuple):
    """A command and the output that the page shows."""

    command: str
    output: list[str]
    first: int  # line of the page where the output begins
    last: int  # and the one behind it


class Written(NamedTuple):
    """A file that the page tells to write, or what is to be added to it."""

    path: str
    text: str
    mode: str


def shown(text: str) -> Iterator[Shown | Written]:
    """The commands of all blocks that are marked `console`, and the files of those marked `yaml`, in their order."""
    lines = text.splitlines()
    block = ""
    at = 0
    while at < len(lines):
        line, at = lines[at], at + 1
        if line.startswith("```"):
            block = line[3:] if not block else ""
            if block == "yaml" and (found := FILE.fullmatch(lines[at])):
                end = lines.index("```", at)
                content = "".join(f"{one}\n" for one in lines[at + 1 : end])
                yield Written(found["path"], content, "a" if found["added"] else "w")
        elif block == "console" and line.startswith("$ "):
            first = at
            while not lines[at].startswith(("$ ", "```")):
                at += 1
            yield Shown(line[2:], lines[first:at], first, at)


def printed_in(text: str, folder: Path) -> Iterator[tuple[Shown, list[str]]]:
    """Do what a page tells, in a folder; each command with what it prints."""
    for one in shown(text):
        if isinstance(one, Shown):
            yield one, printed(one.command, folder)
        else:
            with (folder / one.path).open(one.mode, encoding="utf-8") as file:
                file.write(one.text)


def printed(command: str, folder: Path) -> list[str]:
    """What a command prints, as a page would show it. It may fail if it says so."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("RIPCURRENT_", "KAFKA_"))}
    environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environ["PATH"]])
    environ["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        encoding="utf-8", timeout=240, check=False,
    )  # fmt: skip
    lines = [line.rstrip() for line in done.stdout.rstrip().splitlines()]
    assert done.returncode == 0 or "ripcurrent: error: " in done.stdout, done.stdout
    return lines


def matches(pattern: list[str], lines: list[str]) -> bool:
    """Whether these lines are what is shown; `…` alone stands for any lines, within a line for any text."""
    parts = [".*" if line == LEFT_OUT else _line(line.rstrip()) for line in pattern]
    text = "".join(part if part == ".*" else part + "\n" for part in parts)
    return re.fullmatch(text, "".join(line + "\n" for line in lines), re.DOTALL) is not None


def _line(line: str) -> str:
    first, *others = line.split(LEFT_OUT)
    return r"[^\n]*".join(re.escape(part) for part in (first.rstrip(" ") if others else first, *others))


@pytest.mark.parametrize("page", TOLD, ids=[str(page.relative_to(ROOT)) for page in TOLD])
def test_the_commands_of_a_page_print_what_it_shows(page: Path, tmp_path: Path) -> None:
    for one, output in printed_in(page.read_text(encoding="utf-8"), tmp_path):
        told = "prints something else now; `python -m tests.test_docs` writes it down:"
        assert matches(one.output, output), "\n".join([f"$ {one.command}", told, *output])


def test_these_pages_have_commands_that_are_run() -> None:
    assert {page.name for page in TOLD} == {"README.md", "policies.md", "replay.md", "write-a-signal.md"}
    commands = [one.command for one in shown(README.read_text(encoding="utf-8")) if isinstance(one, Shown)]
    assert {command.split()[1] for command in commands} >= {"check", "simulate", "replay"}


def test_files_that_a_page_tells_to_write_are_read_with_their_place() -> None:
    page = "```yaml\n# my-config/a.yaml\nx: 1\n```\n```console\n$ do it\ndone\n```\n```yaml\n# an example\n```\n"
    page += "```yaml\n# my-config/a.yaml, at its end\ny: 2\n```\n"
    written, done, added = shown(page)
    assert written == Written("my-config/a.yaml", "x: 1\n", "w")
    assert done == Shown("do it", ["done"], 6, 7)
    assert added == Written("my-config/a.yaml", "y: 2\n", "a")


def test_what_is_left_out_stands_for_anything_and_nothing_else_does() -> None:
    assert matches(["a", LEFT_OUT, "z 1 …"], ["a", "b", "c", "z 1 and more"])
    assert not matches(["a", "z"], ["a", "b", "z"])
    assert not matches(["a.c"], ["abc"])


def test_the_readme_fits_on_two_screens() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= README_LINES_MAX


def test_the_readme_counts_the_signals_and_markets_that_are_shipped() -> None:
    text, catalogue = README.read_text(encoding="utf-8"), load()
    assert f"[signals](docs/signals.md): all {len(catalogue.signals)} |" in text
    assert len(catalogue.signals) == 22, "README says twenty-two in words"
    assert len(catalogue.markets.keys() - {"default"}) == 8, "README says eight in words"


def test_the_readme_names_every_command_and_every_target_is_documented() -> None:
    text = README.read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"ripcurrent {name}" not in text] == []
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    texts = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [name for name in targets if f"make {name}" not in texts and name != "help"] == []


@each_page
def test_every_command_that_is_written_down_exists_with_its_options(page: Path) -> None:
    for block in re.findall(r"```(?:sh|console)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for name, rest in re.findall(r"ripcurrent (dlq [a-z]+|[a-z]+)([^\n#|&]*)", block):
            assert name in COMMANDS, f"ripcurrent {name}"
            known = {option for param in COMMANDS[name].params for option in (*param.opts, *param.secondary_opts)}
            assert set(re.findall(r"(?<!\S)--[a-z-]+", rest)) <= known, f"ripcurrent {name}{rest}"


# ---- links and names ---------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """Of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        assert found.is_relative_to(ROOT), target
        assert not anchor or anchor in anchors(found), target


@each_page
def test_every_file_that_is_named_is_there(page: Path) -> None:
    folders = "streams|detectors|config|tests|docs|benchmarks|requirements"
    names = re.findall(rf"`((?:{folders})/[\w./-]+)`", page.read_text(encoding="utf-8"))
    pattern = re.compile(r"NAME|/CC\.yaml")
    assert [name for name in names if not pattern.search(name) and not (ROOT / name).exists()] == []


FORBIDDEN = {
    "a path of one machine": r"(?<![\w.])/(work|home|root|tmp|usr|opt|Users)/",
    "an address of an index or a registry": r"pypi\.|npmjs|docker\.io|ghcr|index-url|registry\.",
    "marketing": r"\b(blazing\w*|cutting[- ]edge|state[- ]of[- ]the[- ]art|seamless\w*|effortless\w*|world[- ]class|"
    r"game[- ]chang\w+|revolution\w*|powerful|next[- ]gen\w*|best[- ]in[- ]class|leverag\w+|unparalleled)\b",
    "what the project is not about": r"\b(language model|chat ?bot|prompt|this session|work item|issue \d)\b",
    "words to be filled in": r"\b(TODO|FIXME|TBD|lorem ipsum|coming soon)\b",
}


@each_page
@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_documents_do_without(page: Path, what: str) -> None:
    assert [match[0] for match in re.finditer(FORBIDDEN[what], page.read_text(encoding="utf-8"), re.IGNORECASE)] == []


# ---- pages beside what they are about ----------------------------------------------------------------------


@cache
def pages() -> dict[str, str]:
    return reference.pages()


@pytest.mark.parametrize("name", sorted(pages()))
def test_pages_made_from_code_are_fresh(name: str) -> None:
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == pages()[name], "stale: python -m streams.reference"


def test_the_contracts_name_the_types_and_fields_that_the_code_has() -> None:
    folder = ROOT / "docs" / "contract"
    events, alerts = ((folder / f"{name}.md").read_text(encoding="utf-8") for name in ("events", "alerts"))
    assert set(re.findall(r"`([a-z]+\.[a-z_]+)`", events.partition("## Types")[2])) == TYPES
    rows = [re.findall(r"`(\w+)`", line.split("|")[1]) for line in alerts.splitlines() if line.startswith("| `")]
    assert tuple(field for row in rows for field in row) == Alert.__struct_fields__


PARTS = ["Meaning", "Impact", "Diagnosis", "Mitigation", "Policy"]


def test_every_signal_has_a_runbook_that_says_what_to_do() -> None:
    folder = ROOT / "docs" / "runbooks"
    index = (folder / "README.md").read_text(encoding="utf-8")
    signals = load().signals
    for name, signal in signals.items():
        page = signal.labels["runbook"] + ".md"
        text = (folder / page).read_text(encoding="utf-8")
        assert text.startswith(f"# {signal.title}\n"), name
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == PARTS, name
        assert f"]({page})" in index, name
    assert {page.stem for page in folder.glob("*.md")} - {"README"} <= {s.labels["runbook"] for s in signals.values()}


def test_the_thresholds_of_other_windows_are_as_the_page_for_policy_managers_says() -> None:
    text = " ".join((ROOT / "docs" / "policies.md").read_text(encoding="utf-8").split())
    (said,) = re.findall(r"With 3 for a day, a window of ([^.]+\.\d[^.]+\.\d[^.]+\.\d)", text)
    found = re.findall(r"(\d+ hours|an hour|\d+ days)[a-z ]* (\d\.\d)", said)
    sizes = {"6 hours": "6h", "an hour": "1h", "7 days": "7d"}
    assert [name for name, _ in found] == list(sizes)
    for name, mark in found:
        assert mark == f"{window_thresholds(Severity(warning=3), millis(sizes[name]))[1]:.1f}", name


def test_every_decision_has_its_parts_and_stands_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    pages = sorted(folder.glob("0*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text(encoding="utf-8")
        title = re.match(rf"# {page.name[:4]} (.+)\n", text)
        assert title, page.name
        assert f"[{page.name[:4]}]({page.name}) | {title[1]} |" in index, page.name
        parts = ("**Context.**", "**Choice.**", "**What would change our mind.**")
        assert [part for part in parts if part not in text] == [], page.name
        assert len(text.splitlines()) <= 60, page.name


def test_every_dependency_has_its_reason() -> None:
    decision = (ROOT / "docs" / "decisions" / "0007-dependencies.md").read_text(encoding="utf-8").lower()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    for name in ("runtime.in", "dev.in"):
        wanted += (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
    names = {re.split(r"[\[=<>~ ]", line)[0].lower() for line in wanted if line and not line.startswith(("-", "#"))}
    assert sorted(name for name in names if name not in decision) == []


def test_the_licence_is_the_one_that_the_readme_names() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def refresh() -> None:
    """Write down what the pages' commands print; where something is left out, only say what is printed now."""
    for page in TOLD:
        text = page.read_text(encoding="utf-8")
        lines = text.splitlines()
        with tempfile.TemporaryDirectory() as folder:
            found = list(printed_in(text, Path(folder)))
        for one, output in reversed(found):
            if not any(LEFT_OUT in line for line in one.output):
                lines[one.first : one.last] = output
            elif not matches(one.output, output):
                print(f"{page.name}: $ {one.command}\nshortened by hand, prints now:", *output, sep="\n")
        page.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    refresh()
