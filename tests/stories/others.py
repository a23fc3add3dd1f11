"""The ordinary creators of a small market: some large, most small, some live in the evening, some new."""

from functools import cache

import numpy as np

from tests.stories.lives import Habits, Life, Told
from tests.stories.worlds import DAY, START, WORLDS, World


def ordinary(number: int, market: str, world: World) -> Life:
    """One of the others: every fourth is live on some evenings, every fourth registers while the stream runs."""
    life = Life(f"c{number:02d}", market, world, number % 2)
    rng, lift = life.rng, np.ones(world.hours)
    if number % 4 == 1:
        life.began = START + int(rng.uniform(0.5, 8.0) * DAY)
        life.does("account.registered", life.began)
    size = float(np.clip(rng.lognormal(2.6, 0.6), 4.0, 40.0)) if number % 4 != 1 else float(rng.uniform(2.0, 6.0))
    if number % 4 == 0:
        for day in np.flatnonzero(rng.random(world.days) < 0.4).tolist():
            first = (day - world.day) * 24 + 13
            lift *= world.during(first, 2, 3.0)
            life.is_watched(first, 2, float(rng.uniform(40, 90)))
    refunds, complaints = float(rng.beta(12, 188)), float(rng.beta(6, 394))
    life.lives(Habits(orders=size, refunded=refunds, complaints=complaints), lift)
    if number % 3 == 0:
        life.does("violation.confirmed", life.began + int(world.days * DAY * rng.random()), kind="low_quality")
    return life


@cache
def others(market: str, world: str) -> list[Told]:
    creators = range(WORLDS[world].creators)
    return sorted(told for number in creators for told in ordinary(number, market, WORLDS[world]).told())
