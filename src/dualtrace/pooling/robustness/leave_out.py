"""How much the answer hangs on single rows, or on groups of rows; and how it grew as rows were added."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np

from dualtrace.errors import FitError
from dualtrace.pooling.contract import Tau2Method, TestName, freeze, require_choice, require_level, require_method
from dualtrace.pooling.groups import code
from dualtrace.pooling.inference import Answer, answer
from dualtrace.pooling.likelihood import Array, Data, Flags, Ints, data, gram
from dualtrace.pooling.result import Result
from dualtrace.pooling.text import interval, number, p_value
from dualtrace.pooling.univariate import Problem, problem
from dualtrace.printed import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame

SINGULAR = 1e-10
"""Smallest eigenvalue of the remaining design below which a coefficient is no longer determined."""

Kept = Literal["left out", "up to"]
"""Whether the rows a fit is labelled by were left out, or were the last to be added."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Refits(Result):
    """The same model fitted to several subsets of the rows.

    Entry i of every array is the fit labelled ``slab[i]``; NaN where the rows it keeps do not determine the model.

    Attributes
    ----------
    kept
        Whether the labelled rows were ``left out`` or the last added (``up to``).
    slab, names
        Labels of fits and names of coefficients.
    k
        Rows in each fit, (m,).
    beta, se, zval, pval, ci_lb, ci_ub
        Coefficients, (m, p).
    tau2, I2, H2, QE, QEp
        Heterogeneity, (m,).
    """

    SOURCES: ClassVar[tuple[str, ...]] = ("viechtbauer_cheung2010",)

    kept: Kept
    slab: tuple[str, ...]
    names: tuple[str, ...]
    k: Ints
    beta: Array
    se: Array
    zval: Array
    pval: Array
    ci_lb: Array
    ci_ub: Array
    tau2: Array
    I2: Array
    H2: Array
    QE: Array
    QEp: Array

    def __post_init__(self) -> None:
        freeze(self)

    def to_frame(self) -> DataFrame:
        """One row per fit; several coefficients give columns ``beta[name]``."""
        from pandas import DataFrame

        columns: dict[str, Array] = {}
        for field in fields(self)[3:]:
            values = getattr(self, field.name)
            if values.ndim == 1:
                columns[field.name] = values
            elif len(self.names) == 1:
                columns[field.name] = values[:, 0]
            else:
                columns |= {f"{field.name}[{name}]": values[:, j] for j, name in enumerate(self.names)}
        return DataFrame(columns, index=list(self.slab))

    def __str__(self) -> str:
        """One line per fit, first coefficient."""
        columns = zip(
            self.slab,
            self.k,
            self.beta[:, 0],
            self.ci_lb[:, 0],
            self.ci_ub[:, 0],
            self.pval[:, 0],
            self.tau2,
            self.I2,
            strict=True,
        )
        rows = (
            (label, str(k), number(b), interval(low, high), p_value(p).removeprefix("= "), number(t), number(i, 1))
            for label, k, b, low, high, p, t, i in columns
        )
        return table((self.kept, "k", self.names[0], "CI", "p", "tau²", "I²%"), rows)


def leave_one_out(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    X: Any | None = None,  # noqa: ANN401
    names: Sequence[str] | None = None,
    slab: Sequence[Any] | None = None,
    groups: Sequence[Any] | None = None,
    method: Tau2Method = "REML",
    test: TestName = "z",
    level: float = 0.95,
) -> Refits:
    """Fit again without each row, or without each group of rows, all fits in one batch.

    Parameters
    ----------
    yi, vi, X, names, slab, method, test, level
        As in ``univariate.fit``; method is not one that needs weights.
    groups
        Cluster, disorder or other group of each row; absent: every row is its own.

    Raises
    ------
    FitError
        If ``fit`` would refuse the rows, or there is only one row or group.
    """
    given = checked(yi, vi, X=X, names=names, slab=slab, options=(method, test, level))
    k = len(given.y)
    if k == 1:
        raise FitError("Leaving one row out needs at least two rows; given one.")
    if groups is None:
        use, labels = 1.0 - np.eye(k), given.slab
    else:
        codes, labels = code(groups, given.slab)
        use = (codes != np.arange(len(labels))[:, None]).astype(float)
    return _refit(given, use, labels, "left out", options=(method, test, level))


