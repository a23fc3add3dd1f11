"""What a story is, how it is told, and what must come of it."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from config.schema import Catalogue, Events, Sequence
from streams.columns import Record
from streams.engine import Engine
from streams.records import Alert, encode_alert
from tests.stories.lives import Life, Told
from tests.stories.others import others
from tests.stories.worlds import HOUR, PLACES, WORLDS
from tests.streamed import shipped

GOLDEN = Path(__file__).parent.parent / "golden"
AHEAD = 4_000  # records in one batch
CHATTER = frozenset({"product.clicked", "content.engaged", "live.minute"})  # half of a stream

Plot = Callable[[Life], object]


class Found(NamedTuple):
    """What an episode's alert must be."""

    by: float  # opened by this hour of the day on which things happen
    says: tuple[str, ...]  # each of these in some revision's reason
    since: float = 0.0  # and not before this hour
    severity: str = "critical"  # of the newest revision
    retracted: bool = False


class Story(NamedTuple):
    name: str  # a sentence
    signal: str
    market: str
    world: str
    plot: Plot
    found: Found | None = None  # None: nobody hears of it

    @property
    def hero(self) -> str:
        """Whom it is about."""
        return self.plot.__name__

    @property
    def path(self) -> Path:
        return GOLDEN / self.signal / f"{self.market}-{self.name.translate(_FILE_NAME)}.jsonl".lower()

    def mine(self, alerts: list[Alert]) -> list[Alert]:
        """Without the alerts of the other stories of the stream."""
        cast = {story.hero for story in told_with(self)} - {self.hero}
        return [alert for alert in alerts if alert.entity.id not in cast]

    def lines(self, alerts: list[Alert]) -> bytes:
        """The golden file."""
        head = {
            "story": self.name, "signal": self.signal, "market": self.market,
            "others": sum(a.entity.id != self.hero for a in alerts),
        }  # fmt: skip
        return b"".join(line + b"\n" for line in [msgspec.json.encode(head), *map(encode_alert, alerts)])

    def wrong(self, alerts: list[Alert]) -> list[str]:
        """What is not as it must be."""
        name = self.hero
        faults = [f"{a.entity.id} is innocent: {a.reason}" for a in alerts if a.entity.id != name and a.revision == 1]
        hero = [alert for alert in alerts if alert.entity.id == name]
        if self.found is None:
            return faults + [f"should be silent: {a.severity}, score {a.score:.1f}: {a.reason}" for a in hero]
        if not hero:
            return [*faults, "no alert"]
        return faults + self._wrong_of_the_hero(hero, self.found)

    def _wrong_of_the_hero(self, hero: list[Alert], found: Found) -> list[str]:
        faults = []
        if len({alert.alert_id for alert in hero}) > 1:
            faults.append(f"expected one alert; there are {len({alert.alert_id for alert in hero})}")
        first, last = hero[0], hero[-1]
        opened = self.hours(first.opened_at)
        if not found.since <= opened <= found.by:
            faults.append(f"opened at hour {opened:.2f}")
        if last.severity != found.severity:
            scores = ", ".join(f"{alert.score:.1f}" for alert in hero)
            faults.append(f"ends as {last.severity}, expected {found.severity}; scores {scores}")
        if (last.status == "retracted") != found.retracted:
            faults.append(f"ends as {last.status}")
        said = "\n".join(alert.reason for alert in hero)
        return faults + [f"no reason says {what!r}:\n{said}" for what in found.says if what not in said]

    def hours(self, at: int) -> float:
        """From the beginning of the day on which things happen."""
        return (at - PLACES[self.market].later - WORLDS[self.world].at(0)) / HOUR


_FILE_NAME = str.maketrans({" ": "-", ",": None, ";": None, "'": None, ":": None})


def told_with(story: Story) -> tuple[Story, ...]:
    """The stories of one stream, itself among them."""
    from tests.stories import STORIES

    return tuple(s for s in STORIES if (s.signal, s.market, s.world) == (story.signal, story.market, story.world))


