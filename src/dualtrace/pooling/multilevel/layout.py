"""Rows to independent blocks, so that no matrix larger than a block is factorised.

Rows that share a group of a random term, or a known covariance, belong to one block. Blocks of similar size are
stacked (padded with rows that carry nothing) and worked on together. A term whose groups would tie too many rows
together, a crossed factor for instance, is left out of the blocks and enters as columns beside the design: its
effects are solved for jointly with the coefficients, as in Henderson's mixed-model equations.

Source of the joint equations: Henderson 1975, doi:10.2307/2529430.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dualtrace.errors import FitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.pooling.likelihood import Array, Ints
    from dualtrace.pooling.multilevel.known_v import KnownV
    from dualtrace.pooling.multilevel.structures import Shape

SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Blocks are padded to the next of these; larger ones to a multiple of 32."""

SINGULAR = 1e-6
"""Smallest part of a standard error that must be independent of the other rows of a block."""


class Term(NamedTuple):
    """A random term without labels: Ψ of its inner levels, one independent draw per outer group."""

    outer: Ints  # group of each row, (k,)
    inner: Ints  # inner level of each row, (k,)
    shape: Shape

    @property
    def groups(self) -> int:
        """Number of groups."""
        return int(self.outer.max()) + 1

    @property
    def effects(self) -> Ints:
        """Number of each row's random effect, group by group, (k,)."""
        return self.outer * self.shape.size + self.inner


class Stack(NamedTuple):
    """b blocks padded to m rows.

    Rows are numbers among the k given, k for padding.
    """

    rows: Ints  # (b, m)
    V: Array  # known covariances, identity for padding, (b, m, m)
    E: Array  # ∂M/∂g for entries of the terms inside blocks, (A, b, m, m)
    N: Array  # design beside indicators of crossed effects, (b, m, p + q)


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Where everything is.

    Attributes
    ----------
    k, p, q
        Rows, coefficients, crossed random effects.
    terms
        Random terms.
    inside
        Entries (numbers among all entries of all terms) of terms inside blocks, in the order of ``Stack.E``.
    crossed
        Terms outside the blocks, and the first of the q columns of each.
    stacks
        Blocks.
    block
        Block of each row, (k,).
    """

    k: int
    p: int
    q: int
    terms: tuple[Term, ...]
    inside: Ints
    crossed: tuple[tuple[int, int], ...]
    stacks: tuple[Stack, ...]
    block: Ints

    @property
    def entries(self) -> int:
        """Entries of all terms."""
        return sum(term.shape.entries for term in self.terms)

    def first_entry(self, term: int) -> int:
        """Place of a term's first entry among those of all terms."""
        return sum(t.shape.entries for t in self.terms[:term])


def layout(
    known: KnownV,
    terms: Sequence[Term],
    basis: Array,
    slab: Sequence[str],
    *,
    together: Ints | None = None,
) -> Layout:
    """Divide rows into blocks.

    Parameters
    ----------
    known
        Known covariances.
    terms
        Random terms.
    basis
        Orthonormal basis of the design, (k, p).
    slab
        Labels of the rows, for messages.
    together
        Groups whose rows must be in one block, (k,); all terms are then inside blocks, crossed ones too.

    Raises
    ------
    FitError
        If V is not positive definite.
    """
    k, p = basis.shape
    block, narrow = _partition(known, terms, together)
    wide = [t for t in range(len(terms)) if t not in narrow]
    columns, crossed, q = [basis], [], 0
    for t in wide:
        effects = terms[t].groups * terms[t].shape.size
        columns.append((terms[t].effects[:, None] == np.arange(effects)).astype(float))
        crossed.append((t, q))
        q += effects
    starts = np.cumsum([0, *(term.shape.entries for term in terms)])
    inside = np.concatenate([np.arange(0), *(np.arange(starts[t], starts[t + 1]) for t in narrow)]).astype(np.intp)
    N = np.vstack([np.hstack(columns), np.zeros((1, p + q))])
    stacks = tuple(_stack(rows, known, [terms[t] for t in narrow], N) for rows in _padded(block))
    _require_positive_definite(stacks, slab)
    return Layout(k, p, q, tuple(terms), inside, tuple(crossed), stacks, block)


