"""What a posterior says of the drug: its effect over dose, timing, sessions and fear, and on each memory trace.

Imaginary trials (:mod:`dualtrace.calibration.imagined`) go through the same program as the real ones, draw by draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np

from dualtrace.calibration.courses import lay_out
from dualtrace.calibration.imagined import USUAL, Imagined, Setting, imagined
from dualtrace.calibration.model import constants_at, deviations_of, priors_of
from dualtrace.calibration.place import shared_at
from dualtrace.calibration.posterior import Posterior, thinned
from dualtrace.calibration.predict import follow, learner_of, symptoms_left
from dualtrace.calibration.rivals import rival
from dualtrace.calibration.targets import DISORDERS
from dualtrace.errors import InputError
from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.simulation.mechanism import lookup_in
from dualtrace.simulation.scale import at_baseline, reliability

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dualtrace.calibration.courses import Courses, Population
    from dualtrace.calibration.rivals import Rival
    from dualtrace.evidence.record import Disorder
    from dualtrace.mechanism.arrays import Array

FEAR_EDGES = tuple(float(edge) for edge in range(0, 101, 10))
"""Bins of fear at the end of sessions (SUDS)."""

_SUDS = 100.0
_LEAST = 1e-9


@final
@dataclass(frozen=True, eq=False)
class Stage:
    """The imaginary trials laid out; ``C`` arms in all, ``n`` patients.

    Attributes
    ----------
    trials
        One per disorder.
    numbers
        Number of each trial's arms among all arms.
    courses, population
        As :func:`dualtrace.calibration.courses.lay_out` gives them.
    disorder_of_arm, weeks, wait_h
        Place of the disorder, and when its effect is measured, ``(C,)``.
    baseline, error
        True score before treatment as distance from the best in baseline SDs ``(C, n)``, and the SD of its error.
    """

    trials: tuple[Imagined, ...]
    numbers: tuple[tuple[int, ...], ...]
    courses: Courses
    population: Population
    disorder_of_arm: Array
    weeks: Array
    wait_h: Array
    baseline: Array
    error: Array


class Answers(NamedTuple):
    """What draws say; ``S`` draws, ``D`` disorders, ``F`` bins of fear.

    Attributes
    ----------
    effect
        Drug less placebo at the end of treatment, SMD, of every arm, ``(S, C)``.
    by_fear, share
        The same of the usual arm among patients by their mean fear at the end of sessions with placebo, in SDs of all
        patients, and their share, ``(S, D, F)``.
    on_safety, on_threat
        Change of each trace by the drug at the end of treatment, as a share of what it is with placebo, ``(S, D)``.
    """

    effect: NDArray[np.float64]
    by_fear: NDArray[np.float64]
    share: NDArray[np.float64]
    on_safety: NDArray[np.float64]
    on_threat: NDArray[np.float64]


def stage(disorders: Sequence[Disorder] = DISORDERS, *, points: int = 64, seed: int = 0) -> Stage:
    """Lay out the usual course of disorders with its variants, for ``points`` patients (a power of two)."""
    import jax

    trials = tuple(imagined(disorder) for disorder in disorders)
    courses, population, numbers = lay_out(trials, points=points, seed=seed)
    lookup = lookup_in({n: p.value for n, p in load_parameters().parameters.items()}, np.float64)
    place = np.concatenate([np.full(len(own), d) for d, own in enumerate(numbers)])
    scores = [_measured(trial, population, lookup) for trial in trials]
    visits = [trial.plan.visits[-1] for trial in trials]
    laid = (
        courses,
        population,
        np.array([DISORDERS.index(disorder) for disorder in disorders])[place],
        np.array([visit.weeks for visit in visits])[place],
        np.array([visit.wait_h for visit in visits])[place],
        np.stack([first for first, _ in scores])[place],
        np.array([error for _, error in scores])[place],
    )
    return Stage(trials, numbers, *jax.tree.map(jax.numpy.asarray, laid))


def _measured(trial: Imagined, population: Population, lookup: Any) -> tuple[NDArray[np.float64], float]:  # noqa: ANN401
    scale = trial.plan.scales[0]
    true = np.asarray(at_baseline(scale, xp.asarray(population.person["severity"]), lookup), float)
    return np.abs(true - scale.best) / trial.plan.primary_sd, float(
        np.sqrt(1 - np.asarray(reliability(scale, lookup)))
    )


def posterior_answers(at: Stage, posterior: Posterior, draws: int) -> Answers:
    """Answers of about ``draws`` draws of a posterior, spread evenly over its chains.

    Raises
    ------
    InputError
        The account has no mechanism.
    """
    return _answers(at, rival(posterior.account), thinned(posterior, draws))


def prior_answers(at: Stage, account: Rival, draws: int, seed: int = 1) -> Answers:
    """Answers of draws of the prior of an account. Raises as :func:`posterior_answers`."""
    return _answers(at, account, prior_scores(account, draws, seed))


def prior_scores(account: Rival, draws: int, seed: int) -> dict[str, NDArray[np.float64]]:
    """Draws of the prior as normal scores by name, ``(draws, ...)``."""
    rng = np.random.default_rng(seed)
    sizes = {"shared": len(priors_of(account))} | dict.fromkeys(deviations_of(account), len(DISORDERS))
    return {name: rng.standard_normal((draws, size)) for name, size in sizes.items()}


def _answers(at: Stage, account: Rival, scores: Mapping[str, NDArray[np.float64]]) -> Answers:
    import jax

    if not account.is_mechanism:
        raise InputError(f"curves need an account with a mechanism, such as dual_trace; given {account.name}")
    program = jax.jit(lambda rows: jax.lax.map(partial(_one_draw, at, account), rows))
    return Answers(*(np.asarray(part) for part in program(jax.tree.map(jax.numpy.asarray, dict(scores)))))


def _one_draw(at: Stage, account: Rival, place: Mapping[str, Array]) -> tuple[Array, ...]:
    import jax

    deviations = {name: place[name] for name in deviations_of(account)}
    constants, lookup = constants_at(account, shared_at(account, place), deviations, at.disorder_of_arm)
    course = follow(at.courses, at.population, constants, lookup)
    last = jax.tree.map(lambda leaf: leaf[:, -1], course.state)

    def left(learning: Array, state: Any, wait_h: Array, weeks: Array, other: Array) -> Array:  # noqa: ANN401
        learner = learner_of(at.population, lookup, learning)
        return symptoms_left(
            at.population, learner, state, wait_h=wait_h, weeks=weeks, nonspecific=other, lookup=lookup
        )

    share = jax.vmap(left)(constants.learning, last, at.wait_h, at.weeks, constants.nonspecific)
    scores = at.baseline * share
    placebo = xp.asarray(np.concatenate([np.full(len(own), own[0]) for own in at.numbers]))
    noise = at.error**2
    sd = xp.sqrt((xp.var(scores, axis=-1) + xp.var(scores[placebo], axis=-1)) / 2 + noise)
    effect = xp.mean(scores[placebo] - scores, axis=-1) / sd
    none, usual = (xp.asarray(np.array([own[i] for own in at.numbers])) for i in (0, USUAL))
    benefit = (scores[none] - scores[usual]) / sd[usual][:, None]
    by_fear, of_bin = _by_fear(_end_fear(at, course.end)[none], benefit)
    safety, threat = (_change(trace, none, usual) for trace in (last.safety, last.threat))
    return effect, by_fear, of_bin, safety, threat


def _end_fear(at: Stage, end: Array) -> Array:
    """Mean fear at the end of the sessions that have exposures (SUDS), ``(C, n)``."""
    there = (at.courses.exposures > 0)[..., None]
    return _SUDS * xp.sum(xp.where(there, end, 0.0), axis=1) / xp.sum(there, axis=1)


def _by_fear(fear: Array, benefit: Array) -> tuple[Array, Array]:
    """Mean benefit of the patients of each bin (NaN where there are none), and their share, ``(D, F)``."""
    edges = xp.asarray(np.array(FEAR_EDGES[1:-1]))
    member = xp.sum(fear[..., None] >= edges, axis=-1)[..., None] == xp.asarray(np.arange(len(FEAR_EDGES) - 1))
    share = xp.mean(member, axis=1)
    mean = xp.mean(xp.where(member, benefit[..., None], 0.0), axis=1) / xp.maximum(share, _LEAST)
    return xp.where(share > 0, mean, xp.nan), share


def _change(trace: Array, none: Array, usual: Array) -> Array:
    with_none = xp.mean(trace[none], axis=-1)
    return (xp.mean(trace[usual], axis=-1) - with_none) / xp.maximum(with_none, _LEAST)


def of_setting(at: Stage, answers: Answers, trial: int, setting: Setting) -> tuple[tuple[float, ...], Any]:
    """Values along a curve of one imaginary trial, and the effect of every draw at each, ``(S, values)``."""
    if setting is Setting.END_FEAR:
        middles = tuple((low + high) / 2 for low, high in pairwise(FEAR_EDGES))
        return middles, answers.by_fear[:, trial]
    found: Sequence[tuple[float, int]] = at.trials[trial].points[setting]
    arms = [at.numbers[trial][arm] for _, arm in found]
    return tuple(value for value, _ in found), answers.effect[:, arms]
