"""Session by session: whether a drug's effect on the next session's fear depends on fear at the end of this one.

    y_ij = β₀ + δ a_ij + λ (f_ij - c) + κ a_ij (f_ij - c) + γ'(x_ij - x̄) + u_i + e_ij,
    u_i ~ N(0, σ_u²), e_ij ~ N(0, σ_e²)

for session j of patient i: fear y at the next session, drug a, fear f at the end of this session. Within a patient
the deviations from their mean vary by σ_e², the mean of m sessions by σ_e²/m + σ_u²: independent sums of two kinds.
So REML depends on the data through one matrix within patients and one for each number of sessions, and on the
parameters, once σ_e² is profiled out, through the ratio σ_u²/σ_e² alone.

Sources: Smits et al. 2013, doi:10.1016/j.biopsych.2012.12.009 (the question); Laird & Ware 1982,
doi:10.2307/2529876; Giesbrecht & Burns 1985, doi:10.2307/2530872 (degrees of freedom).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, final

import numpy as np

from dualtrace.analysis import reml
from dualtrace.analysis.effect_line import EffectLine
from dualtrace.analysis.inputs import arms, common_shape, covariate_columns, numbers, require_known, require_level
from dualtrace.analysis.least_squares import EXACT, orthonormal, quantile, two_sided
from dualtrace.analysis.result import Array, Flags, Ints, Result, freeze, number, tested, tested_header
from dualtrace.errors import FitError, InputError
from dualtrace.printed import table

if TYPE_CHECKING:
    from dualtrace.analysis.effect_line import Crossing, SimpleEffects

EFFECT, SLOPE = 1, 3
"""Places of the drug's effect and of its interaction with end fear among the coefficients."""

RATIOS = np.concatenate([[0.0], np.geomspace(1e-4, 1e4, 41)])
"""Ratios σ_u²/σ_e² at which the profile likelihood is read before Newton's method takes over."""

ADVICE = "Give more patients with several sessions, or use moderation() on one session of each."


@final
@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SessionModeration(Result):
    """A mixed model of sessions with a drug x end-fear interaction and a random intercept of each patient.

    Attributes
    ----------
    names
        Names of the p coefficients: ``intercept``, ``drug`` (effect at the centre), ``end fear`` (slope without
        drug), ``drug x end fear`` (change of the effect per unit), covariates.
    drugs
        Labels of reference and drug.
    estimate, se, df, t, p, ci_lb, ci_ub
        Coefficients, standard errors, Satterthwaite's degrees of freedom, t statistics, two-sided p, intervals, (p,).
    centre
        End fear at which ``drug`` is the effect.
    sd_patient, sd_session
        Standard deviations σ_u between patients and σ_e around them.
    patients, sessions, dropped
        Patients and sessions analysed; sessions left out because the next fear or the end fear is missing.
    ll
        Restricted log-likelihood of the residual contrasts, all constants included.
    level
        Confidence level.
    line
        The effect as a function of end fear.
    """

    LEFT_OUT: ClassVar[frozenset[str]] = frozenset({"line"})

    names: tuple[str, ...]
    drugs: tuple[str, ...]
    estimate: Array
    se: Array
    df: Array
    t: Array
    p: Array
    ci_lb: Array
    ci_ub: Array
    centre: float
    sd_patient: float
    sd_session: float
    patients: int
    sessions: int
    dropped: int
    ll: float
    level: float
    line: EffectLine

    def __post_init__(self) -> None:
        require_level(self.level)
        columns = (self.estimate, self.se, self.df, self.t, self.p, self.ci_lb, self.ci_ub)
        if any(part.shape != (len(self.names),) for part in columns) or len(self.drugs) != 2:
            raise ValueError("coefficients must have one name each, and there must be a drug and a reference")
        if self.sd_patient < 0.0 or not self.sd_session > 0.0:
            raise ValueError("standard deviations must not be negative")
        freeze(self)

    @property
    def icc(self) -> float:
        """Share of the variance around the regression that lies between patients."""
        return self.sd_patient**2 / (self.sd_patient**2 + self.sd_session**2)

    def effect_at(self, values: Any) -> SimpleEffects:  # noqa: ANN401
        """Return the drug's effect at one end fear or several, (k,)."""
        return self.line.effects(values, self.level)

    def crossing(self) -> Crossing:
        """Return the end fear at which the drug's effect changes sign, with Fieller's set and regions."""
        return self.line.crossing(self.level)

    def to_dict(self) -> dict[str, Any]:
        """All fields but ``line``, the intraclass correlation and the crossing, for JSON."""
        # super() without arguments does not work in a dataclass with slots
        return Result.to_dict(self) | {"icc": self.icc, "crossing": self.crossing().to_dict()}

    def __str__(self) -> str:
        """As a paper's table, with where the effect changes sign."""
        columns = (self.estimate, self.se, self.df, self.t, self.p, self.ci_lb, self.ci_ub)
        rows = (tested(name, [c[j] for c in columns]) for j, name in enumerate(self.names))
        lines = [
            f"Next-session fear on {self.drugs[1]} (against {self.drugs[0]}) x end-of-session fear, random intercept",
            f"{self.sessions} sessions of {self.patients} patients"
            + (f"; {self.dropped} sessions with a missing fear left out" if self.dropped else ""),
            "",
            table(tested_header("coefficient", self.level), rows),
            "",
            f"drug: effect at end fear = {number(self.centre)}",
            f"SD between patients {number(self.sd_patient)}, between sessions {number(self.sd_session)}",
            str(self.crossing()),
        ]
        return "\n".join(lines)


