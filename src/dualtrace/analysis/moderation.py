"""Moderator regression: whether the effect of a drug depends on a number known before the outcome.

    y_i = β₀ + δ a_i + λ (m_i - c) + κ a_i (m_i - c) + γ'(x_i - x̄) + e_i

with a = 1 in the drug arm, so that δ is the drug's effect at the moderator value c and κ its change per unit.
One trial or many at once, in closed form.

Source: Aiken & West 1991, Multiple Regression: Testing and Interpreting Interactions, isbn:9780761907121; see
``effect_line`` for simple effects and regions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, final

import numpy as np

from dualtrace.analysis import least_squares
from dualtrace.analysis.ancova import centred
from dualtrace.analysis.effect_line import EffectLine
from dualtrace.analysis.inputs import arms, common_shape, covariate_columns, numbers, require_known, require_level
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
from dualtrace.errors import InputError
from dualtrace.printed import table

if TYPE_CHECKING:
    from dualtrace.analysis.effect_line import Crossing, SimpleEffects

EFFECT, SLOPE = 1, 3
"""Places of the drug's effect and of its interaction with the moderator among the coefficients."""


@final
@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Moderation(Result):
    """A regression with an arm x moderator interaction.

    Every array may have leading axes (...,), one entry per data set; data sets that determine no answer are NaN.

    Attributes
    ----------
    names
        Names of the p coefficients: ``intercept``, ``arm`` (effect at the centre), ``moderator`` (slope in the
        reference arm), ``arm x moderator`` (change of the effect per unit), covariates.
    arms
        Labels of reference and drug arm.
    estimate, se, t, p, ci_lb, ci_ub
        Coefficients, standard errors, t statistics, two-sided p, intervals, (..., p).
    df
        Residual degrees of freedom, (...,).
    centre
        Moderator value at which ``arm`` is the effect, (...,).
    residual_sd
        Standard deviation around the regression, (...,).
    n
        Patients analysed, (...,).
    level
        Confidence level.
    line
        The effect as a function of the moderator.
    """

    LEFT_OUT: ClassVar[frozenset[str]] = frozenset({"line"})

    names: tuple[str, ...]
    arms: tuple[str, ...]
    estimate: Array
    se: Array
    t: Array
    p: Array
    ci_lb: Array
    ci_ub: Array
    df: Array
    centre: Array
    residual_sd: Array
    n: Ints
    level: float
    line: EffectLine

    def __post_init__(self) -> None:
        require_level(self.level)
        columns = (self.estimate, self.se, self.t, self.p, self.ci_lb, self.ci_ub)
        if any(part.shape != (*self.df.shape, len(self.names)) for part in columns) or len(self.arms) != 2:
            raise ValueError("coefficients must have one name each, and there must be two arms")
        freeze(self)

    def effect_at(self, values: Any) -> SimpleEffects:  # noqa: ANN401
        """Return the drug's effect at one moderator value or several, (..., k)."""
        return self.line.effects(values, self.level)

    def crossing(self) -> Crossing:
        """Return where the drug's effect changes sign, with Fieller's set and Johnson and Neyman's regions.

        Raises
        ------
        InputError
            For a batch of data sets.
        """
        return self.line.crossing(self.level)

    def to_dict(self) -> dict[str, Any]:
        """All fields but ``line``, and the crossing of one data set, for JSON."""
        # super() without arguments does not work in a dataclass with slots
        crossing = {"crossing": self.crossing().to_dict()} if self.df.ndim == 0 else {}
        return Result.to_dict(self) | crossing

    def __str__(self) -> str:
        """As a paper's table; of a batch the means over its data sets, and how often p falls below 1 - level."""
        batch = self.df.ndim > 0
        lines = [f"Moderator regression, {self.arms[1]} against {self.arms[0]}, n = {mean(self.n, axes=0):g}"]
        lines += [replicates(self.df)] if batch else []
        size = len(self.names)
        p = np.full(size, np.nan) if batch else self.p
        df = np.full(size, mean(self.df, axes=0))
        columns = (mean(self.estimate), mean(self.se), df, mean(self.t), p, mean(self.ci_lb), mean(self.ci_ub))
        rows = (tested(name, [c[j] for c in columns]) for j, name in enumerate(self.names))
        lines += ["", table(tested_header("coefficient", self.level), rows), ""]
        lines.append(f"arm: effect at moderator = {number(float(mean(self.centre, axes=0)))}")
        lines.append(f"Residual SD {number(float(mean(self.residual_sd, axes=0)))}")
        if batch:
            return "\n".join([*lines, *rejected(self.names[: SLOPE + 1], self.p[..., : SLOPE + 1], self.level)])
        return "\n".join([*lines, str(self.crossing())])


