"""The known covariances V of the sampling errors: given, in blocks, or built from assumed correlations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.errors import FitError, InputError
from dualtrace.pooling.check import column
from dualtrace.pooling.contract import freeze

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualtrace.pooling.likelihood import Array, Ints
    from dualtrace.pooling.multilevel.terms import Column

ASYMMETRIC = 1e-8
"""Largest difference between V and its transpose, as a share of the variances, that passes as rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class KnownV:
    """A covariance matrix by its diagonal and its pairs of correlated rows.

    Attributes
    ----------
    variance
        Diagonal, (k,).
    row, column
        Rows of each pair whose covariance is not 0, ``row < column``, (m,).
    covariance
        Their covariance, (m,).
    """

    variance: Array
    row: Ints
    column: Ints
    covariance: Array

    def __post_init__(self) -> None:
        freeze(self)

    def dense(self) -> Array:
        """V as a matrix, (k, k)."""
        full = np.diag(self.variance)
        full[self.row, self.column] = full[self.column, self.row] = self.covariance
        return full


def known(V: Any) -> KnownV:  # noqa: ANN401
    """V from variances, a matrix, or a list of blocks.

    Parameters
    ----------
    V
        Variances (k,), a covariance matrix (k, k), square blocks that follow each other along the diagonal, or
        a ``KnownV``.

    Raises
    ------
    FitError
        If it is not square and symmetric, or holds a value that is not a number.
    """
    if isinstance(V, KnownV):
        return V
    if isinstance(V, list | tuple) and any(np.ndim(block) == 2 for block in V):
        return _blocks([np.atleast_2d(np.array(block, dtype=float)) for block in V])
    if np.ndim(V) == 2:
        return _matrix(np.array(V, dtype=float))
    empty = np.zeros(0, dtype=np.intp)
    return KnownV(column("V", V, None), empty, empty, np.zeros(0))


def _matrix(full: Array) -> KnownV:
    """Pairs of a matrix that is checked to be symmetric."""
    if full.shape[0] != full.shape[1]:
        raise FitError(f"V must be square, one row and column per effect; given shape {full.shape}.")
    if not np.isfinite(full).all():
        i, j = (int(part) + 1 for part in np.argwhere(~np.isfinite(full))[0])
        raise FitError(f"V must hold finite numbers; given {full[i - 1, j - 1]:g} in row {i}, column {j}.")
    variance = np.diag(full).copy()
    gap = np.abs(full - full.T)
    if (gap > ASYMMETRIC * np.sqrt(np.abs(np.outer(variance, variance)))).any():
        i, j = (int(part) for part in np.unravel_index(np.argmax(gap), gap.shape))
        raise FitError(
            f"V must be symmetric; row {i + 1}, column {j + 1} is {full[i, j]:g} but row {j + 1}, "
            f"column {i + 1} is {full[j, i]:g}."
        )
    row, column_ = np.nonzero(np.triu(full, 1))
    return KnownV(variance, row, column_, full[row, column_])


def _blocks(blocks: Sequence[Array]) -> KnownV:
    """Join blocks along the diagonal."""
    parts = [_matrix(block) for block in blocks]
    ends = np.cumsum([0, *(part.variance.size for part in parts)])[:-1]
    return KnownV(
        np.concatenate([part.variance for part in parts]),
        np.concatenate([part.row + at for part, at in zip(parts, ends, strict=True)]),
        np.concatenate([part.column + at for part, at in zip(parts, ends, strict=True)]),
        np.concatenate([part.covariance for part in parts]),
    )


