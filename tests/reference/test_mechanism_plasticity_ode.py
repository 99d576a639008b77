"""The analytic calcium rule against its own differential equations, integrated by diffrax."""

from collections.abc import Callable
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dualtrace.mechanism.parameters import load_parameters
from dualtrace.mechanism.plasticity import (
    CalciumRule,
    RuleSet,
    Spikes,
    calcium_rule,
    drug_on_calcium,
    outcome,
    time_above,
)
from dualtrace.mechanism.slice import high_frequency, pulses, theta_burst

LOOKUP = load_parameters().number
STEP = 1e-3
SECONDS = 1.5


def calcium_at(rule: CalciumRule, spikes: Spikes, factor: float, time: jax.Array) -> jax.Array:
    since = time - spikes.time_s
    jumps = factor * rule.c_pre * spikes.pre + rule.c_post * spikes.post
    return jnp.sum(jnp.where(since >= 0, jumps * jnp.exp(-jnp.maximum(since, 0) / rule.tau_calcium), 0))


Field = Callable[..., Any]


def drift_and_noise(rule: CalciumRule, spikes: Spikes, factor: float) -> tuple[Field, Field]:
    def drift(time: jax.Array, rho: jax.Array, _: None) -> jax.Array:
        calcium = calcium_at(rule, spikes, factor, time)
        wells = -rho * (1 - rho) * (rule.rho_star - rho)
        rise = rule.gamma_p * (1 - rho) * (calcium > rule.theta_p)
        return (wells + rise - rule.gamma_d * rho * (calcium > rule.theta_d)) / rule.tau

    def noise(time: jax.Array, _rho: jax.Array, __: None) -> jax.Array:
        calcium = calcium_at(rule, spikes, factor, time)
        crossed = (calcium > rule.theta_p).astype(float) + (calcium > rule.theta_d).astype(float)
        return jnp.asarray(rule.sigma * jnp.sqrt(crossed / rule.tau))

    return drift, noise


@pytest.mark.parametrize(
    ("rule_set", "times", "firing"),
    [
        (RuleSet.HIPPOCAMPAL_SLICES, theta_burst(5), 0.0),
        (RuleSet.HIPPOCAMPAL_CULTURES, high_frequency(), 1.0),
        (RuleSet.CORTICAL_SLICES, high_frequency(), 0.5),
    ],
    ids=["slices theta burst", "cultures HFS", "cortex HFS"],
)
def test_reference_mean_efficacy_equals_the_ode(rule_set: RuleSet, times: np.ndarray, firing: float) -> None:
    """Noise off, double well kept in the equation and absent from the formula: within 0.005."""
    rule = calcium_rule(rule_set, LOOKUP)
    spikes, factor = pulses(times, rule, firing=firing), float(drug_on_calcium(1.3, 0.8))
    drift, _ = drift_and_noise(rule, spikes, factor)
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(drift), diffrax.Euler(), 0.0, SECONDS, STEP / 10, jnp.asarray(0.0), max_steps=None
    )
    above = time_above(rule, spikes, factor)
    pull_p, pull_d = rule.gamma_p * above.potentiation, rule.gamma_d * above.depression
    predicted = pull_p / (pull_p + pull_d) * (1 - jnp.exp(-(pull_p + pull_d) / rule.tau))
    assert solution.ys is not None
    assert float(solution.ys[-1]) == pytest.approx(float(predicted), abs=0.005)


def test_reference_transition_chance_equals_the_stochastic_equation() -> None:
    """500 synapses by Euler–Maruyama, theta bursts, hippocampal set: within 4 standard errors."""
    rule = calcium_rule(RuleSet.HIPPOCAMPAL_SLICES, LOOKUP)
    spikes = pulses(theta_burst(5), rule, firing=0.0)
    drift, noise = drift_and_noise(rule, spikes, 1.0)

    def synapse(key: jax.Array) -> jax.Array:
        brownian = diffrax.UnsafeBrownianPath((), key)
        terms: Any = diffrax.MultiTerm(diffrax.ODETerm(drift), diffrax.ControlTerm(noise, brownian))
        controller = diffrax.ConstantStepSize()
        done = diffrax.diffeqsolve(
            terms,
            diffrax.Euler(),
            0.0,
            SECONDS,
            STEP,
            jnp.asarray(0.0),
            stepsize_controller=controller,
            adjoint=diffrax.DirectAdjoint(),
            max_steps=None,
        )
        assert done.ys is not None
        return jnp.asarray(done.ys[-1])

    count = 500
    ends = np.asarray(jax.jit(jax.vmap(synapse))(jax.random.split(jax.random.PRNGKey(7), count)))
    found = float(np.mean(ends > rule.rho_star))
    expected = float(outcome(rule, time_above(rule, spikes, 1.0)).up)
    assert 0.1 < expected < 0.9
    assert found == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / count))


@pytest.mark.parametrize("rule_set", [RuleSet.HIPPOCAMPAL_SLICES, RuleSet.CORTICAL_SLICES])
def test_reference_time_above_equals_a_fine_count(rule_set: RuleSet) -> None:
    rule = calcium_rule(rule_set, LOOKUP)
    spikes = pulses(theta_burst(2), rule, firing=1.0)
    fine = jnp.arange(0.0, 1.0, 1e-5)
    curve = jax.lax.map(lambda t: calcium_at(rule, spikes, 1.2, t), fine, batch_size=50_000)
    counted = [float(jnp.mean(curve > theta)) for theta in (rule.theta_d, rule.theta_p)]
    assert np.array(time_above(rule, spikes, 1.2)) == pytest.approx(counted, abs=1e-4)