class Patients(NamedTuple):
    """Checked columns of one shape (..., n); x are covariates less their means, (..., c, n)."""

    y: Array
    known: Flags
    drug: Array
    moderator: Array
    x: Array
    labels: tuple[str, ...]


def moderation(
    outcome: Any,  # noqa: ANN401
    arm: Any,  # noqa: ANN401
    moderator: Any,  # noqa: ANN401
    covariates: Any = None,  # noqa: ANN401
    *,
    reference: Any = None,  # noqa: ANN401
    centre: float | None = None,
    level: float = 0.95,
) -> Moderation:
    """Regress an outcome on arm, moderator and their product.

    Parameters
    ----------
    outcome
        Outcome, (..., n); NaN where missing. Leading axes are data sets analysed by themselves.
    arm
        Label of each patient's arm, two of them, (..., n).
    moderator
        A number per patient that may change the effect, (..., n); needed wherever the outcome is there.
    covariates
        Further numbers to adjust for, (n,) or (..., n, c).
    reference
        Arm to compare with; by default the first label in order (0 of 0 and 1).
    centre
        Moderator value at which the coefficient ``arm`` is the effect; by default the mean of those analysed.
    level
        Confidence level.

    Raises
    ------
    InputError
        If a column cannot be used as given, or arms are not two.
    FitError
        If the data determine no answer (a constant moderator, say); in a batch only if no data set does.
    """
    require_level(level)
    people = _patients(outcome, arm, moderator, covariates, reference)
    n: Ints = np.asarray(people.known.sum(axis=-1))
    if centre is None:
        c = np.where(people.known, people.moderator, 0.0).sum(axis=-1) / np.maximum(n, 1)
    else:
        c = np.full(n.shape, float(numbers("centre", [centre])[0]))
    offset = np.where(people.known, people.moderator - c[..., None], 0.0)
    columns = [people.known.astype(np.float64), people.drug, offset, people.drug * offset]
    X = np.concatenate([np.stack(columns, axis=-2), people.x], axis=-2)
    found = least_squares.fit(X, people.y, people.known)
    covariate = (f"covariate {j + 1}" for j in range(people.x.shape[-2]))
    names = ("intercept", "arm", "moderator", "arm x moderator", *covariate)
    least_squares.require_answer(found, names, people.known)
    return _result(found, names, people.labels, c, n, level)


def _result(
    found: least_squares.Fit, names: tuple[str, ...], labels: tuple[str, ...], c: Array, n: Ints, level: float
) -> Moderation:
    """Tests of the coefficients, and the line of the effect."""
    se = np.sqrt(np.diagonal(found.covariance, axis1=-2, axis2=-1))
    t = found.beta / se
    df = np.broadcast_to(found.df[..., None], t.shape)
    half = se * least_squares.quantile(df, level)
    pair = [EFFECT, SLOPE]
    covariance = found.covariance[..., pair, :][..., pair]
    return Moderation(
        names=names,
        arms=labels,
        estimate=found.beta,
        se=se,
        t=t,
        p=least_squares.two_sided(t, df),
        ci_lb=found.beta - half,
        ci_ub=found.beta + half,
        df=found.df,
        centre=c,
        residual_sd=found.residual_sd,
        n=n,
        level=level,
        # one variance parameter: C is proportional to σ², whose relative variance is 2/df
        line=EffectLine(
            centre=c,
            estimate=found.beta[..., pair],
            covariance=covariance,
            gradient=covariance[..., None, :, :],
            spread=(2.0 / found.df)[..., None, None],
        ),
    )


def _patients(outcome: Any, arm: Any, moderator: Any, covariates: Any, reference: Any) -> Patients:  # noqa: ANN401
    """Check columns and bring them into one shape."""
    y, m = numbers("outcome", outcome, missing=True), numbers("moderator", moderator, missing=True)
    group = arms(arm, reference)
    if len(group.labels) > 2:
        raise InputError(
            f"moderation compares two arms; given {len(group.labels)}: {', '.join(group.labels)}. "
            "Give two of them at a time."
        )
    more = covariate_columns(covariates, y.shape[-1])
    shape = common_shape(outcome=y, moderator=m, arm=group.codes, covariates=more[..., 0] if more.shape[-1] else y)
    known = np.broadcast_to(~np.isnan(y), shape)
    require_known("moderator", m, known)
    columns = [np.broadcast_to(more[..., j], shape) for j in range(more.shape[-1])]
    x = np.stack(columns, axis=-2) if columns else np.empty((*shape[:-1], 0, shape[-1]))
    return Patients(
        np.broadcast_to(np.where(np.isnan(y), 0.0, y), shape),
        known,
        np.where(known, group.codes, 0).astype(np.float64),
        np.broadcast_to(m, shape),
        centred(x, known),
        group.labels,
    )
