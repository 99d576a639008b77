"""Published results of the rival memories that learn weights: figures, tables and simulation outputs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from dualtrace.mechanism.memory.contract import Event, Rest, Sizes
from dualtrace.mechanism.memory.kalman import KalmanFilter
from dualtrace.mechanism.memory.pearce_hall import PearceHall
from dualtrace.mechanism.memory.refined_rescorla_wagner import RefinedRescorlaWagner
from dualtrace.mechanism.memory.rescorla_wagner import RescorlaWagner
from dualtrace.mechanism.parameters import load_parameters

TABLE = load_parameters()


class Trial(NamedTuple):
    """One event: what is there, the US, and the hours of rest before it."""

    cue: tuple[float, ...]
    us: float = 0.0
    context: tuple[float, ...] = (0.0,)
    hours: float = 0.0


def numbers(values: Any) -> Any:
    return np.asarray(values, float)


def run(model: Any, trials: list[Trial], start: Any = None, **changes: float) -> tuple[list[Any], list[float]]:
    """States after each trial and the US expected in each, at the shipped constants unless changed."""
    theta = model.theta(TABLE.lookup_with({f"{model.name}.{name}": value for name, value in changes.items()}))
    sizes = Sizes((1,), len(trials[0].cue), len(trials[0].context), len(trials))
    state = model.init(theta, sizes) if start is None else start
    one, zero = numbers([1]), numbers([0])
    states, expected = [], []
    for trial in trials:
        state = model.rest(theta, state, Rest(numbers([trial.hours]), zero, zero, zero))
        event = Event(numbers([trial.cue]), numbers([trial.context]), numbers([trial.us]), one, one, zero, zero)
        state, info = model.present(theta, state, event)
        states.append(state)
        expected.append(float(info.expectation[0]))
    return states, expected


A, B, AB, NOTHING = (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.0, 0.0)


def test_reference_rescorla_wagner_acquires_in_closed_form() -> None:
    """Rescorla & Wagner 1972: V after n pairings is 1 - (1 - alpha beta)^n."""
    _, expected = run(RescorlaWagner(), [Trial(A, 1.0)] * 20)
    assert expected == pytest.approx(1 - (1 - 0.4 * 0.4) ** np.arange(20), rel=1e-12)


def test_reference_rescorla_wagner_blocks() -> None:
    """Rescorla & Wagner 1972 on Kamin: a cue added to one that predicts the US gains nothing; half without."""
    blocked, _ = run(RescorlaWagner(), [Trial(A, 1.0)] * 100 + [Trial(AB, 1.0)] * 50)
    control, _ = run(RescorlaWagner(), [Trial(AB, 1.0)] * 50)
    assert blocked[-1].strength[0, :2] == pytest.approx([1.0, 0.0], abs=1e-6)
    assert control[-1].strength[0, :2] == pytest.approx([0.5, 0.5], abs=1e-6)


def test_reference_rescorla_wagner_overexpects_and_inhibits() -> None:
    """Rescorla & Wagner 1972: two full cues paired together fall to half; A+ AB- makes B the inverse of A."""
    over, _ = run(RescorlaWagner(), [Trial(A, 1.0), Trial(B, 1.0)] * 60 + [Trial(AB, 1.0)] * 60)
    inhibited, _ = run(RescorlaWagner(), [Trial(A, 1.0), Trial(AB, 0.0)] * 200)
    assert over[-1].strength[0, :2] == pytest.approx([0.5, 0.5], abs=1e-6)
    assert inhibited[-1].strength[0, :2] == pytest.approx([1.0, -1.0], abs=0.01)


def test_reference_pearce_hall_latent_inhibition() -> None:
    """Pearce & Hall 1980: exposure without consequence lets associability fall, so that learning starts slower."""
    before, _ = run(PearceHall(), [Trial(A)] * 10)
    exposed, late = run(PearceHall(), [Trial(A, 1.0)] * 3, before[-1])
    fresh, early = run(PearceHall(), [Trial(A, 1.0)] * 3)
    assert before[-1].associability[0, 0] == 0.1
    assert late[1] == pytest.approx(0.04, rel=1e-12)
    assert early[1] == pytest.approx(0.16, rel=1e-12)
    assert exposed[-1].excitation[0, 0] < fresh[-1].excitation[0, 0]


def test_reference_pearce_hall_weak_us_retards_a_strong_one() -> None:
    """Hall & Pearce 1979: a tone paired with a weak shock learns the strong one more slowly than a new tone."""
    weak, _ = run(PearceHall(), [Trial(A, 0.3)] * 66)
    trained, _ = run(PearceHall(), [Trial(A, 1.0)], weak[-1])
    fresh, _ = run(PearceHall(), [Trial(A, 1.0)])
    gain = trained[-1].excitation[0, 0] - weak[-1].excitation[0, 0]
    assert weak[-1].excitation[0, 0] == pytest.approx(0.3, abs=0.02)
    assert gain < 0.25 * fresh[-1].excitation[0, 0]


def test_reference_pearce_hall_orienting_stays_under_partial_reinforcement() -> None:
    """Kaye & Pearce 1984: associability is lost with an always or never paired light, kept with a half paired one."""
    always, never, half = (
        run(PearceHall(), block * 20)[0][-1].associability[0, 0]
        for block in ([Trial(A, 1.0)] * 2, [Trial(A)] * 2, [Trial(A, 1.0), Trial(A)])
    )
    assert always == never == 0.1
    assert half > 0.35


def test_reference_pearce_hall_extinction_leaves_excitation() -> None:
    """Pearce & Hall 1980: extinction builds inhibition beside excitation, which it leaves whole."""
    trained, _ = run(PearceHall(), [Trial(A, 1.0)] * 30)
    extinguished, expected = run(PearceHall(), [Trial(A)] * 60, trained[-1])
    assert extinguished[-1].excitation[0, 0] == trained[-1].excitation[0, 0] > 0.95
    assert extinguished[-1].inhibition[0, 0] == pytest.approx(extinguished[-1].excitation[0, 0], abs=0.05)
    assert expected[-1] < 0.05


def kalman_weights(trials: list[Trial]) -> np.ndarray:
    mean = run(KalmanFilter(), trials)[0][-1].mean[0, :2]
    return np.asarray(mean)


def test_reference_kalman_latent_inhibition() -> None:
    """Gershman 2015, figure 2: pre-exposure lowers the gain trial by trial and slows acquisition."""
    states, exposed = run(KalmanFilter(), [Trial(A)] * 10 + [Trial(A, 1.0)] * 10)
    _, control = run(KalmanFilter(), [Trial(NOTHING)] * 10 + [Trial(A, 1.0)] * 10)
    variance = np.array([state.covariance[0, 0, 0] for state in states[:10]])
    assert variance[0] == pytest.approx(1.01 / 2.01, rel=1e-12)
    assert np.all(np.diff(variance) < 0)
    assert all(late < early for late, early in zip(exposed[11:], control[11:], strict=True))


RECOVERIES = {
    "overshadowing": ([Trial(AB, 1.0)] * 10, 10),
    "forward blocking": ([Trial(A, 1.0)] * 10 + [Trial(AB, 1.0)] * 10, 10),
    "overexpectation": ([Trial(A, 1.0)] * 10 + [Trial(B, 1.0)] * 10 + [Trial(AB, 1.0)] * 10, 10),
    "conditioned inhibition": (
        [Trial(x, us) for us_a, us_b in [(1, 0), (1, 0), (1, 0), (1, 1)] * 3 for x, us in ((A, us_a), (AB, us_b))],
        12,
    ),
}


@pytest.mark.parametrize("name", RECOVERIES)
def test_reference_kalman_recovery_by_extinction_of_the_other_cue(name: str) -> None:
    """Gershman 2015, figure 3 A to D: extinction of A raises B, which took no part in it."""
    training, count = RECOVERIES[name]
    control = kalman_weights([*training, *[Trial(NOTHING)] * count])
    extinguished = kalman_weights([*training, *[Trial(A)] * count])
    assert extinguished[0] < control[0]
    assert extinguished[1] > control[1] + 0.1


def test_reference_kalman_covariance_turns_negative_in_compound() -> None:
    """Gershman 2015, figure 4 C: training A and X together makes their weights covary negatively."""
    states, _ = run(KalmanFilter(), [Trial(AB, 1.0)] * 10)
    covariance = np.array([state.covariance[0, 0, 1] for state in states])
    assert np.all(covariance < 0)


def response(expected: list[float], trials: list[Trial], first: int, count: int) -> float:
    """Mean response to the cue from trial ``first`` on: the authors' logistic with slope 5."""
    cue = [value for value, trial in zip(expected[first:], trials[first:], strict=True) if sum(trial.cue) > 0]
    return float(np.mean(1 / (1 + np.exp(-5 * np.array(cue[:count])))))


