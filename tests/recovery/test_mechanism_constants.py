"""Known constants come back from simulated measurements, by least squares along exact gradients.

Truth differs from every start; residuals are the model's own 19 % proportional error. Tolerances are three
standard errors from the Gauss-Newton information at the truth, or stated where nothing is random.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import least_squares

from dualtrace.mechanism.chain import build, consolidation_boost, expose
from dualtrace.mechanism.dosing import Meal, bolus
from dualtrace.mechanism.linear import Doses, concentration
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.mechanism.plasma import covariates, dose_arrays, one_compartment
from dualtrace.mechanism.subject import reference_subject

TABLE = load_parameters()
LOOKUP = TABLE.number
PERSON = covariates(reference_subject(), LOOKUP)
RESIDUAL = LOOKUP("plasma.residual", "1")
PEOPLE = 40

Curve = Callable[[jax.Array], jax.Array]


def fit(log_curve: Curve, data: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Least squares on the logarithm, parameters as logarithms, Jacobian by forward mode."""
    value, slope = jax.jit(log_curve), jax.jit(jax.jacfwd(log_curve))

    def residual(at: np.ndarray) -> np.ndarray:
        return np.asarray(np.asarray(value(at)) - data)

    def jacobian(at: np.ndarray) -> np.ndarray:
        return np.asarray(slope(at))

    done = least_squares(residual, np.log(start), jac=jacobian, xtol=1e-12)
    return np.asarray(done.x)


def standard_error(log_curve: Curve, truth: np.ndarray, sd: float) -> np.ndarray:
    jacobian = np.asarray(jax.jit(jax.jacfwd(log_curve))(jnp.log(truth)))
    return np.asarray(sd * np.sqrt(np.diag(np.linalg.inv(jacobian.T @ jacobian))))


def test_recovery_of_kinetics_from_noisy_plasma_levels() -> None:
    """Clearance, volume, absorption and lag from 17 samples of each of 40 people with one kinetics (O1's design)."""
    truth, start = np.array([1.4, 33.0, 3.1, 0.25]), np.array([2.0, 24.9, 6.61, 0.2])
    times = jnp.asarray([0.4, 0.5, 0.6, 0.75, 0.9, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0, 24.0, 36.0, 48.0])
    doses = dose_arrays(bolus(500.0))

    def log_curve(logs: jax.Array) -> jax.Array:
        clearance, volume, absorption, lag = jnp.exp(logs)
        model = one_compartment(clearance=clearance, volume=volume, absorption=absorption, lag=lag)
        return jnp.tile(jnp.log(concentration(model, doses, times)), PEOPLE)

    noise = np.random.default_rng(11).normal(0.0, RESIDUAL, PEOPLE * times.size)
    found = fit(log_curve, np.asarray(log_curve(jnp.log(truth))) + noise, start)
    error = standard_error(log_curve, truth, RESIDUAL)
    assert np.all(np.abs(found - np.log(truth)) < 3 * error)
    assert np.all(error < 0.07), "the design must inform every parameter, else the tolerance says nothing"


def test_recovery_of_brain_entry_from_plasma_and_csf_samples() -> None:
    """Kp and k_e0 from CSF samples with the residual error of plasma; a constant affects one curve only."""
    truth, start = np.array([0.7, 1.1]), np.array([0.62, 0.5])
    times = jnp.asarray([1.0, 2.0, 4.0, 6.0, 12.0])
    doses = dose_arrays(bolus(500.0))

    def log_curve(logs: jax.Array) -> jax.Array:
        kp, ke0 = jnp.exp(logs)
        chain = build(PERSON, [Meal.FASTED], TABLE.lookup_with({"brain.kp": kp, "brain.ke0": ke0}))
        return jnp.tile(jnp.log(concentration(chain.brain, doses, times)), PEOPLE)

    noise = np.random.default_rng(12).normal(0.0, RESIDUAL, PEOPLE * times.size)
    found = fit(log_curve, np.asarray(log_curve(jnp.log(truth))) + noise, start)
    assert np.all(np.abs(found - np.log(truth)) < 3 * standard_error(log_curve, truth, RESIDUAL))


def test_recovery_of_affinity_and_endogenous_load_only_as_a_product() -> None:
    """Occupancy over dose gives K (1 + e) within 5 %, and neither factor: the curve is flat along the product."""
    at = np.array([2.0, 0.67])
    names = ("receptor.k_glycine", "receptor.theta0")
    dose, noise = jnp.geomspace(25.0, 500.0, 12), np.random.default_rng(13).normal(0.0, 0.02, 12)

    def of(logs: jax.Array) -> jax.Array:
        k, odds = jnp.exp(logs)
        chain = build(PERSON, [Meal.FASTED], TABLE.lookup_with(dict(zip(names, (k, odds / (1 + odds)), strict=True))))
        one = chain._replace(
            site=chain.site._replace(load=chain.site.load[1:2], weight=jnp.ones(1)),
            drug=chain.drug._replace(k=chain.drug.k[1:2], efficacy=chain.drug.efficacy[1:2]),
        )

        def share(amount: jax.Array) -> jax.Array:
            doses = dose_arrays(bolus(50.0))._replace(amount_mg=amount[None])
            return jnp.log(expose(one, doses, jnp.asarray([4.0])).occupancy[0])

        return jax.vmap(share)(dose)

    truth = np.array([0.23, at[0]])
    found = np.exp(fit(of, np.asarray(of(jnp.log(truth))) + noise, np.array([0.5, 1.0])))
    assert found[0] * (1 + found[1]) == pytest.approx(truth[0] * (1 + truth[1]), rel=0.05)
    singular = np.linalg.svd(np.asarray(jax.jacfwd(of)(jnp.log(truth))), compute_uv=False)
    assert singular[1] < 1e-6 * singular[0]


def test_recovery_of_window_and_tolerance_from_boosts() -> None:
    """tau_c, q and tau_S from M over delays and over sessions 2 and 7 days apart, without noise: to 1e-6."""
    names = ("consolidation.tau", "tolerance.jump", "tolerance.recovery")
    truth, start = np.array([2.3, 0.75, 5.0]), np.array([1.5, 0.5, 8.0])
    delays = jnp.asarray([0.0, 0.5, 1.0, 2.0, 4.0])
    every = jnp.asarray([48.0, 168.0])

    def of(logs: jax.Array) -> jax.Array:
        chain = build(PERSON, [Meal.FASTED], TABLE.lookup_with(dict(zip(names, jnp.exp(logs), strict=True))))

        def boost(times: jax.Array, end: jax.Array) -> jax.Array:
            return consolidation_boost(chain, Doses(times, jnp.full(3, 50.0)), end)

        late = jax.vmap(lambda delay: boost(1.5 + delay + 2000.0 * jnp.arange(3), jnp.asarray(1.5)))(delays)
        later = jax.vmap(lambda gap: boost(gap * jnp.arange(3) - 1.0, 1.5 + 2 * gap))(every)
        second = jax.vmap(lambda gap: boost(gap * jnp.arange(3) - 1.0, 1.5 + gap))(every)
        return jnp.log(jnp.concatenate([late, later, second]))

    found = np.exp(fit(of, np.asarray(of(jnp.log(truth))), start))
    assert found == pytest.approx(truth, rel=1e-6)
