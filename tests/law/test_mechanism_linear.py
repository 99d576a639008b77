"""Laws of linear kinetics: response of chains, superposition, mass balance, gradients, precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from dualtrace.mechanism.linear import Doses, LinearKinetics, area, area_to_infinity, concentration, on_grid
from dualtrace.mechanism.numerics import chain_response
from dualtrace.mechanism.plasma import one_compartment, peak_time, transit, two_compartment

RATE = st.floats(0.01, 30.0)
TIME = st.floats(0.0, 60.0)


def through_matrix(rates: list[float], time: float) -> float:
    size = len(rates)
    matrix = np.diag([-rate for rate in rates]) + np.diag(np.ones(size - 1), -1)
    return float(scipy.linalg.expm(matrix * time)[-1, 0])


@settings(max_examples=40, deadline=None)
@given(rates=st.lists(RATE, min_size=2, max_size=4), time=TIME)
def test_law_chain_response_is_the_matrix_exponential(rates: list[float], time: float) -> None:
    assert float(chain_response(rates, time)) == pytest.approx(through_matrix(rates, time), rel=1e-10, abs=1e-13)


@pytest.mark.parametrize("nudge", [0.0, 1e-14, 1e-9, 1e-5, 1e-2])
def test_law_equal_rates_are_no_special_case(nudge: float) -> None:
    time = jnp.asarray([0.1, 1.0, 7.0])
    together = chain_response([0.5, 0.5 * (1 + nudge), 0.5], time)
    mean = 0.5 * (1 + nudge / 3)
    assert together == pytest.approx(np.asarray(time**2 / 2 * jnp.exp(-mean * time)), rel=max(nudge**2, 1e-13))


@settings(max_examples=30, deadline=None)
@given(rates=st.lists(RATE, min_size=2, max_size=4), time=st.floats(0.05, 20.0))
def test_law_order_of_the_steps_does_not_matter(rates: list[float], time: float) -> None:
    assert float(chain_response(rates, time)) == float(chain_response(rates[::-1], time))


def default(absorption: float = 6.61) -> LinearKinetics:
    return one_compartment(clearance=2.1, volume=29.5, absorption=absorption, lag=0.326)


DOSES = Doses(jnp.asarray([0.0, 5.0, 30.0]), jnp.asarray([50.0, 250.0, 100.0]))
TIMES = jnp.linspace(-1.0, 80.0, 61)


@settings(max_examples=20, deadline=None)
@given(factor=st.floats(0.0, 20.0))
def test_law_concentration_is_linear_in_dose(factor: float) -> None:
    larger = DOSES._replace(amount_mg=DOSES.amount_mg * factor)
    assert concentration(default(), larger, TIMES) == pytest.approx(
        np.asarray(factor * concentration(default(), DOSES, TIMES)), rel=1e-13, abs=1e-14
    )


def test_law_superposition_of_doses() -> None:
    apart = sum(
        concentration(default(), Doses(DOSES.time_h[j : j + 1], DOSES.amount_mg[j : j + 1]), TIMES) for j in range(3)
    )
    assert concentration(default(), DOSES, TIMES) == pytest.approx(np.asarray(apart), rel=1e-14)


@pytest.mark.parametrize(
    "kinetics",
    [
        default(),
        two_compartment(clearance=2.0, volume=15.0, exchange=5.0, peripheral_volume=20.0, absorption=1.5, lag=0.2),
        transit(clearance=1.6, volume=49.8, absorption=2.15, mean_time=0.61, stages=4),
    ],
    ids=["one", "two", "transit"],
)
def test_law_mass_balance_dose_is_eliminated_plus_remaining(kinetics: LinearKinetics) -> None:
    """Area to infinity = dose over clearance; area to t approaches it; nothing before the lag."""
    clearance = {2: 2.1, 3: 2.0, 7: 1.6}[len(kinetics.poles)]
    assert float(area_to_infinity(kinetics, DOSES)) == pytest.approx(400.0 / clearance, rel=1e-12)
    assert float(area(kinetics, DOSES, 1500.0)) == pytest.approx(400.0 / clearance, rel=1e-9)
    fine = np.linspace(0, 40, 40001)
    curve = np.asarray(concentration(kinetics, DOSES, fine))
    assert float(area(kinetics, DOSES, 40.0)) == pytest.approx(np.trapezoid(curve, fine), rel=1e-6)
    assert float(concentration(kinetics, DOSES, -0.01)) == 0


@pytest.mark.parametrize(("start", "step"), [(0.0, 1.0), (3.0, 0.25), (-2.0, 0.25)])
def test_law_grid_recursion_equals_closed_form(start: float, step: float) -> None:
    poles = (jnp.asarray([6.6, 0.4]), jnp.asarray([0.07, 0.5]), jnp.asarray([0.5, 0.4]))
    kinetics = LinearKinetics(poles, jnp.asarray([0.2, 0.1]), jnp.asarray([0.326, 1.7]), jnp.asarray([0.3, 0.9]))
    grid = on_grid(kinetics, DOSES, step_h=step, count=200, start_h=start)
    times = start + step * np.arange(200)
    for person in range(2):
        own = jax.tree.map(lambda leaf, person=person: leaf[person], kinetics)
        assert grid[:, person] == pytest.approx(np.asarray(concentration(own, DOSES, times)), rel=1e-11, abs=1e-13)
        alone = on_grid(own, DOSES, step_h=step, count=200, start_h=start)
        assert alone == pytest.approx(np.asarray(grid[:, person]), rel=1e-14)


def test_law_two_compartments_without_exchange_are_one() -> None:
    split = two_compartment(
        clearance=2.1, volume=29.5, exchange=1e-9, peripheral_volume=20.0, absorption=6.61, lag=0.326
    )
    assert concentration(split, DOSES, TIMES) == pytest.approx(
        np.asarray(concentration(default(), DOSES, TIMES)), rel=1e-6
    )


def test_law_short_transit_is_first_order_absorption() -> None:
    fast = transit(clearance=2.1, volume=29.5, absorption=2.0, mean_time=1e-4, stages=4)
    plain = one_compartment(clearance=2.1, volume=29.5, absorption=2.0, lag=1e-4)
    late = TIMES[TIMES > 0.5]
    assert concentration(fast, DOSES, late) == pytest.approx(np.asarray(concentration(plain, DOSES, late)), rel=1e-5)


@pytest.mark.parametrize("absorption", [6.61, 0.45, 2.1 / 29.5, 2.1 / 29.5 * (1 + 1e-8)])
def test_law_peak_time_is_where_the_curve_turns(absorption: float) -> None:
    kinetics = default(absorption)
    slope = jax.grad(lambda t: concentration(kinetics, Doses(jnp.zeros(1), jnp.ones(1)), t))
    peak = float(peak_time(kinetics))
    assert abs(float(slope(peak))) < 1e-8 * float(slope(0.33))


@pytest.mark.parametrize("absorption", [6.61, 2.1 / 29.5])
def test_law_gradient_equals_finite_difference(absorption: float) -> None:
    """Clearance, volume, absorption and lag, also where absorption equals elimination."""
    at = jnp.asarray([2.1, 29.5, absorption, 0.326])

    def curve(values: jax.Array) -> jax.Array:
        clearance, volume, rate, lag = values
        kinetics = one_compartment(clearance=clearance, volume=volume, absorption=rate, lag=lag)
        return concentration(kinetics, DOSES, TIMES)

    exact = np.asarray(jax.jit(jax.jacfwd(curve))(at))
    for column in range(4):
        step = jnp.zeros(4).at[column].set(1e-6 * at[column])
        numeric = np.asarray((curve(at + step) - curve(at - step)) / (2 * step[column]))
        assert exact[:, column] == pytest.approx(numeric, rel=1e-5, abs=1e-6 * np.max(np.abs(numeric)))
    backward = jax.jit(jax.grad(lambda values: jnp.sum(curve(values))))(at)
    assert backward == pytest.approx(exact.sum(axis=0), rel=1e-10, abs=1e-12)


def test_law_single_precision_agrees_to_seven_digits() -> None:
    def curve(kind: type) -> np.ndarray:
        kinetics = jax.tree.map(lambda leaf: jnp.asarray(leaf, kind), default())
        doses = jax.tree.map(lambda leaf: jnp.asarray(leaf, kind), DOSES)
        out = concentration(kinetics, doses, jnp.asarray(TIMES, kind))
        assert out.dtype == kind
        return np.asarray(out, np.float64)

    double, single = curve(jnp.float64), curve(jnp.float32)
    assert np.max(np.abs(double - single)) < 3e-6 * np.max(double)