def assumed(
    vi: Any,  # noqa: ANN401
    cluster: Column,
    *,
    obs: Column | None = None,
    type: Column | None = None,  # noqa: A002 - the field's word
    rho: float | Mapping[tuple[Any, Any], float] | None = None,
    rho_type: float | Mapping[tuple[Any, Any], float] | None = None,
    time1: Any | None = None,  # noqa: ANN401
    time2: Any | None = None,  # noqa: ANN401
    phi: float | None = None,
    grp1: Column | None = None,
    grp2: Column | None = None,
    w1: Any | None = None,  # noqa: ANN401
    w2: Any | None = None,  # noqa: ANN401
    subgroup: Column | None = None,
) -> KnownV:
    """V from variances and what is assumed about dependence within clusters.

    V_ij = r_ij √(v_i v_j) within a cluster, 0 between clusters; r_ij is the product of

    - the correlation of outcomes: ``rho`` between different ``obs`` of one type, ``rho_type`` between types;
    - the autocorrelation φ^|t_i - t_j| of times, when no groups are named;
    - the correlation of contrasts that share a group. A contrast is the mean of group 1 (at time 1) minus that
      of group 2 (at time 2), each mean with variance 1/w; means of one group at two times correlate by
      φ^|difference|. A control group shared by two contrasts of equal groups gives 1/2.

    Parameters
    ----------
    vi, cluster
        Sampling variance and cluster of each row, (k,).
    obs, type
        What tells rows of a cluster apart: different measures of one construct, different constructs.
    rho, rho_type
        A correlation, or one per pair of names, ``{("math", "verbal"): 0.66}``.
    time1, time2, phi
        Time of each effect (of its first and second condition, for contrasts) and autocorrelation for one unit.
    grp1, grp2, w1, w2
        Groups compared and their sizes (inverse variances of the means); equal when absent.
    subgroup
        Subgroups of a cluster without common participants; rows of different ones are independent.

    Raises
    ------
    InputError
        If a correlation is needed and absent or impossible.
    FitError
        If a column has the wrong length.

    Notes
    -----
    Source of the shared-group covariance: Gleser & Olkin 2009, ISBN 978-0-87154-163-5, chapter 19.
    """
    v = column("vi", vi, None)
    k = v.size
    code = _code("cluster", cluster, k)
    if subgroup is not None:
        code = code * (k + 1) + _code("subgroup", subgroup, k)
    i, j = _pairs(code)
    r = np.ones(i.size)
    if obs is not None or type is not None:
        r *= _outcomes(i, j, k, obs=obs, type_=type, rho=rho, rho_type=rho_type)
    if (time1 is not None or time2 is not None) and phi is None:
        raise InputError("phi, the autocorrelation for one unit of time, must be given with times; given none.")
    if phi is not None and not -1.0 < phi < 1.0:
        raise InputError(f"phi must lie between -1 and 1; given {phi:g}.")
    if grp1 is not None and grp2 is not None:
        cells = _conditions(k, groups=(grp1, grp2), times=(time1, time2), sizes=(w1, w2))
        r *= _contrasts(i, j, cells, 0.0 if phi is None else phi)
    elif time1 is not None:
        t = column("time1", time1, None)
        r *= _power(0.0 if phi is None else phi, np.abs(t[i] - t[j]))
    kept = r != 0.0
    i, j = i[kept], j[kept]
    return KnownV(v, i, j, r[kept] * np.sqrt(v[i] * v[j]))


def _code(name: str, values: Column, k: int) -> Ints:
    """Names to numbers."""
    if len(values) != k:
        raise FitError(f"{name} must have one value per row; given {len(values)} for {k} rows.")
    known_names: dict[str, int] = {}
    return np.array([known_names.setdefault(str(value), len(known_names)) for value in values], dtype=np.intp)


def _pairs(code: Ints) -> tuple[Ints, Ints]:
    """All pairs of rows with one code, first before second."""
    order = np.argsort(code, kind="stable")
    splits = np.split(order, np.flatnonzero(np.diff(code[order])) + 1)
    firsts, seconds = [np.zeros(0, dtype=np.intp)], [np.zeros(0, dtype=np.intp)]
    for rows in splits:
        a, b = np.triu_indices(rows.size, 1)
        firsts.append(rows[a])
        seconds.append(rows[b])
    return np.concatenate(firsts), np.concatenate(seconds)


