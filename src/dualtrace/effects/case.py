"""What a conversion starts from and ends in, and what all conversions share."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from dualtrace.effects.sizes import Sizes
from dualtrace.evidence.load import instruments
from dualtrace.evidence.record import Estimand
from dualtrace.evidence.statistic import Favours, Reported

if TYPE_CHECKING:
    from dualtrace.effects.effect import Metric
    from dualtrace.evidence.record import Contrast, Outcome, Trial

COUNTED = frozenset({Estimand.RESPONSE, Estimand.REMISSION, Estimand.ADVERSE_EVENT, Estimand.DROPOUT})
HARMS = frozenset({Estimand.ADVERSE_EVENT, Estimand.DROPOUT})
Z95 = 1.959963984540054
"""z of a two-sided p of .05."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An effect before it is tied to a trial."""

    sizes: Sizes
    steps: tuple[str, ...]
    yi: float | None = None
    vi: float = 0.0
    lower: float = -inf
    upper: float = inf
    p: float | None = None
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """What every conversion needs to know besides the report."""

    trial: Trial
    outcome: Outcome
    contrast: Contrast
    sizes: Sizes | None
    metric: Metric

    @property
    def harm(self) -> bool:
        """Whether the counted event is unwanted."""
        return self.outcome.estimand in HARMS


def sign_of(report: Reported) -> int | None:
    """Return +1 or −1 when the report names the side it favours."""
    return {Favours.TREATMENT: 1, Favours.REFERENCE: -1}.get(report.favours) if report.favours else None


def _benefit_of_lower(case: Case) -> bool | None:
    """Whether a lower score is better; None when the scales are unknown or disagree."""
    table = instruments()
    ways = {table[key].better for key in case.outcome.instruments if key in table}
    return ways == {"lower"} if len(ways) == 1 else None


def orient(difference: float, report: Reported, case: Case) -> tuple[float, str] | None:
    """Turn treatment minus reference into "positive favours treatment"."""
    sign = sign_of(report)
    if sign is not None:
        return sign * abs(difference), f"sign: the source says it favours the {report.favours}"
    lower_better = _benefit_of_lower(case)
    if lower_better is None:
        return None
    way = "lower" if lower_better else "higher"
    return (-difference if lower_better else difference), f"sign: {way} is better on {case.outcome.instruments[0]}"


def exact_p(report: Reported) -> float | None:
    """Return the printed p-value when it is not a bound."""
    return report.p.value if report.p is not None and report.p.relation == "=" else None


def standard_error(ci: tuple[float, float] | None, se: float | None) -> float | None:
    """Return the printed standard error, else the one behind a 95 % interval."""
    if se is not None:
        return se
    return None if ci is None else (ci[1] - ci[0]) / (2 * Z95)


def own_sizes(n1: int | None, n2: int | None, case: Case) -> Sizes | None:
    """Return the sizes printed with the result, else the record's."""
    if n1 is not None and n2 is not None and min(n1, n2) >= 2:
        return Sizes(float(n1), float(n2), f"n = {n1} v {n2} (printed with the result)")
    return case.sizes
