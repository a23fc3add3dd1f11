"""The examples in the documentation of the modules are true."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def with_examples() -> list[str]:
    """Modules of the project with a doctest in them."""
    paths = sorted(path for name in ("streams", "config", "detectors") for path in (ROOT / name).glob("*.py"))
    return [f"{path.parent.name}.{path.stem}" for path in paths if ">>> " in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("name", with_examples())
def test_the_examples_of_a_module_are_true(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.REPORT_NDIFF)
    assert result.attempted > 0
    assert result.failed == 0


def test_there_are_examples_to_run() -> None:
    assert {"streams.policy", "streams.records", "streams.reasons", "config.schema"} <= set(with_examples())
