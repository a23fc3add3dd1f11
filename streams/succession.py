"""What a new catalogue takes over from the one before it: panes, baselines, rules' memories and links.

| what changed in a signal | what becomes of its memory |
|---|---|
| thresholds, minimum, effect, hysteresis, cooldown, overrides, texts, labels, status | all is kept |
| one test added or removed | the other tests keep theirs |
| a test's measure, `of`, windows, detector or newcomers | that test learns anew; panes of the same measure are kept |
| a signal added | it learns from now on; panes that another signal has are there at once |
| a signal removed, or all its tests new | its open episodes are resolved, `config` |
| the delay curve of a market that was seen | outcome tests that use it learn anew, in all markets |
| currency or money unit of a market that was seen | tests of money learn anew, in all markets |
| `pane` or `limits.evidence` in engine.yaml | refused: start anew under another group and topic prefix |
"""

from typing import Any

import msgspec
import numpy as np

from config.schema import Severity
from streams.entities import UNBORN
from streams.links import Links
from streams.patterns import RepeatWatch, SequenceWatch
from streams.plan import Plan, Watch
from streams.rates import RateWatch
from streams.windows import NEVER, Ring

Identity = tuple[Any, ...]


def take_over(old: Plan, new: Plan, closed: int, ahead: int) -> dict[tuple[str, int], int]:
    """Move what fits into the new plan; returns where each test (signal, index) that keeps its memory is now."""
    before = {(old.matchers[m], pane): ring for (m, pane), ring in old.rings.items()}
    for (matcher, pane), ring in new.rings.items():
        was = before.get((new.matchers[matcher], pane))
        if was is not None:
            _pour(was, ring)
        elif closed != NEVER:
            ring.open_until(closed + ahead)
    known: dict[Identity, list[tuple[int, Watch]]] = {}
    for name, watches in zip(old.names, old.watches, strict=True):
        for index, (identity, watch) in enumerate(_identified(old, name, watches)):
            known.setdefault(identity, []).append((index, watch))
    kept: dict[tuple[str, int], int] = {}
    fresh: list[RateWatch] = []
    for name, watches in zip(new.names, new.watches, strict=True):
        for index, (identity, watch) in enumerate(_identified(new, name, watches)):
            if known.get(identity):
                place, before_it = known[identity].pop(0)
                _inherit(before_it, watch)
                kept[name, place] = index
            elif isinstance(watch, RateWatch):
                fresh.append(watch)
    for watch in fresh:
        _begin(watch, old, new)
    return kept


def _begin(watch: RateWatch, old: Plan, new: Plan) -> None:
    """A test that learns anew among entities that live already: as for newcomers, everybody is like its peers.

    Outcomes that another test counts go on counting from when that one began: the panes are common to both.
    """
    matcher = new.matchers[watch.matcher]
    started = [
        one.delays.started
        for one in old.rate_watches()
        if one.kind == "outcome" and old.matchers[one.matcher] == matcher and one.delays.started != NEVER
    ]
    if watch.kind == "outcome" and started:
        watch.delays.started = min(started)
    watch.grow()
    watch.born(np.flatnonzero(new.people.born != UNBORN))


def _identified(plan: Plan, name: str, watches: list[Watch]) -> list[tuple[Identity, Watch]]:
    """Each test's memory with what it depends on; thresholds are not among it."""
    out: list[tuple[Identity, Watch]] = []
    for watch in watches:
        bare = {"severity": Severity()}
        for field in ("minimum", "minimum_of", "effect", "measure", "of"):
            if field in watch.test.__struct_fields__:
                bare[field] = 1 if field not in ("measure", "of") else "it"  # type: ignore[assignment]
        if isinstance(watch, SequenceWatch):  # words are not memory
            bare["steps"] = [msgspec.structs.replace(step, says="it happens") for step in watch.test.steps]  # type: ignore[assignment]
        what = msgspec.json.encode(msgspec.structs.replace(watch.test, **bare))
        measures: tuple[Any, ...]
        if isinstance(watch, SequenceWatch):
            measures = tuple(plan.matchers[m] for m in watch.matchers)
        elif isinstance(watch, RepeatWatch):
            measures = (plan.matchers[watch.matcher],)
        else:
            of = None if watch.of_matcher is None else plan.matchers[watch.of_matcher]
            measures = (plan.matchers[watch.matcher], of, _of_markets(plan, watch))
        out.append(((name, what, *measures), watch))
    return out


def _of_markets(plan: Plan, watch: RateWatch) -> bytes:
    """What each market that was seen brings to a test: its delay curve, its money."""
    curves, catalogue = watch.delays.curves, plan.catalogue
    money = plan.matchers[watch.matcher].sum is not None
    facts = [
        (
            code,
            curves.get(code, curves.get("default")) if watch.kind == "outcome" else None,
            (catalogue.market(code).currency, catalogue.market(code).money_unit) if money else None,
        )
        for code in plan.people.markets
    ]
    return msgspec.json.encode(facts)


def _inherit(was: Watch, watch: Watch) -> None:
    names: tuple[str, ...]
    if isinstance(watch, RateWatch):
        assert isinstance(was, RateWatch)
        names = tuple(name for name in watch.STATE if name not in ("campaigns", "week", "delays"))
        watch.campaigns.inherit(was.campaigns)
        watch.week.inherit(was.week)
        watch.delays.inherit(was.delays)
    elif isinstance(watch, RepeatWatch):
        names = ("times", "touched")
    else:
        names = ("state", "reached", "reached_at", "known", "pending")
    for name in names:
        setattr(watch, name, getattr(was, name))


def _pour(was: Ring, ring: Ring) -> None:
    """The newest panes that both have room for."""
    if was.rows == ring.rows:
        ring.cells = was.cells
    elif was.newest != NEVER:
        for pane in range(max(was.newest - min(was.rows, ring.rows) + 1, 0), was.newest + 1):
            ring.cells[pane % ring.rows] = was.cells[pane % was.rows]
    ring.newest = was.newest


def take_over_links(was: Links, links: Links) -> None:
    """Tables of the same measure keep what they know."""
    tables = dict(zip(was.identities, was.tables, strict=True))
    for identity, table in zip(links.identities, links.tables, strict=True):
        if identity in tables:
            table.times = tables[identity].times
    before = {was.routes.matchers[m]: deadlines for m, deadlines in was.deadlines.items()}
    for matcher, deadlines in links.deadlines.items():
        if links.routes.matchers[matcher] in before:
            same = before[links.routes.matchers[matcher]]
            deadlines.pending, deadlines.queue = same.pending, same.queue
