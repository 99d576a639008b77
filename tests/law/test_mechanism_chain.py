"""Laws of tolerance, of the window and of the chain as a whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dualtrace.errors import InputError
from dualtrace.mechanism.chain import Chain, Structure, Switches, build, consolidation_boost, expose
from dualtrace.mechanism.consolidation import Kernel, exponential_window, step_window
from dualtrace.mechanism.dosing import Meal, bolus, repeat
from dualtrace.mechanism.linear import Doses
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.mechanism.plasma import Deviations, covariates, dose_arrays
from dualtrace.mechanism.receptor import Antidepressant
from dualtrace.mechanism.subject import reference_subject
from dualtrace.mechanism.tolerance import OFF, Tolerance, default_tolerance, lost_at, lost_before

TABLE = load_parameters()
LOOKUP = TABLE.number
PERSON = covariates(reference_subject(), LOOKUP)
CHAIN = build(PERSON, [Meal.FASTED], LOOKUP)
END = 1.5
"""The session runs from 0 to 1.5 h."""


def boost_of(dose_mg: float, at_h: float, chain: Chain = CHAIN, kernel: Kernel = Kernel.EXPONENTIAL) -> float:
    return float(consolidation_boost(chain, dose_arrays(bolus(dose_mg, at_h=at_h)), END, kernel))


@pytest.mark.parametrize(("every_days", "low", "high"), [(7.0, 0.63, 0.65), (3.5, 0.39, 0.44), (1.0, 0.136, 0.213)])
def test_law_later_doses_keep_the_stated_share_of_the_response(every_days: float, low: float, high: float) -> None:
    doses = Doses(jnp.arange(8) * 24.0 * every_days, jnp.ones(8))
    kept = 1 - np.asarray(lost_before(doses, default_tolerance(LOOKUP)))
    assert kept[0] == 1
    assert np.all((kept[1:] >= low) & (kept[1:] <= high))


@pytest.mark.parametrize(("wait_days", "works"), [(1.0, False), (2.0, False), (28.0, True)])
@pytest.mark.parametrize("prior_doses", [1, 5])
def test_law_parnas_tolerance_is_gone_after_28_days_not_after_2(
    prior_doses: int, wait_days: float, works: bool
) -> None:
    days = np.append(np.arange(prior_doses), prior_doses - 1 + wait_days)
    doses = Doses(jnp.asarray(days * 24.0), jnp.ones(prior_doses + 1))
    kept = 1 - float(lost_before(doses, default_tolerance(LOOKUP))[-1])
    assert kept > 0.95 if works else kept < 0.4


def test_law_a_dose_of_nothing_leaves_no_tolerance_and_off_is_off() -> None:
    doses = Doses(jnp.asarray([0.0, 24.0, 48.0]), jnp.asarray([0.0, 50.0, 50.0]))
    lost = np.asarray(lost_before(doses, Tolerance(0.9, 180.0)))
    assert lost[:2] == pytest.approx([0, 0])
    assert lost[2] == pytest.approx(0.9 * np.exp(-24 / 180))
    assert not np.any(lost_before(doses, OFF))
    in_force = lost_at(np.array([-1.0, 47.9, 48.0, 228.0]), doses, Tolerance(0.9, 180.0))
    assert in_force == pytest.approx([0, 0, lost[2], lost[2] / np.e])


@pytest.mark.parametrize("arrivals", [[-3.0], [2.0], [-1.0, 1.6, 1.6, 40.0]])
def test_law_window_weights_sum_to_one_and_decays_are_exact(arrivals: list[float]) -> None:
    """Against the closed form: the average of exp(-k s) over the window is 1/(1 + k tau)."""
    window = exponential_window(session_end_h=END, tau_h=1.5, arrivals_h=jnp.asarray(arrivals))
    assert float(jnp.sum(window.weight)) == pytest.approx(1, abs=1e-13)
    for rate in (0.07, 0.5, 6.61):
        mean = float(jnp.sum(window.weight * jnp.exp(-rate * (window.time_h - END))))
        assert mean == pytest.approx(1 / (1 + 1.5 * rate), abs=1e-9)
    flat = step_window(session_end_h=END, width_h=2.0, arrivals_h=jnp.asarray(arrivals))
    assert float(jnp.sum(flat.weight)) == pytest.approx(1, abs=1e-13)
    assert float(jnp.sum(flat.weight * flat.time_h)) == pytest.approx(END + 1, abs=1e-12)


@pytest.mark.parametrize("at_h", [1.5, 2.0, 4.0])
@pytest.mark.parametrize("kernel", list(Kernel))
def test_law_boost_equals_a_fine_sum(at_h: float, kernel: Kernel) -> None:
    doses = dose_arrays(bolus(50.0, at_h=at_h))
    width = float(CHAIN.window_h)
    end = END + width if kernel is Kernel.STEP else 60.0
    fine = np.unique(np.append(np.linspace(END, end, 100_001), min(at_h + 0.326, end)))
    extra = np.asarray(expose(CHAIN, doses, fine).effective_gain) - 1
    density = np.exp(-(fine - END) / width) / width if kernel is Kernel.EXPONENTIAL else 1 / width
    assert boost_of(50.0, at_h, kernel=kernel) == pytest.approx(np.trapezoid(extra * density, fine), abs=2e-8)


def test_law_no_drug_no_boost_and_a_blocker_makes_it_negative() -> None:
    assert boost_of(0.0, -1.0) == pytest.approx(0, abs=1e-14)
    blocked = build(PERSON, [Meal.FASTED], LOOKUP, switches=Switches(antagonists_um={"mk801": 0.02}))
    assert boost_of(0.0, -1.0, blocked) < -0.5


@pytest.mark.parametrize("kernel", list(Kernel))
def test_law_boost_falls_with_delay_after_the_session(kernel: Kernel) -> None:
    delays = np.linspace(0.0, 8.0, 17)
    boosts = np.array([boost_of(50.0, END + delay, kernel=kernel) for delay in delays])
    assert np.all(np.diff(boosts) <= 1e-12)
    assert boosts[0] > 0.08
    assert boosts[-1] < 0.01


def test_law_boost_rises_with_dose_and_saturates() -> None:
    boosts = np.array([boost_of(dose, -1.0) for dose in (10.0, 50.0, 100.0, 250.0, 500.0)])
    assert np.all(np.diff(boosts) > 0)
    assert boosts[-1] - boosts[-2] < 0.2 * boosts[1]


def test_law_tolerance_scales_every_later_session() -> None:
    weekly = dose_arrays(repeat(bolus(50.0, at_h=-1.0), every_h=168.0, times=4))
    free = build(PERSON, [Meal.FASTED], LOOKUP, switches=Switches(tolerance=False))
    ratio = [
        float(
            consolidation_boost(CHAIN, weekly, END + k * 168.0) / consolidation_boost(free, weekly, END + k * 168.0)
        )
        for k in range(4)
    ]
    assert ratio[0] == pytest.approx(1)
    assert ratio[1:] == pytest.approx([0.654, 0.640, 0.640], abs=0.002)


@pytest.mark.parametrize(
    "switches",
    [
        Switches(structure=Structure.TRANSIT),
        Switches(arousal=1.0),
        Switches(antidepressant=Antidepressant.ENDOGENOUS),
        Switches(antidepressant=Antidepressant.WHOLE_SITE),
        Switches(antagonists_um={"7cka": 1.0}),
    ],
    ids=["transit", "arousal", "antidepressant a", "antidepressant b", "7-CKA"],
)
def test_law_every_switch_changes_the_boost(switches: Switches) -> None:
    other = build(PERSON, [Meal.FASTED], LOOKUP, switches=switches)
    assert abs(boost_of(50.0, -1.0, other) - boost_of(50.0, -1.0)) > 0.01


def test_law_lost_sites_shrink_the_boost_in_proportion() -> None:
    half = TABLE.with_values({"antidepressant.site_loss": 0.5}).number
    whole, lost = (
        build(PERSON, [Meal.FASTED], look, switches=Switches(antidepressant=Antidepressant.WHOLE_SITE))
        for look in (LOOKUP, half)
    )
    assert boost_of(50.0, -1.0, lost) == pytest.approx(0.5 * boost_of(50.0, -1.0, whole))


def test_law_many_people_at_once_equal_one_at_a_time() -> None:
    own = jnp.linspace(-0.5, 0.5, 5)
    doses = dose_arrays(bolus(50.0, at_h=-1.0))

    def of(shift: jax.Array) -> jax.Array:
        chain = build(PERSON, [Meal.FASTED], LOOKUP, deviations=Deviations(shift, shift, -shift, shift))
        return consolidation_boost(chain, doses, END)

    assert jax.vmap(of)(own) == pytest.approx(np.array([float(of(shift)) for shift in own]), rel=1e-13)


NAMES = (
    "plasma.clearance",
    "plasma.volume",
    "plasma.absorption_fasted",
    "plasma.lag",
    "brain.kp",
    "brain.ke0",
    "receptor.theta0",
    "receptor.k_glycine",
    "receptor.efficacy_2b",
    "receptor.weight_2c",
    "tolerance.jump",
    "tolerance.recovery",
    "consolidation.tau",
)


def test_law_boost_is_differentiable_in_every_constant() -> None:
    """Second weekly session, forward and reverse mode, against central differences."""
    weekly = dose_arrays(repeat(bolus(50.0, at_h=-1.0), every_h=168.0, times=2))

    def of(values: jax.Array) -> jax.Array:
        chain = build(PERSON, [Meal.FASTED], TABLE.lookup_with(dict(zip(NAMES, values, strict=True))))
        return consolidation_boost(chain, weekly, END + 168.0)

    run = jax.jit(of)
    at = jnp.asarray([TABLE.parameters[name].value for name in NAMES])
    steps = 1e-5 * np.diag(np.asarray(at))
    numeric = [float(run(at + step) - run(at - step)) / (2 * step.sum()) for step in steps]
    exact = np.asarray(jax.jit(jax.grad(of))(at))
    assert exact == pytest.approx(numeric, rel=2e-6, abs=1e-9)
    assert np.all(exact != 0)
    assert jax.jit(jax.jacfwd(of))(at) == pytest.approx(exact, rel=1e-9)


def test_law_single_precision_chain_agrees() -> None:
    chain = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), CHAIN)
    doses = Doses(jnp.asarray([-1.0], jnp.float32), jnp.asarray([50.0], jnp.float32))
    single = expose(chain, doses, jnp.linspace(-2.0, 12.0, 40, dtype=jnp.float32))
    double = expose(CHAIN, dose_arrays(bolus(50.0, at_h=-1.0)), jnp.linspace(-2.0, 12.0, 40))
    for low, high in zip(single, double, strict=True):
        assert low.dtype == jnp.float32
        assert np.max(np.abs(np.asarray(low, float) - np.asarray(high))) < 5e-6 * np.max(high)


def test_contract_arousal_outside_zero_to_one_is_refused() -> None:
    with pytest.raises(InputError, match="arousal must lie between 0 and 1; given 2"):
        Switches(arousal=2.0)
