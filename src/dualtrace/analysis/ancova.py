"""Analysis of covariance: arms compared after treatment, adjusted for baseline, for one trial or many at once.

    y_i = μ_arm(i) + γ'(x_i - x̄) + e_i

with x the baseline and further covariates and x̄ their means over the patients analysed, so that μ are the adjusted
means and differences of them the effects of the arms. Patients without an outcome are left out (complete cases).

Sources: Senn 2006, doi:10.1002/sim.2682 (why adjust for baseline); MacKinnon & White 1985,
doi:10.1016/0304-4076(85)90158-7 (HC3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, final, get_args

import numpy as np

from dualtrace.analysis import least_squares
from dualtrace.analysis.inputs import (
    Arms,
    arms,
    common_shape,
    covariate_columns,
    numbers,
    require_choice,
    require_known,
    require_level,
)
from dualtrace.analysis.least_squares import Heteroscedastic
from dualtrace.analysis.result import (
    Array,
    Flags,
    Ints,
    Result,
    freeze,
    mean,
    number,
    rejected,
    replicates,
    tested,
    tested_header,
)
from dualtrace.printed import table

if TYPE_CHECKING:
    from dualtrace.analysis.least_squares import Fit


@final
@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Ancova(Result):
    """Arms compared with the reference arm, adjusted for baseline.

    Every array may have leading axes (...,), one entry per data set; data sets that determine no answer are NaN.

    Attributes
    ----------
    arms
        Labels of the A arms; the reference comes first.
    estimate, se, t, p, ci_lb, ci_ub
        Adjusted difference of each other arm from the reference, its standard error, t statistic, two-sided p and
        interval, (..., A - 1), in units of the outcome.
    df
        Residual degrees of freedom, (...,).
    adjusted, adjusted_se
        Mean of each arm at the overall mean of baseline and covariates, and its standard error, (..., A).
    slopes
        Coefficients of baseline and covariates, (..., 1 + c).
    residual_sd
        Standard deviation around the regression, (...,).
    baseline_sd
        Standard deviation of the baseline within arms, pooled over arms, of the patients analysed, (...,).
    n
        Patients analysed in each arm, (..., A).
    level, heteroscedastic
        Confidence level; kind of standard error.
    """

    arms: tuple[str, ...]
    estimate: Array
    se: Array
    t: Array
    p: Array
    ci_lb: Array
    ci_ub: Array
    df: Array
    adjusted: Array
    adjusted_se: Array
    slopes: Array
    residual_sd: Array
    baseline_sd: Array
    n: Ints
    level: float
    heteroscedastic: Heteroscedastic

    def __post_init__(self) -> None:
        require_level(self.level)
        compared = (self.estimate, self.se, self.t, self.p, self.ci_lb, self.ci_ub)
        if any(part.shape != (*self.df.shape, len(self.arms) - 1) for part in compared):
            raise ValueError(f"comparisons must number {len(self.arms) - 1} on the last axis")
        if np.any(self.se < 0.0) or np.any(self.estimate < self.ci_lb) or np.any(self.estimate > self.ci_ub):
            raise ValueError("an interval must hold its estimate, and no standard error may be negative")
        freeze(self)

    @property
    def d_baseline(self) -> Array:
        """Differences in units of the baseline's standard deviation, (..., A - 1)."""
        return self.estimate / self.baseline_sd[..., None]

    @property
    def d_residual(self) -> Array:
        """Differences in units of the residual standard deviation, (..., A - 1)."""
        return self.estimate / self.residual_sd[..., None]

    def to_dict(self) -> dict[str, Any]:
        """All fields and both standardised differences, for JSON."""
        # super() without arguments does not work in a dataclass with slots
        return Result.to_dict(self) | {"d_baseline": self.d_baseline.tolist(), "d_residual": self.d_residual.tolist()}

    def __str__(self) -> str:
        """As a paper's table; of a batch the means over its data sets, and how often p falls below 1 - level."""
        title = "Analysis of covariance, complete cases" + (", HC3" if self.heteroscedastic == "HC3" else "")
        batch = self.df.ndim > 0
        n, adjusted, error = mean(self.n), mean(self.adjusted), mean(self.adjusted_se)
        groups = ((a, f"{n[j]:g}", number(adjusted[j]), number(error[j])) for j, a in enumerate(self.arms))
        p = np.full(n.size - 1, np.nan) if batch else self.p
        df = np.full(n.size - 1, mean(self.df, axes=0))
        columns = (mean(self.estimate), mean(self.se), df, mean(self.t), p, mean(self.ci_lb), mean(self.ci_ub))
        rows = (tested(f"{a} - {self.arms[0]}", [c[j] for c in columns]) for j, a in enumerate(self.arms[1:]))
        sizes = (
            f"Standardised {a} - {self.arms[0]}: {number(mean(self.d_baseline)[j])} baseline SD, "
            f"{number(mean(self.d_residual)[j])} residual SD"
            for j, a in enumerate(self.arms[1:])
        )
        lines = [title, *([replicates(self.df)] if batch else []), ""]
        lines += [table(("arm", "n", "adjusted mean", "SE"), groups), ""]
        lines += [table(tested_header("difference", self.level), rows)]
        lines += rejected(self.arms[1:], self.p, self.level) if batch else []
        sd = [number(float(mean(values, axes=0))) for values in (self.residual_sd, self.baseline_sd)]
        return "\n".join([*lines, "", *sizes, f"Residual SD {sd[0]}, baseline SD within arms {sd[1]}"])


