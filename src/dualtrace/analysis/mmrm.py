"""Mixed model for repeated measures: arms compared at every visit, scores missing at random.

    y_iv = μ_{v,arm(i)} + β_v (b_i - b̄) + γ'(x_i - x̄) + e_iv,   e_i ~ N(0, Σ) over the visits that are there

Means and the slope of the baseline b are free at every visit; covariates x have one slope. Σ is fitted by REML.

Sources: Mallinckrodt et al. 2008, doi:10.1177/009286150804200402 (the model in trials); Kenward & Roger 1997,
doi:10.2307/2533558; see ``reml`` for the equations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final, get_args

import numpy as np

from dualtrace.analysis import reml, visits
from dualtrace.analysis.inputs import require_choice, require_level
from dualtrace.analysis.least_squares import quantile, two_sided
from dualtrace.analysis.result import Array, Ints, Result, freeze, number, tested, tested_header
from dualtrace.analysis.structures import Covariance, Observed, structure
from dualtrace.errors import FitError, InputError
from dualtrace.printed import table

if TYPE_CHECKING:
    from dualtrace.analysis.structures import Structure
    from dualtrace.analysis.visits import Patients, Rows

Df = Literal["satterthwaite", "kenward-roger"]
"""Degrees of freedom from the observed information; or from the expected one, with corrected standard errors."""

ADVICE = "Use covariance='compound' or 'ar1', or leave out visits with few patients."


@final
@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Mmrm(Result):
    """Arms compared with the reference arm at each of m visits.

    Attributes
    ----------
    arms
        Labels of the A arms; the reference comes first.
    estimate, se, df, t, p, ci_lb, ci_ub
        Difference of each other arm from the reference at each visit, standard error, degrees of freedom, t
        statistic, two-sided p and interval, (m, A - 1), in units of the scores.
    adjusted, adjusted_se
        Mean of each arm at each visit, at the mean of baseline and covariates over patients with a score, and its
        standard error, (m, A).
    sigma
        Covariance Σ of a patient's scores over visits, (m, m).
    n
        Patients with a score, by visit and arm, (m, A).
    patients, dropped
        Patients analysed, and those left out because they have no score at all.
    ll
        Restricted log-likelihood of the residual contrasts, all constants included.
    parameters, steps
        Covariance parameters, and Newton steps taken.
    covariance, df_method, level
        Structure of Σ, kind of degrees of freedom, confidence level.
    """

    arms: tuple[str, ...]
    estimate: Array
    se: Array
    df: Array
    t: Array
    p: Array
    ci_lb: Array
    ci_ub: Array
    adjusted: Array
    adjusted_se: Array
    sigma: Array
    n: Ints
    patients: int
    dropped: int
    ll: float
    parameters: int
    steps: int
    covariance: Covariance
    df_method: Df
    level: float

    def __post_init__(self) -> None:
        require_level(self.level)
        shape = (len(self.sigma), len(self.arms) - 1)
        compared = (self.estimate, self.se, self.df, self.t, self.p, self.ci_lb, self.ci_ub)
        if any(part.shape != shape for part in compared):
            raise ValueError(f"comparisons must have shape {shape}")
        if not (np.all(self.se > 0.0) and np.linalg.eigvalsh(self.sigma)[0] > 0.0):
            raise ValueError("standard errors must be positive and the covariance positive definite")
        freeze(self)

    @property
    def correlation(self) -> Array:
        """Correlation of a patient's scores between visits, (m, m)."""
        sd = np.sqrt(np.diag(self.sigma))
        return np.asarray(self.sigma / np.outer(sd, sd), dtype=np.float64)

    @property
    def d_residual(self) -> Array:
        """Differences in units of the standard deviation that Σ gives for the visit, (m, A - 1)."""
        return self.estimate / np.sqrt(np.diag(self.sigma))[:, None]

    def to_dict(self) -> dict[str, Any]:
        """All fields, correlations and standardised differences, for JSON."""
        # super() without arguments does not work in a dataclass with slots
        more = {"correlation": self.correlation.tolist(), "d_residual": self.d_residual.tolist()}
        return Result.to_dict(self) | more

    def __str__(self) -> str:
        """As a paper's tables: means by visit and arm, differences by visit, covariance."""
        words = {"satterthwaite": "Satterthwaite", "kenward-roger": "Kenward-Roger"}[self.df_method]
        lines = [
            f"Mixed model for repeated measures (REML), {self.covariance} covariance, {words} degrees of freedom",
            f"{self.patients} patients, {len(self.sigma)} visits"
            + (f"; {self.dropped} patients without a score left out" if self.dropped else ""),
            "",
        ]
        visits = range(len(self.sigma))
        groups = (
            (f"{v + 1}", a, f"{self.n[v, j]}", number(self.adjusted[v, j]), number(self.adjusted_se[v, j]))
            for v in visits
            for j, a in enumerate(self.arms)
        )
        columns = (self.estimate, self.se, self.df, self.t, self.p, self.ci_lb, self.ci_ub)
        rows = (
            tested(f"visit {v + 1}: {a} - {self.arms[0]}", [c[v, j] for c in columns])
            for v in visits
            for j, a in enumerate(self.arms[1:])
        )
        spread = ((f"{v + 1}", *(number(x) for x in self.correlation[v])) for v in visits)
        lines += [table(("visit", "arm", "n", "adjusted mean", "SE"), groups), ""]
        lines += [table(tested_header("difference", self.level), rows), ""]
        lines.append("SD by visit: " + ", ".join(number(sd) for sd in np.sqrt(np.diag(self.sigma))))
        lines += [table(("correlation", *(f"{v + 1}" for v in visits)), spread)]
        return "\n".join([*lines, f"Restricted log-likelihood {number(self.ll)}, {self.parameters} parameters"])


