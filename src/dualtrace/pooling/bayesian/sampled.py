"""What sampling returns: ``Sampled``, draws with their summary, after the convergence gates."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from dualtrace.errors import InputError
from dualtrace.pooling.contract import freeze, require_level
from dualtrace.pooling.result import Result
from dualtrace.pooling.text import interval, number
from dualtrace.printed import plain, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pandas import DataFrame

    from dualtrace.pooling.likelihood import Array
    from dualtrace.pooling.partial_contract import Kind


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Sampled(Result):
    """A posterior as draws that passed the gates: R-hat below 1.01, more than 400 effective draws, no divergence.

    Attributes
    ----------
    names
        Parameters: coefficients by name, ``tau`` (rows), ``omega`` (groups), ``sigma`` (clusters), ``mean[group]``
        for each group, ``theta`` for the true effect of a row of a new group and cluster (one-mean models).
    draws
        Chains, draws and parameters, (c, d, m).
    mean, sd, median, ci_lb, ci_ub
        Summaries of each parameter, (m,); the interval is central.
    ess, rhat, mcse
        Effective draws, split R-hat, and the Monte Carlo standard error of the mean, (m,).
    priors
        Each prior in words, by parameter.
    structure
        The model in words.
    k, level, slab, kind
        Rows, probability of the intervals, label of each row, and what was known of it.
    """

    SOURCES: ClassVar[tuple[str, ...]] = ("hoffman2014", "vehtari2021")

    names: tuple[str, ...]
    draws: Array
    mean: Array
    sd: Array
    median: Array
    ci_lb: Array
    ci_ub: Array
    ess: Array
    rhat: Array
    mcse: Array
    priors: Mapping[str, str]
    structure: str
    k: int
    level: float
    slab: tuple[str, ...]
    kind: tuple[Kind, ...]

    def __post_init__(self) -> None:
        require_level(self.level)
        if any(len(column) != len(self.names) for column in (*self._columns(), self.draws.T)):
            raise ValueError(f"every summary must have {len(self.names)} parameters")
        if not len(self.slab) == len(self.kind) == self.k:
            raise ValueError(f"rows must number k = {self.k}")
        freeze(self)

    def _columns(self) -> tuple[Array, ...]:
        return self.mean, self.sd, self.median, self.ci_lb, self.ci_ub, self.ess, self.rhat, self.mcse

    def of(self, name: str) -> Array:
        """Draws of one parameter, chains and draws, (c, d).

        Raises
        ------
        InputError
            If there is no such parameter.
        """
        if name not in self.names:
            raise InputError(f"There is no parameter {name!r}; there are {', '.join(self.names)}.")
        column: Array = self.draws[:, :, self.names.index(name)]
        return column

    def to_dict(self) -> dict[str, Any]:
        """For JSON, without the draws."""
        simple = {f.name: plain(getattr(self, f.name)) for f in fields(self) if f.name not in {"draws", "priors"}}
        return {**simple, "priors": dict(self.priors)}

    def to_frame(self) -> DataFrame:
        """One row per parameter."""
        from pandas import DataFrame

        keys = ("mean", "sd", "median", "ci_lb", "ci_ub", "ess", "rhat", "mcse")
        return DataFrame(dict(zip(keys, self._columns(), strict=True)), index=list(self.names))

    def __str__(self) -> str:
        """As a paper's table, priors and diagnostics included."""
        percent = f"{100.0 * self.level:g}% interval"
        rows = (
            (name, number(m), number(s), number(q), interval(low, high), f"{n:.0f}", f"{r:.3f}")
            for name, m, s, q, low, high, n, r, _ in zip(self.names, *self._columns(), strict=True)
        )
        known = ", ".join(f"{self.kind.count(kind)} {kind}" for kind in dict.fromkeys(self.kind))
        chains, draws, _ = self.draws.shape
        lines = [
            f"{self.structure}, NUTS ({chains} chains of {draws} draws), k = {self.k}: {known}",
            "Priors: " + "; ".join(f"{name} {prior}" for name, prior in self.priors.items()),
            "",
            table(("", "mean", "sd", "median", percent, "effective draws", "R-hat"), rows),
            "",
            "No transition diverged; every R-hat is below 1.01, every parameter has over 400 effective draws.",
        ]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, eq=False)
class SampledSensitivity(Result):
    """The same rows and model under several priors of τ, side by side."""

    SOURCES: ClassVar[tuple[str, ...]] = ("hoffman2014", "vehtari2021")

    fits: tuple[Sampled, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON, by prior."""
        return {fit.priors["tau"]: fit.to_dict() for fit in self.fits}

    def __str__(self) -> str:
        """One line per parameter, one column per prior: mean and interval."""
        first = self.fits[0]
        shown = [j for j, name in enumerate(first.names) if not name.startswith("mean[")]
        rows = (
            (first.names[j], *(f"{number(f.mean[j])} ({interval(f.ci_lb[j], f.ci_ub[j])})" for f in self.fits))
            for j in shown
        )
        return table(("prior of tau", *(fit.priors["tau"] for fit in self.fits)), rows)


def summary_of(draws: Array, level: float) -> dict[str, Array]:
    """Mean, standard deviation, median and central interval of draws (c, d, m)."""
    flat = draws.reshape(-1, draws.shape[-1])
    tail = 0.5 * (1.0 - level)
    low, middle, high = np.quantile(flat, [tail, 0.5, 1.0 - tail], axis=0)
    return {"mean": flat.mean(axis=0), "sd": flat.std(axis=0, ddof=1), "median": middle, "ci_lb": low, "ci_ub": high}
