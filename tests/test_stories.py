"""Golden stories (stories/): each comes out as it must, to the byte, and only because of its signal.

A change of tests/golden/ (`python -m tests.stories --write`) needs a line in CHANGELOG.md.
"""

import pytest

from config.catalogue import load
from tests.stories import GOLDEN, STORIES, TALES, Story, alerts_of, reads, stream, told

SIGNALS = sorted(load().signals)
STREAMS = sorted({(story.signal, story.market, story.world) for story in STORIES})
EPISODES = {tale.signal: next(tale.stories()) for tale in TALES}  # the first is the episode, on plain days


@pytest.mark.parametrize(("signal", "market", "world"), STREAMS, ids=lambda part: part.replace(" ", "-"))
def test_stories_come_out_as_they_must_and_as_they_did_before(signal: str, market: str, world: str) -> None:
    stories = [story for story in STORIES if (story.signal, story.market, story.world) == (signal, market, world)]
    wrong = {story.name: faults for story in stories if (faults := story.wrong(told(story)))}
    assert wrong == {}
    changed = [s.name for s in stories if not s.path.exists() or s.path.read_bytes() != s.lines(told(s))]
    assert changed == [], "run: python -m tests.stories --write; then CHANGELOG.md"


@pytest.mark.parametrize("world", ["plain", "long"])
@pytest.mark.parametrize("first", [0, 1])
def test_whoever_disables_a_signal_loses_its_episode_and_no_other(world: str, first: int) -> None:
    mine = [tale.signal for tale in TALES if tale.long == (world == "long")]
    kept = mine[first::2]
    everybody = stream("TH", world, *((signal, EPISODES[signal].plot) for signal in mine), reads=reads(*kept))
    alerts = alerts_of(everybody, *kept)
    assert {alert.signal for alert in alerts if alert.entity.id == alert.signal} == set(kept)
    for signal in set(mine) - set(kept):
        assert "no alert" in EPISODES[signal].wrong([alert for alert in alerts if alert.signal == signal])


@pytest.mark.parametrize("signal", SIGNALS)
def test_every_signal_has_its_episode_a_lookalike_the_campaign_day_and_a_small_creator(signal: str) -> None:
    mine = [story for story in STORIES if story.signal == signal]
    tale = next(tale for tale in TALES if tale.signal == signal)
    for market in ("TH", "US"):
        here = [story for story in mine if story.market == market and "campaign" not in story.world]
        assert [story for story in here if story.found and story.plot == tale.plot]
        assert [story for story in here if not story.found and story.plot == tale.small]
        assert [story for story in here if story.name in {silent.name for silent in tale.silent}]
    campaign = [bool(story.found) for story in mine if "campaign" in story.world]
    assert sorted(campaign) == [False, True]


def test_every_story_has_a_name_and_a_file_of_its_own() -> None:
    assert len({story.path for story in STORIES}) == len(STORIES)
    casts: dict[tuple[str, str, str], list[Story]] = {}
    for story in STORIES:
        casts.setdefault((story.signal, story.market, story.world), []).append(story)
    assert all(len({story.hero for story in cast}) == len(cast) for cast in casts.values())


def test_no_golden_file_is_without_its_story() -> None:
    assert set(GOLDEN.rglob("*.jsonl")) == {story.path for story in STORIES}
