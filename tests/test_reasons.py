"""Every reason reads as its table (reason_cases.py) has it; docs/reasons.md shows that table.

    python -m tests.test_reasons      write docs/reasons.md
"""

from pathlib import Path

import pytest

from streams.reasons import _SENTENCES, reason
from tests.reason_cases import CASES, WHAT, Case

PAGE = Path(__file__).parent.parent / "docs" / "reasons.md"


def page() -> str:
    """docs/reasons.md."""
    lines = [
        "# Reasons", "",
        "<!-- made by `python -m tests.test_reasons`: do not edit -->", "",
        "An alert says why in one sentence. It is made from `reason_code` and `reason_args`, so that it can be said in",
        "other languages. These are the sentences in English.",
    ]  # fmt: skip
    for code, what in WHAT.items():
        lines += ["", f"## {what}", "", f"`{code}`", "", "| case | sentence |", "|---|---|"]
        lines += [f"| {case.what} | {case.sentence} |" for case in CASES if case.code == code]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}: {case.what}")
def test_a_reason_reads_exactly_so(case: Case) -> None:
    assert reason(case.code, case.args) == case.sentence


def test_every_reason_code_is_in_the_table() -> None:
    assert {case.code for case in CASES} == set(_SENTENCES) == set(WHAT)


def test_the_page_of_reasons_is_fresh() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.test_reasons"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
