"""Two checks before any fit is believed: enough quasi-random patients, and priors under which the trials could be."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from dualtrace.calibration.curves import prior_scores
from dualtrace.calibration.findings import PointsCheck, PriorCheck
from dualtrace.calibration.model import HETEROGENEITY, problem_of
from dualtrace.calibration.moderation import INTERACTION
from dualtrace.calibration.outcomes import PLACEBO
from dualtrace.calibration.place import derived_at, shared_at
from dualtrace.calibration.posterior import thinned
from dualtrace.calibration.rivals import rival
from dualtrace.calibration.rounding import rounded
from dualtrace.calibration.targets import Standard
from dualtrace.mechanism.arrays import xp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dualtrace.calibration.model import Problem
    from dualtrace.calibration.posterior import Posterior
    from dualtrace.calibration.rivals import Rival
    from dualtrace.mechanism.arrays import Array

_BAND = (0.05, 0.95)
_LOGISTIC_SD = float(np.pi / np.sqrt(3))
_RATIOS = tuple(tuple(Standard).index(one) for one in (Standard.RESPONSE, Standard.REMISSION))


def points_checks(
    problem: Problem, posterior: Posterior, sizes: Sequence[int], draws: int
) -> tuple[PointsCheck, ...]:
    """Change of the predicted effects from each number of quasi-random patients to the next.

    In standard errors also of the findings on when the drug helps.

    Parameters
    ----------
    problem, posterior
        The trials, and where in the space of parameters to look: ``draws`` of its draws.
    sizes
        Numbers of patients, each twice the one before.
    """
    account, places = rival(posterior.account), thinned(posterior, draws)
    se = np.sqrt(np.asarray(problem.rows.v))
    standard = np.asarray(problem.rows.standard)
    effect, told = _are_effects(standard), standard != PLACEBO
    found = [
        _predicted(problem_of(problem.subjects, points=size, seed=problem.seed), account, places) for size in sizes
    ]
    return tuple(
        PointsCheck(
            points=size,
            largest=rounded(float(moved[:, effect].max())),
            median=rounded(float(np.median(moved[:, effect]))),
            largest_in_se=rounded(float((moved / se)[:, told].max())),
        )
        for size, few, many in zip(sizes, found, found[1:], strict=False)
        for moved in (np.abs(many - few),)
    )


def prior_check(problem: Problem, account: Rival, draws: int, seed: int = 1) -> PriorCheck:
    """Effects of the drug that lie within (numbers) or meet (intervals) the 90 % band of what the prior expects.

    The band is of reports, not of true effects: trials' own deviations and sampling error are in it.
    """
    places = prior_scores(account, draws, seed)
    expected = _predicted(problem, account, places)
    columns = {name: xp.asarray(part.T) for name, part in places.items()}
    tau = np.asarray(shared_at(account, columns)[HETEROGENEITY])
    rows = problem.rows
    factor = np.where(np.isin(np.asarray(rows.standard), _RATIOS), _LOGISTIC_SD, 1.0)
    sd = np.sqrt(np.asarray(rows.v) + (factor * tau[:, None]) ** 2)
    reports = expected + sd * np.random.default_rng([seed, 1]).standard_normal(expected.shape)
    low, high = np.quantile(reports, _BAND, axis=0)
    of_drug, exact = _are_effects(np.asarray(rows.standard)), np.asarray(rows.exact)
    y, lower, upper = (np.asarray(column) for column in (rows.y, rows.lower, rows.upper))
    number, interval = of_drug & exact, of_drug & ~exact
    return PriorCheck(
        draws=draws,
        numbers=int(number.sum()),
        within=int(((low <= y) & (y <= high) & number).sum()),
        intervals=int(interval.sum()),
        met=int(((lower <= high) & (low <= upper) & interval).sum()),
    )


def _are_effects(standard: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.asarray((standard >= 0) & (standard < INTERACTION))


def _predicted(problem: Problem, account: Rival, places: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Prediction of every row at every place, ``(places, R)``."""
    import jax

    def one(place: Mapping[str, Array]) -> Array:
        return derived_at(problem, account, place)[2]

    program = jax.jit(partial(jax.lax.map, one))
    return np.asarray(program(jax.tree.map(jax.numpy.asarray, dict(places))))
