"""Hot reload: notices that the configuration's folder changed, and reads it; a bad one is refused, the last good stays.

A ConfigMap is mounted as links that all flip at once; an editor writes one file after the other. So a change counts
when the folder has looked the same twice in a row.
"""

import asyncio
from pathlib import Path

from mode import get_logger

from config.catalogue import CatalogueError, load
from config.schema import Catalogue
from streams.engine import Engine
from streams.errors import ConfigError
from streams.pseudonyms import Pseudonyms

log = get_logger(__name__)

PROBLEMS_MAX = 20  # told in the log of one refusal

Look = tuple[tuple[str, int, int, int], ...]  # name, inode, size, modified in ns


def look(folder: Path) -> Look:
    """What a folder's YAML files look like from outside; links are followed."""
    found = []
    for path in sorted(folder.rglob("*.yaml")):
        try:
            stat = path.stat()
        except OSError:  # gone in between: the next look will tell
            continue
        found.append((str(path.relative_to(folder)), stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(found)


def fixed_while_running(old: Catalogue, new: Catalogue) -> list[str]:
    """What may not change in a running engine, nor over a restart from its checkpoint."""
    was, now = old.engine, new.engine
    facts = (
        ("pane", was.pane, now.pane),
        ("limits.evidence", was.limits.evidence, now.limits.evidence),
        ("limits.duplicates", was.limits.duplicates, now.limits.duplicates),
    )
    return [
        f"engine.yaml: $.{name} is {new_value}, was {old_value}; expected the same while running: start anew under "
        f"another group and topic prefix"
        for name, old_value, new_value in facts
        if old_value != new_value
    ]


class Folder:
    """The configuration's folder, and what of it was read last."""

    def __init__(self, folder: Path, catalogue: Catalogue, pseudonyms: Pseudonyms | None = None) -> None:
        self._pseudonyms = pseudonyms
        self.folder = folder
        self.catalogue = catalogue  # the last good one
        self.problems: list[str] = []  # of a newer one that was refused
        self._read = self._before = look(folder)
        self._asked = False

    def ask(self) -> None:
        """Read it at the next look, even if nothing seems to have changed (SIGHUP)."""
        self._asked = True

    async def changed(self) -> bool:
        """Whether a new configuration was read, good or bad, since the last call."""
        now = await asyncio.to_thread(look, self.folder)
        settled, self._before = now == self._before, now
        if not self._asked and (now == self._read or not settled):
            return False
        self._read, self._asked = now, False
        try:
            read = await asyncio.to_thread(load, self.folder)
            fixed = fixed_while_running(self.catalogue, read)
            if fixed:
                raise CatalogueError(fixed)
            # A change is recorded for ever: it must not fail later.
            await asyncio.to_thread(Engine, read, "", 0, self._pseudonyms)
        except (CatalogueError, ConfigError) as error:
            self.problems = error.problems if isinstance(error, CatalogueError) else [str(error)]
            log.error("the changed configuration is refused, %s stays", self.catalogue.version)
            for problem in self.problems[:PROBLEMS_MAX]:
                log.error("%s", problem)
            return True
        self.problems = []
        if read.version != self.catalogue.version:
            log.info("configuration %s takes the place of %s", read.version, self.catalogue.version)
            self.catalogue = read
        return True