class Sessions(NamedTuple):
    """Checked sessions with both fears.

    Attributes
    ----------
    y, patient
        Next fear and number of the patient, (N,).
    X
        Columns of the regression, (N, p).
    names, drugs, centre, dropped
        As in ``SessionModeration``.
    """

    y: Array
    patient: Ints
    X: Array
    names: tuple[str, ...]
    drugs: tuple[str, ...]
    centre: float
    dropped: int


class Strata(NamedTuple):
    """Variances of the independent sums: v_s = share_s σ_u² + σ_e², as a model of ``reml``; share is 0 within.

    ``between`` says whether σ_u² is a parameter or fixed at 0. Parameters are σ_e² and then σ_u².
    """

    share: Array
    between: bool

    def at(self, theta: Array) -> reml.Covariances:
        """Variances and their derivatives, each a matrix of one element."""
        parts = np.stack([np.ones_like(self.share), self.share])[: 1 + self.between]
        return reml.Covariances((theta @ parts)[:, None, None], parts[..., None, None], None)


def session_moderation(
    next_fear: Any,  # noqa: ANN401
    drug: Any,  # noqa: ANN401
    end_fear: Any,  # noqa: ANN401
    patient: Any,  # noqa: ANN401
    covariates: Any = None,  # noqa: ANN401
    *,
    reference: Any = None,  # noqa: ANN401
    centre: float | None = None,
    level: float = 0.95,
) -> SessionModeration:
    """Regress the next session's fear on drug, fear at the end of this session, and their product.

    Parameters
    ----------
    next_fear
        Fear at the next session, one value per session, (N,); sessions in which it is missing are left out.
    drug
        Label of what was given at the session, two of them (0 and 1, say), (N,).
    end_fear
        Fear at the end of the session, (N,); sessions in which it is missing are left out.
    patient
        Label of the patient of each session, (N,).
    covariates
        Further numbers to adjust for (number of the session, fear before it, ...), (N,) or (N, c).
    reference
        Label to compare with; by default the first in order.
    centre
        End fear at which the coefficient ``drug`` is the effect; by default the mean of the sessions analysed.
    level
        Confidence level.

    Raises
    ------
    InputError
        If a column cannot be used as given.
    FitError
        If the sessions determine no answer.
    """
    require_level(level)
    given = _sessions((next_fear, drug, end_fear, patient), covariates, reference, centre)
    sums, shares, back, scale = _sums(given)
    found = _fit(sums, shares)
    return _result(found, given, sums, back, scale, level)


def _fit(sums: reml.Sums, share: Array) -> reml.Fitted:
    """REML over σ_e² and σ_u² >= 0: the best of a grid of ratios, then Newton's method."""
    best = int(np.argmax([_profile(sums, share, ratio)[0] for ratio in RATIOS]))
    residual = _profile(sums, share, RATIOS[best])[1]
    none = reml.maximise(sums, Strata(share, between=False), np.array([_profile(sums, share, 0.0)[1]]), advice=ADVICE)
    rising = _slope_at_zero(sums, share, none)
    if best == 0 and rising <= 0.0:
        return none
    ratio = RATIOS[max(best, 1)]
    found = reml.maximise(sums, Strata(share, between=True), np.array([residual, ratio * residual]), advice=ADVICE)
    return found if found.theta[1] > 0.0 else none


def _profile(sums: reml.Sums, share: Array, ratio: float) -> tuple[float, float]:
    """Log-likelihood at a ratio σ_u²/σ_e² with the best σ_e², less a constant, and that σ_e²."""
    V = 1.0 + ratio * share
    here = reml.height(sums, V[:, None, None])
    if here is None:
        return -np.inf, np.nan
    p = sums.p
    contrast = np.append(-here.beta, 1.0)
    df = sums.rows - p
    rss = float(contrast @ sums.weighed(here.W) @ contrast)
    # at σ_e² = 1 the log-likelihood holds -rss/2; at its best it holds -(df/2)(1 + log(rss/df)) instead
    return here.ll + 0.5 * rss - 0.5 * df * float(np.log(rss / df)), rss / df


def _slope_at_zero(sums: reml.Sums, share: Array, none: reml.Fitted) -> float:
    """Derivative of the log-likelihood in σ_u² where σ_u² = 0."""
    given = Strata(share, between=True).at(np.append(none.theta, 0.0))
    return float(reml.slopes(sums, none.height, given).gradient[1])


