"""Random terms as a user names them, and as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import numpy as np

from dualtrace.errors import FitError
from dualtrace.pooling.contract import require_choice
from dualtrace.pooling.multilevel.layout import Term
from dualtrace.pooling.multilevel.structures import Component, Struct, shape

if TYPE_CHECKING:
    from dualtrace.pooling.likelihood import Array, Ints

Column = Sequence[Any] | np.ndarray[Any, np.dtype[Any]]
"""One value per row: a list, a column of a table, an array."""

TIMES = ("AR", "HAR", "CAR")
"""Structures in which the order of the inner levels, or the time between them, counts."""


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """One variance: rows of one group share a random effect.

    Attributes
    ----------
    name
        What the groups are, for example ``study``.
    groups
        Group of each row.
    """

    name: str
    groups: Column


@dataclass(frozen=True, slots=True, eq=False)
class Structured:
    """A covariance matrix: within an outer group, rows of one inner level share a random effect.

    Attributes
    ----------
    struct
        UN, CS, HCS, DIAG, ID, AR, HAR or CAR.
    inner, outer
        Inner level (an outcome, a time) and outer group (a study) of each row. Times are numbers; under AR and
        HAR neighbouring times are one step apart, whatever lies between them, under CAR their distance counts.
    name
        What the outer groups are.
    """

    struct: Struct
    inner: Column
    outer: Column
    name: str = "outer"


RandomTerm = Level | Structured


def nested(name: str, *groups: Column) -> tuple[Level, ...]:
    """Levels inside one another: ``nested("study/estimate", study, estimate)``.

    Parameters
    ----------
    name
        Names of the levels, outermost first, with ``/`` between them.
    groups
        Groups of each level; they need to differ within the level above only.

    Raises
    ------
    FitError
        If names and levels differ in number.
    """
    names = name.split("/")
    if len(names) != len(groups):
        raise FitError(f"nested needs one column per name; given {len(groups)} for {name!r}.")
    return tuple(
        Level("/".join(names[: i + 1]), [tuple(map(str, row)) for row in zip(*groups[: i + 1], strict=True)])
        for i in range(len(groups))
    )


class Coded(NamedTuple):
    """Terms as numbers with the labels to go back.

    Attributes
    ----------
    terms
        For the likelihood.
    names, structs
        Of each term; the structure of a level is empty.
    outer, inner
        Labels of groups and inner levels of each term.
    """

    terms: tuple[Term, ...]
    names: tuple[str, ...]
    structs: tuple[str, ...]
    outer: tuple[tuple[str, ...], ...]
    inner: tuple[tuple[str, ...], ...]


def coded(random: Sequence[RandomTerm], k: int, *, restricted_by: Array) -> Coded:
    """Terms as numbers.

    Parameters
    ----------
    random
        Terms.
    k
        Rows.
    restricted_by
        Orthonormal basis of the design, (k, p): a variance between groups that the design already tells apart
        is not determined.

    Raises
    ------
    FitError
        If a column has the wrong length, or two terms cannot be told apart.
    """
    terms: list[Term] = []
    outers: list[tuple[str, ...]] = []
    inners: list[tuple[str, ...]] = []
    inner_labels: tuple[str, ...]
    for term in random:
        if isinstance(term, Level):
            outer, outer_labels = _coded(term.name, term.groups, k)
            inner, inner_labels, pattern = np.zeros(k, dtype=np.intp), ("",), shape("ID", 1)
        else:
            require_choice("struct", term.struct, get_args(Struct))
            outer, outer_labels = _coded(term.name, term.outer, k)
            inner, inner_labels = _inner(term, k)
            times = np.array([float(t) for t in inner_labels]) if term.struct == "CAR" else None
            pattern = shape(term.struct, len(inner_labels), times)
        terms.append(Term(outer, inner, pattern))
        outers.append(outer_labels)
        inners.append(inner_labels)
    names = tuple(term.name for term in random)
    _require_distinct(terms, names, restricted_by)
    structs = tuple(getattr(term, "struct", "") for term in random)
    return Coded(tuple(terms), names, structs, tuple(outers), tuple(inners))


def _text(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, tuple):
        return "/".join(_text(part) for part in value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _coded(name: str, values: Column, k: int) -> tuple[Ints, tuple[str, ...]]:
    """Numbers in order of appearance, and labels."""
    if len(values) != k:
        raise FitError(f"{name} must have one value per row; given {len(values)} for {k} rows.")
    seen: dict[str, int] = {}
    code = np.empty(k, dtype=np.intp)
    for i, value in enumerate(values):
        if value is None or value != value or _text(value) in {"", "<NA>"}:
            raise FitError(f"{name} must name a group in every row; row {i + 1} has none.")
        code[i] = seen.setdefault(_text(value), len(seen))
    return code, tuple(seen)


def _inner(term: Structured, k: int) -> tuple[Ints, tuple[str, ...]]:
    """Inner levels sorted: by time where time counts, as text otherwise."""
    code, labels = _coded("inner", term.inner, k)
    if term.struct in TIMES:
        try:
            order = np.argsort([float(label) for label in labels])
        except ValueError as error:
            raise FitError(
                f"inner must be numbers, times, under {term.struct}; given {', '.join(labels)}."
            ) from error
    else:
        order = np.array(sorted(range(len(labels)), key=lambda i: labels[i]), dtype=np.intp)
    rank = np.argsort(order)
    return rank[code].astype(np.intp), tuple(labels[i] for i in order)


def _require_distinct(terms: Sequence[Term], names: Sequence[str], basis: Array) -> None:
    """No two variances over one grouping, and no variance that the design absorbs."""
    seen: dict[bytes, str] = {}
    for term, name in zip(terms, names, strict=True):
        if term.shape.size > 1:
            continue
        key = np.unique(term.outer, return_inverse=True)[1].tobytes()
        if key in seen:
            raise FitError(
                f"{seen[key]} and {name} group the rows in the same way, so only the sum of their variances "
                "is determined; leave one out."
            )
        seen[key] = name
        groups = (
            (term.outer[:, None] == np.arange(term.groups)).astype(float) if term.groups <= basis.shape[1] else None
        )
        if groups is not None and np.abs(groups - basis @ (basis.T @ groups)).max() < 1e-10:
            raise FitError(
                f"The design already has a coefficient for every {name}, so the variance between them "
                "cannot be determined; leave the level or these moderators out."
            )


def seen_together(term: Term) -> Array:
    """Whether two inner levels ever occur in one group, (J, J)."""
    present = np.zeros((term.groups, term.shape.size))
    present[term.outer, term.inner] = 1.0
    together: Array = (present.T @ present > 0.0).astype(float)
    return together


def determined(term: Term, component: Component) -> bool:
    """Whether rows tell anything about a component: a correlation needs its two levels in one group."""
    if component.kind == "variance":
        return True
    together = seen_together(term) > 0.0
    if term.shape.struct == "UN":
        return bool(together[component.row, component.column])
    return bool((together & ~np.eye(term.shape.size, dtype=bool)).any())


def cluster_code(cluster: Column, k: int) -> tuple[Ints, tuple[str, ...]]:
    """Clusters as numbers in order of appearance, and their labels.

    Raises
    ------
    FitError
        If a row has none, or their number differs from the number of rows.
    """
    return _coded("cluster", cluster, k)
