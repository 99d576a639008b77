"""Subgroup analysis: separate models, one model with a common τ², and the tests between groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy import special

from dualtrace.errors import FitError, row_name
from dualtrace.pooling import check
from dualtrace.pooling.inference import wald
from dualtrace.pooling.result import Result
from dualtrace.pooling.text import interval, number, p_value
from dualtrace.pooling.univariate import fit
from dualtrace.printed import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame

    from dualtrace.pooling.contract import Pooled, Tau2Method, TestName
    from dualtrace.pooling.likelihood import Ints


@dataclass(frozen=True, slots=True)
class Between:
    """Test that all groups have one mean.

    Attributes
    ----------
    Q, df, p
        Statistic, degrees of freedom (numerator when F), p value.
    dfs
        Denominator degrees of freedom when Q is an F statistic; None when it is chi-squared.
    """

    Q: float
    df: int
    p: float
    dfs: int | None = None

    def __str__(self) -> str:
        """``Q(2) = 5.1, p = .0781`` or ``F(2, 14) = ...``."""
        law = f"Q({self.df})" if self.dfs is None else f"F({self.df}, {self.dfs})"
        return f"{law} = {number(self.Q)}, p {p_value(self.p)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subgroups(Result):
    """Pooled answers by group.

    Attributes
    ----------
    labels
        Groups, in order of first appearance.
    separate
        One fit per group, each with its own τ².
    overall
        One fit of all rows, groups ignored.
    between
        Test between the separate fits: Q = Σ (b_g - b̄)²/se_g², weights 1/se_g², chi-squared.
    common
        One fit with a mean per group and a common τ²; None when no group has two rows.
    between_common
        Wald test of equal means in ``common``; F under t and knha.
    """

    SOURCES: ClassVar[tuple[str, ...]] = ("borenstein2009",)

    labels: tuple[str, ...]
    separate: tuple[Pooled, ...]
    overall: Pooled
    between: Between
    common: Pooled | None
    between_common: Between | None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        tests = {"between": self.between, "between_common": self.between_common}
        return {
            "separate": {g: f.to_dict() for g, f in zip(self.labels, self.separate, strict=True)},
            "overall": self.overall.to_dict(),
            "common": None if self.common is None else self.common.to_dict(),
            **{
                name: None if t is None else {"Q": t.Q, "df": t.df, "dfs": t.dfs, "p": t.p}
                for name, t in tests.items()
            },
        }

    def to_frame(self) -> DataFrame:
        """One row per group and one for all rows."""
        from pandas import DataFrame

        fits = (*self.separate, self.overall)
        keys = ("beta", "se", "pval", "ci_lb", "ci_ub")
        columns: dict[str, list[float]] = {"k": [f.k for f in fits]}
        columns |= {key: [float(getattr(f, key)[0]) for f in fits] for key in keys}
        columns |= {key: [float(getattr(f, key)) for f in fits] for key in ("tau2", "I2", "pi_lb", "pi_ub")}
        return DataFrame(columns, index=[*self.labels, "overall"])

    def __str__(self) -> str:
        """One line per group, then the tests between groups."""
        fits = zip((*self.labels, "overall"), (*self.separate, self.overall), strict=True)
        rows = (
            (g, str(f.k), number(f.beta[0]), interval(f.ci_lb[0], f.ci_ub[0]), number(f.tau2), number(f.I2, 1))
            for g, f in fits
        )
        head = ("", "k", "estimate", f"{100.0 * self.overall.level:g}% CI", "tau²", "I²%")
        lines = [table(head, rows), "", f"Between groups, separate tau²: {self.between}"]
        if self.between_common is not None:
            lines.append(f"Between groups, common tau²: {self.between_common}")
        return "\n".join(lines)


def subgroups(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    groups: Sequence[Any],
    *,
    slab: Sequence[Any] | None = None,
    method: Tau2Method = "REML",
    test: TestName = "z",
    level: float = 0.95,
) -> Subgroups:
    """Pool each group by itself and all groups in one model.

    Parameters
    ----------
    yi, vi, slab, method, test, level
        As in ``univariate.fit``.
    groups
        Group of each row.

    Raises
    ------
    FitError
        If a row has no group, there is one group only, or ``fit`` refuses the rows.
    """
    overall = fit(yi, vi, slab=slab, method=method, test=test, level=level)
    y, v = check.column("yi", yi, slab), check.column("vi", vi, slab)
    codes, labels = code(groups, overall.slab)
    separate = tuple(
        fit(
            y[mine],
            v[mine],
            slab=[s for s, m in zip(overall.slab, mine, strict=True) if m],
            method=method,
            test=test,
            level=level,
        )
        for mine in (codes == g for g in range(len(labels)))
    )
    common, between_common = None, None
    if len(y) > len(labels):
        indicators = (codes[:, None] == np.arange(len(labels))).astype(float)
        common = fit(y, v, X=indicators, names=labels, slab=overall.slab, method=method, test=test, level=level)
        between_common = _between_common(common)
    return Subgroups(
        labels=labels,
        separate=separate,
        overall=overall,
        between=_between(separate),
        common=common,
        between_common=between_common,
    )


def code(groups: Sequence[Any], slab: tuple[str, ...]) -> tuple[Ints, tuple[str, ...]]:
    """Number of each row's group, and the groups in order of appearance."""
    if len(groups) != len(slab):
        raise FitError(f"groups must name a group for every row; given {len(groups)} for {len(slab)} rows.")
    for group, label in zip(groups, slab, strict=True):
        if group is None or group != group or str(group) in {"", "<NA>"}:
            raise FitError(f"Every row needs a group; {row_name(str(label))} has none. Name it or leave the row out.")
    names = [str(group) for group in groups]
    labels = tuple(dict.fromkeys(names))
    if len(labels) < 2:
        raise FitError(f"Subgroups need at least two groups; every row is in group {labels[0]!r}.")
    return np.array([labels.index(name) for name in names]), labels


def _between(fits: tuple[Pooled, ...]) -> Between:
    """Q between separately fitted means, chi-squared with one degree of freedom fewer than groups."""
    b = np.array([f.beta[0] for f in fits])
    weight = np.array([f.se[0] for f in fits]) ** -2.0
    q = float(weight @ (b - weight @ b / weight.sum()) ** 2)
    df = len(fits) - 1
    return Between(q, df, float(special.chdtrc(df, q)))


def _between_common(common: Pooled) -> Between:
    """Wald test that the group means of one model are equal."""
    m = common.p - 1
    contrast = np.hstack([-np.ones((m, 1)), np.eye(m)])
    df = np.array([np.inf if common.test == "z" else float(common.dfs)])
    joint = wald((contrast @ common.beta)[None], (contrast @ common.vb @ contrast.T)[None], df)
    return Between(float(joint.QM[0]), m, float(joint.QMp[0]), None if common.test == "z" else common.dfs)