def _result(
    found: reml.Fitted, given: Sessions, sums: reml.Sums, back: Array, scale: float, level: float
) -> SessionModeration:
    """Coefficients in their own units, with tests, and the line of the effect."""
    rows = back * scale
    estimate = rows @ found.height.beta
    covariance = rows @ found.height.phi @ rows.T
    se = np.sqrt(np.diag(covariance))
    df = reml.satterthwaite(found, rows, found.slopes.observed)
    half = se * quantile(df, level)
    t = estimate / se
    pair = [EFFECT, SLOPE]
    at = rows[pair] @ found.height.phi
    theta = np.append(found.theta, 0.0) * scale**2
    return SessionModeration(
        names=given.names,
        drugs=given.drugs,
        estimate=estimate,
        se=se,
        df=df,
        t=t,
        p=two_sided(t, df),
        ci_lb=estimate - half,
        ci_ub=estimate + half,
        centre=given.centre,
        sd_patient=float(np.sqrt(theta[1])),
        sd_session=float(np.sqrt(theta[0])),
        patients=int(given.patient.max()) + 1,
        sessions=given.y.size,
        dropped=given.dropped,
        ll=found.height.ll - (sums.rows - sums.p) * float(np.log(scale)),
        level=level,
        line=EffectLine(
            centre=np.asarray(given.centre),
            estimate=estimate[pair],
            covariance=covariance[np.ix_(pair, pair)],
            gradient=at @ found.slopes.P @ at.T,
            spread=np.asarray(np.linalg.inv(found.slopes.observed), dtype=np.float64),
        ),
    )


def _sums(given: Sessions) -> tuple[reml.Sums, Array, Array, float]:
    """Sums within patients and of patients' means, shares of σ_u², basis of the design, unit of the outcome."""
    back = orthonormal(given.X, given.names)
    Q = given.X @ back
    residual = given.y - Q @ (Q.T @ given.y)
    scale = float(np.sqrt(residual @ residual / (given.y.size - given.X.shape[1])))
    if scale <= EXACT * np.abs(given.y).max():
        raise FitError("Next-session fear does not vary once the regression is accounted for; nothing to test.")
    full = np.column_stack([Q, given.y / scale])
    m = np.bincount(given.patient)
    total = np.zeros((m.size, full.shape[1]))
    np.add.at(total, given.patient, full)
    within = full - (total / m[:, None])[given.patient]
    sizes = np.unique(m)
    means = [total[m == size].T @ total[m == size] / size for size in sizes]
    cross = np.stack([within.T @ within, *means])[:, None, None]
    count = np.array([given.y.size - m.size, *(float((m == size).sum()) for size in sizes)])
    return reml.Sums(cross, count, given.y.size), np.array([0.0, *sizes]), back, scale


def _sessions(columns: tuple[Any, ...], covariates: Any, reference: Any, centre: float | None) -> Sessions:  # noqa: ANN401
    """Check columns and build the design."""
    y, f = numbers("next_fear", columns[0], missing=True), numbers("end_fear", columns[2], missing=True)
    group, patient = arms(columns[1], reference, name="drug", row="session"), np.asarray(columns[3])
    if y.ndim != 1:
        raise InputError(f"next_fear must have one value per session; given shape {y.shape}.")
    common_shape(next_fear=y, drug=group.codes, end_fear=f, patient=np.empty(patient.shape or (0,)))
    if len(group.labels) > 2:
        raise InputError(f"drug must have two labels; given {len(group.labels)}: {', '.join(group.labels)}.")
    more = covariate_columns(covariates, y.size)
    kept: Flags = ~np.isnan(y) & ~np.isnan(f)
    if not kept.any():
        raise InputError("No session has both the next fear and the end fear; there is nothing to analyse.")
    require_known("covariates", more.T, np.broadcast_to(kept, more.T.shape))
    _, number_of = np.unique(_patients(patient)[kept], return_inverse=True)
    c = float(f[kept].mean() if centre is None else numbers("centre", [centre])[0])
    a, offset, x = group.codes[kept].astype(np.float64), f[kept] - c, more[kept]
    X = np.column_stack([np.ones(a.size), a, offset, a * offset, x - x.mean(axis=0)])
    names = ("intercept", "drug", "end fear", "drug x end fear", *(f"covariate {j + 1}" for j in range(x.shape[1])))
    _require_repeats(number_of, X.shape[1])
    return Sessions(y[kept], number_of, X, names, group.labels, c, int((~kept).sum()))


def _patients(patient: Any) -> Any:  # noqa: ANN401
    """Labels that can be told apart; refuses absent ones."""
    absent = [i for i, label in enumerate(patient.tolist()) if label is None or label != label]
    if absent:
        raise InputError(f"patient must be known for every session; it is missing at index {absent[0]}.")
    return patient.astype(str) if patient.dtype.kind == "O" else patient


def _require_repeats(patient: Ints, p: int) -> None:
    """More sessions than coefficients, and patients with several sessions."""
    m = np.bincount(patient)
    if patient.size <= p + 1:
        raise FitError(f"{patient.size} sessions cannot determine {p} coefficients and two variances; add sessions.")
    if m.max() < 2 or m.size < 2:
        raise FitError(
            f"{m.size} patients with at most {m.max()} sessions each cannot tell variance between patients from that "
            "between sessions. Give several sessions of several patients, or use moderation() on one session of each."
        )
