"""NumPy and JAX give the same numbers from the same equations, and NumPy's way never loads JAX."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dualtrace.mechanism.arrays import uses_jax, xp
from dualtrace.mechanism.chain import Chain, Structure, Switches, build, consolidation_boost, expose
from dualtrace.mechanism.consolidation import Kernel
from dualtrace.mechanism.dosing import Meal, bolus, combine
from dualtrace.mechanism.linear import Doses, on_grid
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.mechanism.plasma import Deviations, covariates, dose_arrays, one_compartment
from dualtrace.mechanism.subject import reference_subject

LOOKUP = load_parameters().number
PERSON = covariates(reference_subject(), LOOKUP)
MEALS = [Meal.FASTED, Meal.HIGH_FAT]
REGIMEN = combine(bolus(50.0, at_h=-1.0), bolus(100.0, at_h=2.0, meal=Meal.HIGH_FAT))
TIMES = np.linspace(-2.0, 12.0, 57)
END = 1.5
SHIFTS = np.linspace(-0.6, 0.6, 7)


def on_jax(chain: Chain) -> Chain:
    whole: Chain = jax.tree.map(jnp.asarray, chain)
    return whole


@pytest.mark.parametrize("structure", list(Structure))
def test_law_both_libraries_follow_the_chain_alike(structure: Structure) -> None:
    chain = build(PERSON, MEALS, LOOKUP, switches=Switches(structure=structure))
    plain, compiled = (expose(one, dose_arrays(REGIMEN), TIMES) for one in (chain, on_jax(chain)))
    for left, right in zip(plain, compiled, strict=True):
        assert (uses_jax(left), uses_jax(right)) == (False, True)
        assert left == pytest.approx(np.asarray(right), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("kernel", list(Kernel))
def test_law_a_population_by_broadcasting_is_one_by_vmap(kernel: Kernel) -> None:
    """Trailing axes in NumPy against ``vmap`` in JAX: every curve and every boost."""
    doses = dose_arrays(REGIMEN)

    def chain_of(shift: jax.Array | np.ndarray) -> Chain:
        return build(PERSON, MEALS, LOOKUP, deviations=Deviations(shift, -shift, shift, shift))

    def one(shift: jax.Array) -> tuple[jax.Array, jax.Array]:
        chain = chain_of(shift)
        return expose(chain, doses, TIMES).effective_gain, consolidation_boost(chain, doses, END, kernel)

    gains, boosts = jax.vmap(one)(jnp.asarray(SHIFTS))
    together = chain_of(SHIFTS[:, None, None])
    assert expose(together, doses, TIMES).effective_gain == pytest.approx(np.asarray(gains), rel=1e-12)
    assert consolidation_boost(together, doses, END, kernel) == pytest.approx(np.asarray(boosts), rel=1e-11)


def test_law_the_grid_recursion_is_the_same_on_both() -> None:
    rates = {"clearance": 2.1 * np.exp(SHIFTS), "volume": 29.5 + SHIFTS, "absorption": 6.6 + SHIFTS}
    plain = one_compartment(**rates, lag=0.3 + 0 * SHIFTS)
    doses = Doses(xp.asarray(24.0 * np.arange(4)), xp.asarray(50.0 * np.ones(4)))
    curves = [on_grid(one, doses, step_h=0.5, count=200) for one in (plain, jax.tree.map(jnp.asarray, plain))]
    assert not uses_jax(curves[0])
    assert curves[0] == pytest.approx(np.asarray(curves[1]), rel=1e-13, abs=1e-14)


def test_law_a_dose_months_after_the_session_adds_nothing() -> None:
    later = combine(bolus(50.0, at_h=-1.0), bolus(50.0, at_h=5000.0))
    chain = build(PERSON, [Meal.FASTED], LOOKUP)
    alone, both = (
        float(consolidation_boost(chain, dose_arrays(doses), END)) for doses in (bolus(50.0, at_h=-1.0), later)
    )
    assert both == pytest.approx(alone, rel=1e-9)


def test_contract_a_single_simulation_does_not_load_jax() -> None:
    code = (
        "import sys; from dualtrace.mechanism.scenario import Scenario, dose_timing_map, simulate; "
        "import numpy as np; one = Scenario(50.0); simulate(one, people=20, seed=1, time_h=np.arange(5.0)); "
        "dose_timing_map(np.array([50.0]), np.array([60.0]), one); "
        "sys.exit('jax' in sys.modules or 'scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603
