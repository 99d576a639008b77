"""Scores over visits made ready for REML: patterns of missing visits, design by visit, an orthonormal basis of it.

Columns of the design, in this order: the mean of every visit x arm (at the mean of baseline and covariates), the
slope of the baseline at every visit, covariates with one slope for all visits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dualtrace.analysis.inputs import arms, common_shape, covariate_columns, numbers, require_known
from dualtrace.analysis.least_squares import EXACT, orthonormal
from dualtrace.analysis.reml import Sums
from dualtrace.errors import FitError, InputError

if TYPE_CHECKING:
    from dualtrace.analysis.inputs import Arms
    from dualtrace.analysis.result import Array, Flags, Ints

DEFINITE = 0.02
"""Smallest eigenvalue, as a share of the mean variance, that the rough covariance matrix is given."""


class Patients(NamedTuple):
    """Checked patients with at least one score.

    Attributes
    ----------
    scores
        NaN where missing, (n, m).
    x
        Baseline and covariates less their means, (n, 1 + c).
    group
        Arms, codes (n,).
    dropped
        Patients without any score.
    """

    scores: Array
    x: Array
    group: Arms
    dropped: int


class Rows(NamedTuple):
    """Data ready to fit, the outcome in units of ``scale`` and the design in an orthonormal basis.

    Attributes
    ----------
    sums
        Sums by pattern.
    there
        Visits of each pattern, (G, m).
    back
        T with β = T·coefficients in the basis, (p, p).
    scale
        Residual standard deviation of ordinary least squares.
    rough
        Covariance of these residuals over visits in units of ``scale``, made positive definite, (m, m).
    """

    sums: Sums
    there: Flags
    back: Array
    scale: float
    rough: Array


def patients(scores: Any, baseline: Any, arm: Any, covariates: Any, reference: Any) -> Patients:  # noqa: ANN401
    """Check columns; patients without any score say nothing and are dropped.

    Raises
    ------
    InputError
        If a column cannot be used, or a visit has no scores.
    """
    y = numbers("scores", scores, missing=True)
    if y.ndim != 2:
        raise InputError(f"scores must have one row per patient and one column per visit; given shape {y.shape}.")
    before, group = numbers("baseline", baseline, missing=True), arms(arm, reference)
    if before.ndim != 1 or group.codes.ndim != 1:
        raise InputError(
            f"baseline and arm must have one value per patient; given shapes {before.shape} and {group.codes.shape}."
        )
    common_shape(scores=y[:, 0], baseline=before, arm=group.codes)
    more = covariate_columns(covariates, len(y))
    if more.ndim != 2:
        raise InputError(f"covariates must have shape (n,) or (n, columns); given shape {more.shape}.")
    there = ~np.isnan(y)
    empty = np.flatnonzero(~there.any(axis=0))
    if empty.size:
        raise InputError(f"Visit {empty[0] + 1} has no scores: all are missing. Leave its column out.")
    kept: Flags = np.asarray(there.any(axis=1))
    require_known("baseline", before, kept)
    x = np.column_stack([before, more])[kept]
    return Patients(y[kept], x - x.mean(axis=0), group._replace(codes=group.codes[kept]), int((~kept).sum()))


def counts(people: Patients) -> Ints:
    """Patients with a score, by visit and arm, (m, A).

    Raises
    ------
    FitError
        If an arm has none at a visit.
    """
    member = people.group.codes[:, None] == np.arange(len(people.group.labels))
    found: Ints = (~np.isnan(people.scores)).astype(np.int64).T @ member.astype(np.int64)
    if (found == 0).any():
        visit, arm = (int(i) for i in np.argwhere(found == 0)[0])
        raise FitError(
            f"Arm {people.group.labels[arm]} has no score at visit {visit + 1}, so nothing can be compared there; "
            "leave the visit out."
        )
    return found


def rows(people: Patients) -> Rows:
    """Design, basis, and sums by pattern.

    Raises
    ------
    FitError
        If a coefficient cannot be determined, or nothing is left to estimate variances from.
    """
    design = _design(people)
    there = ~np.isnan(people.scores)
    X, y = design[there], people.scores[there]
    back = orthonormal(X, _names(people))
    Q = design @ back
    beta = Q[there].T @ y
    residual = np.where(there, people.scores - Q @ beta, np.nan)
    df = y.size - X.shape[1]
    if df <= 0:
        raise FitError(f"{y.size} scores cannot determine {X.shape[1]} coefficients and a variance; add patients.")
    scale = float(np.sqrt(np.nansum(residual**2) / df))
    if scale <= EXACT * np.abs(y).max():
        raise FitError("The scores do not vary once arm, baseline and covariates are accounted for; nothing to test.")
    patterns, which = np.unique(there, axis=0, return_inverse=True)
    full = np.concatenate([Q, np.where(there, people.scores, 0.0)[..., None] / scale], axis=-1)
    full = np.where(there[..., None], full, 0.0)
    cross = np.stack([_products(full[which.ravel() == g]) for g in range(len(patterns))])
    count = np.bincount(which.ravel(), minlength=len(patterns)).astype(np.float64)
    return Rows(Sums(cross, count, y.size), patterns, back, scale, _rough(residual / scale))


def _design(people: Patients) -> Array:
    """Design of every patient at every visit, (n, m, p)."""
    n, m = people.scores.shape
    k = len(people.group.labels)
    member = (people.group.codes[:, None] == np.arange(k)).astype(np.float64)
    at = np.eye(m)
    cells = np.einsum("vw,na->nvwa", at, member).reshape(n, m, m * k)
    slopes = np.einsum("vw,n->nvw", at, people.x[:, 0])
    others = np.repeat(people.x[:, None, 1:], m, axis=1)
    return np.concatenate([cells, slopes, others], axis=-1)


def _names(people: Patients) -> list[str]:
    """Names of the design's columns."""
    m = people.scores.shape[1]
    cells = [f"arm {a} at visit {v + 1}" for v in range(m) for a in people.group.labels]
    slopes = [f"the baseline at visit {v + 1}" for v in range(m)]
    return [*cells, *slopes, *(f"covariate {j}" for j in range(1, people.x.shape[1]))]


def _products(full: Array) -> Array:
    """Σ over patients of products of columns at every two positions, (m, m, q, q)."""
    n, m, q = full.shape
    flat = full.reshape(n, m * q)
    return np.asarray((flat.T @ flat).reshape(m, q, m, q).transpose(0, 2, 1, 3), dtype=np.float64)


def _rough(residual: Array) -> Array:
    """Covariance of residuals over pairs of visits, eigenvalues raised so that it is positive definite."""
    there = ~np.isnan(residual)
    zeroed = np.where(there, residual, 0.0)
    pairs = there.T.astype(np.float64) @ there
    rough = zeroed.T @ zeroed / np.maximum(pairs, 1.0)
    values, vectors = np.linalg.eigh(rough)
    floor = DEFINITE * float(np.mean(np.diag(rough)))
    return np.asarray((vectors * np.maximum(values, floor)) @ vectors.T, dtype=np.float64)