def _partition(known: KnownV, terms: Sequence[Term], together: Ints | None) -> tuple[Ints, list[int]]:
    """Block of each row, and the terms inside blocks; finest terms first, as long as joining costs less."""
    k = known.variance.size
    links = [(known.row, known.column)]
    if together is not None:
        links.append(_chain(together))
    block = _components(links, k)
    narrow: list[int] = []
    q = 0
    for t in sorted(range(len(terms)), key=lambda t: -terms[t].groups):
        outer = terms[t].outer
        candidate = _components([*links, _chain(outer)], k)
        extra = terms[t].groups * terms[t].shape.size
        join = _cube(candidate)
        apart = _cube(block) + float(k) * (q + extra) ** 2 + float(q + extra) ** 3
        if join <= apart or together is not None:
            links.append(_chain(outer))
            block = candidate
            narrow.append(t)
        else:
            q += extra
    return block, sorted(narrow)


def _chain(group: Ints) -> tuple[Ints, Ints]:
    """Links that tie the rows of each group together."""
    order = np.argsort(group, kind="stable")
    same = group[order][1:] == group[order][:-1]
    return order[:-1][same], order[1:][same]


def _components(links: list[tuple[Ints, Ints]], k: int) -> Ints:
    """Connected rows, numbered in order of first appearance."""
    i, j = (np.concatenate([link[side] for link in links]) for side in (0, 1))
    graph = coo_array((np.ones(i.size), (i, j)), shape=(k, k))
    label = connected_components(graph, directed=False)[1]
    _, first, inverse = np.unique(label, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    block: Ints = rank[inverse].astype(np.intp)
    return block


def _cube(block: Ints) -> float:
    """Σ m³ over blocks; nothing while none is large, where the number of calls costs more than their work."""
    sizes = np.bincount(block)
    return 0.0 if sizes.max() <= SIZES[-1] else float((sizes.astype(float) ** 3).sum())


def _padded(block: Ints) -> list[Ints]:
    """Rows of blocks, (b, m) for each padded size m."""
    k = block.size
    sizes = np.bincount(block)
    rows = np.split(np.argsort(block, kind="stable"), np.cumsum(sizes)[:-1])
    exact = len(set(sizes.tolist())) == 1
    found: dict[int, list[Ints]] = {}
    for own in rows:
        m = own.size if exact else next((s for s in SIZES if s >= own.size), -(-own.size // 32) * 32)
        found.setdefault(m, []).append(np.concatenate([own, np.full(m - own.size, k, dtype=np.intp)]))
    if len(found) == 1:  # no more padding than the largest block needs
        most = int(sizes.max())
        return [np.array(next(iter(found.values())))[:, :most]]
    return [np.array(found[m]) for m in sorted(found)]


def _stack(rows: Ints, known: KnownV, terms: list[Term], N: Array) -> Stack:
    """Matrices of blocks."""
    k = known.variance.size
    b, m = rows.shape
    V = np.zeros((b, m, m))
    at = np.arange(m)
    V[:, at, at] = np.append(known.variance, 1.0)[rows]
    place = np.full((k + 1, 2), -1)
    place[rows.ravel()] = np.indices((b, m)).reshape(2, -1).T
    mine = place[known.row, 0] >= 0
    one, two = place[known.row[mine]], place[known.column[mine]]
    V[one[:, 0], one[:, 1], two[:, 1]] = V[one[:, 0], two[:, 1], one[:, 1]] = known.covariance[mine]
    layers = [np.zeros((0, b, m, m))]
    for term in terms:
        outer = np.append(term.outer, -1)[rows]
        inner = np.append(term.inner, 0)[rows]
        same = (outer[:, :, None] == outer[:, None, :]) & (outer[:, :, None] >= 0)
        code = np.where(same, term.shape.code[inner[:, :, None], inner[:, None, :]], -1)
        layers.append((code[None] == np.arange(term.shape.entries)[:, None, None, None]).astype(float))
    return Stack(rows, V, np.concatenate(layers), N[rows])


def _require_positive_definite(stacks: tuple[Stack, ...], slab: Sequence[str]) -> None:
    for stack in stacks:
        d = np.sqrt(np.einsum("bmm->bm", stack.V))
        correlation = stack.V / (d[:, :, None] * d[:, None, :])
        if _definite(correlation):
            continue
        bad = next(i for i in range(len(correlation)) if not _definite(correlation[i : i + 1]))
        rows = [slab[i] for i in stack.rows[bad] if i < len(slab)]
        raise FitError(
            "V must be positive definite: the assumed correlations contradict each other, or two rows are "
            f"one and the same, among rows {', '.join(rows[:8])}{' ...' if len(rows) > 8 else ''}."
        )


def _definite(correlation: Array) -> bool:
    """Whether correlation matrices (b, m, m) are positive definite with something to spare."""
    try:
        root = np.linalg.cholesky(correlation)
    except np.linalg.LinAlgError:
        return False
    return bool(np.einsum("bmm->bm", root).min() > SINGULAR)
