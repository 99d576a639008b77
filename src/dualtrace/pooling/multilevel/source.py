"""The checked input of a multilevel fit beside its solved equations; what everything after a fit starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.errors import FitError
from dualtrace.pooling import check
from dualtrace.pooling.multilevel.known_v import KnownV, known
from dualtrace.pooling.multilevel.layout import Layout, layout
from dualtrace.pooling.multilevel.likelihood import Given, given
from dualtrace.pooling.multilevel.search import Model
from dualtrace.pooling.multilevel.structures import Held, covariance
from dualtrace.pooling.multilevel.terms import Coded, RandomTerm, coded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.pooling.likelihood import Array


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One data set, checked, centred and in units of a typical standard error.

    Attributes
    ----------
    y, X, V
        Effects, design and known covariances as given.
    names, slab
        Labels of columns and rows.
    unit
        Square root of the median sampling variance; y and V are divided by it and its square.
    basis, T
        Orthonormal basis of the design, and the matrix back to its coefficients.
    offset
        Least-squares coefficients on the basis that were taken out of y, (p,), in units.
    coded
        Random terms.
    where, sets
        Blocks and effects for the likelihood.
    held
        Components kept at a value: (term, Held) pairs, in units.
    psi
        Covariance matrix of each term at the fit, in units; empty before it.
    """

    y: Array
    X: Array
    V: KnownV
    names: tuple[str, ...]
    slab: tuple[str, ...]
    unit: float
    basis: Array
    T: Array
    offset: Array
    coded: Coded
    where: Layout
    sets: Given
    held: tuple[tuple[int, Held], ...] = ()
    psi: tuple[Array, ...] = ()

    @property
    def intercept(self) -> int | None:
        """Column that is 1 in every row."""
        ones = np.flatnonzero((self.X == 1.0).all(axis=0))
        return int(ones[0]) if ones.size else None

    @property
    def tested(self) -> list[int]:
        """Columns of the omnibus test."""
        p = len(self.names)
        return [j for j in range(p) if p == 1 or j != self.intercept]

    @property
    def entries(self) -> Array:
        """Entries of all terms at the fit, (1, A)."""
        parts = [psi[term.shape.row, term.shape.column] for psi, term in zip(self.psi, self.coded.terms, strict=True)]
        return np.concatenate([np.zeros(0), *parts])[None]

    def model(self, *, restricted: bool, held: tuple[tuple[int, Held], ...] = ()) -> Model:
        """The likelihood to maximise, with further components held."""
        kept = (*self.held, *held)
        covariances = (
            covariance(term.shape, tuple(h for at, h in kept if at == t)) for t, term in enumerate(self.coded.terms)
        )
        return Model(self.where, tuple(covariances), restricted)


def source(
    yi: Any,  # noqa: ANN401
    V: Any,  # noqa: ANN401
    *,
    X: Any | None,  # noqa: ANN401
    names: Sequence[str] | None,
    random: Sequence[RandomTerm],
    slab: Sequence[Any] | None,
) -> Source:
    """Check the input of ``fit`` and bring it into one form.

    Raises
    ------
    FitError
        If it cannot be used; the sentence names row and value.
    """
    y, V = check.column("yi", yi, slab), known(V)
    k = check.require_same_length({"yi": y, "V": V.variance})
    rows = check.labels(slab, k)
    check.require_effects(y, rows)
    check.require_variances(V.variance, rows)
    matrix, columns = check.design(X, names, k)
    if k <= matrix.shape[1]:
        raise FitError(
            f"k = {k} rows cannot determine p = {matrix.shape[1]} coefficients and the heterogeneity around them; "
            f"at least {matrix.shape[1] + 1} rows are needed."
        )
    basis, T = check.basis(matrix, columns)
    unit = float(np.sqrt(np.median(V.variance)))
    scaled = KnownV(V.variance / unit**2, V.row, V.column, V.covariance / unit**2)
    found = coded(random, k, restricted_by=basis)
    where = layout(scaled, found.terms, basis, rows)
    offset = (y / unit) @ basis
    sets = given(y / unit - basis @ offset)
    return Source(y, matrix, V, columns, rows, unit, basis, T, offset, found, where, sets)
