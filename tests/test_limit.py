"""A limit's score is the value itself."""

import numpy as np

from detectors.base import observe
from detectors.limit import Limit


def test_the_value_is_the_score_and_only_learned_values_are_counted():
    state, score = Limit().step(Limit().init(3), observe([4, np.nan, 2], learn=[True, True, False]))
    np.testing.assert_array_equal(score.score, [4, np.nan, 2])
    assert state.seen.tolist() == [1, 0, 0]
