"""Structured covariance matrices of random effects, as smooth functions of unbounded parameters.

A random term has one matrix Ψ, (J, J): the covariance of its J effects within one group. Ψ has few different
entries g, and the likelihood is written in these; here g is written in parameters θ that may take any value.
Standard deviations enter with either sign or as squares, correlations through a sine, unstructured matrices through a
triangular root. A variance of 0 and a correlation at its limit are then ordinary stationary points inside the
space of θ, with curvature, and a Newton search walks onto them exactly instead of stopping somewhere before.

Sources: Pinheiro & Bates 1996, doi:10.1007/BF00140873 (parametrisations);
Jennrich & Schluchter 1986, doi:10.2307/2530695 (structures).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from dualtrace.errors import InputError

if TYPE_CHECKING:
    from dualtrace.pooling.likelihood import Array, Ints

Struct = Literal["ID", "DIAG", "UN", "CS", "HCS", "AR", "HAR", "CAR"]
"""Identity, diagonal, unstructured, compound symmetry, autoregression; H: a variance for each inner level."""

INSIDE = 0.95
"""Searches begin inside the space: a sine of ±1 is a stationary point already."""

INSIDE_VARIANCE = 1e-2
"""So is a standard deviation of 0: the least variance to begin with, in units of a typical sampling variance."""


class Entries(NamedTuple):
    """Entries of Ψ for s parameter vectors of length n, with derivatives in the parameters."""

    value: Array  # (s, A)
    first: Array  # (s, A, n)
    second: Array  # (s, A, n, n)


class Held(NamedTuple):
    """One variance or correlation kept at a value: its place in ``Shape.components`` and the value."""

    component: int
    value: float


class Component(NamedTuple):
    """One variance, or one correlation, of a structure; where in Ψ it stands."""

    kind: Literal["variance", "correlation"]
    row: int
    column: int


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """The pattern of Ψ: which cells share an entry, and which numbers describe it.

    Attributes
    ----------
    struct
        Structure.
    code
        Number of the entry each cell of Ψ holds, -1 where the cell is 0, (J, J).
    row, column
        One cell for each entry, (A,).
    distance
        Power of the correlation in each entry; 0 for variances, (A,).
    components
        Variances, then correlations.
    low, high
        Limits of the correlation.
    """

    struct: Struct
    code: Ints
    row: Ints
    column: Ints
    distance: Array
    components: tuple[Component, ...]
    low: float
    high: float

    @property
    def size(self) -> int:
        """J."""
        return int(self.code.shape[0])

    @property
    def entries(self) -> int:
        """A."""
        return int(self.row.size)

    def matrix(self, entries: Array) -> Array:
        """Ψ from its entries, (..., A) to (..., J, J)."""
        filled = np.concatenate([entries, np.zeros_like(entries[..., :1])], axis=-1)
        psi: Array = filled[..., self.code]
        return psi


def shape(struct: Struct, size: int, positions: Array | None = None) -> Shape:
    """Pattern of a J x J matrix.

    Parameters
    ----------
    struct
        Structure.
    size
        J.
    positions
        Times of the inner levels under AR, HAR and CAR, increasing, (J,); 0, 1, ... when absent.
    """
    i, j = np.indices((size, size))
    where = np.arange(size, dtype=float) if positions is None else positions
    apart = np.abs(where[:, None] - where[None, :])
    if struct in {"CS", "HCS"}:
        apart = (apart > 0.0).astype(float)
    if struct in {"ID", "DIAG"}:  # cells off the diagonal belong together too, and are dropped below
        key = np.stack([(i != j) * size + (i == j) * i * (struct == "DIAG"), i * 0], axis=-1).astype(float)
    elif struct in {"CS", "AR", "CAR"}:
        key = np.stack([apart, 0.0 * apart], axis=-1)
    else:
        key = np.stack([np.minimum(i, j), np.maximum(i, j)], axis=-1).astype(float)
    _, first, code = np.unique(key.reshape(-1, 2), axis=0, return_index=True, return_inverse=True)
    code = code.reshape(size, size)
    if struct in {"ID", "DIAG"}:
        code = np.where(i == j, code, -1)
        first = first[: size if struct == "DIAG" else 1]
    low = -1.0 / (size - 1) if struct in {"CS", "HCS"} and size > 1 else -1.0
    return Shape(
        struct=struct,
        code=code.astype(np.intp),
        row=(first // size).astype(np.intp),
        column=(first % size).astype(np.intp),
        distance=apart.ravel()[first] if struct not in {"ID", "DIAG", "UN"} else np.zeros(first.size),
        components=_components(struct, size),
        low=0.0 if struct == "CAR" else low,
        high=1.0,
    )


def _components(struct: Struct, size: int) -> tuple[Component, ...]:
    """Variances and correlations of a structure."""
    several = struct in {"DIAG", "UN", "HCS", "HAR"}
    variances = [Component("variance", j, j) for j in range(size if several else 1)]
    pairs = [(i, j) for i in range(size) for j in range(i + 1, size)]
    if struct in {"ID", "DIAG"}:
        pairs = []
    elif struct != "UN":
        pairs = pairs[:1]
    return (*variances, *(Component("correlation", i, j) for i, j in pairs))


@dataclass(frozen=True, slots=True, eq=False)
class Root:
    """Ψ = LL' with L linear in θ: identity, diagonal and unstructured matrices.

    Attributes
    ----------
    shape
        Pattern of Ψ.
    base
        L at θ = 0, (J, J); not 0 where a component is held.
    directions
        ∂L/∂θ, (n, J, J).
    order
        Order of the inner levels in which L is triangular, (J,).
    """

    shape: Shape
    base: Array
    directions: Array
    order: Ints

    @property
    def n(self) -> int:
        """Parameters."""
        return int(self.directions.shape[0])

    def entries(self, theta: Array) -> Entries:
        """g_a = l_i'l_j with l_i the rows of L.

        ∂g/∂θ_m = B_m,i'l_j + l_i'B_m,j,   ∂²g/∂θ_m∂θ_n = B_m,i'B_n,j + B_n,i'B_m,j.
        """
        root = self.base + np.tensordot(theta, self.directions, axes=1)
        i, j = self.shape.row, self.shape.column
        bi, bj = self.directions[:, i], self.directions[:, j]  # (n, A, J)
        value = np.einsum("saj,saj->sa", root[:, i], root[:, j])
        first = np.einsum("naj,saj->san", bi, root[:, j]) + np.einsum("naj,saj->san", bj, root[:, i])
        half = np.einsum("maj,naj->amn", bi, bj)
        second = np.broadcast_to(half + half.swapaxes(1, 2), (theta.shape[0], *half.shape))
        return Entries(value, first, second)

    def start(self, psi: Array) -> Array:
        """Parameters near a given Ψ but inside the space, (n,)."""
        small = INSIDE_VARIANCE * np.eye(self.shape.size)
        ordered = (psi + small)[np.ix_(self.order, self.order)]
        root = np.zeros_like(psi)
        root[self.order] = np.linalg.cholesky(ordered)
        size = np.einsum("nij,nij->n", self.directions, self.directions)
        begin: Array = np.einsum("nij,ij->n", self.directions, root) / size
        return begin


@dataclass(frozen=True, slots=True, eq=False)
class Powers:
    """Ψ_ij = s_i s_j ρ^d(i,j): compound symmetry and autoregression.

    Several standard deviations enter as squares w², because their signs would otherwise turn single correlations
    around; a common one enters as it is. ρ runs over its limits as their middle plus half their distance times
    sin φ. Under CAR the parameter is the
    correlation at the smallest distance, so that no power is below 1 and ρ = 0 stays a smooth point.

    Attributes
    ----------
    shape
        Pattern of Ψ.
    first_sd, second_sd
        Which standard deviations each entry multiplies, (A,).
    power
        Power of the correlation at the smallest distance in each entry, (A,).
    sds
        Number of standard deviations.
    fixed
        Parameters (standard deviations, then φ), NaN where free, (sds + 1,).
    """

    shape: Shape
    first_sd: Ints
    second_sd: Ints
    power: Array
    sds: int
    fixed: Array

    @property
    def n(self) -> int:
        """Free parameters."""
        return int(np.isnan(self.fixed).sum())

    def _spread(self, theta: Array) -> tuple[Array, Array]:
        """Parameters of all standard deviations (s, sds) and φ, (s,)."""
        full = np.tile(self.fixed, (theta.shape[0], 1))
        full[:, np.isnan(self.fixed)] = theta
        return full[:, :-1], full[:, -1]

    def entries(self, theta: Array) -> Entries:
        """Entries with derivatives by the product rule."""
        w, phi = self._spread(theta)
        sd = w**2 if self.sds > 1 else w
        middle, half = 0.5 * (self.shape.high + self.shape.low), 0.5 * (self.shape.high - self.shape.low)
        rho = np.clip(middle + half * np.sin(phi), self.shape.low, self.shape.high)[:, None]
        slope, bend = half * np.cos(phi)[:, None], -half * np.sin(phi)[:, None]
        d = self.power
        c = rho**d
        c1 = d * rho ** np.maximum(d - 1.0, 0.0)
        c2 = d * (d - 1.0) * np.where(d >= 2.0, rho ** np.maximum(d - 2.0, 0.0), _steep(rho, d - 2.0))
        by_phi, by_phi2 = c1 * slope, c2 * slope**2 + c1 * bend
        a = np.arange(d.size)
        left, right = sd[:, self.first_sd], sd[:, self.second_sd]
        n = self.sds + 1
        first = np.zeros((*c.shape, n))
        second = np.zeros((*c.shape, n, n))
        first[:, a, self.first_sd] += right * c
        first[:, a, self.second_sd] += left * c
        first[:, a, -1] = left * right * by_phi
        second[:, a, self.first_sd, self.second_sd] += c
        second[:, a, self.second_sd, self.first_sd] += c
        for one, other in ((self.first_sd, right), (self.second_sd, left)):
            second[:, a, one, -1] += other * by_phi
            second[:, a, -1, one] += other * by_phi
        second[:, a, -1, -1] = left * right * by_phi2
        if self.sds > 1:
            _by_squares(w, first, second)
        free = np.isnan(self.fixed)
        return Entries(left * right * c, first[:, :, free], second[:, :, free][:, :, :, free])

    def start(self, psi: Array) -> Array:
        """Parameters near a given Ψ but inside the space, (n,)."""
        variances = np.diag(psi) if self.sds > 1 else np.diag(psi)[:1]
        sd = np.maximum(variances, INSIDE_VARIANCE) ** (0.25 if self.sds > 1 else 0.5)
        a = int(np.argmin(np.where(self.power > 0.0, self.power, np.inf)))
        i, j = self.shape.row[a], self.shape.column[a]
        product = np.sqrt(psi[i, i] * psi[j, j])
        rho = psi[i, j] / product if product > 0.0 and i != j else 0.0
        middle, half = 0.5 * (self.shape.high + self.shape.low), 0.5 * (self.shape.high - self.shape.low)
        phi = np.arcsin(np.clip((rho - middle) / half, -INSIDE, INSIDE))
        return np.array([*sd, phi])[np.isnan(self.fixed)]


def _by_squares(w: Array, first: Array, second: Array) -> None:
    """Derivatives in standard deviations turned, in place, into derivatives in w with standard deviations w²."""
    n = w.shape[1]
    inner = 2.0 * w
    at = np.arange(n)
    second[:, :, :n, :] *= inner[:, None, :, None]
    second[:, :, :, :n] *= inner[:, None, None, :]
    second[:, :, at, at] += 2.0 * first[:, :, :n]
    first[:, :, :n] *= inner[:, None, :]


def _steep(rho: Array, power: Array) -> Array:
    """ρ to a negative power, 0 at ρ = 0, where its factor vanishes or the search never rests."""
    safe = np.where(rho == 0.0, 1.0, rho)
    steep: Array = np.where(rho == 0.0, 0.0, np.abs(safe) ** power)
    return steep


Covariance = Root | Powers
"""Ψ as a function of free parameters."""


def covariance(pattern: Shape, held: tuple[Held, ...] = ()) -> Covariance:
    """Ψ in free parameters, with components held at values.

    Raises
    ------
    InputError
        If two components of an unstructured matrix are held.
    """
    if pattern.struct in {"ID", "DIAG"}:
        return _diagonal(pattern, held)
    if pattern.struct == "UN":
        if len(held) > 1:
            raise InputError(f"One component of an unstructured matrix can be held at a time; given {len(held)}.")
        return _unstructured(pattern, held[0] if held else None)
    several = pattern.struct in {"HCS", "HAR"}
    sds = pattern.size if several else 1
    powers = pattern.distance
    least = float(powers[powers > 0.0].min()) if (powers > 0.0).any() else 1.0
    fixed = np.full(sds + 1, np.nan)
    if (powers == 0.0).all():
        fixed[-1] = 0.0
    for component, value in held:
        if pattern.components[component].kind == "variance":
            fixed[component] = value ** (0.25 if several else 0.5)
            continue
        middle, half = 0.5 * (pattern.high + pattern.low), 0.5 * (pattern.high - pattern.low)
        nearest = value**least if pattern.struct == "CAR" else value
        fixed[-1] = np.arcsin(np.clip((nearest - middle) / half, -1.0, 1.0))
    return Powers(
        shape=pattern,
        first_sd=pattern.row if several else np.zeros_like(pattern.row),
        second_sd=pattern.column if several else np.zeros_like(pattern.column),
        power=powers / least if pattern.struct == "CAR" else powers,
        sds=sds,
        fixed=fixed,
    )


def _diagonal(pattern: Shape, held: tuple[Held, ...]) -> Root:
    """One standard deviation for all inner levels, or one each."""
    size = pattern.size
    unit = np.eye(size)
    directions = unit[None] if pattern.struct == "ID" else unit[:, :, None] * unit[:, None, :]
    base = np.zeros((size, size))
    for component, value in held:
        base += np.sqrt(value) * directions[component]
    free = [m for m in range(len(directions)) if m not in {component for component, _ in held}]
    return Root(shape=pattern, base=base, directions=directions[free], order=np.arange(size))


def _unstructured(pattern: Shape, held: Held | None) -> Root:
    """The triangular root; the levels of a held component come first, where it is one simple condition."""
    size = pattern.size
    component = None if held is None else pattern.components[held.component]
    ahead = [] if component is None else list(dict.fromkeys([component.row, component.column]))
    order = np.array(ahead + [j for j in range(size) if j not in ahead], dtype=np.intp)
    cells = [(i, j) for i in range(size) for j in range(i + 1)]
    directions = np.zeros((len(cells), size, size))
    for m, (i, j) in enumerate(cells):
        directions[m, order[i], j] = 1.0
    base = np.zeros((size, size))
    if held is None or component is None:
        return Root(shape=pattern, base=base, directions=directions, order=order)
    if component.kind == "variance":
        base[order[0], 0] = np.sqrt(held.value)
        directions = directions[1:]
    else:
        joint = np.zeros((1, size, size))
        joint[0, order[1], :2] = held.value, np.sqrt(max(0.0, 1.0 - held.value**2))
        directions = np.concatenate([directions[:1], directions[3:], joint])
    return Root(shape=pattern, base=base, directions=directions, order=order)
