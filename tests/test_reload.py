"""Hot reload: what counts as a change, what is refused, and that the last good configuration stays."""

import logging
from pathlib import Path

import msgspec
import pytest

from config.catalogue import load
from streams import reload
from streams.engine import Engine
from streams.reload import Folder, fixed_while_running
from tests.catalogues import FILES, spoil, write_catalogue


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_catalogue(tmp_path)


@pytest.fixture
def folder(path: Path) -> Folder:
    return Folder(path, load(path))


async def looked(folder: Folder, times: int = 2) -> list[bool]:
    """What so many looks say; two settle a change."""
    return [await folder.changed() for _ in range(times)]


def retitle(path: Path, title: str = "Refund flood") -> None:
    spoil(path, "signals/refunds.yaml", "title: Refund surge", f"title: {title}")


async def test_a_folder_that_nobody_touched_is_not_read_again(folder: Folder) -> None:
    before = folder.catalogue
    assert await looked(folder, 3) == [False, False, False]
    assert folder.catalogue is before


async def test_a_change_counts_once_the_folder_has_looked_the_same_twice(path: Path, folder: Folder) -> None:
    version = folder.catalogue.version
    retitle(path)
    assert await looked(folder, 3) == [False, True, False]
    assert folder.catalogue.signals["refunds"].title == "Refund flood"
    assert folder.catalogue.version != version
    assert folder.catalogue == load(path)


async def test_a_folder_that_is_still_being_written_is_left_alone(path: Path, folder: Folder) -> None:
    for title in ("Refund surge of", "Refund surge of three", "Refund surge of three files"):
        (path / "signals/refunds.yaml").write_text(FILES["signals/refunds.yaml"].replace("Refund surge", title))
        assert not await folder.changed()
    assert folder.catalogue.signals["refunds"].title == "Refund surge"
    assert await folder.changed()
    assert folder.catalogue.signals["refunds"].title == "Refund surge of three files"


async def test_a_file_that_comes_or_goes_is_a_change(path: Path, folder: Folder) -> None:
    (path / "signals/returns.yaml").write_text(FILES["signals/refunds.yaml"])
    assert await looked(folder) == [False, True]
    assert "returns" in folder.catalogue.signals
    (path / "signals/returns.yaml").unlink()
    assert await looked(folder) == [False, True]
    assert "returns" not in folder.catalogue.signals


async def test_a_file_written_anew_with_the_same_text_leaves_the_configuration(path: Path, folder: Folder) -> None:
    before = folder.catalogue
    other = path / "engine.new"
    other.write_text(FILES["engine.yaml"])
    other.replace(path / "engine.yaml")
    assert await looked(folder) == [False, True]
    assert folder.catalogue is before