def block(cue: tuple[float, ...], context: tuple[float, ...], us: float, count: int, interval: int) -> list[Trial]:
    """Trials in the authors' time steps: steps of the context alone before each presentation."""
    empty = tuple(0.0 for _ in cue)
    return [*[Trial(empty, 0.0, context)] * interval, Trial(cue, us, context)] * count


ELEMENTAL = {"rate_start": 0.0, "rate_min": 0.2, "configural": 0.0}
CS, LAB, HOME = (1.0,), (1.0, 0.0), (0.0, 1.0)


@pytest.mark.parametrize(
    ("delay", "published"), [(0, 0.539786), (50, 0.614263), (100, 0.656674), (200, 0.695174), (400, 0.713303)]
)
@pytest.mark.parametrize("explicit", [True, False])
def test_reference_refined_spontaneous_recovery(delay: int, published: float, explicit: bool) -> None:
    """Printed responses of the authors' simulation of Quirk 2002 with decay alone, after each delay in steps.

    psych_extinction_simulations, chapter 3, spontaneous recovery (decay 0.01, rate 0.2). The delay passes as steps
    in the home cage, as theirs, or as hours of rest.
    """
    before = block(CS, LAB, 1.0, 7, 5)
    extinction = [*block(CS, LAB, 0.0, 20, 5)]
    away = [Trial((0.0,), 0.0, HOME)] * delay if explicit else []
    test = block(CS, LAB, 0.0, 2, 5)
    if not explicit:
        test[0] = test[0]._replace(hours=delay / 1.2)
    trials = [*before, *extinction, *away, *test]
    _, expected = run(RefinedRescorlaWagner(), trials, decay=0.01, **ELEMENTAL)
    assert response(expected, trials, len(before), 2) == pytest.approx(0.947797, abs=1e-6)
    assert response(expected, trials, len(trials) - len(test), 2) == pytest.approx(published, abs=1e-6)


