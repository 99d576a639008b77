"""The expectation without chance, on which calibration rests, against the mean over many random patients."""

from __future__ import annotations

import functools

import jax
import numpy as np
import pytest

from dualtrace.errors import InputError
from dualtrace.simulation.engine import Engine
from dualtrace.simulation.expected import Expectation, expected
from dualtrace.simulation.load import parse_protocol
from dualtrace.simulation.mechanism import Mechanism
from dualtrace.simulation.plan import plan_of
from virtual_blocks import SMALL

POINTS = 8192


@functools.cache
def engine() -> Engine:
    return Engine(plan_of(parse_protocol(SMALL)), Mechanism())


@functools.cache
def expectation(points: int = POINTS, seed: int = 0) -> Expectation:
    of = expected(engine().plan, Mechanism(), points=points, seed=seed)
    found: Expectation = jax.tree.map(np.asarray, jax.jit(lambda: of())())
    return found


@pytest.mark.parametrize(
    ("patients", "points"), [(2**16, POINTS), pytest.param(10**6, 2**16, marks=pytest.mark.slow)]
)
def test_the_mean_over_many_patients_is_the_expectation(patients: int, points: int) -> None:
    """Within the error of the random mean and a tenth of that of as many random points as there are quasi-random."""
    sums, right = engine().sums(patients, 5), expectation(points)
    for total, square, mean in (
        (sums.true, sums.true_square, right.everyone),
        (sums.gain, sums.gain_square, right.gain),
    ):
        found = np.asarray(total) / patients
        sd = np.sqrt(np.asarray(square) / patients - found**2)
        assert (np.abs(found - mean) <= sd * (4 / np.sqrt(patients) + 0.4 / np.sqrt(points)) + 1e-9).all()
    seen = np.asarray(sums.seen)[:, :, 0].sum(axis=0) / patients
    share = right.stays[-1]
    np.testing.assert_allclose(seen, share, atol=4 * np.sqrt(0.25 / patients) + 4 * 0.5 / np.sqrt(points))


def test_the_expectation_starts_at_the_baseline_of_the_protocol() -> None:
    plan = engine().plan
    spread = plan.scales[0].baseline
    assert spread is not None
    np.testing.assert_allclose(expectation().everyone[:, 0], spread.mean, rtol=0.002)
    assert (expectation().gain[plan.reference] == 0).all()
    assert (expectation().stays[:, 0] == 1).all()


def test_quasi_random_patients_come_in_powers_of_two() -> None:
    with pytest.raises(InputError, match="must be a power of two; given 1000"):
        expected(engine().plan, Mechanism(), points=1000)