def cumulative(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    order: Sequence[Any] | None = None,
    X: Any | None = None,  # noqa: ANN401
    names: Sequence[str] | None = None,
    slab: Sequence[Any] | None = None,
    method: Tau2Method = "REML",
    test: TestName = "z",
    level: float = 0.95,
) -> Refits:
    """Fit to the first row, the first two, and so on, all fits in one batch.

    Parameters
    ----------
    yi, vi, X, names, slab, method, test, level
        As in ``univariate.fit``; method is not one that needs weights.
    order
        Something to sort the rows by, the year for example; equal values keep the order given. Absent: as given.

    Raises
    ------
    FitError
        If ``fit`` would refuse the rows, or ``order`` has another length.
    """
    given = checked(yi, vi, X=X, names=names, slab=slab, options=(method, test, level))
    k = len(given.y)
    if order is not None and len(order) != k:
        raise FitError(f"order must have one value per row; given {len(order)} for {k} rows.")
    sequence = np.arange(k) if order is None else np.argsort(np.array(order), kind="stable")
    place = np.empty(k, dtype=np.intp)
    place[sequence] = np.arange(k)
    use = (place <= np.arange(k)[:, None]).astype(float)
    labels = tuple(given.slab[i] for i in sequence)
    return _refit(given, use, labels, "up to", options=(method, test, level))


def checked(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    X: Any | None,  # noqa: ANN401
    names: Sequence[str] | None,
    slab: Sequence[Any] | None,
    options: tuple[Tau2Method, TestName, float],
) -> Problem:
    """Input and options (method, test, level) of an analysis that fits subsets of the rows.

    Raises
    ------
    FitError, InputError
        As ``univariate.fit``.
    """
    method, test, level = options
    require_method(method, None)
    require_choice("test", test, get_args(TestName))
    require_level(level)
    return problem(yi, vi, X=X, names=names, slab=slab)


def _refit(
    given: Problem,
    use: Array,
    labels: tuple[str, ...],
    kept: Kept,
    *,
    options: tuple[Tau2Method, TestName, float],
) -> Refits:
    method, test, level = options
    sets = data(given.y, given.v, given.basis, use=use)
    index = np.flatnonzero(determined(sets))
    found = answer(sets.pick(index), given.T, method=method, test=test, level=level, profile=False)
    return Refits(
        kept=kept,
        slab=labels,
        names=given.names,
        k=use.sum(axis=1).astype(np.intp),
        **_spread(found, index, len(use)),
    )


def determined(sets: Data) -> Flags:
    """Whether the rows that count determine every coefficient and the heterogeneity around them, (n,).

    One row determines an intercept.
    """
    enough: Flags = (sets.k > sets.p) | ((sets.k == 1.0) & (sets.p == 1))
    if sets.p == 1:
        return enough & (gram(sets.use, sets)[:, 0, 0] > SINGULAR)
    found: Flags = enough & (np.linalg.eigvalsh(gram(sets.use, sets))[:, 0] > SINGULAR)
    return found


def _spread(found: Answer, index: Ints, m: int) -> dict[str, Array]:
    """Answers of some data sets at their places among m, NaN elsewhere."""
    h, c = found.heterogeneity, found.coefficients
    parts = {"beta": c.beta, "se": c.se, "zval": c.zval, "pval": c.pval, "ci_lb": c.ci_lb, "ci_ub": c.ci_ub}
    parts |= {"tau2": h.tau2, "I2": h.I2, "H2": h.H2, "QE": h.QE, "QEp": h.QEp}
    return {name: scatter(values, index, m) for name, values in parts.items()}


def scatter(values: Array, index: Ints, m: int) -> Array:
    """Put values of some of m data sets in their places, NaN elsewhere."""
    spread = np.full((m, *values.shape[1:]), np.nan)
    spread[index] = values
    return spread