@pytest.mark.parametrize(("extinction", "published"), [((0.0, 1.0), 0.816801), ((1.0, 0.0), 0.552570)])
def test_reference_refined_aba_renewal(extinction: tuple[float, ...], published: float) -> None:
    """Printed responses of the authors' simulation: extinction in B or in A, test in A.

    psych_extinction_simulations, chapter 3, ABA renewal (elements alone, rate 0.2).
    """
    test = block(CS, LAB, 0.0, 2, 5)
    trials = [*block(CS, LAB, 1.0, 5, 5), *block(CS, extinction, 0.0, 5, 5), *test]
    _, expected = run(RefinedRescorlaWagner(), trials, decay=0.0, **ELEMENTAL)
    assert response(expected, trials, len(trials) - len(test), 2) == pytest.approx(published, abs=1e-6)


def polack(interval: int, test: int) -> tuple[list[Any], float]:
    """Cue 2 is conditioned in A, cue 1 in D, cue 1 extinguished in B; cue 2 is tested in the context asked for."""
    first, second = (1.0, 0.0), (0.0, 1.0)
    a, b, d, tested = (tuple(np.eye(4)[i].tolist()) for i in (0, 1, 3, test))
    trials = [
        *block(second, a, 1.0, 4, 5),
        *block(first, d, 1.0, 24, 5),
        *block(first, b, 0.0, 40, interval),
        Trial(second, 0.0, tested),
    ]
    states, expected = run(RefinedRescorlaWagner(), trials, decay=0.0)
    return states, response(expected, trials, len(trials) - 1, 1)


@pytest.mark.parametrize(
    ("interval", "context", "published"), [(1, 1, 0.797539), (1, 2, 0.910755), (50, 1, 0.879473), (50, 2, 0.910755)]
)
def test_reference_refined_extinction_context_becomes_inhibitory(
    interval: int, context: int, published: float
) -> None:
    """Printed responses of the authors' simulation of Polack, Laborda & Miller 2012, all mechanisms but decay.

    psych_extinction_simulations, chapter 5, context inhibition: a summation test in the context of massed or
    spaced extinction (interval 1 or 50), and in a new context.
    """
    assert polack(interval, context)[1] == pytest.approx(published, abs=1e-6)


def test_reference_refined_inhibitory_context_protects_the_excitatory_weight() -> None:
    """Paskewitz, Stoddard & Jones 2022, abstract: a context that turns into a safety signal prevents erasure."""
    trained = block(CS, LAB, 1.0, 24, 5)
    massed, spaced = (
        run(RefinedRescorlaWagner(), [*trained, *block(CS, HOME, 0.0, 40, interval)], decay=0.0)[0][-1].weight[0]
        for interval in (0, 20)
    )
    assert massed[2] < spaced[2] < 0
    assert massed[0] > spaced[0] > 0
