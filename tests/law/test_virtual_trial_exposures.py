"""Exposures of a session one after the other: the loop that is fast leaves what single exposures leave."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from dualtrace.mechanism.memory.dual_trace import DualTrace
from dualtrace.simulation.dual_trace_learner import DualTraceLearner
from dualtrace.simulation.learner import Traits
from dualtrace.simulation.mechanism import Mechanism, lookup_in

RNG = np.random.default_rng(3)
SOME = 40


def between(low: float, high: float) -> Any:
    return jnp.asarray(RNG.uniform(low, high, SOME))


@pytest.mark.parametrize("shown", [[True] * 7, [True] * 4 + [False] * 3, [False] * 3])
def test_exposures_in_one_loop_are_single_exposures_one_after_the_other(shown: list[bool]) -> None:
    """From a state in which nothing is 0, so that every term of the equations counts."""
    values = Mechanism().values()
    learner = DualTraceLearner(
        DualTrace().theta(lookup_in(values, np.float64)),
        Traits(between(0.5, 1.5), between(0.5, 2), between(0.2, 0.9)),
    )
    state = learner.start()._replace(
        safety=between(0.1, 0.9), recalled=between(0.2, 1), sessions=between(0, 5), fresh=between(0, 0.3),
        mismatch=between(0, 1), waiting=between(0, 9), hope=between(0.3, 1),
        alarm=between(0, 1), drug=between(0, 0.2),
    )  # fmt: skip
    pace, quality, drug = learner.pace(state, 0.4), between(0.1, 1), between(0, 0.4)
    one_by_one = state
    for is_shown in shown:
        if is_shown:
            one_by_one = learner.expose(one_by_one, pace, quality, drug)
    together = learner.expose_often(state, pace, quality, drug, jnp.asarray(shown))
    for name in state._fields:
        np.testing.assert_allclose(getattr(together, name), getattr(one_by_one, name), rtol=1e-13, err_msg=name)
