"""How likely what each trial reported is, given what a model predicts of it: numbers, intervals and directions alike.

Rows of one trial share patients and whatever makes the trial differ from the prediction. Both are integrated out by
one number per trial, so that every trial has one likelihood and may be left out as a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.calibration.moderation import INTERACTION
from dualtrace.mechanism.arrays import xp

if TYPE_CHECKING:
    from dualtrace.calibration.outcomes import Rows
    from dualtrace.mechanism.arrays import Array, ArrayLike

_GRID = np.linspace(-6.5, 6.5, 161)
"""Where a trial's common deviation is integrated over: the trapezoidal rule, exact to rounding for smooth peaks that
are wider than a step (0.08 SDs); Gauss-Hermite nodes would miss the narrow peaks of trials with several effects."""

_FAR = 38.0
"""Standard deviations beyond which a bound counts as infinite: there the logarithm of a tail is still finite."""

_WIDEST = 1e3
"""An infinite bound, made finite so that the gradient stays a number."""

_LOGISTIC_SD = float(np.pi / np.sqrt(3))
"""SD of the logistic distribution: what one SMD is in log odds (Chinn 2000, PMID 11113947)."""


def trial_log_likelihoods(
    rows: Rows,
    predicted: Array,
    *,
    trials: int,
    heterogeneity: ArrayLike,
    shared: ArrayLike,
    precision: Any = np.float64,  # noqa: ANN401 - a NumPy type
) -> Array:
    r"""Log-likelihood of the drug's effects in every trial, ``(trials,)``.

    .. math:: \ell_j = \log \int \phi(e) \prod_{r \in j} p(y_r \mid \hat y_r + s_r e, (1 - \rho) v_r)\, de,
              \qquad s_r^2 = \rho v_r + (c_r \tau)^2

    ``e`` is what the trial's rows have in common: the part :math:`\rho` of their sampling error (they measure the
    same patients) and the trial's own deviation from the model, with SD :math:`\tau` in SMD and :math:`c_r = \pi /
    \sqrt 3` on the log-odds scale. Intervals contribute the probability of their inside. An interaction shares
    nothing with the effects (:math:`s_r = 0`); its variance is that of :func:`interaction_variance`.

    Parameters
    ----------
    rows, predicted
        What was reported, and what the model says of it, ``(R,)``.
    trials
        How many trials.
    heterogeneity, shared
        :math:`\tau` and :math:`\rho`.
    precision
        Of the tails behind intervals, which are most of the work; all else is in double precision.
    """
    of_effect = rows.standard >= 0
    factor = xp.where((rows.standard == 2) | (rows.standard == 3), _LOGISTIC_SD, 1.0)
    part = xp.where(rows.standard == INTERACTION, 0.0, 1.0)
    common = part * xp.sqrt(shared * rows.v + (factor * heterogeneity) ** 2)
    alone = interaction_variance(rows.patients, heterogeneity)
    own = xp.sqrt(xp.where(rows.standard == INTERACTION, alone, (1 - xp.asarray(shared)) * rows.v))
    each = _log_density(rows, predicted[:, None] + common[:, None] * _GRID, own[:, None], precision)
    member = (xp.asarray(np.arange(trials))[:, None] == rows.trial[None, :]) & of_effect
    together = xp.einsum("tr,rq->tq", xp.where(member, 1.0, 0.0), each)
    weighted = together - 0.5 * _GRID**2 + np.log((_GRID[1] - _GRID[0]) / np.sqrt(2 * np.pi))
    highest = xp.max(weighted, axis=-1, keepdims=True)
    return highest[:, 0] + xp.log(xp.sum(xp.exp(weighted - highest), axis=-1))


def interaction_variance(patients: ArrayLike, heterogeneity: ArrayLike) -> Array:
    r"""Variance of the statistic of an interaction around what is expected, :math:`1 + \tau^2 m / 2`.

    Sampling gives 1. Trials differ from the model by :math:`\tau` SMD in the drug's effect, and as much per SD of the
    covariate in what changes it: over the standard error of two slopes with ``m`` patients each, about
    :math:`\sqrt{2 / m}` SMD per SD, that is :math:`\tau \sqrt{m / 2}` of the statistic.
    """
    return 1 + xp.asarray(heterogeneity) ** 2 * xp.asarray(patients) / 2


def placebo_log_likelihood(rows: Rows, predicted: Array, *, placebo_sd: ArrayLike) -> Array:
    """Log-likelihood of all changes with placebo; ``placebo_sd`` is their SD between trials beyond the model."""
    sd = xp.sqrt(rows.v + xp.asarray(placebo_sd) ** 2)
    each = _log_density(rows, predicted[:, None], sd[:, None], np.float64)[:, 0]
    return xp.sum(xp.where(rows.standard < 0, each, 0.0))


def _log_density(rows: Rows, mean: Array, sd: Array, precision: Any) -> Array:  # noqa: ANN401 - a NumPy type
    """Log density of a number, or log probability of an interval: ``mean`` is ``(R, points)``, ``sd`` ``(R, 1)``."""
    exact = np.asarray(rows.exact, bool)
    number, interval = np.flatnonzero(exact), np.flatnonzero(~exact)
    density = -0.5 * ((rows.y[number, None] - mean[number]) / sd[number]) ** 2 - xp.log(sd[number])
    ends = (xp.clip(bound[interval], -_WIDEST, _WIDEST)[:, None] for bound in (rows.lower, rows.upper))
    bounds = (xp.clip((end - mean[interval]) / sd[interval], -_FAR, _FAR).astype(precision) for end in ends)
    both = xp.concatenate([density - 0.5 * np.log(2 * np.pi), log_inside(*bounds).astype(density.dtype)])
    return xp.asarray(both[np.argsort(np.concatenate([number, interval]))])


def log_inside(lower: Array, upper: Array) -> Array:
    """Log probability that a standard normal lies between two bounds, accurate far out in either tail."""
    import jax

    swap = lower > 0
    low, high = xp.where(swap, -upper, lower), xp.where(swap, -lower, upper)
    below, upto = jax.scipy.special.log_ndtr(low), jax.scipy.special.log_ndtr(high)
    least = -4 * float(np.finfo(low.dtype).eps)  # two bounds beyond all precision are still apart
    return upto + xp.log1p(-xp.exp(xp.minimum(below - upto, least)))
