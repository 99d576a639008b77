"""Priors as a user types them: ``half-normal(0.5)``, ``turner(mental_health)``, ``normal(0, 2)``, ``flat``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dualtrace.errors import InputError
from dualtrace.pooling.bayesian.empirical import rhodes, turner
from dualtrace.pooling.bayesian.priors import (
    MeanPrior,
    TauPrior,
    half_cauchy,
    half_normal,
    half_t,
    log_normal,
    log_t,
)

if TYPE_CHECKING:
    from collections.abc import Callable

NUMERIC: dict[str, tuple[int, Callable[..., TauPrior]]] = {
    "half-normal": (1, half_normal),
    "half-cauchy": (1, half_cauchy),
    "half-t": (2, half_t),
    "log-normal": (2, log_normal),
    "log-t": (3, log_t),
}
EMPIRICAL: dict[str, Callable[..., TauPrior]] = {"turner": turner, "rhodes": rhodes}

TAU_HELP = (
    "half-normal(S), half-cauchy(S), half-t(DF, S), log-normal(M, S) or log-t(M, S, DF) of tau²; empirical: turner "
    "or rhodes, of any outcome, or turner(OUTCOME, COMPARISON)"
)


def tau_prior(text: str) -> TauPrior:
    """Read a prior of τ.

    Raises
    ------
    InputError
        Saying which forms there are.
    """
    name, arguments = _call(text)
    if name in EMPIRICAL:
        if len(arguments) > 2:
            raise InputError(f"{name} takes an outcome and a comparison; given {text!r}")
        return EMPIRICAL[name](*arguments)
    if name not in NUMERIC:
        raise InputError(f"a prior of tau must be {TAU_HELP}; given {text!r}")
    count, make = NUMERIC[name]
    return make(*_numbers(arguments, count, text))


def mean_prior(text: str) -> MeanPrior:
    """Read a prior of the mean: ``flat`` or ``normal(MEAN, SD)``.

    Raises
    ------
    InputError
        When it is neither.
    """
    name, arguments = _call(text)
    if name == "flat" and not arguments:
        return MeanPrior()
    if name != "normal":
        raise InputError(f"a prior of the mean must be flat or normal(MEAN, SD); given {text!r}")
    mean, sd = _numbers(arguments, 2, text)
    return MeanPrior(mean, sd)


def usual(metric: str) -> tuple[TauPrior, ...]:
    """Priors to compare when sensitivity is asked for; the empirical one fits the metric where there is one."""
    weak = (half_normal(0.5), half_normal(1.0), half_cauchy(0.5))
    empirical = {"SMD": rhodes, "OR": turner}.get(metric)
    return weak if empirical is None else (*weak, empirical("mental_health"))


def _call(text: str) -> tuple[str, list[str]]:
    """``name(a, b)`` as a name and its arguments."""
    match = re.fullmatch(r"\s*([A-Za-z_-]+)\s*(?:\(([^()]*)\))?\s*", text)
    if match is None:
        raise InputError(f"a prior must read NAME or NAME(NUMBER, ...); given {text!r}")
    inside = match[2] or ""
    return match[1].lower().replace("_", "-"), [part.strip() for part in inside.split(",") if part.strip()]


def _numbers(arguments: list[str], count: int, text: str) -> list[float]:
    try:
        values = [float(part) for part in arguments]
    except ValueError:
        values = []
    if len(values) != count:
        raise InputError(f"{text!r} needs {count} number{'s' if count > 1 else ''} in parentheses")
    return values
