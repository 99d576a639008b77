"""Covariance of a patient's scores over visits: unstructured, compound symmetry, first-order autoregressive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, final

import numpy as np

from dualtrace.analysis.reml import Covariances

if TYPE_CHECKING:
    from dualtrace.analysis.result import Array, Flags

Covariance = Literal["unstructured", "compound", "ar1"]
"""Every variance and covariance its own; one variance and one covariance; σ² ρ^|visits apart|."""


class Structure(Protocol):
    """A covariance matrix over visits as a function of parameters."""

    @property
    def linear(self) -> bool:
        """Whether the matrix is linear in its parameters."""
        ...

    def start(self, rough: Array) -> Array:
        """Parameters near a rough, positive definite covariance matrix (m, m)."""
        ...

    def matrix(self, theta: Array) -> Array:
        """Covariance matrix, (m, m)."""
        ...

    def first(self, theta: Array) -> Array:
        """Its derivatives, (K, m, m)."""
        ...

    def second(self, theta: Array) -> Array | None:
        """Its second derivatives, (K, K, m, m); None where all are zero."""
        ...


@final
@dataclass(frozen=True, slots=True)
class Unstructured:
    """Every variance and covariance of m visits its own parameter: the lower triangle, row by row."""

    m: int

    @property
    def linear(self) -> bool:
        """Always."""
        return True

    def start(self, rough: Array) -> Array:
        """Lower triangle of the rough matrix."""
        return np.asarray(rough[np.tril_indices(self.m)], dtype=np.float64)

    def matrix(self, theta: Array) -> Array:
        """Symmetric matrix with this lower triangle."""
        found = np.zeros((self.m, self.m))
        found[np.tril_indices(self.m)] = theta
        return np.asarray(found + np.tril(found, -1).T, dtype=np.float64)

    def first(self, theta: Array) -> Array:
        """Ones at the places of each parameter."""
        rows, columns = np.tril_indices(self.m)
        found, at = np.zeros((theta.size, self.m, self.m)), np.arange(theta.size)
        found[at, rows, columns] = found[at, columns, rows] = 1.0
        return found

    def second(self, theta: Array) -> None:  # noqa: ARG002
        """All zero."""
        return


@final
@dataclass(frozen=True, slots=True)
class Compound:
    """One covariance c between any two of m visits, and what a variance exceeds it by: cJ + eI."""

    m: int

    @property
    def linear(self) -> bool:
        """Always."""
        return True

    def start(self, rough: Array) -> Array:
        """Mean covariance (0 at least), and the rest of the mean variance."""
        variance = float(np.mean(np.diag(rough)))
        between = float((rough.sum() - np.trace(rough)) / (self.m * (self.m - 1)))
        between = min(max(between, 0.0), 0.95 * variance)
        return np.array([between, variance - between])

    def matrix(self, theta: Array) -> Array:
        """Matrix cJ + eI."""
        return np.asarray(theta[0] + theta[1] * np.eye(self.m), dtype=np.float64)

    def first(self, theta: Array) -> Array:  # noqa: ARG002
        """J and I."""
        return np.stack([np.ones((self.m, self.m)), np.eye(self.m)])

    def second(self, theta: Array) -> None:  # noqa: ARG002
        """All zero."""
        return


@final
@dataclass(frozen=True, slots=True)
class Autoregressive:
    """σ² ρ^|i - j| of m equally spaced visits; parameters σ² and ρ."""

    m: int

    @property
    def linear(self) -> bool:
        """Never."""
        return False

    def start(self, rough: Array) -> Array:
        """Mean variance, and the mean correlation of neighbours."""
        sd = np.sqrt(np.diag(rough))
        neighbours = np.diag(rough / np.outer(sd, sd), 1)
        return np.array([float(np.mean(sd**2)), float(np.clip(np.mean(neighbours), -0.9, 0.9))])

    def matrix(self, theta: Array) -> Array:
        """σ² ρ^|i - j|."""
        return np.asarray(theta[0] * theta[1] ** self._apart(), dtype=np.float64)

    def first(self, theta: Array) -> Array:
        """ρ^d and σ² d ρ^(d-1)."""
        return np.stack([theta[1] ** self._apart(), theta[0] * self._slope(theta[1])])

    def second(self, theta: Array) -> Array:
        """Zero in σ² twice, d ρ^(d-1) mixed, σ² d (d-1) ρ^(d-2) in ρ twice."""
        d, rho = self._apart(), theta[1]
        mixed = self._slope(rho)
        twice = theta[0] * d * (d - 1) * rho ** np.maximum(d - 2, 0)
        return np.stack([np.stack([np.zeros_like(mixed), mixed]), np.stack([mixed, twice])])

    def _apart(self) -> Array:
        at = np.arange(self.m)
        return np.asarray(np.abs(at[:, None] - at), dtype=np.float64)

    def _slope(self, rho: float) -> Array:
        d = self._apart()
        return np.asarray(d * rho ** np.maximum(d - 1.0, 0.0), dtype=np.float64)


@final
@dataclass(frozen=True, slots=True)
class Observed:
    """A structure as the patterns of visits show it.

    Attributes
    ----------
    structure
        Covariance over all m visits.
    there
        Visits that each pattern holds, (G, m).
    """

    structure: Structure
    there: Flags

    def at(self, theta: Array) -> Covariances:
        """Covariances of the visits that are there; the identity elsewhere."""
        both = self.there[:, :, None] & self.there[:, None, :]
        absent = np.eye(self.there.shape[1]) * ~self.there[:, :, None]
        second = self.structure.second(theta)
        return Covariances(
            np.where(both, self.structure.matrix(theta), 0.0) + absent,
            np.where(both, self.structure.first(theta)[:, None], 0.0),
            None if second is None else np.where(both, second[:, :, None], 0.0),
        )


def structure(name: Covariance, visits: int) -> Structure:
    """The structure of that name; a single visit has one variance, whatever the name."""
    if name == "unstructured" or visits == 1:
        return Unstructured(visits)
    return Compound(visits) if name == "compound" else Autoregressive(visits)
