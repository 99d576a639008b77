"""Prior distributions: of the mean effect, and proper ones of the between-row standard deviation τ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from dualtrace.errors import InputError
from dualtrace.pooling.likelihood import LOG_2PI

if TYPE_CHECKING:
    from dualtrace.pooling.likelihood import Array


def log_t_density(z: Array, df: float) -> Array:
    """Log-density of Student's t with ``df`` degrees of freedom; the standard normal where they are infinite."""
    if np.isinf(df):
        return np.asarray(-0.5 * (z * z + LOG_2PI), dtype=np.float64)
    constant = special.gammaln(0.5 * (df + 1.0)) - special.gammaln(0.5 * df) - 0.5 * np.log(df * np.pi)
    return np.asarray(constant - 0.5 * (df + 1.0) * np.log1p(z * z / df), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class MeanPrior:
    """Normal prior of the mean effect; flat (improper) when the standard deviation is infinite.

    Attributes
    ----------
    mean, sd
        In units of the effect.
    """

    mean: float = 0.0
    sd: float = np.inf

    def __post_init__(self) -> None:
        if not (np.isfinite(self.mean) and self.sd > 0.0):
            raise InputError(
                "The prior of the mean needs a finite mean and a positive standard deviation (infinite for a flat "
                f"prior); given mean {self.mean:g}, sd {self.sd:g}."
            )

    @property
    def is_flat(self) -> bool:
        """Whether every mean is equally likely beforehand."""
        return bool(np.isinf(self.sd))

    def density(self, mu: Array | float) -> Array:
        """Density at ``mu``; NaN for the flat prior, whose density has no scale."""
        z = (np.asarray(mu, dtype=float) - self.mean) / self.sd
        return np.full(z.shape, np.nan) if self.is_flat else np.exp(-0.5 * (z * z + LOG_2PI)) / self.sd

    def __str__(self) -> str:
        return "flat" if self.is_flat else f"normal({self.mean:g}, {self.sd:g}²)"


@dataclass(frozen=True, slots=True)
class HalfT:
    """τ = scale·|T|, T of Student's t: half-Cauchy for df = 1, half-normal for df infinite.

    Attributes
    ----------
    scale
        In units of the effect.
    df
        Degrees of freedom.

    Source: Gelman 2006, doi:10.1214/06-BA117A.
    """

    scale: float
    df: float

    def __post_init__(self) -> None:
        _require(scale=self.scale, df=self.df)

    @property
    def finite_powers(self) -> tuple[float, bool]:
        """Powers of τ with a prior expectation: those below the first number, and it too where the second says so."""
        return self.df, False

    @property
    def is_monotone(self) -> bool:
        """Whether the density falls from a finite value at 0."""
        return True

    def log_density(self, log_tau: Array) -> Array:
        """Log-density of τ at exp(log_tau)."""
        value: Array = np.log(2.0 / self.scale) + log_t_density(np.exp(log_tau) / self.scale, self.df)
        return value

    def density(self, tau: Array | float) -> Array:
        """Density of τ."""
        z = np.asarray(tau, dtype=float) / self.scale
        return np.where(z < 0.0, 0.0, 2.0 / self.scale * np.exp(log_t_density(z, self.df)))

    def quantile(self, p: Array | float) -> Array:
        """τ below which it lies with probability p."""
        return np.asarray(self.scale * special.stdtrit(self.df, 0.5 * (1.0 + np.asarray(p))), dtype=np.float64)

    def __str__(self) -> str:
        if np.isinf(self.df):
            return f"half-normal({self.scale:g})"
        return f"half-Cauchy({self.scale:g})" if self.df == 1.0 else f"half-t({self.df:g}, {self.scale:g})"


@dataclass(frozen=True, slots=True)
class LogT:
    """log τ² = location + scale·T, T of Student's t: log-normal for df infinite.

    The parameters are those of log τ² because that is how the empirical priors are published.

    Attributes
    ----------
    location, scale
        Of log τ².
    df
        Degrees of freedom.
    """

    location: float
    scale: float
    df: float

    def __post_init__(self) -> None:
        if not np.isfinite(self.location):
            raise InputError(f"The location of log τ² must be a finite number; given {self.location:g}.")
        _require(scale=self.scale, df=self.df)

    @property
    def finite_powers(self) -> tuple[float, bool]:
        """Powers of τ with a prior expectation: those below the first number, and it too where the second says so."""
        return (np.inf, True) if np.isinf(self.df) else (0.0, True)

    @property
    def is_monotone(self) -> bool:
        """Whether the density falls from a finite value at 0."""
        return False

    def log_density(self, log_tau: Array) -> Array:
        """Log-density of τ at exp(log_tau); at τ = 0 its limit."""
        at_zero = np.isneginf(log_tau)
        x = np.where(at_zero, 0.0, log_tau)
        value = log_t_density((2.0 * x - self.location) / self.scale, self.df) + np.log(2.0 / self.scale) - x
        return np.where(at_zero, -np.inf if np.isinf(self.df) else np.inf, value)

    def density(self, tau: Array | float) -> Array:
        """Density of τ; at 0 it is 0 for the log-normal and infinite for every other."""
        with np.errstate(divide="ignore"):
            return np.exp(self.log_density(np.log(np.asarray(tau, dtype=float))))

    def quantile(self, p: Array | float) -> Array:
        """τ below which it lies with probability p."""
        z = special.stdtrit(self.df, np.asarray(p, dtype=float))
        return np.asarray(np.exp(0.5 * (self.location + self.scale * z)), dtype=np.float64)

    def __str__(self) -> str:
        if np.isinf(self.df):
            return f"log-normal({self.location:g}, {self.scale:g}²) for τ²"
        return f"log-t({self.location:g}, {self.scale:g}², {self.df:g}) for τ²"


TauPrior = HalfT | LogT
"""A proper prior of τ."""


def half_normal(scale: float) -> HalfT:
    """|N(0, scale²)|: scale 0.5 to 1 is weakly informative for log odds ratios and standardised differences.

    Source: Röver et al. 2021, doi:10.1002/jrsm.1475.
    """
    return HalfT(scale, np.inf)


def half_cauchy(scale: float) -> HalfT:
    """Half-Cauchy prior."""
    return HalfT(scale, 1.0)


def half_t(df: float, scale: float) -> HalfT:
    """Half-t prior."""
    return HalfT(scale, df)


def log_normal(location: float, scale: float) -> LogT:
    """Log-normal prior of τ², its parameters those of log τ²."""
    return LogT(location, scale, np.inf)


def log_t(location: float, scale: float, df: float = 5.0) -> LogT:
    """Log-t prior of τ², its parameters those of log τ²."""
    return LogT(location, scale, df)


def _require(**positive: float) -> None:
    """Refuse parameters that are not positive."""
    for name, value in positive.items():
        if not value > 0.0 or (name == "scale" and not np.isfinite(value)):
            raise InputError(f"The {name} of a prior of τ must be positive; given {value:g}.")
