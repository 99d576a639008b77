r"""How many combinations of constants the trials tell of: information of the likelihood beside that of the priors.

All constants are standard normal numbers before the data, so the priors' information is the unit matrix and an
eigenvalue of the likelihood's,

.. math:: H = -\mathrm{E}\,\nabla^2 \ell(u),

averaged over draws of the posterior, says how much more than the priors the trials tell of one combination (Cui et
al. 2014, doi 10.1088/0266-5611/30/11/114015). Those above 1 are counted: the rank of what the data determine.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, final

import numpy as np
from pydantic import model_validator

from dualtrace.calibration.place import SHARED, at
from dualtrace.calibration.posterior import columns_of, thinned
from dualtrace.calibration.rivals import rival
from dualtrace.calibration.rounding import rounded
from dualtrace.frozen import Frozen, Text
from dualtrace.mechanism.arrays import xp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dualtrace.calibration.model import Problem
    from dualtrace.calibration.posterior import Posterior
    from dualtrace.mechanism.arrays import Array

_STEP = 1e-3
"""Of the central differences of the gradient, in prior SDs."""

_PARTS = 3
_PRIOR = 1.0


@final
class Combination(Frozen):
    """One combination of constants.

    Attributes
    ----------
    told
        What the trials tell of it, over what the priors do.
    parts
        The constants that weigh most in it, with their weights in units of prior SDs (squares of all add up to 1).
    """

    told: float
    parts: tuple[tuple[Text, float], ...]


@final
class Identified(Frozen):
    """What the trials tell of all combinations of an account's constants.

    Attributes
    ----------
    draws
        Of the posterior, over which was averaged.
    told
        Of every combination, the largest first.
    leading
        Those of which the trials tell more than the priors.
    alone
        By constant the contraction were all others known; far above the contraction: it is told apart from others
        only in combination. 0 where the likelihood bends the other way.
    """

    draws: int
    told: tuple[float, ...]
    leading: tuple[Combination, ...]
    alone: dict[Text, float]

    @model_validator(mode="after")
    def _parts_fit(self) -> Identified:
        size, above = len(self.told), sum(value > _PRIOR for value in self.told)
        if len(self.leading) != above or len(self.alone) != size:
            raise ValueError(
                f"{above} combinations of {size} are told of; {len(self.leading)}, {len(self.alone)} named"
            )
        return self


def identified(problem: Problem, posterior: Posterior, draws: int) -> Identified:
    """Count the combinations of constants of which the trials tell more than the priors.

    Parameters
    ----------
    problem, posterior
        The trials, and the account fitted to them.
    draws
        Draws of the posterior over which is averaged.
    """
    places = thinned(posterior, draws)
    columns = columns_of(posterior.account, places)
    matrix = information(problem, posterior.account, places)
    return read_off(matrix, [name for name, _ in columns], draws=len(columns[0][1]))


def read_off(matrix: NDArray[np.float64], names: list[str], draws: int) -> Identified:
    """Eigenvalues and leading combinations of an information matrix in units of the priors'."""
    values, vectors = np.linalg.eigh(matrix)
    order = np.argsort(-values)
    leading = tuple(_combination(values[i], vectors[:, i], names) for i in order if values[i] > _PRIOR)
    own = np.maximum(np.diag(matrix), 0)
    return Identified(
        draws=draws,
        told=tuple(rounded(float(values[i])) for i in order),
        leading=leading,
        alone={name: rounded(float(1 - 1 / np.sqrt(1 + one))) for name, one in zip(names, own, strict=True)},
    )


def _combination(told: float, vector: NDArray[np.float64], names: list[str]) -> Combination:
    largest = np.argsort(-np.abs(vector))[:_PARTS]
    turned = vector * np.sign(vector[largest[0]])
    return Combination(told=rounded(float(told)), parts=tuple((names[i], rounded(float(turned[i]))) for i in largest))


def information(problem: Problem, account: str, places: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Negative Hessian of the log-likelihood in normal scores, averaged over places.

    Parameters
    ----------
    problem, account
        The trials, and the name of the account.
    places
        Normal scores by name, ``(draws, ...)``.

    Returns
    -------
    ndarray
        ``(n, n)``, in the order of :func:`dualtrace.calibration.posterior.columns_of`.
    """
    import jax

    own, parts = rival(account), [SHARED, *(name for name in places if name != SHARED)]
    ends = np.cumsum([places[name].shape[1] for name in parts])[:-1]

    def likelihood(scores: Array) -> Array:
        trials, placebo = at(problem, own, dict(zip(parts, xp.split(scores, ends), strict=True)))
        return xp.asarray(trials.sum() + placebo)

    slope: Any = jax.jit(partial(jax.lax.map, jax.grad(likelihood)))
    scores = np.concatenate([places[name] for name in parts], axis=1)
    steps = _STEP * np.eye(scores.shape[1])
    around = np.stack([scores[:, None, :] + steps, scores[:, None, :] - steps])
    slopes = np.asarray(slope(xp.asarray(around.reshape(-1, scores.shape[1])))).reshape(around.shape)
    curvature = -(slopes[0] - slopes[1]).mean(axis=0) / (2 * _STEP)
    return np.asarray((curvature + curvature.T) / 2)
