"""The same trials as an account would have made them: constants from their priors, effects with error, reports alike.

A made-up trial keeps its design, its size and its form of report. Errors have the structure that the likelihood
assumes, so that what is fitted to made-up trials can be held against the constants they were made with.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dualtrace.calibration.likelihood import interaction_variance
from dualtrace.calibration.model import HETEROGENEITY, PLACEBO_SD, Problem
from dualtrace.calibration.moderation import INTERACTION
from dualtrace.calibration.place import derived_at, middle, shared_at
from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.parameters import load_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from dualtrace.calibration.outcomes import Rows
    from dualtrace.calibration.rivals import Rival

    Maker = Callable[[Mapping[str, NDArray[np.float64]], np.random.Generator], Problem]

_LOGISTIC_SD = float(np.pi / np.sqrt(3))
"""SD of the logistic distribution: what one SMD is in log odds (Chinn 2000, PMID 11113947)."""

Place = dict[str, "NDArray[np.float64]"]
"""Standard normal scores by name, as :mod:`dualtrace.calibration.place` has them."""


class Errors(NamedTuple):
    """SDs of the part of each row's error that its trial shares, and of its own part, ``(R,)``."""

    common: NDArray[np.float64]
    own: NDArray[np.float64]


def place_from_prior(rival: Rival, rng: np.random.Generator) -> Place:
    """Draw constants and deviations of disorders from their priors, as standard normal scores."""
    return {name: rng.standard_normal(np.shape(score)) for name, score in middle(rival).items()}


def errors_of(rows: Rows, *, heterogeneity: float, placebo_sd: float) -> Errors:
    r"""Errors of the rows.

    Effects share :math:`\sqrt{\rho v + (c \tau)^2}` and own :math:`\sqrt{(1 - \rho) v}`
    (:func:`dualtrace.calibration.likelihood.trial_log_likelihoods`); interactions share nothing
    (:func:`dualtrace.calibration.likelihood.interaction_variance`); changes with placebo own :math:`\sqrt{v +
    \sigma_p^2}`.

    Parameters
    ----------
    rows
        What was reported; only its form is used.
    heterogeneity, placebo_sd
        SDs between trials beyond the model: of effects (SMD), and of the change with placebo (SDs at baseline).
    """
    standard, v = np.asarray(rows.standard), np.asarray(rows.v, float)
    shared = load_parameters().number("calibration.shared_error", "1")
    factor = np.where((standard == 2) | (standard == 3), _LOGISTIC_SD, 1.0)
    effect = (standard >= 0) & (standard < INTERACTION)
    common = np.where(effect, np.sqrt(shared * v + (factor * heterogeneity) ** 2), 0.0)
    of_interaction = interaction_variance(np.asarray(rows.patients, float), heterogeneity)
    alone = np.where(standard == INTERACTION, of_interaction, v + placebo_sd**2)
    return Errors(common, np.sqrt(np.where(effect, (1 - shared) * v, alone)))


def with_errors(rows: Rows, predicted: NDArray[np.float64], errors: Errors, rng: np.random.Generator) -> Rows:
    """Rows as trials would report them whose true effects are ``predicted``, ``(R,)``.

    A row that was a number is a number. A row that was an interval is reported by the same marks: where the interval
    of the real trial ended, and the same on the other side of 0. The interval between two marks that holds the
    made-up effect is what is reported. "No difference" (-1.96 to 1.96 standard errors) can so become "better" or
    "worse" (beyond 1.96), and "better" can become "no difference" or "worse".
    """
    trial = np.asarray(rows.trial)
    of_trial = rng.standard_normal(int(trial.max()) + 1)
    y = predicted + errors.common * of_trial[trial] + errors.own * rng.standard_normal(trial.size)
    exact = np.asarray(rows.exact)
    ends = [between(value, marks_of(low, high)) for value, low, high in zip(y, rows.lower, rows.upper, strict=True)]
    lower, upper = np.array(ends).T
    return rows._replace(
        y=xp.where(exact, y, 0.0),
        lower=xp.where(exact, rows.lower, lower),
        upper=xp.where(exact, rows.upper, upper),
    )


def marks_of(lower: float, upper: float) -> NDArray[np.float64]:
    """Marks by which a row is reported, sorted: the finite ends of its interval and their mirror images."""
    ends = [float(end) for end in (lower, upper) if np.isfinite(end)]
    return np.unique([*ends, *(0.0 - end for end in ends)])


def between(value: float, marks: NDArray[np.float64]) -> tuple[float, float]:
    """Return the marks, or infinities, between which a value lies."""
    bounded = np.concatenate([[-np.inf], marks, [np.inf]])
    place = int(np.searchsorted(marks, value))
    return float(bounded[place]), float(bounded[place + 1])


def maker(
    problem: Problem, rival: Rival
) -> Callable[[Mapping[str, NDArray[np.float64]], np.random.Generator], Problem]:
    """Compile an account as a source of trials: a function of scores and random numbers to the same trials made up.

    Accounts without a mechanism say nothing of the change with placebo: there it stays as reported.
    """
    import jax

    predict = jax.jit(lambda place: (shared_at(rival, place), derived_at(problem, rival, place)[2]))

    def make(place: Mapping[str, NDArray[np.float64]], rng: np.random.Generator) -> Problem:
        shared, predicted = predict(dict(place))
        errors = errors_of(
            problem.rows,
            heterogeneity=float(shared[HETEROGENEITY]),
            placebo_sd=float(shared.get(PLACEBO_SD, 0.0)),
        )
        made = with_errors(problem.rows, np.asarray(predicted), errors, rng)
        if not rival.is_mechanism:
            made = made._replace(y=xp.where(np.asarray(problem.rows.standard) < 0, problem.rows.y, made.y))
        return replace(problem, rows=made)

    return make
