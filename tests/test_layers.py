"""The layers of the project: what may import what, and that it is this project which is loaded."""

import ast
import sys
import tomllib
from pathlib import Path

import grimp
import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parent.parent
CORE = {  # pure: no clock, no randomness, no I/O
    "streams", "streams.alerts", "streams.calendar", "streams.calibration", "streams.columns", "streams.delays",
    "streams.duplicates", "streams.engine", "streams.entities", "streams.errors", "streams.evidence", "streams.grounds",
    "streams.judging", "streams.links", "streams.lives", "streams.market", "streams.money", "streams.patterns",
    "streams.plan", "streams.policy", "streams.pseudonyms", "streams.rates", "streams.reasons", "streams.records",
    "streams.cases", "streams.outcome", "streams.outcome_rows", "streams.outcome_score", "streams.scorecard",
    "streams.page", "streams.page_charts", "streams.page_html", "streams.page_table", "streams.page_trace",
    "streams.page_words", "streams.report", "streams.report_alerts", "streams.report_episodes", "streams.report_labels",
    "streams.traced",
    "streams.compare", "streams.compare_report", "streams.compare_rows", "streams.compare_volume",
    "streams.sweep_report", "streams.sweep_score", "streams.volume",
    "streams.recount", "streams.state", "streams.tally",
    "streams.dating", "streams.levels", "streams.rulebook", "streams.series", "streams.succession", "streams.unrest",
    "streams.windows",
    "config.effective", "config.packed", "config.schema", "config",
}  # fmt: skip
FORBIDDEN = {"time", "random", "asyncio", "logging", "socket", "datetime", "os", "secrets", "uuid", "threading",
             "faust", "mode", "aiokafka", "kafka", "prometheus_client"}  # fmt: skip


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("streams", "config", "detectors", include_external_packages=True, cache_dir=None)


def test_the_contracts_of_the_layers_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("logging.config.dictConfig", lambda _: None)  # it silences the loggers of tests that follow
    assert lint_imports(config_filename="pyproject.toml", no_cache=True) == 0


def test_the_contract_of_the_core_names_all_of_it() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (core,) = [c for c in contracts if c["type"] == "forbidden"]
    exists = {name for name in CORE if (ROOT / f"{name.replace('.', '/')}.py").is_file()}
    assert exists <= set(core["source_modules"])
    assert "detectors" in core["source_modules"]


def test_the_core_is_reached_by_nothing_else_than_itself(graph: grimp.ImportGraph) -> None:
    ours = {m for m in graph.modules if m.split(".")[0] in ("streams", "config", "detectors")}
    for module in sorted(CORE & ours):
        needs = graph.find_upstream_modules(module) & ours
        outside = {name for name in needs if name not in CORE and not name.startswith("detectors")}
        assert not outside, f"{module} imports {outside}"


def test_the_core_imports_no_clock_no_randomness_and_no_io(graph: grimp.ImportGraph) -> None:
    for module in sorted(CORE | {m for m in graph.modules if m.startswith("detectors")}):
        if module in graph.modules:
            assert not graph.find_modules_directly_imported_by(module) & FORBIDDEN, module


def core_files() -> list[Path]:
    named = [ROOT / f"{name.replace('.', '/')}.py" for name in sorted(CORE)]
    return [path for path in named if path.is_file()] + sorted((ROOT / "detectors").glob("*.py"))


@pytest.mark.parametrize("path", core_files(), ids=lambda path: path.stem)
def test_the_core_calls_nothing_that_differs_from_run_to_run(path: Path) -> None:
    """No hash(), id(), open() or print(), no numpy.random, no BLAS, no set that is looped over without an order."""
    for node in ast.walk(ast.parse(path.read_text())):
        where = f"{path.name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"hash", "id", "open", "print", "input", "eval", "exec"}, where
        if isinstance(node, ast.Attribute):
            assert node.attr not in {"random", "dot", "matmul", "einsum", "inner", "tensordot", "linalg"}, where
        assert not isinstance(node, ast.MatMult), where
        if isinstance(node, ast.For | ast.comprehension):
            assert not isinstance(node.iter, ast.Set | ast.SetComp), where


@pytest.mark.parametrize("package", ["streams", "config", "detectors"])
def test_packages_are_loaded_from_this_project(package: str) -> None:
    module = __import__(package)
    assert module.__file__ is not None
    assert Path(module.__file__).resolve().parent == ROOT.resolve() / package
    loaded = [m for name, m in sys.modules.items() if name.split(".")[0] == package and getattr(m, "__file__", None)]
    assert all(Path(m.__file__).resolve().is_relative_to(ROOT.resolve()) for m in loaded)
