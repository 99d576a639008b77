"""One between-arm effect: a number with a variance, or the interval that is all that was reported."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import erfc, exp, inf, isfinite, sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dualtrace.evidence.record import Disorder, Estimand, Timepoint


class Metric(StrEnum):
    """The scale of an effect."""

    SMD = "SMD"  # Hedges' g
    OR = "OR"  # natural log inside
    RR = "RR"  # natural log inside
    RD = "RD"

    @property
    def is_ratio(self) -> bool:
        """Whether the inside is a natural logarithm."""
        return self in (Metric.OR, Metric.RR)


class Information(StrEnum):
    """How much the report tells about the effect."""

    EXACT = "exact"
    INTERVAL = "interval"
    DIRECTION = "direction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A between-arm effect; positive always means "favours the drug".

    Attributes
    ----------
    trial, label, disorder, year
        Which trial.
    outcome, measure, estimand, instruments, timepoint, weeks, subgroup
        What was compared, and when.
    treatment, reference
        Arm ids of the two sides.
    metric
        Scale of ``yi``; ratios are natural logarithms.
    yi
        Estimate, or None when only an interval is known.
    vi
        Sampling variance (for an interval: at no effect).
    lower, upper
        Bounds of ``yi`` when it is unknown; one of them may be infinite.
    n_treatment, n_reference
        Participants behind it, fractional when a total was split.
    p
        Printed two-sided p-value, exact ones only.
    steps
        How the number was obtained, in order, readable.
    assumptions
        What had to be assumed on the way.
    """

    trial: str
    label: str
    disorder: Disorder
    year: int | None
    outcome: str
    measure: str
    estimand: Estimand
    instruments: tuple[str, ...]
    timepoint: Timepoint
    weeks: float | None
    subgroup: str | None
    treatment: tuple[str, ...]
    reference: tuple[str, ...]
    metric: Metric
    yi: float | None
    vi: float
    lower: float = -inf
    upper: float = inf
    n_treatment: float
    n_reference: float
    p: float | None = None
    steps: tuple[str, ...]
    assumptions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an effect that says nothing or cannot be."""
        if not (isfinite(self.vi) and self.vi > 0):
            raise ValueError(f"{self.name}: the variance must be finite and positive; given {self.vi}")
        if self.yi is not None and not isfinite(self.yi):
            raise ValueError(f"{self.name}: the estimate must be finite; given {self.yi}")
        if not self.lower < self.upper:
            raise ValueError(f"{self.name}: lower must be below upper; given {self.lower} and {self.upper}")
        if self.yi is None and self.lower == -inf and self.upper == inf:
            raise ValueError(f"{self.name}: an effect without estimate needs a finite bound")

    @property
    def name(self) -> str:
        """``trial/outcome``."""
        return f"{self.trial}/{self.outcome}"

    @property
    def is_exact(self) -> bool:
        """Whether a point estimate is known."""
        return self.yi is not None

    @property
    def information(self) -> Information:
        """How much is known."""
        if self.yi is not None:
            return Information.EXACT
        one_sided_at_zero = {self.lower, self.upper} in ({0.0, inf}, {0.0, -inf})
        return Information.DIRECTION if one_sided_at_zero else Information.INTERVAL

    @property
    def se(self) -> float:
        """Standard error."""
        return sqrt(self.vi)

    def ci(self, z: float = 1.959963984540054) -> tuple[float, float]:
        """Return the Wald interval of an exact effect; the bounds of any other."""
        if self.yi is None:
            return self.lower, self.upper
        return self.yi - z * self.se, self.yi + z * self.se

    @property
    def p_value(self) -> float | None:
        """Return the printed p-value, else the Wald one, else None."""
        if self.p is not None:
            return self.p
        return None if self.yi is None else erfc(abs(self.yi) / self.se / sqrt(2))

    @property
    def is_harm(self) -> bool:
        """Whether the counted event is unwanted, so that its ratio was inverted to keep "positive is good"."""
        return self.estimand in ("adverse_event", "dropout")

    def as_printed(self, value: float) -> float:
        """Return a value on the scale a paper would print: a ratio of treatment to reference, else itself."""
        if not self.metric.is_ratio:
            return -value if self.is_harm else value
        return exp(-value if self.is_harm else value)

    def __str__(self) -> str:
        """Return label, value and interval on one line, ratios as ratios."""
        low, high = sorted(self.as_printed(bound) for bound in self.ci())
        if self.yi is None:
            return f"{self.label}: {self.metric} between {low:.2f} and {high:.2f}"
        return f"{self.label}: {self.metric} {self.as_printed(self.yi):.2f} (95% CI {low:.2f} to {high:.2f})"

    def explain(self) -> str:
        """Return the chain of steps that produced the effect, one per line."""
        lines = [str(self), *(f"  {i}. {step}" for i, step in enumerate(self.steps, 1))]
        return "\n".join([*lines, *(f"  assumed: {text}" for text in self.assumptions)])


@dataclass(frozen=True, slots=True)
class NoEffect:
    """Why an outcome gives no between-arm effect."""

    trial: str
    outcome: str
    reason: str
