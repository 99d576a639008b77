"""Rival memories: NumPy and JAX alike, plain loops alike, empty rows do nothing, and special cases coincide."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dualtrace.mechanism.memory.contract import Event, Info, Rest, Sizes, Timeline, follow
from dualtrace.mechanism.memory.kalman import KalmanFilter
from dualtrace.mechanism.memory.latent_cause import CAUSES, LatentCause, LatentCauseDrug
from dualtrace.mechanism.memory.pearce_hall import PearceHall
from dualtrace.mechanism.memory.refined_rescorla_wagner import RefinedRescorlaWagner
from dualtrace.mechanism.memory.rescorla_wagner import RescorlaWagner
from dualtrace.mechanism.parameters import load_parameters

TABLE = load_parameters()
DRAWS, GROUPS, CUES, CONTEXTS, ROWS = 3, 2, 2, 2, 24
SIZES = Sizes((DRAWS, GROUPS), CUES, CONTEXTS, ROWS)
MODELS: tuple[Any, ...] = (
    RescorlaWagner(),
    PearceHall(),
    KalmanFilter(),
    RefinedRescorlaWagner(),
    LatentCause(),
    LatentCauseDrug(),
)


def name_of(model: Any) -> str:
    return str(model.name)


def numbers(values: Any) -> Any:
    return np.asarray(values, float)


def filled(value: float, *shape: int) -> Any:
    return np.full(shape, value)


def schedule(seed: int) -> Timeline:
    """Random trials of two groups with rests, session ends, drugs, partial lengths and rows of nothing."""
    rng = np.random.default_rng(seed)
    lead = (ROWS, GROUPS)
    happens = (rng.random(lead) < 0.85).astype(float)
    context = np.eye(CONTEXTS)[rng.integers(0, CONTEXTS, lead)] * happens[..., None]
    cue = (rng.random((*lead, CUES)) < 0.6) * rng.choice([0.5, 1.0], (*lead, CUES)) * happens[..., None]
    us = (rng.random(lead) < 0.5) * rng.choice([0.4, 1.0], lead) * happens
    length = rng.choice([0.3, 1.0], lead) * happens
    quality = rng.choice([0.5, 1.0], lead) * happens
    nothing = filled(0.0, *lead)
    closes = (rng.random(lead) < 0.3) * happens
    hours = np.where(closes > 0, 20 * rng.random(lead), 0.2 * rng.random(lead)) * happens
    safety, threat = (rng.uniform(-1.3, 1.0, lead) * closes for _ in range(2))
    return Timeline(
        Rest(hours, closes, safety, threat),
        Event(cue, context, us, length, quality, nothing, nothing),
        nothing + np.inf,
    )


def drawn_theta(model: Any, seed: int) -> Any:
    """Constants of which each has an own value in every draw, within the middle of its prior."""
    rng = np.random.default_rng(seed)
    draws = {}
    for name in model.constants:
        entry = TABLE.parameters[name]
        if entry.is_uncertain:
            draws[name] = entry.prior.quantile(rng.uniform(0.2, 0.8, DRAWS))[:, None]
    return model.theta(TABLE.lookup_with(draws))


def on_jax(tree: Any) -> Any:
    return jax.tree.map(jnp.asarray, tree)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("model", MODELS, ids=name_of)
def test_law_numpy_and_jax_agree(model: Any, seed: int) -> None:
    theta, timeline = drawn_theta(model, seed), schedule(seed)
    plain = follow(model, theta, timeline, SIZES)
    fast = jax.jit(lambda t, s: follow(model, t, s, SIZES))(on_jax(theta), on_jax(timeline))
    for left, right in zip(plain, fast, strict=True):
        assert left.shape == (ROWS, DRAWS, GROUPS)
        assert left == pytest.approx(np.asarray(right), rel=1e-10, abs=1e-14)
    assert np.all((plain.fear >= 0) & (plain.fear <= 1))


@pytest.mark.parametrize("model", MODELS[1:5], ids=name_of)
def test_law_expectation_has_finite_derivatives_in_every_constant(model: Any) -> None:
    theta, timeline = on_jax(drawn_theta(model, 3)), on_jax(schedule(3))
    slopes = jax.grad(lambda t: jnp.sum(follow(model, t, timeline, SIZES).expectation))(
        jax.tree.map(lambda a: jnp.asarray(a, float), theta)
    )
    assert all(bool(jnp.all(jnp.isfinite(slope))) for slope in slopes)


@pytest.mark.parametrize("model", MODELS, ids=name_of)
def test_law_rows_of_nothing_and_rests_of_no_time_change_nothing(model: Any) -> None:
    theta, timeline = drawn_theta(model, 4), schedule(4)
    state = model.init(theta, SIZES)
    nothing = Event(*(0 * part[0] for part in timeline.event))
    no_time = Rest(*(filled(0.0, GROUPS) for _ in Rest._fields))
    for row in range(ROWS):
        state = model.rest(theta, state, Rest(*(part[row] for part in timeline.rest)))
        state, _ = model.present(theta, state, Event(*(part[row] for part in timeline.event)))
        same, _ = model.present(theta, model.rest(theta, state, no_time), nothing)
        for left, right in zip(state, same, strict=True):
            assert left.shape[:2] == SIZES.batch
            assert np.array_equal(left, right)


@pytest.mark.parametrize("model", MODELS, ids=name_of)
def test_law_a_rest_in_two_parts_is_one_rest(model: Any) -> None:
    theta, timeline = drawn_theta(model, 5), schedule(5)
    state = model.init(theta, SIZES)
    for row in range(ROWS):
        rest = Rest(*(part[row] for part in timeline.rest))
        first = rest._replace(hours=rest.hours / 3)
        second = Rest(2 * rest.hours / 3, *(filled(0.0, GROUPS) for _ in range(3)))
        at_once = model.rest(theta, state, rest)
        by_parts = model.rest(theta, model.rest(theta, state, first), second)
        for left, right in zip(at_once, by_parts, strict=True):
            assert left == pytest.approx(right, rel=1e-10, abs=1e-14)
        state, _ = model.present(theta, at_once, Event(*(part[row] for part in timeline.event)))


@pytest.mark.parametrize("model", MODELS[:4], ids=name_of)
def test_law_full_block_takes_back_what_a_session_changed(model: Any) -> None:
    theta, timeline = drawn_theta(model, 6), schedule(6)
    state = before = model.init(theta, SIZES)
    for row in range(ROWS):
        state, _ = model.present(theta, state, Event(*(part[row] for part in timeline.event)))
    ones = filled(1.0, GROUPS)
    blocked = model.rest(theta, state, Rest(0 * ones, ones, -ones, -ones))
    assert blocked[0] == pytest.approx(before[0], abs=1e-12)
    kept = model.rest(theta, state, Rest(0 * ones, ones, 0 * ones, 0 * ones))
    assert kept[0] == pytest.approx(state[0], rel=1e-12)


def test_law_the_hybrid_is_rescorla_wagner_when_associability_stands_still() -> None:
    """Without a drug, and where what is present adds up to 1 or more (below that ``rescorla_wagner`` shrinks errors)."""
    hybrid, plain, timeline = PearceHall(), RescorlaWagner(), schedule(7)
    still = hybrid.theta(TABLE.number)._replace(
        associability=0.4, rate_excitation=0.35, rate_inhibition=0.35, rate_associability=0.0, context_salience=0.2
    )
    same = plain.theta(TABLE.number)._replace(salience=0.4, rate_us=0.35, rate_no_us=0.35, context_salience=0.2)
    whole = timeline._replace(
        rest=timeline.rest._replace(safety_gain=filled(0.0, ROWS, GROUPS), threat_gain=filled(0.0, ROWS, GROUPS)),
        event=timeline.event._replace(cue=numbers(np.ceil(timeline.event.cue))),
    )
    left, right = follow(hybrid, still, whole, SIZES), follow(plain, same, whole, SIZES)
    assert left.expectation == pytest.approx(right.expectation, rel=1e-12, abs=1e-14)


class Row(NamedTuple):
    """One row of one group in plain numbers."""

    hours: float
    closes: float
    safety: float
    threat: float
    cue: list[float]
    context: list[float]
    us: float
    length: float
    quality: float

    def elements(self, salience: float) -> list[float]:
        beside = salience if sum(self.cue) > 0 else 1.0
        return [*self.cue, *(beside * c for c in self.context)]

    @property
    def share(self) -> float:
        return self.length * (1.0 if self.us > 0 else self.quality)


def plain_rows(timeline: Timeline, group: int) -> list[Row]:
    parts: Any = (*timeline.rest, *timeline.event[:5])
    return [Row(*(part[row, group].tolist() for part in parts)) for row in range(ROWS)]


def drugged(now: list[float], start: list[float], row: Row, sign: float = 1.0) -> list[float]:
    def one(a: float, b: float) -> float:
        gain = row.safety if sign * (a - b) < 0 else row.threat
        return b + (1 + gain) * (a - b)

    return [one(a, b) for a, b in zip(now, start, strict=True)]


def loop_pearce_hall(c: Any, rows: list[Row]) -> list[float]:
    n = CUES + CONTEXTS
    ex, inh, alpha = [0.0] * n, [0.0] * n, [c.associability] * n
    ex0, inh0, out = list(ex), list(inh), []
    for row in rows:
        if row.closes:
            ex, inh = drugged(ex, ex0, row), drugged(inh, inh0, row, -1.0)
            ex0, inh0 = list(ex), list(inh)
        x = row.elements(c.context_salience)
        expected = sum(x[i] * (ex[i] - inh[i]) for i in range(n))
        error = row.us - expected
        for i in range(n):
            dose = alpha[i] * x[i] * row.share
            ex[i] += c.rate_excitation * dose * max(error, 0.0)
            inh[i] += c.rate_inhibition * dose * max(-error, 0.0)
            alpha[i] += min(1.0, c.rate_associability * x[i] * row.share) * (abs(error) - alpha[i])
            alpha[i] = min(max(alpha[i], c.lowest), c.highest)
        out.append(expected)
    return out


def loop_kalman(c: Any, rows: list[Row]) -> list[float]:
    n = CUES + CONTEXTS
    mean, start = [0.0] * n, [0.0] * n
    cov = [[c.prior_variance * (i == j) for j in range(n)] for i in range(n)]
    out = []
    for row in rows:
        if row.closes:
            mean = drugged(mean, start, row)
            start = list(mean)
        x = row.elements(c.context_salience)
        expected = sum(x[i] * mean[i] for i in range(n))
        out.append(expected)
        if row.length == 0:
            continue
        for i in range(n):
            cov[i][i] += c.drift_variance * row.length
        spread = [sum(cov[i][j] * x[j] for j in range(n)) for i in range(n)]
        noise = c.us_variance / row.share
        gain = [s / (sum(x[i] * spread[i] for i in range(n)) + noise) for s in spread]
        mean = [mean[i] + gain[i] * (row.us - expected) for i in range(n)]
        cov = [[cov[i][j] - gain[i] * spread[j] for j in range(n)] for i in range(n)]
    return out


def loop_refined(c: Any, rows: list[Row]) -> list[float]:
    n = CUES + CONTEXTS + CUES * CONTEXTS
    w, start, met, out = [0.0] * n, [0.0] * n, [0.0] * n, []
    for row in rows:
        if row.closes:
            w = drugged(w, start, row)
            start = list(w)
        kept = (1 - c.decay) ** (c.steps_per_hour * row.hours)
        w, start = ([v * kept if v < 0 else v for v in weights] for weights in (w, start))
        x = row.elements(c.context_salience)
        f = x + [c.configural * x[i] * x[CUES + j] for i in range(CUES) for j in range(CONTEXTS)]
        expected = min(max(sum(f[i] * w[i] for i in range(n)), 0.0), 1.0)
        out.append(expected)
        for i in range(n):
            met[i] += row.share if f[i] > 0 else 0.0
            lost = (1 - (1 - c.decay) ** row.length) * min(w[i], 0.0)
            rate = c.rate_start / (met[i] + 1) ** c.power + c.rate_min
            w[i] += rate * f[i] * row.share * (row.us - expected) - lost
    return out


def normal(value: float, mean: float, sd: float) -> float:
    return math.exp(-0.5 * ((value - mean) / sd) ** 2) / (sd * math.sqrt(2 * math.pi))


def loop_latent(c: Any, rows: list[Row], drug_acts: bool) -> list[float]:
    """As published: look ahead to the next event, iterate, assign; all quantities afresh in every trial."""
    n = CUES + CONTEXTS
    trials: list[list[Any]] = []
    clock = 0.0
    for number, row in enumerate(rows):
        clock += row.hours * c.units_per_hour
        if trials and row.closes and drug_acts:
            trials[-1][3] = max(row.threat, -1.0)
        if row.length > 0:
            trials.append([number, clock, row, 0.0])
            clock += 1
    w = [[c.initial_weight] * n for _ in range(CAUSES)]
    past: list[tuple[float, int, float, list[float]]] = []
    out = [math.nan] * len(rows)
    for index, (number, time, row, gain) in enumerate(trials):
        x = row.elements(c.context_salience)
        counts = [sum(share for _, z, share, _ in past if z == k) for k in range(CAUSES)]
        prior = [
            sum(share * (time - t) ** -c.time_exponent for t, z, share, _ in past if z == k) for k in range(CAUSES)
        ]
        if 0.0 in counts:
            prior[counts.index(0.0)] = c.concentration
        like = []
        for k in range(CAUSES):
            total = counts[k] + c.cue_variance
            sd = math.sqrt(c.cue_variance / total + c.cue_variance)
            sums = [sum(share * y[d] for _, z, share, y in past if z == k) for d in range(n)]
            like.append(prior[k] * math.prod(normal(x[d], sums[d] / total, sd) for d in range(n)))
        value = [sum(w[k][d] * x[d] for d in range(n)) for k in range(CAUSES)]
        out[number] = sum(p * v for p, v in zip(like, value, strict=True)) / sum(like)
        last = index + 1 == len(trials)
        units = 1.0 if last else math.floor(trials[index + 1][1] - time + 0.5)
        q = [0.0] * CAUSES
        for _ in range(int(min(c.max_iterations, units))):
            value = [sum(w[k][d] * x[d] for d in range(n)) for k in range(CAUSES)]
            q = [like[k] * normal(row.us, value[k], math.sqrt(c.us_variance)) for k in range(CAUSES)]
            q = [part / sum(q) for part in q]
            for k in range(CAUSES):
                step = c.rate * row.share * q[k] * (row.us - value[k])
                w[k] = [(w[k][d] + step * x[d]) * (1 + gain * q[k]) for d in range(n)]
        past.append((time, q.index(max(q)), row.share, x))
    return out


LOOPS: tuple[tuple[Any, Any], ...] = (
    (PearceHall(), loop_pearce_hall),
    (KalmanFilter(), loop_kalman),
    (RefinedRescorlaWagner(), loop_refined),
    (LatentCause(), lambda c, rows: loop_latent(c, rows, drug_acts=False)),
    (LatentCauseDrug(), lambda c, rows: loop_latent(c, rows, drug_acts=True)),
)


@pytest.mark.parametrize("seed", [11, 12, 13])
@pytest.mark.parametrize(("model", "loop"), LOOPS, ids=[name_of(model) for model, _ in LOOPS])
def test_law_a_plain_loop_gives_the_same_expectations(model: Any, loop: Any, seed: int) -> None:
    theta, timeline = drawn_theta(model, seed), schedule(seed)
    info: Info = follow(model, theta, timeline, SIZES)
    happened = timeline.event.length > 0
    for draw in range(DRAWS):
        one = type(theta)(*(float(np.broadcast_to(part, (DRAWS, 1))[draw, 0]) for part in theta))
        for group in range(GROUPS):
            expected = np.array(loop(one, plain_rows(timeline, group)))
            when = happened[:, group]
            assert info.expectation[when, draw, group] == pytest.approx(expected[when], rel=1e-10, abs=1e-13)
