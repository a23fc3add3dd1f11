"""What befalls a whole market for some days: it is no creator's level, and no weekday's habit."""

from functools import cache

import numpy as np
import pytest

from streams.engine import Engine
from streams.market import SCALE, Week
from streams.rates import RateWatch
from tests.streamed import DAY, HOUR, MINUTE, START, TOPIC, event, numbered
from tests.test_engine_surge import silent

CREATORS, ORDERS = 30, 16
STRIKE = (8, 11)  # days


@cache
def watch_after(days: int, *, says: bool) -> RateWatch:
    """Sixteen orders a day each, one refunded a day later; of those of the strike half are, if they `say` of when."""
    pairs = []
    for day in range(-1, days):
        for c in range(CREATORS):
            for i in range(ORDERS):
                at = START + day * DAY + i * 90 * MINUTE + c * MINUTE
                if day >= 0:
                    pairs.append((at, event(f"{day}-{c}-{i}", "order.paid", f"c{c}", at)))
                if (i + c) % ORDERS < (ORDERS // 2 if STRIKE[0] <= day < STRIKE[1] else 1) and day + 1 < days:
                    attrs = {"ref_at": at} if says else {}
                    later = at + DAY
                    pairs.append((later, event(f"{day}-{c}-{i}r", "refund.approved", f"c{c}", later, attrs=attrs)))
    engine = Engine(silent(), TOPIC, 0)
    engine.feed(numbered(pair for _, pair in sorted(pairs)))
    watch = engine.plan.watches[0][0]
    assert isinstance(watch, RateWatch)
    return watch


@pytest.mark.parametrize("says", [True, False])
def test_a_strike_of_three_days_is_learned_as_nobodys_level(says: bool) -> None:
    before, after = (watch_after(days, says=says).total[0] / SCALE for days in (STRIKE[0] + 1, STRIKE[1] + 3))
    assert after < 1.25 * before


@pytest.mark.parametrize("says", [True, False])
def test_nor_does_it_make_its_weekdays_look_busy_nor_do_the_first_days_theirs(says: bool) -> None:
    watch = watch_after(STRIKE[1] + 3, says=says)
    week = [float(watch.week.profile(START + day * DAY + 12 * HOUR)[0]) for day in range(14, 21)]
    assert max(week) < 2.5 * min(week)  # it was 5 times


def test_the_first_days_of_guessed_levels_make_no_weekday() -> None:
    week = Week(lambda: (np.ones((24, 1)), np.ones((7, 1))))
    week.widen(1)
    for hour in range(1, 24 * 7 + 1):
        guessed = hour <= 24
        week.learn(START + hour * HOUR, np.array([200.0]), np.array([2.0 if guessed else 200.0]), levelled=not guessed)
    days = [week.profile(START + 7 * DAY + day * DAY + 12 * HOUR)[0] for day in range(7)]
    assert max(days) < 1.5 * min(days)
