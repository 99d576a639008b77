"""Laws of the effect compartment."""

import jax.numpy as jnp
import numpy as np
import pytest

from dualtrace.mechanism.brain import brain_kinetics
from dualtrace.mechanism.linear import Doses, area_to_infinity, concentration
from dualtrace.mechanism.plasma import one_compartment

PLASMA = one_compartment(clearance=2.1, volume=29.5, absorption=6.61, lag=0.326)
ONE = Doses(jnp.zeros(1), jnp.asarray([50.0]))
TIMES = jnp.linspace(0.0, 40.0, 81)


def test_law_brain_area_is_kp_times_plasma_area() -> None:
    brain = brain_kinetics(PLASMA, kp=0.62, ke0=0.5)
    assert float(area_to_infinity(brain, ONE)) == pytest.approx(
        0.62 * float(area_to_infinity(PLASMA, ONE)), rel=1e-12
    )


def test_law_fast_equilibration_makes_brain_follow_plasma() -> None:
    brain = concentration(brain_kinetics(PLASMA, kp=0.62, ke0=5e4), ONE, TIMES)
    assert brain == pytest.approx(np.asarray(0.62 * concentration(PLASMA, ONE, TIMES)), abs=1e-4)


def test_law_no_drug_reaches_brain_when_kp_is_zero() -> None:
    assert not np.any(concentration(brain_kinetics(PLASMA, kp=0.0, ke0=0.5), ONE, TIMES))


@pytest.mark.parametrize("ke0", [0.25, 0.5, 2.1 / 29.5, 6.61])
def test_law_brain_obeys_its_differential_equation(ke0: float) -> None:
    brain = brain_kinetics(PLASMA, kp=0.62, ke0=ke0)
    inside = jnp.linspace(0.4, 30.0, 40)
    width = 1e-5
    slope = (concentration(brain, ONE, inside + width) - concentration(brain, ONE, inside - width)) / (2 * width)
    pull = ke0 * (0.62 * concentration(PLASMA, ONE, inside) - concentration(brain, ONE, inside))
    assert slope == pytest.approx(np.asarray(pull), abs=1e-8)