def told(story: Story) -> list[Alert]:
    """Every alert of the story's signal, of its hero and of those whom nobody tells of."""
    together = told_with(story)
    cast = tuple(dict.fromkeys(s.plot for s in together))
    return story.mine(_alerts(story.signal, story.market, story.world, cast))


@cache
def _alerts(signal: str, market: str, world: str, cast: tuple[Plot, ...]) -> list[Alert]:
    records = stream(market, world, *((plot.__name__, plot) for plot in cast), reads=reads(signal))
    return alerts_of(records, signal)


@cache
def only(*signals: str) -> Catalogue:
    """The shipped catalogue with these signals. Its version says nothing: a golden file is of its own signal alone."""
    some = {name: shipped().signals[name] for name in signals}
    return msgspec.structs.replace(shipped(), version="story", signals=some)


@cache
def reads(*signals: str) -> frozenset[str]:
    """The types of events that these signals count."""
    types: set[str] = set()
    for name in signals:
        signal = shipped().signals[name]
        for measure in signal.measures.values():
            types |= {event.type if isinstance(event, Events) else event for event in measure.events}
        for test in signal.tests:
            types |= {kind for step in test.steps for kind in step.events} if isinstance(test, Sequence) else set()
    return frozenset(types)


@cache
def _life(market: str, world: str, hero: str, plot: Plot) -> list[Told]:
    life = Life(hero, market, WORLDS[world])
    plot(life)
    return list(life.told())


def stream(
    market: str, world: str, *plots: tuple[str, Plot], reads: frozenset[str] = CHATTER
) -> list[Record]:  # fmt: skip
    """A market and its protagonists: (who, what becomes of them); without the chatter that nobody reads."""
    events = others(market, world) + [told for hero, plot in plots for told in _life(market, world, hero, plot)]
    quiet = CHATTER - reads
    some = [event for event in sorted(events) if event[3] not in quiet]
    return [Record(offset, who.encode(), value, at) for offset, (at, who, _, _, value) in enumerate(some)]


def alerts_of(records: list[Record], *signals: str) -> list[Alert]:
    engine = Engine(only(*signals), "creator-events", 0)
    alerts: list[Alert] = []
    for first in range(0, len(records), AHEAD):
        out = engine.feed(records[first : first + AHEAD])
        assert not out.dead, out.dead[0].error
        alerts += out.alerts
    return alerts + engine.close().alerts


# ---- what each signal is told ----------------------------------------------------------------------------------


class Silent(NamedTuple):
    """A lookalike: a known false positive."""

    name: str
    plot: Plot
    world: str = "plain"
    markets: tuple[str, ...] = ("TH", "US")


class Tale(NamedTuple):
    """The stories of one signal."""

    signal: str
    name: str  # of the episode
    plot: Plot
    found: Found
    small: Plot
    usual: Plot  # a life in which nothing happens
    silent: tuple[Silent, ...]
    long: bool = False
    more: tuple[tuple[str, Plot, Found], ...] = ()  # further episodes
    home: tuple[str, ...] = ("TH", "US")

    def stories(self) -> Iterator[Story]:
        span = "long " if self.long else ""
        plain = "long" if self.long else "plain"
        campaign, signal = f"{span}campaign", self.signal
        for market in self.home:
            yield Story(self.name, signal, market, plain, self.plot, self.found)
            yield Story("A small creator of whom nothing can be said", signal, market, plain, self.small)
            for name, plot, found in self.more:
                yield Story(name, signal, market, plain, plot, found)
        yield Story(f"{self.name} on the campaign day", signal, "TH", campaign, self.plot, self.found)
        yield Story("The campaign day lifts everybody", signal, "TH", campaign, self.usual)
        for name, plot, world, markets in self.silent:
            for market in markets:
                yield Story(name, signal, market, plain if world == "plain" else span + world, plot)
