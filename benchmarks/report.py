"""What every benchmark says: machine and versions, its file in results/ and its section of RESULTS.md."""

import importlib.metadata
import json
import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "RESULTS.md"
HEADER = "# Results\n\nWritten by the benchmarks; [README.md](README.md) says how each is run and what it shows.\n"


class Machine(NamedTuple):
    cpu: str
    cores: int
    memory_gib: float
    system: str
    load: float  # of the last minute when it began: what else ran
    date: str
    commit: str  # with + where the code had changes


def machine() -> Machine:
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return Machine(
        cpu[1] if cpu else platform.processor(), os.cpu_count() or 1, round(memory, 1),
        f"{platform.system()} {platform.release()}", round(os.getloadavg()[0], 2),
        datetime.now(UTC).strftime("%Y-%m-%d"), _commit(),
    )  # fmt: skip


def _commit() -> str:
    def git(*command: str) -> str:
        return subprocess.run(["git", *command], cwd=HERE, capture_output=True, text=True, check=False).stdout.strip()

    changed = git("status", "--porcelain", "--", "../streams", "../detectors", "../config")
    return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")


def versions(*names: str) -> dict[str, str]:
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}


def write_result(name: str, title: str, lines: list[str], said: dict[str, Any], on: Machine) -> None:
    """results/NAME.json, and the section of RESULTS.md between NAME's two comments."""
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / f"{name}.json").write_text(json.dumps(said, indent=2) + "\n")
    where = f"{on.cpu}, {on.cores} cores, {on.memory_gib:g} GiB, {on.system}; load {on.load:g} when it began; {on.date}"
    with_ = ", ".join(f"{package} {version}" for package, version in said.get("versions", {}).items())
    body = "\n".join([f"## {title}", "", *lines, "", f"{where}, commit {on.commit}; {with_}."])
    first, last = f"<!-- {name} -->\n", f"\n<!-- /{name} -->\n"
    text = RESULTS.read_text() if RESULTS.exists() else HEADER
    if first in text:
        before, _, rest = text.partition(first)
        text = before + first + body + last + rest.partition(last)[2]
    else:
        text += f"\n{first}{body}{last}"
    RESULTS.write_text(text)
