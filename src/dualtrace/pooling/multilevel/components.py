"""From Ψ to the variances and correlations a user reads, and back from their labels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dualtrace.errors import InputError
from dualtrace.pooling.multilevel.contract import ComponentName, VarianceComponent
from dualtrace.pooling.multilevel.structures import Held
from dualtrace.pooling.multilevel.terms import determined

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualtrace.pooling.likelihood import Array
    from dualtrace.pooling.multilevel.layout import Term
    from dualtrace.pooling.multilevel.source import Source
    from dualtrace.pooling.multilevel.structures import Component


def components(found: Source) -> tuple[VarianceComponent, ...]:
    """Variances and correlations of every term in the units of the effects."""
    parts: list[VarianceComponent] = []
    structured = 0
    for t, (term, psi) in enumerate(zip(found.coded.terms, found.psi, strict=True)):
        level = not found.coded.structs[t]
        structured += not level
        held = {h.component for at, h in found.held if at == t}
        for c, component in enumerate(term.shape.components):
            variance = component.kind == "variance"
            name: ComponentName = "sigma2" if level else "tau2" if variance else "rho"
            if not level and structured > 1:
                name = "gamma2" if variance else "phi"
            value = _component_value(psi, term, component) * (found.unit**2 if variance else 1.0)
            parts.append(
                VarianceComponent(
                    name, found.coded.names[t], _levels(found, t, component), value, term.groups, fixed=c in held
                )
            )
    return tuple(parts)


def _levels(found: Source, t: int, component: Component) -> tuple[str, ...]:
    """Inner levels a component belongs to; none where it belongs to all."""
    struct, labels = found.coded.structs[t], found.coded.inner[t]
    if component.kind == "variance":
        return (labels[component.row],) if struct in {"DIAG", "UN", "HCS", "HAR"} else ()
    return (labels[component.row], labels[component.column]) if struct == "UN" else ()


def _component_value(psi: Array, term: Term, component: Component) -> float:
    """A variance or correlation from Ψ; NaN where the rows do not determine it."""
    if component.kind == "variance":
        return float(psi[component.row, component.row])
    i, j = component.row, component.column
    if term.shape.struct != "UN":  # any pair with variance tells the common correlation
        sd = np.sqrt(np.diag(psi))
        pairs = [
            (a, b) for a, b in zip(term.shape.row, term.shape.column, strict=True) if a != b and sd[a] * sd[b] > 0
        ]
        if not pairs:
            return float("nan")
        i, j = min(pairs, key=lambda pair: term.shape.distance[term.shape.code[pair]])
    product = psi[i, i] * psi[j, j]
    if not product > 0.0 or not determined(term, component):
        return float("nan")
    rho = float(psi[i, j] / np.sqrt(product))
    power = term.shape.distance[term.shape.code[i, j]] if term.shape.struct != "UN" else 1.0
    return float(np.sign(rho) * abs(rho) ** (1.0 / power))


def estimated(found: Source) -> int:
    """Number of variances and correlations that were estimated; one on the boundary counts."""
    held_ones = {(t, h.component) for t, h in found.held}
    return sum(
        determined(term, component)
        for t, term in enumerate(found.coded.terms)
        for c, component in enumerate(term.shape.components)
        if (t, c) not in held_ones
    )


def undetermined(parts: tuple[VarianceComponent, ...]) -> tuple[str, ...]:
    """Sentences on components that the rows do not determine."""
    return tuple(f"{part.label} is not determined by these rows." for part in parts if not np.isfinite(part.value))


def held(start: Source, fixed: Mapping[str, float]) -> tuple[tuple[int, Held], ...]:
    """Fixed components, named by label, as (term, Held) pairs in units.

    Raises
    ------
    InputError
        If there is no such component, or it cannot have the value.
    """
    place = [(t, c) for t, term in enumerate(start.coded.terms) for c in range(len(term.shape.components))]
    labels = [part.label for part in components(replace(start, psi=tuple(_blank(start))))]
    found = []
    for label, value in fixed.items():
        if label not in labels:
            raise InputError(f"fixed must name one of {', '.join(labels)}; given {label!r}.")
        t, c = place[labels.index(label)]
        shape = start.coded.terms[t].shape
        variance = shape.components[c].kind == "variance"
        low, high = (0.0, np.inf) if variance else (shape.low, shape.high)
        if not low <= value <= high or np.isinf(value):
            raise InputError(f"{label} must lie between {low:g} and {high:g}; given {value:g}.")
        found.append((t, Held(c, float(value) / (start.unit**2 if variance else 1.0))))
    return tuple(found)


def _blank(start: Source) -> list[Array]:
    return [np.eye(term.shape.size) for term in start.coded.terms]
