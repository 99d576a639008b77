"""How much the answer hangs on single rows."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from dualtrace.errors import FitError
from dualtrace.pooling.contract import Tau2Method, TestName, freeze, require_choice, require_level
from dualtrace.pooling.inference import Answer, answer
from dualtrace.pooling.likelihood import Array, Data, Flags, Ints, data, gram
from dualtrace.pooling.text import interval, number, p_value, plain, table
from dualtrace.pooling.univariate import problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame

SINGULAR = 1e-10
"""Smallest eigenvalue of the remaining design below which a coefficient is no longer determined."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LeaveOneOut:
    """The fit without each row in turn.

    Row i of every array is the fit without row i; NaN where the remaining rows do not determine the model.

    Attributes
    ----------
    slab, names
        Labels of rows and coefficients.
    beta, se, zval, pval, ci_lb, ci_ub
        Coefficients, (k, p).
    tau2, I2, H2, QE, QEp
        Heterogeneity, (k,).
    """

    slab: tuple[str, ...]
    names: tuple[str, ...]
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

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {field.name: plain(getattr(self, field.name)) for field in fields(self)}

    def to_frame(self) -> DataFrame:
        """One row per row left out; several coefficients give columns ``beta[name]``."""
        from pandas import DataFrame

        columns: dict[str, Array] = {}
        for field in fields(self)[2:]:
            values = getattr(self, field.name)
            if values.ndim == 1:
                columns[field.name] = values
            elif len(self.names) == 1:
                columns[field.name] = values[:, 0]
            else:
                columns |= {f"{field.name}[{name}]": values[:, j] for j, name in enumerate(self.names)}
        return DataFrame(columns, index=list(self.slab))

    def __str__(self) -> str:
        """One line per row left out, first coefficient."""
        rows = (
            (label, number(b), interval(low, high), p_value(p).removeprefix("= "), number(t), number(i, 1))
            for label, b, low, high, p, t, i in zip(
                self.slab,
                self.beta[:, 0],
                self.ci_lb[:, 0],
                self.ci_ub[:, 0],
                self.pval[:, 0],
                self.tau2,
                self.I2,
                strict=True,
            )
        )
        return table(("left out", self.names[0], "CI", "p", "tau²", "I²%"), rows)


def leave_one_out(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    X: Any | None = None,  # noqa: ANN401
    names: Sequence[str] | None = None,
    slab: Sequence[Any] | None = None,
    method: Tau2Method = "REML",
    test: TestName = "z",
    level: float = 0.95,
) -> LeaveOneOut:
    """Fit again without each row, all fits in one batch.

    Parameters
    ----------
    yi, vi, X, names, slab, method, test, level
        As in ``univariate.fit``.

    Raises
    ------
    FitError
        If ``fit`` would refuse the rows, or there is only one.
    """
    require_choice("method", method, get_args(Tau2Method))
    require_choice("test", test, get_args(TestName))
    require_level(level)
    given = problem(yi, vi, X=X, names=names, slab=slab)
    k = len(given.y)
    if k == 1:
        raise FitError("Leaving one row out needs at least two rows; given one.")
    sets = data(given.y, given.v, given.basis, use=1.0 - np.eye(k))
    determined = np.flatnonzero(_determined(sets))
    found = answer(sets.pick(determined), given.T, method=method, test=test, level=level, profile=False)
    return LeaveOneOut(slab=given.slab, names=given.names, **_spread(found, determined, k))


def _determined(sets: Data) -> Flags:
    """Whether the rows that count determine every coefficient, (n,)."""
    enough = (sets.k > sets.p) | ((sets.k == 1.0) & (sets.p == 1))
    determined: Flags = enough & (np.linalg.eigvalsh(gram(sets.use, sets))[:, 0] > SINGULAR)
    return determined


def _spread(found: Answer, index: Ints, k: int) -> dict[str, Array]:
    """Answers of some data sets at their places among k, NaN elsewhere."""
    h, c = found.heterogeneity, found.coefficients
    parts = {"beta": c.beta, "se": c.se, "zval": c.zval, "pval": c.pval, "ci_lb": c.ci_lb, "ci_ub": c.ci_ub}
    parts |= {"tau2": h.tau2, "I2": h.I2, "H2": h.H2, "QE": h.QE, "QEp": h.QEp}
    spread = {}
    for name, values in parts.items():
        spread[name] = np.full((k, *values.shape[1:]), np.nan)
        spread[name][index] = values
    return spread
