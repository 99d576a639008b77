"""What a partial-information fit returns: ``PartialPooled`` and ``Comparison``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dualtrace.pooling.contract import freeze, require_level
from dualtrace.pooling.result import Result
from dualtrace.pooling.text import interval, number, p_value
from dualtrace.printed import plain, table

if TYPE_CHECKING:
    from pandas import DataFrame

    from dualtrace.pooling.likelihood import Array

Kind = Literal["exact", "interval", "one-sided"]
"""What is known of a row: its effect, two finite ends, or one end only."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Influence:
    """What each row does to the answer; NaN where the others do not determine one.

    Attributes
    ----------
    change
        Estimate without the row minus estimate with it, (k, p).
    change_se
        The same in standard errors of the fit with all rows, (k, p).
    tau2
        τ² without the row, (k,).
    share
        Share of the row in the information about the coefficients, in percent, (k,).
    """

    change: Array
    change_se: Array
    tau2: Array
    share: Array

    def __post_init__(self) -> None:
        freeze(self)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {field.name: plain(getattr(self, field.name)) for field in fields(self)}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PartialPooled(Result):
    """A fitted partial-information model.

    Attributes
    ----------
    names, beta, se, ci_lb, ci_ub
        Coefficients: name, estimate, standard error from the curvature (NaN where the likelihood is flat),
        profile-likelihood interval (an end that does not exist is infinite).
    lr, pval
        Likelihood-ratio test that the coefficient is 0: χ² with one degree of freedom, p.
    tau2, se_tau2, tau2_ci_lb, tau2_ci_ub
        Between-row variance, its standard error (NaN on the boundary), profile-likelihood interval; NaN when
        one row was given.
    pi_lb, pi_ub
        Interval for the true effect of a new row, as lopsided as the interval of the mean; NaN for regressions.
    ll
        Log-likelihood.
    k, p, level
        Rows, coefficients, confidence level.
    slab, kind
        Label of each row, and what was known of it.
    influence
        Each row's weight in the answer.
    notes
        Sentences on what the data could not say.
    """

    names: tuple[str, ...]
    beta: Array
    se: Array
    ci_lb: Array
    ci_ub: Array
    lr: Array
    pval: Array
    tau2: float
    se_tau2: float
    tau2_ci_lb: float
    tau2_ci_ub: float
    pi_lb: float
    pi_ub: float
    ll: float
    k: int
    p: int
    level: float
    slab: tuple[str, ...]
    kind: tuple[Kind, ...]
    influence: Influence
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_level(self.level)
        if any(len(part) != self.p for part in (self.names, *self._columns())):
            raise ValueError(f"coefficients must number p = {self.p}")
        if not len(self.slab) == len(self.kind) == len(self.influence.share) == self.k:
            raise ValueError(f"rows must number k = {self.k}")
        if not np.all((self.ci_lb <= self.beta) & (self.beta <= self.ci_ub)) or self.tau2 < 0.0:
            raise ValueError("an interval must hold its estimate, and tau2 be 0 or more")
        freeze(self)

    def _columns(self) -> tuple[Array, ...]:
        return self.beta, self.se, self.ci_lb, self.ci_ub, self.lr, self.pval

    @property
    def counts(self) -> dict[Kind, int]:
        """Rows of each kind."""
        return {kind: self.kind.count(kind) for kind in ("exact", "interval", "one-sided")}

    def to_dict(self) -> dict[str, Any]:
        """For JSON: lists, numbers, strings; None where undefined or infinite."""
        simple = {f.name: plain(getattr(self, f.name)) for f in fields(self) if f.name != "influence"}
        return {**simple, "counts": dict(self.counts), "influence": self.influence.to_dict()}

    def to_frame(self) -> DataFrame:
        """Coefficients as a table, one row each."""
        from pandas import DataFrame

        keys = ("beta", "se", "ci_lb", "ci_ub", "lr", "pval")
        return DataFrame(dict(zip(keys, self._columns(), strict=True)), index=list(self.names))

    def __str__(self) -> str:
        """As a paper's table."""
        percent = f"{100.0 * self.level:g}%"
        known = ", ".join(f"{n} {kind}" for kind, n in self.counts.items())
        rows = (
            (name, number(b), number(se), interval(low, high), number(lr), p_value(p).removeprefix("= "))
            for name, b, se, low, high, lr, p in zip(self.names, *self._columns(), strict=True)
        )
        lines = [
            f"Partial-information model (maximum likelihood), k = {self.k}: {known}",
            "",
            table(("", "estimate", "se", f"{percent} profile CI", "LR χ²(1)", "p"), rows),
            "",
            f"tau² = {number(self.tau2)} ({percent} profile CI {interval(self.tau2_ci_lb, self.tau2_ci_ub)})",
            f"Log-likelihood {number(self.ll)}",
        ]
        if np.isfinite(self.pi_lb):
            lines.append(f"{percent} prediction interval {interval(self.pi_lb, self.pi_ub)}")
        return "\n".join([*lines, *self.notes])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Comparison(Result):
    """The answer from exact effects only beside the answer from all information.

    Attributes
    ----------
    exact
        Fit of the exact rows; None when they determine no answer.
    everything
        Fit of all rows.
    reason
        Why ``exact`` is None; empty otherwise.
    """

    exact: PartialPooled | None
    everything: PartialPooled
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.exact is None) != bool(self.reason):
            raise ValueError("a reason belongs to an answer that is missing")

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        exact = None if self.exact is None else self.exact.to_dict()
        return {"exact": exact, "everything": self.everything.to_dict(), "reason": self.reason or None}

    def columns(self) -> dict[str, Any]:
        """Per row: what is known, and share and influence (first coefficient) in both analyses."""
        everything = self.everything.influence
        return {
            "kind": list(self.everything.kind),
            "share_exact": self._aligned("share", 0.0),
            "share_all": everything.share,
            "change_se_exact": self._aligned("change_se", np.nan),
            "change_se_all": everything.change_se[:, 0],
        }

    def to_frame(self) -> DataFrame:
        """Return :meth:`columns` as a table, one line per row."""
        from pandas import DataFrame

        return DataFrame(self.columns(), index=list(self.everything.slab))

    def _aligned(self, name: str, absent: float) -> Array:
        """A column of the exact analysis at its rows among all."""
        column = np.full(self.everything.k, absent)
        if self.exact is not None:
            values = getattr(self.exact.influence, name)
            column[np.array(self.everything.kind) == "exact"] = values if values.ndim == 1 else values[:, 0]
        return column

    def __str__(self) -> str:
        """Both answers side by side, then the rows."""
        fits = [fit for fit in (self.exact, self.everything) if fit is not None]
        head = ["", *(["exact effects only"] if self.exact is not None else []), "all information"]
        percent = f"{100.0 * self.everything.level:g}%"
        lines = [["k", *(str(fit.k) for fit in fits)]]
        for j, name in enumerate(self.everything.names):
            lines.append([name, *(number(fit.beta[j]) for fit in fits)])
            lines.append([f"  {percent} CI", *(interval(fit.ci_lb[j], fit.ci_ub[j]) for fit in fits)])
            lines.append(["  p", *(p_value(fit.pval[j]).removeprefix("= ") for fit in fits)])
        lines.append(["tau²", *(number(fit.tau2) for fit in fits)])
        lines.append([f"  {percent} CI", *(interval(fit.tau2_ci_lb, fit.tau2_ci_ub) for fit in fits)])
        influence = zip(
            self.everything.slab,
            self.everything.kind,
            self._aligned("share", 0.0),
            self.everything.influence.share,
            self.everything.influence.change_se[:, 0],
            strict=True,
        )
        rows = ((s, kind, f"{a:.1f}%", f"{b:.1f}%", number(c, 2)) for s, kind, a, b, c in influence)
        shares = table(("row", "known", "share, exact", "share, all", "change in se if left out"), rows)
        notes = [f"Exact effects only: {self.reason}"] if self.reason else []
        return "\n".join([table(head, lines), *notes, *self.everything.notes, "", shares])