def _outcomes(
    i: Ints,
    j: Ints,
    k: int,
    *,
    obs: Column | None,
    type_: Column | None,
    rho: float | Mapping[tuple[Any, Any], float] | None,
    rho_type: float | Mapping[tuple[Any, Any], float] | None,
) -> Array:
    """Correlation of outcomes for each pair."""
    r = np.ones(i.size)
    other_type = np.zeros(i.size, dtype=bool)
    if type_ is not None:
        code = _code("type", type_, k)
        other_type = code[i] != code[j]
        r = np.where(other_type, _looked_up("rho_type", rho_type, type_, i, j), r)
    if obs is not None:
        code = _code("obs", obs, k)
        other = (code[i] != code[j]) & ~other_type
        r = np.where(other, _looked_up("rho", rho, obs, i, j), r)
    return r


def _looked_up(
    name: str, given: float | Mapping[tuple[Any, Any], float] | None, labels: Column, i: Ints, j: Ints
) -> Array:
    """One correlation per pair, from a number or a table of pairs; 1 for a label with itself."""
    if given is None:
        raise InputError(f"{name}, the correlation between them, must be given; given none.")
    if isinstance(given, float | int):
        values = np.full(i.size, float(given))
    else:
        table = {frozenset(pair): float(value) for pair, value in given.items()}
        named = list(labels)
        keys = [frozenset((named[a], named[b])) for a, b in zip(i, j, strict=True)]
        absent = next((key for key in keys if len(key) == 2 and key not in table), None)
        if absent is not None:
            raise InputError(f"{name} must hold every pair that occurs; given none for {sorted(map(str, absent))}.")
        values = np.array([1.0 if len(key) == 1 else table[key] for key in keys])
    if (np.abs(values) > 1.0).any():
        raise InputError(f"{name} must lie between -1 and 1; given {values[np.abs(values) > 1.0][0]:g}.")
    return values


@dataclass(frozen=True, slots=True, eq=False)
class _Conditions:
    """The two conditions of every contrast: group, time and standard error of the mean, (k, 2) each."""

    group: Ints
    time: Array
    error: Array


def _conditions(
    k: int,
    *,
    groups: tuple[Column, Column],
    times: tuple[Any, Any],
    sizes: tuple[Any, Any],
) -> _Conditions:
    first, second = groups
    if len(first) != k or len(second) != k:
        raise FitError(f"grp1 and grp2 must have one value per row; given {len(first)}, {len(second)} for {k} rows.")
    code = _code("grp1 and grp2", [*first, *second], 2 * k).reshape(2, k).T
    at = [np.zeros(k) if t is None else column("time", t, None) for t in times]
    n = [np.ones(k) if w is None else column("w1 or w2", w, None) for w in sizes]
    if any((size <= 0.0).any() for size in n):
        raise InputError("w1 and w2 must be positive; given a value of 0 or less.")
    return _Conditions(code, np.stack(at, axis=1), np.stack([size**-0.5 for size in n], axis=1))


def _contrasts(i: Ints, j: Ints, cells: _Conditions, phi: float) -> Array:
    """Correlation of the contrasts i and j."""

    def covariance(a: Ints, b: Ints) -> Array:
        total = np.zeros(a.size)
        for x in (0, 1):
            for y in (0, 1):
                same = cells.group[a, x] == cells.group[b, y]
                r = np.where(same, _power(phi, np.abs(cells.time[a, x] - cells.time[b, y])), 0.0)
                total += (-1.0) ** (x + y) * r * cells.error[a, x] * cells.error[b, y]
        return total

    every = np.arange(cells.group.shape[0])
    own = covariance(every, every)
    if (own <= 0.0).any():
        raise InputError(f"A contrast must compare two conditions; row {int(np.argmax(own <= 0.0)) + 1} does not.")
    correlation: Array = covariance(i, j) / np.sqrt(own[i] * own[j])
    return correlation


def _power(base: float, power: Array) -> Array:
    """Base to a power with 0⁰ = 1."""
    raised: Array = np.where(power == 0.0, 1.0, np.sign(base) ** np.round(power) * np.abs(base) ** power)
    return raised
