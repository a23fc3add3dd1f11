"""Golden stories: a small market, some protagonists, and the alerts that must come of it, to the byte.

    python -m tests.stories                     tell every story and say what came of it (a minute)
    python -m tests.stories refund_rate         those of a signal
    python -m tests.stories --write             and write that down in tests/golden/

Each signal has the episode that it exists for, its known false positives, the campaign day (nobody innocent is
alerted, and the episode is found all the same), and a small creator of whom nothing can be said yet; in two markets.
Stories of one signal, market and world share a stream. A golden file holds every alert of the story's signal, of its
hero or of whoever has no story: the first line says which story it is, each other line is one revision as it would
stand on the topic. What a story must be is asserted as well (`Story.wrong`), so that writing the files anew cannot
make a wrong story right.

WHOEVER CHANGES A FILE IN tests/golden/ SAYS SO IN CHANGELOG.md: somebody's alerts will change.
"""

from tests.stories import plots_conduct, plots_demand, plots_orders
from tests.stories.telling import GOLDEN, Found, Plot, Story, Tale, alerts_of, reads, stream, told, told_with

__all__ = [
    "GOLDEN", "STORIES", "TALES", "Found", "Plot", "Story", "Tale", "alerts_of", "reads", "stream", "told", "told_with",
]  # fmt: skip

TALES = (*plots_orders.TALES, *plots_demand.TALES, *plots_conduct.TALES)
STORIES = tuple(
    sorted(
        (story for tale in TALES for story in tale.stories()),
        key=lambda story: (story.signal, story.market, story.world, story.name),
    )
)
