"""Priors of parameters: one small frozen type each, with the quantile function that sampling needs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from dualtrace.frozen import Frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

Positive = Annotated[float, Field(gt=0)]


class Prior(Frozen):
    """What is believed about a parameter before the trials are seen (abstract)."""

    kind: str

    def quantile(self, probability: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values below which the given probabilities lie."""
        raise TypeError(f"a prior of kind {self.kind!r} has no quantiles; {probability.size} were asked for")


class Fixed(Prior):
    """A constant by definition or by the published model."""

    kind: Literal["fixed"] = "fixed"


class Bounded(Prior):
    """A prior between two bounds (abstract)."""

    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Bounded:
        _require_order(self.low, self.high)
        return self


class Uniform(Bounded):
    """Even between two bounds."""

    kind: Literal["uniform"] = "uniform"

    def quantile(self, probability: NDArray[np.float64]) -> NDArray[np.float64]:
        """``low + p (high - low)``."""
        return np.asarray(self.low + probability * (self.high - self.low))


class LogUniform(Bounded):
    """Even in the logarithm between two positive bounds."""

    kind: Literal["loguniform"] = "loguniform"
    low: Positive
    high: Positive

    def quantile(self, probability: NDArray[np.float64]) -> NDArray[np.float64]:
        """``low (high / low)^p``."""
        return np.asarray(self.low * (self.high / self.low) ** probability)


class Normal(Prior):
    """Gaussian with mean and standard deviation."""

    kind: Literal["normal"] = "normal"
    mean: float
    sd: Positive

    def quantile(self, probability: NDArray[np.float64]) -> NDArray[np.float64]:
        """``mean + sd z_p``."""
        return np.asarray(self.mean + self.sd * _normal_quantile(probability))


class LogNormal(Prior):
    """Log-normal with median and standard deviation of the logarithm."""

    kind: Literal["lognormal"] = "lognormal"
    median: Positive
    log_sd: Positive

    def quantile(self, probability: NDArray[np.float64]) -> NDArray[np.float64]:
        """``median exp(log_sd z_p)``."""
        return np.asarray(self.median * np.exp(self.log_sd * _normal_quantile(probability)))


class TruncatedBeta(Prior):
    """Beta(a, b) cut to an interval inside 0 to 1."""

    kind: Literal["beta"] = "beta"
    a: Positive
    b: Positive
    low: Annotated[float, Field(ge=0)]
    high: Annotated[float, Field(le=1)]

    @model_validator(mode="after")
    def _ordered(self) -> TruncatedBeta:
        _require_order(self.low, self.high)
        return self

    def quantile(self, probability: NDArray[np.float64]) -> NDArray[np.float64]:
        """Beta quantile of the probability mapped into the kept interval."""
        from scipy.special import betainc, betaincinv

        floor, ceiling = betainc(self.a, self.b, self.low), betainc(self.a, self.b, self.high)
        return np.asarray(betaincinv(self.a, self.b, floor + probability * (ceiling - floor)))


_KINDS: dict[str, tuple[type[Prior], tuple[str, ...]]] = {
    "normal": (Normal, ("mean", "sd")),
    "lognormal": (LogNormal, ("median", "log_sd")),
    "uniform": (Uniform, ("low", "high")),
    "loguniform": (LogUniform, ("low", "high")),
    "beta": (TruncatedBeta, ("a", "b", "low", "high")),
}


def read_prior(given: Any) -> Prior:  # noqa: ANN401
    """Read ``fixed`` or ``{kind: [numbers]}`` as it stands in ``parameters.yaml``.

    Raises
    ------
    ValueError
        The kind is unknown or the count of numbers is wrong.
    """
    if given == "fixed":
        return Fixed()
    if not isinstance(given, dict) or len(given) != 1:
        raise ValueError(f"a prior is 'fixed' or one of {', '.join(_KINDS)} with its numbers; given {given!r}")
    ((kind, numbers),) = given.items()
    if kind not in _KINDS:
        raise ValueError(f"unknown prior {kind!r}; use fixed, {', '.join(_KINDS)}")
    prior, fields = _KINDS[kind]
    if not isinstance(numbers, list) or len(numbers) != len(fields):
        raise ValueError(f"a {kind} prior takes [{', '.join(fields)}]; given {numbers!r}")
    return prior.model_validate(dict(zip(fields, numbers, strict=True)))


def _normal_quantile(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import ndtri

    return np.asarray(ndtri(probability))


def _require_order(low: float, high: float) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"low ({low:g}) must be below high ({high:g})")
