"""Golden stories (stories.py): each comes out as it must, to the byte, and only because of its signal.

A change of tests/golden/ (`python -m tests.stories --write`) needs a line in CHANGELOG.md.
"""

import pytest

from config.catalogue import load
from tests.stories import GOLDEN, STORIES, Story, alerts_of, stream, told

EPISODES = {story.signal: story for story in STORIES if story.found and story.market == "plain"}
SIGNALS = sorted(load().signals)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: f"{story.signal}: {story.name}")
def test_the_story_comes_out_as_it_must_and_as_it_did_before(story: Story) -> None:
    alerts = told(story)
    assert story.wrong(alerts) == []
    assert story.path.read_bytes() == story.lines(alerts), "run: python -m tests.stories --write; then CHANGELOG.md"


@pytest.mark.parametrize("kept", [SIGNALS[::2], SIGNALS[1::2]], ids=", ".join)
def test_whoever_disables_a_signal_loses_its_episode_and_no_other(kept: list[str]) -> None:
    everybody = stream("plain", *((signal, EPISODES[signal].plot) for signal in SIGNALS))
    alerts = alerts_of(everybody, *kept)
    assert {alert.signal for alert in alerts if alert.entity.id == alert.signal} == set(kept)
    for signal in set(SIGNALS) - set(kept):
        assert "no alert" in EPISODES[signal].wrong([alert for alert in alerts if alert.signal == signal])


@pytest.mark.parametrize("signal", SIGNALS)
def test_every_signal_has_its_episode_its_false_positives_the_campaign_day_and_a_small_creator(signal: str) -> None:
    mine = [story for story in STORIES if story.signal == signal]
    assert sorted(story.market for story in mine if story.found) == ["campaign", "plain"]
    silent = [story.name for story in mine if not story.found]
    assert {"The campaign day lifts everybody and nobody is alerted", "A small creator has three of five"} < set(silent)
    assert len(silent) >= 2 + bool(load().signals[signal].false_positives)


def test_no_golden_file_is_without_its_story() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {story.path.name for story in STORIES}
