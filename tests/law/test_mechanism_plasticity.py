"""What D-cycloserine must do to plasticity: each qualitative target of the design, by name, and limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dualtrace.errors import InputError
from dualtrace.mechanism.calcium_control import control_rule, rate, target, weight_after
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.mechanism.plasticity import (
    RuleSet,
    TimeAbove,
    calcium_rule,
    drug_on_calcium,
    outcome,
    population_change,
)
from dualtrace.mechanism.slice import high_frequency, low_frequency, pulses, slice_experiment, theta_burst
from dualtrace.mechanism.targets import slice_targets

LOOKUP = load_parameters().number
CONTROL = control_rule(LOOKUP)
MISSED = {
    "low-frequency depression unchanged, default set",
    "low-frequency depression unchanged, calcium-control rule",
}
TARGETS = {found.name: found for found in slice_targets()}


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_law_target(name: str) -> None:
    """A target the page calls met is met, one it calls missed is missed."""
    assert TARGETS[name].met == (name not in MISSED)


def test_law_no_stimulation_changes_nothing() -> None:
    rule = calcium_rule(RuleSet.HIPPOCAMPAL_SLICES, LOOKUP)
    silent = outcome(rule, TimeAbove(jnp.asarray(0.0), jnp.asarray(0.0)))
    assert [float(value) for value in silent] == pytest.approx([0.5, 0.0, 0.0, 1.0])


@pytest.mark.parametrize("rule_set", list(RuleSet))
def test_law_chances_stay_between_zero_and_one(rule_set: RuleSet) -> None:
    rule = calcium_rule(rule_set, LOOKUP)
    for seconds in (1e-6, 0.01, 1.0, 500.0):
        for share in (0.0, 0.3, 1.0):
            found = outcome(rule, TimeAbove(jnp.asarray(seconds), jnp.asarray(share * seconds)))
            assert all(0 <= float(value) <= 1 for value in (found.rho_bar, found.up, found.down))


def test_law_drug_without_nmda_calcium_does_nothing() -> None:
    assert float(drug_on_calcium(3.0, 0.0)) == 1.0
    assert float(drug_on_calcium(1.0, 0.8)) == pytest.approx(1.0)


def test_law_population_shortcut_is_a_bcm_curve_shifted_left_by_the_drug() -> None:
    """Depression at low drive, potentiation at high drive; the crossing moves down by exactly G."""
    drive = np.linspace(0.05, 3.0, 600)
    plain, drugged = (np.asarray(population_change(drive * gain, LOOKUP)) for gain in (1.0, 1.25))
    assert plain.min() < -0.1
    assert plain.max() > 0.3
    crossing = [drive[int(np.argmin(curve))] for curve in (plain, drugged)]
    assert crossing[0] / crossing[1] == pytest.approx(1.25, abs=0.02)


def test_law_calcium_control_rule_depresses_at_middle_and_potentiates_at_high_calcium() -> None:
    rest, middle, high = np.asarray(target(CONTROL, np.array([0.0, 0.45, 0.9])))
    assert middle < rest < high
    assert np.all(np.diff(np.asarray(rate(CONTROL, np.linspace(0.05, 1.0, 20)))) > 0)


def test_law_calcium_control_rule_is_an_alternative_for_slices() -> None:
    """Depression at 1 Hz, potentiation by a tetanus; the drug lowers the frequency at which one becomes the other."""

    def change(times: np.ndarray, gain: float) -> float:
        return float(slice_experiment(CONTROL, times, gain=gain, firing=0.0, lookup=LOOKUP))

    assert change(low_frequency(), 1.0) < 0.9
    assert change(high_frequency(), 1.0) > 1.5
    crossing = [
        next(hertz for hertz in range(2, 60, 2) if change(low_frequency(hertz=hertz, pulses=200), gain) > 1)
        for gain in (1.0, 1.25)
    ]
    assert crossing[1] < crossing[0]


def test_law_calcium_control_weight_equals_fine_steps() -> None:
    times, step = theta_burst(2), 1e-5
    spikes = pulses(times, CONTROL, firing=0.0)
    weight, calcium = float(target(CONTROL, 0.0)), 0.0
    end = times[-1] + 0.4
    grid = np.arange(0.0, end, step)
    jumps = np.zeros(grid.size)
    np.add.at(jumps, np.round(times / step).astype(int), 0.45)
    trace = np.empty(grid.size)
    for k, jump in enumerate(jumps):
        calcium += jump
        trace[k] = calcium
        calcium *= np.exp(-step / 0.05)
    for eta, omega in zip(*(np.asarray(f(CONTROL, trace)) for f in (rate, target)), strict=True):
        weight += step * eta * (omega - weight)
    assert float(weight_after(CONTROL, spikes, 1.0)) == pytest.approx(weight, abs=0.003)


def test_law_slice_change_has_a_gradient_in_the_gain() -> None:
    rule = calcium_rule(RuleSet.HIPPOCAMPAL_SLICES, LOOKUP)

    def change(gain: jax.Array) -> jax.Array:
        return slice_experiment(rule, theta_burst(5), gain=gain, firing=0.0, lookup=LOOKUP)

    numeric = (change(jnp.asarray(1.2 + 1e-5)) - change(jnp.asarray(1.2 - 1e-5))) / 2e-5
    assert float(jax.grad(change)(jnp.asarray(1.2))) == pytest.approx(float(numeric), rel=1e-4)


def test_contract_patterns() -> None:
    assert theta_burst(5).size == 20
    assert high_frequency().size == 100
    assert low_frequency()[-1] == 899.0
    with pytest.raises(InputError, match=r"the share of pulses that fire the cell lies between 0 and 1; given 2"):
        pulses(theta_burst(1), calcium_rule(RuleSet.DP_CURVE, LOOKUP), firing=2.0)
