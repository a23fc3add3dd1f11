"""The notebook of the documents: its cells run one after another and print what it holds.

    python -m tests.test_notebook     run it and write down what it prints
"""

import contextlib
import io
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parent.parent / "docs" / "replay.ipynb"


def read() -> dict[str, Any]:
    book: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return book


def printed(book: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Each cell of code, and what it prints; all share their names, as in a notebook, and the folder they stand in."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                exec(compile("".join(cell["source"]), f"<{cell['id']}>", "exec"), names)
            yield cell, said.getvalue()


def outputs(text: str) -> list[dict[str, Any]]:
    stream = {"name": "stdout", "output_type": "stream", "text": text.splitlines(keepends=True)}
    return [stream] if text else []


def test_the_cells_print_what_the_notebook_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    book = read()
    for number, (cell, text) in enumerate(printed(book), 1):
        assert cell["outputs"] == outputs(text), f"stale: python -m tests.test_notebook; cell {cell['id']}:\n{text}"
        assert cell["execution_count"] == number


def test_it_is_a_notebook_as_its_format_says() -> None:
    book = read()
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    assert set(book) == {"cells", "metadata", "nbformat", "nbformat_minor"}
    fields = {"cell_type", "id", "metadata", "source"}
    for cell in book["cells"]:
        assert set(cell) == fields | ({"execution_count", "outputs"} if cell["cell_type"] == "code" else set())
    ids = [cell["id"] for cell in book["cells"]]
    assert len(set(ids)) == len(ids)


def test_a_backtest_is_five_lines() -> None:
    (cell,) = [cell for cell in read()["cells"] if cell["id"] == "backtest"]
    assert len(cell["source"]) <= 5


def refresh() -> None:
    book = read()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for number, (cell, text) in enumerate(printed(book), 1):
            cell["outputs"], cell["execution_count"] = outputs(text), number
    NOTEBOOK.write_text(json.dumps(book, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("COLUMNS", "140")
    refresh()
