"""How much a multilevel fit hangs on single clusters: the model fitted again without each, all in one batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from dualtrace.errors import FitError
from dualtrace.pooling.contract import freeze
from dualtrace.pooling.multilevel.likelihood import given
from dualtrace.pooling.multilevel.refit import coefficients, component_values, search
from dualtrace.pooling.multilevel.terms import cluster_code
from dualtrace.pooling.result import Result
from dualtrace.pooling.text import number
from dualtrace.printed import table

if TYPE_CHECKING:
    from pandas import DataFrame

    from dualtrace.pooling.likelihood import Array, Flags, Ints
    from dualtrace.pooling.multilevel.contract import Multilevel
    from dualtrace.pooling.multilevel.source import Source
    from dualtrace.pooling.multilevel.terms import Column

SINGULAR = 1e-10
"""Smallest eigenvalue of the remaining design below which a coefficient is no longer determined."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ClusterInfluence(Result):
    """Fits without each cluster, beside the fit with all; NaN where the other rows do not determine the model.

    Attributes
    ----------
    clusters, names, components
        Labels of clusters, coefficients, and variances and correlations.
    k
        Rows in each cluster.
    beta, se
        Coefficients without the cluster, (m, p).
    values
        Variances and correlations without the cluster, (m, components).
    cook
        Cook's distance (b - b₍₋ᵢ₎)'Var(b)⁻¹(b - b₍₋ᵢ₎), (m,).
    dfbetas
        (b - b₍₋ᵢ₎) in standard errors that belong to all rows with the variances found without the cluster, (m, p).
    converged
        Whether each search found its maximum.
    """

    SOURCES: ClassVar[tuple[str, ...]] = ("viechtbauer_cheung2010",)

    clusters: tuple[str, ...]
    names: tuple[str, ...]
    components: tuple[str, ...]
    k: Ints
    beta: Array
    se: Array
    values: Array
    cook: Array
    dfbetas: Array
    converged: Flags

    def __post_init__(self) -> None:
        freeze(self)

    def to_frame(self) -> DataFrame:
        """One row per cluster."""
        from pandas import DataFrame

        columns: dict[str, Any] = {"k": self.k, "cook": self.cook}
        for j, name in enumerate(self.names):
            columns |= {f"beta[{name}]": self.beta[:, j], f"dfbetas[{name}]": self.dfbetas[:, j]}
        columns |= {label: self.values[:, j] for j, label in enumerate(self.components)}
        return DataFrame(columns, index=list(self.clusters))

    def __str__(self) -> str:
        """One line per cluster, first coefficient."""
        rows = (
            (label, str(k), number(b), number(d), number(c), *(number(v) for v in values))
            for label, k, b, d, c, values in zip(
                self.clusters, self.k, self.beta[:, 0], self.dfbetas[:, 0], self.cook, self.values, strict=True
            )
        )
        return table(("left out", "rows", self.names[0], "DFBETAS", "Cook", *self.components), rows)


def cluster_influence(found: Multilevel, cluster: Column) -> ClusterInfluence:
    """Fit again without each cluster, variances included.

    Source: Viechtbauer & Cheung 2010, doi:10.1002/jrsm.11.

    Parameters
    ----------
    found
        A fit.
    cluster
        Cluster of each row; any grouping.

    Raises
    ------
    FitError
        If there is one cluster only, or a cluster is missing.
    """
    src = found.source
    code, labels = cluster_code(cluster, found.k)
    m = len(labels)
    if m < 2:
        raise FitError("Leaving clusters out needs at least two; every row is in one.")
    use = (code[None, :] != np.arange(m)[:, None]).astype(float)
    determined = np.flatnonzero(_determined(src, use))
    y = src.sets.y[:, : found.k]
    rest = given(y, use[determined])
    peak, entries = search(found, rest)
    beta, se, _ = coefficients(src, rest, entries, src.offset)
    _, size, _ = coefficients(src, given(np.broadcast_to(y, rest.y[:, : found.k].shape)), entries, src.offset)
    change = found.beta - beta
    parts = {
        "beta": beta,
        "se": se,
        "values": component_values(src, entries),
        "cook": np.einsum("np,pq,nq->n", change, np.linalg.inv(found.vb), change),
        "dfbetas": change / size,
    }
    spread = {key: np.full((m, *part.shape[1:]), np.nan) for key, part in parts.items()}
    for key, part in parts.items():
        spread[key][determined] = part
    converged = np.zeros(m, dtype=bool)
    converged[determined] = peak.converged
    return ClusterInfluence(
        clusters=labels,
        names=found.names,
        components=tuple(part.label for part in found.components),
        k=np.bincount(code),
        converged=converged,
        **spread,
    )


def _determined(src: Source, use: Array) -> Flags:
    """Whether the rows that count determine every coefficient."""
    gram = np.einsum("nk,ki,kj->nij", use, src.basis, src.basis, optimize=True)
    enough: Flags = (use.sum(1) > src.where.p) & (np.linalg.eigvalsh(gram)[:, 0] > SINGULAR)
    return enough
