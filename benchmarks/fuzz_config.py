"""Damages configurations at random and loads them: each must load or be refused, with a line for each mistake.

    python -m benchmarks.fuzz_config --n 100000

Half are damaged in their structure, half in their bytes; the shipped signals, markets and groups and the small ones of
the tests in turn. Ends with one line of JSON; exit code 1 if anything else came out than a catalogue or a refusal.
With --engine an engine is built of each catalogue that loads.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import yaml

from config.catalogue import SHIPPED, CatalogueError, load
from config.schema import Catalogue
from tests.catalogues import FILES, write_catalogue
from tests.mutations import damaged_bytes, mutated

# what shipped files name, and what stands for it beside them in the small folder
STAND_INS = {
    "refund_rate": "refunds", "complaint_rate": "takeover", "order_spike": "refunds", "fake_engagement": "takeover",
}  # fmt: skip


def seeds() -> list[tuple[str, str]]:
    """Where a file lies in a folder, and what it says."""
    found = list(FILES.items())
    for kind in ("signals", "markets", "groups"):
        for path in sorted((SHIPPED / kind).glob("*.yaml")):
            text = path.read_text(encoding="utf-8")
            for name, other in STAND_INS.items() if kind != "signals" else ():
                text = text.replace(name, other)
            found.append((path.relative_to(SHIPPED).as_posix(), text))
    return found


def damaged(text: str, random: Random) -> bytes:
    if random.random() < 0.5:
        return damaged_bytes(text.encode(), random)
    value = mutated(yaml.load(text, Loader=yaml.CSafeLoader), random)
    return yaml.dump(value, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True).encode()


def outcome(folder: Path, engine: bool) -> str:
    """What came of a folder: loaded, refused, or what should not be."""
    try:
        catalogue = load(folder)
    except CatalogueError as error:
        told = error.problems and all(text.startswith(str(folder)) and "\n" not in text for text in error.problems)
        return "refused" if told else f"refused without a place: {error.problems[:1]}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return _built(catalogue) if engine else "loaded"


def _built(catalogue: Catalogue) -> str:
    from streams.engine import Engine

    try:
        Engine(catalogue, "creator-events", 0)
    except Exception as error:
        return f"no engine: {type(error).__name__}: {error}"
    return "loaded"


def run(n: int, seed: int, engine: bool) -> dict[str, Any]:
    random, files, counts = Random(seed), seeds(), Counter[str]()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = write_catalogue(Path(name))
        for _ in range(n):
            where, text = random.choice(files)
            content = damaged(text, random)
            (folder / where).write_bytes(content)
            result = outcome(folder, engine)
            counts[result] += 1
            if result not in ("loaded", "refused") and counts[result] == 1:
                print(f"{where}: {result}\n{content.decode(errors='replace')}", file=sys.stderr)
            (folder / where).unlink()
            if where in FILES:
                (folder / where).write_text(FILES[where], encoding="utf-8")
    others = {text: count for text, count in counts.items() if text not in ("loaded", "refused")}
    seconds = round(time.perf_counter() - began, 1)
    return {"benchmark": "fuzz_config", "n": n, "seed": seed, "engine": engine, "loaded": counts["loaded"],
            "refused": counts["refused"], "others": others, "seconds": seconds}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", action="store_true")
    given = parser.parse_args()
    result = run(given.n, given.seed, given.engine)
    print(json.dumps(result))
    sys.exit(1 if result["others"] else 0)


if __name__ == "__main__":
    main()