class Patients(NamedTuple):
    """Checked columns of one shape.

    Attributes
    ----------
    y, known
        Outcome (0 where missing) and whether it is there, (..., n).
    group
        Arms; codes broadcast to (..., n).
    x
        Baseline and covariates less their means over patients with an outcome, 0 for others, (..., 1 + c, n).
    """

    y: Array
    known: Flags
    group: Arms
    x: Array


def ancova(
    post: Any,  # noqa: ANN401
    baseline: Any,  # noqa: ANN401
    arm: Any,  # noqa: ANN401
    covariates: Any = None,  # noqa: ANN401
    *,
    reference: Any = None,  # noqa: ANN401
    level: float = 0.95,
    heteroscedastic: Heteroscedastic = "none",
) -> Ancova:
    """Compare arms after treatment, adjusted for baseline (and covariates).

    Parameters
    ----------
    post
        Outcome after treatment, (..., n); NaN where missing. Leading axes are data sets analysed by themselves.
    baseline
        Outcome before treatment, (..., n); needed wherever ``post`` is there.
    arm
        Label of each patient's arm, whole numbers or text, (..., n).
    covariates
        Further numbers to adjust for, (n,) or (..., n, c).
    reference
        Arm to compare the others with; by default the first label in order (0 of 0 and 1).
    level
        Confidence level.
    heteroscedastic
        ``none``: one residual variance; ``HC3``: standard errors that do not assume it.

    Returns
    -------
    Ancova
        Differences with tests and intervals by t with n - A - 1 - c degrees of freedom, and adjusted means.

    Raises
    ------
    InputError
        If a column cannot be used as given, or there is one arm only.
    FitError
        If the data determine no answer; in a batch only if no data set does (the others are NaN).
    """
    require_level(level)
    require_choice("heteroscedastic", heteroscedastic, get_args(Heteroscedastic))
    people = _patients(post, baseline, arm, covariates, reference)
    labels = people.group.labels
    member = (people.group.codes[..., None, :] == np.arange(len(labels))[:, None]) & people.known[..., None, :]
    X = np.concatenate([member.astype(np.float64), people.x], axis=-2)
    found = least_squares.fit(X, people.y, people.known, heteroscedastic=heteroscedastic)
    others = [f"covariate {j}" for j in range(1, people.x.shape[-2])]
    least_squares.require_answer(found, [*(f"arm {a}" for a in labels), "baseline", *others], people.known)
    return _result(found, labels, member, people.x[..., 0, :], level, heteroscedastic)


def _result(
    found: Fit, labels: tuple[str, ...], member: Flags, baseline: Array, level: float, kind: Heteroscedastic
) -> Ancova:
    """Contrasts of the adjusted means, and the standard deviations that standardise them."""
    k = len(labels)
    cov = found.covariance[..., :k, :k]
    variance = np.diagonal(cov, axis1=-2, axis2=-1)
    estimate = found.beta[..., 1:k] - found.beta[..., :1]
    se = np.sqrt(variance[..., 1:] + variance[..., :1] - 2.0 * cov[..., 0, 1:])
    df = np.broadcast_to(found.df[..., None], se.shape)
    t = estimate / se
    half = se * least_squares.quantile(df, level)
    return Ancova(
        arms=labels,
        estimate=estimate,
        se=se,
        t=t,
        p=least_squares.two_sided(t, df),
        ci_lb=estimate - half,
        ci_ub=estimate + half,
        df=found.df,
        adjusted=found.beta[..., :k],
        adjusted_se=np.sqrt(variance),
        slopes=found.beta[..., k:],
        residual_sd=found.residual_sd,
        baseline_sd=np.where(np.isnan(found.df), np.nan, _within_sd(member, baseline)),
        n=member.sum(axis=-1),
        level=level,
        heteroscedastic=kind,
    )


def _within_sd(member: Flags, x: Array) -> Array:
    """Standard deviation within arms, pooled: √(Σ (x - arm mean)² / (n - A)), (...,)."""
    weight = member.astype(np.float64)
    n = weight.sum(axis=-1)
    total = (weight @ x[..., None])[..., 0]
    within = np.einsum("...n,...n->...", x, x) - (total**2 / np.where(n > 0.0, n, 1.0)).sum(axis=-1)
    df = n.sum(axis=-1) - n.shape[-1]
    return np.asarray(np.sqrt(np.maximum(within, 0.0) / np.where(df > 0.0, df, np.nan)), dtype=np.float64)


def _patients(post: Any, baseline: Any, arm: Any, covariates: Any, reference: Any) -> Patients:  # noqa: ANN401
    """Check columns and bring them into one shape."""
    y, before = numbers("post", post, missing=True), numbers("baseline", baseline, missing=True)
    group = arms(arm, reference)
    more = covariate_columns(covariates, y.shape[-1])
    shape = common_shape(post=y, baseline=before, arm=group.codes, covariates=more[..., 0] if more.shape[-1] else y)
    known = np.broadcast_to(~np.isnan(y), shape)
    require_known("baseline", before, known)
    columns = [before, *(more[..., j] for j in range(more.shape[-1]))]
    x = np.stack([np.broadcast_to(column, shape) for column in columns], axis=-2)
    return Patients(
        np.broadcast_to(np.where(np.isnan(y), 0.0, y), shape),
        known,
        Arms(group.labels, np.broadcast_to(group.codes, shape)),
        centred(x, known),
    )


def centred(x: Array, known: Flags) -> Array:
    """Columns (..., c, n) less their means over the patients known, 0 for the others."""
    inside = known[..., None, :]
    n = np.maximum(inside.sum(axis=-1, keepdims=True), 1)
    mean = np.where(inside, x, 0.0).sum(axis=-1, keepdims=True) / n
    return np.asarray(np.where(inside, x - mean, 0.0), dtype=np.float64)