def mmrm(
    scores: Any,  # noqa: ANN401
    baseline: Any,  # noqa: ANN401
    arm: Any,  # noqa: ANN401
    covariates: Any = None,  # noqa: ANN401
    *,
    reference: Any = None,  # noqa: ANN401
    covariance: Covariance = "unstructured",
    df: Df = "satterthwaite",
    level: float = 0.95,
) -> Mmrm:
    """Compare arms at every visit, using every score there is.

    Parameters
    ----------
    scores
        One row per patient and one column per visit in order of time, (n, m); NaN where missing (at random).
    baseline
        Score before treatment, (n,).
    arm
        Label of each patient's arm, whole numbers or text, (n,).
    covariates
        Further numbers to adjust for, (n,) or (n, c).
    reference
        Arm to compare the others with; by default the first label in order (0 of 0 and 1).
    covariance
        Structure of Σ. With one visit there is one variance, whatever the structure.
    df
        Kind of degrees of freedom; ``kenward-roger`` also corrects standard errors, and needs a Σ that is linear in
        its parameters (not ``ar1``).
    level
        Confidence level.

    Raises
    ------
    InputError
        If a column or an option cannot be used as given.
    FitError
        If the data determine no answer, or no covariance of scores over visits.
    """
    require_level(level)
    require_choice("covariance", covariance, get_args(Covariance))
    require_choice("df", df, get_args(Df))
    people = visits.patients(scores, baseline, arm, covariates, reference)
    shape = structure(covariance, people.scores.shape[1])
    if df == "kenward-roger" and not shape.linear:
        raise InputError(
            "df='kenward-roger' needs a covariance that is linear in its parameters, 'unstructured' or 'compound'; "
            f"given {covariance!r}. Use df='satterthwaite' with it."
        )
    n = visits.counts(people)
    given = visits.rows(people)
    _require_pairs(people, covariance)
    found = reml.maximise(given.sums, Observed(shape, given.there), shape.start(given.rough), advice=ADVICE)
    return _result(found, given, people, shape, n, covariance, df, level)


def _result(
    found: reml.Fitted,
    given: Rows,
    people: Patients,
    shape: Structure,
    n: Ints,
    covariance: Covariance,
    df: Df,
    level: float,
) -> Mmrm:
    """Means and contrasts of the cells, in the unit of the scores."""
    m, k = n.shape
    cells = given.back[: m * k] * given.scale
    contrasts = (cells.reshape(m, k, -1)[:, 1:] - cells.reshape(m, k, -1)[:, :1]).reshape(m * (k - 1), -1)
    corrected = df == "kenward-roger"
    phi = reml.kenward_roger(given.sums, found) if corrected else found.height.phi
    information = found.slopes.expected if corrected else found.slopes.observed
    freedom = reml.satterthwaite(found, contrasts, information)
    estimate = contrasts @ found.height.beta
    se = np.sqrt(np.einsum("ci,ij,cj->c", contrasts, phi, contrasts))
    t = estimate / se
    half = se * quantile(freedom, level)
    columns = (estimate, se, freedom, t, two_sided(t, freedom), estimate - half, estimate + half)
    names = ("estimate", "se", "df", "t", "p", "ci_lb", "ci_ub")
    return Mmrm(
        arms=people.group.labels,
        **{name: column.reshape(m, k - 1) for name, column in zip(names, columns, strict=True)},
        adjusted=(cells @ found.height.beta).reshape(m, k),
        adjusted_se=np.sqrt(np.einsum("ci,ij,cj->c", cells, phi, cells)).reshape(m, k),
        sigma=shape.matrix(found.theta) * given.scale**2,
        n=n,
        patients=len(people.scores),
        dropped=people.dropped,
        ll=found.height.ll - (given.sums.rows - given.sums.p) * float(np.log(given.scale)),
        parameters=found.theta.size,
        steps=found.steps,
        covariance=covariance,
        df_method=df,
        level=level,
    )


def _require_pairs(people: Patients, covariance: Covariance) -> None:
    """An unstructured covariance needs patients who have both of any two visits."""
    there = (~np.isnan(people.scores)).astype(np.float64)
    together = there.T @ there
    if covariance == "unstructured" and (together == 0.0).any():
        first, second = (int(v) + 1 for v in np.argwhere(together == 0.0)[0])
        raise FitError(
            f"No patient has scores at both visit {first} and visit {second}, so an unstructured covariance cannot "
            "be estimated; use covariance='compound' or 'ar1', or leave one of the visits out."
        )
    if covariance != "unstructured" and there.shape[1] > 1 and together.sum() == np.trace(together):
        raise FitError(
            "No patient has scores at two visits, so their correlation cannot be estimated; give one visit at a time."
        )
