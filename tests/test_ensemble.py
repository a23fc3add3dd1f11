"""Several detectors as one p-value."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.base import observe
from detectors.ensemble import LEVEL, SHAPE, Ensemble, merged, refractory
from detectors.ewma import EwmaZ
from detectors.generalized_pareto import PeaksOverThreshold
from detectors.robust_z import RobustZ

MINUTES = 300_000


def run(spec, values):
    """Values (steps, n), five minutes apart, to p-values (steps, n)."""
    state, found = spec.init(values.shape[1]), []
    for i, row in enumerate(values):
        state, score = spec.step(state, observe(row, time=i * MINUTES))
        found.append(score.p_value)
    return state, np.array(found)


def autocorrelated(rng, size):
    noise = rng.normal(0, 1, size)
    for i in range(1, size[0]):
        noise[i] += 0.8 * noise[i - 1]
    return 20 + noise


@pytest.mark.parametrize(
    "noise",
    [
        lambda rng, size: rng.normal(10, 2, size),
        lambda rng, size: rng.poisson(0.4, size).astype(float),
        lambda rng, size: np.exp(rng.normal(0, 1.5, size)),
        autocorrelated,
    ],
    ids=["normal", "sparse counts", "lognormal", "autocorrelated"],
)
def test_the_fused_p_value_keeps_its_false_alarm_rate(noise):
    _, p = run(Ensemble(), noise(np.random.default_rng(31), (700, 60)))
    late = p[300:]
    for level in (0.1, 0.01, 0.003):
        assert (late <= level).mean() <= level + 4 * np.sqrt(level / (late.size / 10))


def test_it_keeps_it_from_the_first_value_on_also_where_a_warm_up_ends():
    rng = np.random.default_rng(33)
    _, p = run(Ensemble(), rng.normal(100, 10, (420, 100)))
    for level in (0.01, 0.003, 0.001):
        for part in (p[:200], p[200:300], p[300:]):
            assert (part <= level).mean() <= level + 4.5 * np.sqrt(level / part.size)
        assert ((p <= level).mean(axis=1) <= level + 4.5 * np.sqrt(level / 100) + 4.5 / 100).all()


def test_the_zeros_of_a_warm_up_are_no_past_scores():
    spec, rng = Ensemble(members=(*Ensemble().members, RobustZ(), PeaksOverThreshold())), np.random.default_rng(34)
    state, learned = spec.init(5), np.zeros(len(spec.members))
    for i in range(300):
        learned += [member.ready(own).all() for member, own, _ in spec._parts(state)]
        state, _ = spec.step(state, observe(rng.normal(100, 10, 5), time=i * MINUTES))
        past = [(counts.counts > 0).any() for _, _, counts in spec._parts(state)]
        assert past == (learned > 0).tolist()
    assert (learned > 50).all()


@given(st.lists(st.floats(0, 250), min_size=1, max_size=6), st.floats(0, 2))
@settings(derandomize=True, deadline=None)
def test_fusing_never_gives_less_than_bonferroni_and_several_that_agree_count_for_more(logs, agreement):
    strange = np.array(logs)[:, None]
    p = merged(strange, agreement)[0]
    bonferroni = min(1.0, len(logs) * 10 ** -max(logs))
    assert bonferroni * (1 - 1e-9) <= p <= 1
    assert merged(np.full_like(strange, max(logs)), agreement)[0] <= p * (1 + 1e-9)


def test_a_jump_a_strange_hour_and_a_strange_shape_are_each_found():
    rng = np.random.default_rng(32)
    at = np.arange(288 * 6)
    daily = 50 + 20 * np.sin(at * 2 * np.pi / 288) + rng.normal(0, 1, len(at))
    state, _ = run(Ensemble(), daily[:, None])
    jump, hour = ([200.0], [50 - 20.0])
    now = observe(jump, time=len(at) * MINUTES)
    assert Ensemble().step(state, now)[1].p_value[0] < 1e-3
    noon = observe(hour, time=(len(at) + 72) * MINUTES)
    assert Ensemble().step(state, noon)[1].p_value[0] < 2e-2
    for i in range(6):
        state, score = Ensemble().step(state, observe([36.0 + 30 * (i % 2)], time=(len(at) + i) * MINUTES))
    assert score.p_value[0] < 2e-2


def test_the_state_is_named_by_its_members_and_the_same_members_share_its_type():
    spec = Ensemble(members=(EwmaZ(), LEVEL, SHAPE))
    state = spec.init(2)
    assert state._fields[:5] == (
        "ewma_z_0_mean", "ewma_z_0_variance", "ewma_z_0_weight", "ewma_z_0_learned", "ewma_z_0_past_scores",
    )  # fmt: skip
    assert type(state) is type(Ensemble(members=(EwmaZ(), LEVEL, SHAPE), agreement=0.0).init(1))


def test_after_an_alert_that_passes_an_entity_is_silent_for_so_many_steps():
    left, passed = np.zeros(1, dtype=np.int64), []
    for alert in [True, True, False, True, True, True, True]:
        left, now = refractory(left, np.array([alert]), 3)
        passed.append(bool(now[0]))
    assert passed == [True, False, False, True, False, False, True]
