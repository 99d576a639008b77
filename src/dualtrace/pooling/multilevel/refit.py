"""One model fitted to many sets of effects at once: simulated data, bootstrap samples, rows left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.errors import FitError
from dualtrace.pooling.contract import freeze
from dualtrace.pooling.multilevel.components import components
from dualtrace.pooling.multilevel.fit import with_entries
from dualtrace.pooling.multilevel.likelihood import Given, given, solve
from dualtrace.pooling.multilevel.search import Peak, chunks, maximise

if TYPE_CHECKING:
    from dualtrace.pooling.likelihood import Array, Flags
    from dualtrace.pooling.multilevel.contract import Multilevel
    from dualtrace.pooling.multilevel.source import Source


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Refits:
    """Fits of n sets.

    Attributes
    ----------
    beta, se
        Coefficients, (n, p).
    values
        Variances and correlations, in the order of the fit's ``components``, (n, components).
    ll
        Log-likelihood, restricted under REML, (n,).
    converged
        Whether each search found its maximum, (n,).
    """

    beta: Array
    se: Array
    values: Array
    ll: Array
    converged: Flags

    def __post_init__(self) -> None:
        freeze(self)


def refit(found: Multilevel, Y: Any) -> Refits:  # noqa: ANN401
    """Fit the model of a fit to other effects with the same design, groups and V.

    Parameters
    ----------
    found
        A fit.
    Y
        Effects, one set per row, (n, k).

    Raises
    ------
    FitError
        If a set has another number of rows, or holds a value that is not a number.
    """
    y = np.atleast_2d(np.array(Y, dtype=float))
    if y.ndim != 2 or y.shape[1] != found.k or not np.isfinite(y).all():
        raise FitError(f"Y must hold one finite effect for each of k = {found.k} rows; given shape {y.shape}.")
    src = found.source
    offset = (y / src.unit) @ src.basis
    sets = given(y / src.unit - offset @ src.basis.T)
    peak, entries = search(found, sets)
    beta, se, _ = coefficients(src, sets, entries, offset)
    count = found.k - found.p if found.method == "REML" else found.k
    return Refits(
        beta=beta,
        se=se,
        values=component_values(src, entries),
        ll=peak.value - count * np.log(src.unit),
        converged=peak.converged,
    )


def search(found: Multilevel, sets: Given) -> tuple[Peak, Array]:
    """Maxima for many sets, from the Ψ of the fit and from unit variances; entries settled on their boundaries."""
    src = found.source
    model = src.model(restricted=found.method == "REML")
    n = len(sets.y)
    units = [np.eye(len(psi)) for psi in src.psi]
    peaks = [maximise(model, sets, np.tile(model.start(psi), (n, 1))) for psi in (src.psi, units)]
    better = (peaks[1].value > peaks[0].value + 1e-8) | ~peaks[0].converged
    theta = np.where(better[:, None], peaks[1].theta, peaks[0].theta)
    value, gain, steps = (np.where(better, b, a) for a, b in zip(peaks[0][1:], peaks[1][1:], strict=True))
    entries = model.entries(theta)
    settled = [with_entries(src, own, tidy=True).entries[0] for own in entries]
    return Peak(theta, value, gain, steps), np.array(settled).reshape(n, -1)


def component_values(src: Source, entries: Array) -> Array:
    """Variances and correlations of every set, (n, components)."""
    parts = [[part.value for part in components(with_entries(src, own, tidy=False))] for own in entries]
    return np.array(parts, dtype=float).reshape(len(entries), -1)


def coefficients(src: Source, sets: Given, entries: Array, offset: Array) -> tuple[Array, Array, Array]:
    """Coefficients (n, p), standard errors (n, p) and covariances (n, p, p) at given entries."""
    n, p = len(entries), src.where.p
    coef, cov = np.zeros((n, p)), np.zeros((n, p, p))
    for part in chunks(n, src.where):
        now = solve(src.where, sets.pick(np.arange(n)[part]), entries[part])
        coef[part], cov[part] = now.coef, now.cov
    covariance = src.T @ cov @ src.T.T * src.unit**2
    return (coef + offset) @ src.T.T * src.unit, np.sqrt(np.einsum("npp->np", covariance)), covariance
