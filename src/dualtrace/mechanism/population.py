"""Random people: log-normal deviations of the kinetic parameters, and covariates, from an explicit seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dualtrace.errors import InputError
from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.plasma import Covariates, Deviations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dualtrace.mechanism.arrays import Array
    from dualtrace.mechanism.parameters import Lookup


@dataclass(frozen=True, slots=True)
class CovariateSpread:
    """Joint normal of weight (kg) and creatinine clearance (mL/min), cut at a quarter of the mean."""

    weight_mean: float
    weight_sd: float
    crcl_mean: float
    crcl_sd: float
    correlation: float

    def __post_init__(self) -> None:
        if min(self.weight_mean, self.crcl_mean) <= 0 or min(self.weight_sd, self.crcl_sd) < 0:
            raise InputError(
                f"means must be positive and SDs 0 or more; given weight "
                f"{self.weight_mean:g} ({self.weight_sd:g}) kg, "
                f"creatinine clearance {self.crcl_mean:g} ({self.crcl_sd:g}) mL/min"
            )
        if not -1 < self.correlation < 1:
            raise InputError(f"a correlation must lie between -1 and 1; given {self.correlation:g}")


def draw_covariates(spread: CovariateSpread, *, count: int, tb_patient: bool, seed: int) -> Covariates:
    """Weights and creatinine clearances of ``count`` adults."""
    generator = np.random.default_rng(seed)
    first, second = generator.standard_normal((2, count))
    second = spread.correlation * first + np.sqrt(1 - spread.correlation**2) * second
    weight = np.maximum(spread.weight_mean + spread.weight_sd * first, spread.weight_mean / 4)
    crcl = np.maximum(spread.crcl_mean + spread.crcl_sd * second, spread.crcl_mean / 4)
    ones = np.ones(count)
    return Covariates(weight, crcl, float(tb_patient) * ones, 0 * ones, weight)


def draw_deviations(lookup: Lookup, *, count: int, seed: int) -> Deviations:
    """Random people of :func:`deviations_of`."""
    return deviations_of(lookup, _normals(5, count, seed))


def deviations_of(lookup: Lookup, normals: Sequence[Array]) -> Deviations:
    """Between-person deviations of Alghamdi's model, and one occasion's deviation of clearance, from five normals.

    Independent normals of the logarithm with the SDs ``plasma.omega_*`` and ``plasma.gamma_clearance``.
    """
    scales = (
        "plasma.omega_clearance",
        "plasma.omega_volume",
        "plasma.omega_absorption",
        "plasma.omega_lag",
        "plasma.gamma_clearance",
    )
    return Deviations(*(lookup(name, "1") * row for name, row in zip(scales, normals, strict=True)))


def draw_transit_deviations(lookup: Lookup, *, count: int, seed: int) -> Deviations:
    """Random people of :func:`transit_deviations_of`."""
    return transit_deviations_of(lookup, _normals(4, count, seed))


def transit_deviations_of(lookup: Lookup, normals: Sequence[Array]) -> Deviations:
    """Deviations of Resendiz-Galvan's model from four normals: clearance between people, the rest between occasions.

    Bioavailability ``exp(f)`` divides apparent clearance and volume alike. A dose is one occasion.
    """
    scales = ("omega_clearance", "kappa_bioavailability", "kappa_absorption", "kappa_time")
    own, available, rate, time = (
        lookup(f"transit.{name}", "1") * row for name, row in zip(scales, normals, strict=True)
    )
    return Deviations(own - available, -available, rate, time, 0 * own)


def draw_agent_deviations(spread: Mapping[str, float], *, count: int, seed: int) -> Deviations:
    """Random people of :func:`agent_deviations_of`."""
    return agent_deviations_of(spread, _normals(4, count, seed))


def agent_deviations_of(spread: Mapping[str, float], normals: Sequence[Array]) -> Deviations:
    """Deviations of a user's agent from four normals: log SDs of clearance, volume, absorption and lag by name."""
    names = ("clearance", "volume", "absorption", "lag")
    return Deviations(*(spread[name] * row for name, row in zip(names, normals, strict=True)))


def _normals(rows: int, count: int, seed: int) -> list[Array]:
    return [xp.asarray(row) for row in np.random.default_rng(seed).standard_normal((rows, count))]


def band(values: NDArray[np.float64], levels: tuple[float, ...] = (0.05, 0.5, 0.95)) -> NDArray[np.float64]:
    """Quantiles over the last axis (the people), one row per level."""
    ordered = np.sort(values, axis=-1)  # np.quantile loads numpy.ma first, 0.05 s
    place = np.asarray(levels) * (ordered.shape[-1] - 1)
    below = np.floor(place).astype(int)
    low, high = (np.moveaxis(ordered[..., at], -1, 0) for at in (below, np.ceil(place).astype(int)))
    return low + np.reshape(place - below, (-1,) + (1,) * (low.ndim - 1)) * (high - low)