async def test_a_bad_one_is_refused_and_the_last_good_one_stays(
    path: Path, folder: Folder, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = folder.catalogue
    spoil(path, "signals/refunds.yaml", "lifecycle: performance", "lifecycl: performance")
    spoil(path, "signals/takeover.yaml", "minimum: 1", "minimum: none")
    monkeypatch.setattr(reload, "log", logging.getLogger("a test's own"))  # others may have silenced the module's
    with caplog.at_level(logging.ERROR):
        assert await looked(folder, 3) == [False, True, False]  # and it is told once
    assert folder.catalogue is good
    assert [problem.split(": ")[0] for problem in folder.problems] == [
        f"{path}/signals/refunds.yaml:3", f"{path}/signals/takeover.yaml:7",
    ]  # fmt: skip
    told = [record.getMessage() for record in caplog.records]
    assert told == [f"the changed configuration is refused, {good.version} stays", *folder.problems]


async def test_a_folder_that_is_gone_is_a_bad_one(path: Path, folder: Folder) -> None:
    good = folder.catalogue
    (path / "signals").rename(path / "elsewhere")
    assert await looked(folder) == [False, True]
    assert folder.problems
    assert folder.catalogue is good


async def test_a_bad_one_that_is_mended_is_taken(path: Path, folder: Folder) -> None:
    spoil(path, "signals/refunds.yaml", "lifecycle: performance", "lifecycl: performance")
    await looked(folder)
    spoil(path, "signals/refunds.yaml", "lifecycl: performance", "lifecycle: compliance")
    assert await looked(folder) == [False, True]
    assert folder.problems == []
    assert folder.catalogue.signals["refunds"].lifecycle == "compliance"


async def test_a_bad_one_that_is_put_back_is_refused_no_longer(path: Path, folder: Folder) -> None:
    good = folder.catalogue
    retitle(path, "[")
    await looked(folder)
    assert folder.problems
    (path / "signals/refunds.yaml").write_text(FILES["signals/refunds.yaml"])
    assert await looked(folder) == [False, True]
    assert folder.problems == []
    assert folder.catalogue is good


async def test_links_that_flip_at_once_as_those_of_a_config_map_do_are_a_change(tmp_path: Path) -> None:
    mount = tmp_path / "mount"
    for version in ("..2026_01", "..2026_02"):
        (tmp_path / version).mkdir()
        write_catalogue(tmp_path / version)
    retitle(tmp_path / "..2026_02")
    mount.mkdir()
    (tmp_path / "..2026_01").rename(mount / "..2026_01")
    (mount / "..data").symlink_to("..2026_01")
    for name in ("signals", "markets", "groups", "engine.yaml"):
        (mount / name).symlink_to(f"..data/{name}")
    folder = Folder(mount, load(mount))
    assert await looked(folder) == [False, False]
    (tmp_path / "..2026_02").rename(mount / "..2026_02")
    (mount / "..new").symlink_to("..2026_02")
    (mount / "..new").replace(mount / "..data")
    for path in sorted((mount / "..2026_01").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    assert await looked(folder) == [False, True]
    assert folder.problems == []
    assert folder.catalogue.signals["refunds"].title == "Refund flood"


async def test_a_folder_that_is_a_link_to_the_newest_is_a_change_when_it_flips(tmp_path: Path) -> None:
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
        write_catalogue(tmp_path / version)
    retitle(tmp_path / "two")
    current = tmp_path / "current"
    current.symlink_to("one")
    folder = Folder(current, load(current))
    current.unlink()
    current.symlink_to("two")
    assert await looked(folder) == [False, True]
    assert folder.catalogue.signals["refunds"].title == "Refund flood"


async def test_who_asks_has_it_read_at_the_next_look_and_once(folder: Folder) -> None:
    before = folder.catalogue
    folder.ask()
    assert await looked(folder, 3) == [True, False, False]
    assert folder.catalogue is before
    assert folder.problems == []


async def test_who_asks_does_not_wait_until_a_change_has_settled(path: Path, folder: Folder) -> None:
    retitle(path)
    folder.ask()
    assert await looked(folder) == [True, False]
    assert folder.catalogue.signals["refunds"].title == "Refund flood"


async def test_another_pane_is_refused_and_says_what_to_do(path: Path, folder: Folder) -> None:
    good = folder.catalogue
    spoil(path, "engine.yaml", "15m", "5m")
    assert await looked(folder) == [False, True]
    assert folder.problems == [
        "engine.yaml: $.pane is 5m, was 15m; expected the same while running: start anew under another group and "
        "topic prefix"
    ]
    assert folder.catalogue is good


@pytest.mark.parametrize("limit", ["evidence", "duplicates"])
def test_how_far_an_engine_looks_back_may_not_change_while_it_runs(limit: str) -> None:
    old = load()
    limits = msgspec.structs.replace(old.engine.limits, **{limit: 7})
    new = msgspec.structs.replace(old, engine=msgspec.structs.replace(old.engine, limits=limits))
    (said,) = fixed_while_running(old, new)
    assert said.startswith(f"engine.yaml: $.limits.{limit} is 7, was ")
    with pytest.raises(ValueError, match=f"limits.{limit} can't change"):
        Engine(old, "creator-events", 0).reconfigure(new)
