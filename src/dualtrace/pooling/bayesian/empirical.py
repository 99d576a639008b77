"""Priors of τ² from what was found in thousands of published meta-analyses.

The numbers are those of Turner et al. 2015, table IV (log odds ratios), and of Rhodes et al. 2015, table 3
(standardised mean differences, medical areas other than cancer and respiratory disease). They were taken over
where two independent transcriptions agree.
"""

from __future__ import annotations

from typing import Literal

from dualtrace.errors import InputError
from dualtrace.pooling.bayesian.priors import LogT, log_normal, log_t

Comparison = Literal["drug_placebo", "drug_drug", "nondrug_placebo", "nondrug_drug", "nondrug_nondrug"]
"""What is compared with what; control counts as placebo, and nondrug is any non-pharmacological treatment."""

COMPARISONS: tuple[Comparison, ...] = (
    "drug_placebo", "drug_drug", "nondrug_placebo", "nondrug_drug", "nondrug_nondrug"
)  # fmt: skip

# fmt: off
TURNER: dict[str, tuple[tuple[float, float], ...]] = {
    "mortality":       ((-3.95, 1.34), (-4.18, 1.41), (-4.17, 1.55), (-2.92, 1.02), (-3.50, 1.26)),
    "obstetric":       ((-3.52, 1.74), (-3.75, 1.79), (-3.74, 1.91), (-2.49, 1.50), (-3.08, 1.68)),
    "major_morbidity": ((-3.71, 1.74), (-3.95, 1.79), (-3.93, 1.91), (-2.68, 1.51), (-3.27, 1.68)),
    "resource_use":    ((-2.34, 1.74), (-2.58, 1.79), (-2.56, 1.91), (-1.31, 1.50), (-1.90, 1.68)),
    "surgical":        ((-2.14, 1.74), (-2.37, 1.79), (-2.36, 1.91), (-1.11, 1.50), (-1.69, 1.68)),
    "withdrawal":      ((-2.99, 1.74), (-3.23, 1.79), (-3.21, 1.91), (-1.96, 1.51), (-2.55, 1.68)),
    "structure":       ((-2.71, 1.74), (-2.94, 1.79), (-2.93, 1.92), (-1.67, 1.51), (-2.26, 1.68)),
    "physical_health": ((-2.29, 1.53), (-2.53, 1.58), (-2.51, 1.72), (-1.26, 1.25), (-1.85, 1.46)),
    "adverse_event":   ((-1.87, 1.52), (-2.10, 1.58), (-2.10, 1.71), (-0.84, 1.24), (-1.43, 1.45)),
    "new_disease":     ((-2.49, 1.52), (-2.73, 1.58), (-2.71, 1.71), (-1.46, 1.24), (-2.05, 1.45)),
    "symptoms":        ((-2.06, 1.51), (-2.29, 1.58), (-2.28, 1.71), (-1.03, 1.24), (-1.61, 1.45)),
    "pain":            ((-1.83, 1.52), (-2.06, 1.58), (-2.05, 1.71), (-0.80, 1.25), (-1.38, 1.45)),
    "quality_of_life": ((-2.54, 1.54), (-2.78, 1.60), (-2.77, 1.73), (-1.51, 1.27), (-2.10, 1.47)),
    "mental_health":   ((-2.12, 1.53), (-2.35, 1.60), (-2.34, 1.72), (-1.09, 1.27), (-1.67, 1.47)),
    "biomarker":       ((-1.77, 1.52), (-2.00, 1.58), (-1.99, 1.71), (-0.74, 1.24), (-1.33, 1.45)),
    "subjective":      ((-2.70, 1.52), (-2.93, 1.58), (-2.92, 1.71), (-1.67, 1.25), (-2.26, 1.45)),
}
"""Location and scale of log τ², log odds ratios: one pair per comparison, in the order of ``COMPARISONS``."""

TURNER_ANY = (-2.56, 1.74)
"""Location and scale of log τ² in any setting, log odds ratios."""

RHODES: dict[str, tuple[tuple[float, float], ...]] = {
    "obstetric":     ((-4.13, 2.34), (-4.40, 2.31), (-3.99, 2.11)),
    "resource_use":  ((-2.55, 2.73), (-2.83, 2.70), (-2.41, 2.57)),
    "structure":     ((-2.43, 2.50), (-2.70, 2.46), (-2.29, 2.32)),
    "physical_health": ((-3.16, 2.50), (-3.44, 2.44), (-3.02, 2.27)),
    "symptoms":      ((-3.00, 2.50), (-3.27, 2.47), (-2.86, 2.33)),
    # The third location is printed as -3.85; the pattern of the table would make it -2.85.
    "mental_health": ((-2.99, 2.16), (-3.27, 2.14), (-3.85, 1.93)),
    "biomarker":     ((-3.41, 2.83), (-3.68, 2.78), (-3.27, 2.66)),
    "subjective":    ((-2.76, 2.58), (-3.03, 2.59), (-2.62, 2.41)),
}
"""Location and scale of log τ² (t with 5 degrees of freedom), standardised mean differences: drug against
placebo, drug against drug, anything non-pharmacological. ``physical_health`` includes adverse events, pain and
quality of life; ``symptoms`` includes new disease."""

RHODES_ANY = (-3.44, 2.59)
"""Location and scale of log τ² in any setting, standardised mean differences."""
# fmt: on


def turner(outcome: str | None = None, comparison: Comparison = "drug_placebo") -> LogT:
    """Log-normal prior of τ² for log odds ratios, by type of outcome and of comparison.

    Parameters
    ----------
    outcome
        A key of ``TURNER``; absent: any outcome and comparison.
    comparison
        One of ``COMPARISONS``.

    Raises
    ------
    InputError
        If there is no such outcome or comparison.

    Source: Turner et al. 2015, doi:10.1002/sim.6381.
    """
    column = _comparison(comparison)
    return log_normal(*(TURNER_ANY if outcome is None else _outcome(outcome, TURNER)[column]))


def rhodes(outcome: str | None = None, comparison: Comparison = "drug_placebo") -> LogT:
    """Log-t prior (5 degrees of freedom) of τ² for standardised mean differences.

    Parameters
    ----------
    outcome
        A key of ``RHODES``; absent: any outcome and comparison.
    comparison
        One of ``COMPARISONS``; all that are not between drugs or against placebo share one prior.

    Raises
    ------
    InputError
        If there is no such outcome or comparison.

    Source: Rhodes et al. 2015, doi:10.1016/j.jclinepi.2014.08.012.
    """
    column = min(_comparison(comparison), 2)
    return log_t(*(RHODES_ANY if outcome is None else _outcome(outcome, RHODES)[column]))


def _comparison(name: str) -> int:
    if name not in COMPARISONS:
        raise InputError(f"comparison must be one of {', '.join(COMPARISONS)}; given {name!r}.")
    return COMPARISONS.index(name)


def _outcome(name: str, priors: dict[str, tuple[tuple[float, float], ...]]) -> tuple[tuple[float, float], ...]:
    if name not in priors:
        raise InputError(f"outcome must be one of {', '.join(priors)}; given {name!r}.")
    return priors[name]
