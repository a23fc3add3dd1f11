"""What a comparison or a sweep leaves in its folder: tables as CSV and Parquet, compare.json and compare.html.

All is there or nothing. Tables of an earlier comparison that this one does not have are removed, so that a folder
never tells of two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from msgspec import Struct, json

from streams.compare_rows import COMPARED, SWEPT
from streams.files import sync, whole_path
from streams.page import Page
from streams.write_arrow import write_parquet
from streams.write_csv import write_csv
from streams.write_page import write_page

FACTS, PAGE = "compare.json", "compare.html"
TABLES = {**COMPARED, **SWEPT}


def write_compare(
    rows: Mapping[str, Sequence[Struct]], facts: Mapping[str, Any], page: Page, folder: Path, parquet: bool
) -> None:  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as files:
        parts: dict[str, Path] = {}

        def whole(name: str) -> Path:
            parts[name] = files.enter_context(whole_path(folder / name))
            return parts[name]

        whole(FACTS).write_bytes(json.format(json.encode(facts), indent=1) + b"\n")  # gets its name last: all is there
        for name, each in rows.items():
            write_csv(TABLES[name], each, whole(f"{name}.csv"))
            if parquet:
                write_parquet(TABLES[name], each, whole(f"{name}.parquet"))
        write_page(page, whole(PAGE))
        for part in parts.values():
            sync(part)
    ours = {PAGE, *(f"{name}.{ending}" for name in TABLES for ending in ("csv", "parquet"))}
    for name in sorted(ours - parts.keys()):
        (folder / name).unlink(missing_ok=True)
