"""What a fit by quadrature returns: ``Posterior``, whose parts can be asked for any density or quantile."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from dualtrace.pooling.bayesian.distribution import interval as credible_interval
from dualtrace.pooling.contract import require_level
from dualtrace.pooling.result import Result
from dualtrace.pooling.text import interval, number
from dualtrace.printed import plain, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from pandas import DataFrame

    from dualtrace.pooling.bayesian.distribution import Distribution, IntervalKind
    from dualtrace.pooling.bayesian.priors import MeanPrior, TauPrior
    from dualtrace.pooling.likelihood import Array
    from dualtrace.pooling.partial_contract import Kind


@dataclass(frozen=True, slots=True)
class Summary:
    """A posterior in five numbers; infinite or NaN where a moment does not exist."""

    mean: float
    sd: float
    median: float
    ci_lb: float
    ci_ub: float

    def to_dict(self) -> dict[str, float | None]:
        """For JSON."""
        return {field.name: plain(getattr(self, field.name)) for field in fields(self)}

    def cells(self) -> tuple[str, ...]:
        """Mean, sd, median and interval as printed."""
        return number(self.mean), number(self.sd), number(self.median), interval(self.ci_lb, self.ci_ub)


def summarise(of: Distribution, level: float, kind: IntervalKind) -> Summary:
    """Mean, standard deviation, median and credible interval."""
    return Summary(of.mean, of.sd, of.quantile(0.5), *credible_interval(of, level, kind))


class Drawn(NamedTuple):
    """True effects of the rows: expectations and standard deviations, (k,), and distributions."""

    mean: Array
    sd: Array
    of: tuple[Distribution | None, ...]


@dataclass(frozen=True, eq=False)
class Shrinkage:
    """The true effects of the rows, drawn towards the mean; computed when first asked for, as it takes a while."""

    compute: Callable[[], Drawn] = field(repr=False)

    @cached_property
    def _drawn(self) -> Drawn:
        found = self.compute()
        found.mean.flags.writeable = found.sd.flags.writeable = False
        return found

    @property
    def mean(self) -> Array:
        """Posterior expectations, (k,)."""
        return self._drawn.mean

    @property
    def sd(self) -> Array:
        """Posterior standard deviations, (k,)."""
        return self._drawn.sd

    @property
    def of(self) -> tuple[Distribution | None, ...]:
        """The whole distributions; None for a row known only as an interval."""
        return self._drawn.of

    def intervals(self, level: float = 0.95) -> Array:
        """Central credible intervals, (k, 2); NaN for a row known only as an interval."""
        ends = [(np.nan, np.nan) if d is None else credible_interval(d, level) for d in self.of]
        return np.array(ends)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Posterior(Result):
    """The posterior of a random-effects model with one mean, by quadrature.

    Attributes
    ----------
    mu, tau, theta
        Distributions of the mean, of the between-row standard deviation, and of the true effect of a new row:
        ``density``, ``cdf``, ``quantile``, ``mean``, ``sd``.
    mu_summary, tau_summary, theta_summary
        The same in numbers.
    effects
        True effects of the rows.
    log_evidence
        Log marginal likelihood; with a flat prior of the mean it is defined up to a constant of that prior only.
    bf_mu0, bf_tau0
        Bayes factors for a mean of 0, and for τ = 0, against the model: above 1 they favour the point. NaN for
        a mean of 0 under a flat prior.
    mean_prior, tau_prior
        The priors.
    k, level, interval_kind
        Rows, probability and kind of the credible intervals.
    slab, kind
        Label of each row, and what was known of it.
    notes
        Sentences on what does not exist.
    """

    SOURCES: ClassVar[tuple[str, ...]] = ("rover2020",)

    mu: Distribution
    tau: Distribution
    theta: Distribution
    mu_summary: Summary
    tau_summary: Summary
    theta_summary: Summary
    effects: Shrinkage
    log_evidence: float
    bf_mu0: float
    bf_tau0: float
    mean_prior: MeanPrior
    tau_prior: TauPrior
    k: int
    level: float
    interval_kind: IntervalKind
    slab: tuple[str, ...]
    kind: tuple[Kind, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_level(self.level)
        if not len(self.slab) == len(self.kind) == self.k:
            raise ValueError(f"rows must number k = {self.k}")
        if not (self.tau_summary.ci_lb >= 0.0 and np.isfinite(self.log_evidence)):
            raise ValueError("tau must be 0 or more and the evidence finite")

    @property
    def _summaries(self) -> dict[str, Summary]:
        return {"mu": self.mu_summary, "tau": self.tau_summary, "theta": self.theta_summary}

    def to_dict(self) -> dict[str, Any]:
        """For JSON: lists, numbers, strings; None where undefined or infinite."""
        simple = ("log_evidence", "bf_mu0", "bf_tau0", "k", "level", "interval_kind", "slab", "kind", "notes")
        return {
            **{name: summary.to_dict() for name, summary in self._summaries.items()},
            **{name: plain(getattr(self, name)) for name in simple},
            "effects": {"mean": plain(self.effects.mean), "sd": plain(self.effects.sd)},
            "priors": {"mu": str(self.mean_prior), "tau": str(self.tau_prior)},
        }

    def to_frame(self) -> DataFrame:
        """Mean, standard deviation, median and interval of mu, tau and theta, one row each."""
        from pandas import DataFrame

        return DataFrame({name: s.to_dict() for name, s in self._summaries.items()}).T

    def __str__(self) -> str:
        """As a paper's table, priors included."""
        names = {"mu": "mean effect", "tau": "tau", "theta": "effect of a new row"}
        rows = [(names[name], *summary.cells()) for name, summary in self._summaries.items()]
        percent = f"{100.0 * self.level:g}% {self.interval_kind} interval"
        known = ", ".join(f"{self.kind.count(kind)} {kind}" for kind in dict.fromkeys(self.kind))
        lines = [
            f"Bayesian random-effects model, by quadrature, k = {self.k}: {known}",
            f"Priors: mean effect {self.mean_prior}; tau {self.tau_prior}",
            "",
            table(("", "mean", "sd", "median", percent), rows),
            "",
            f"Bayes factor for a mean of 0: {number(self.bf_mu0)}; for tau = 0: {number(self.bf_tau0)}",
            f"Log marginal likelihood {number(self.log_evidence)}",
        ]
        return "\n".join([*lines, *self.notes])


@dataclass(frozen=True, slots=True, eq=False)
class Sensitivity(Result):
    """The same rows under several priors of τ, side by side."""

    SOURCES: ClassVar[tuple[str, ...]] = ("rover2020",)

    fits: tuple[Posterior, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON, by prior."""
        return {str(fit.tau_prior): fit.to_dict() for fit in self.fits}

    def to_frame(self) -> DataFrame:
        """One row per prior."""
        from pandas import DataFrame

        rows = {
            str(fit.tau_prior): {
                **{f"mu_{key}": value for key, value in fit.mu_summary.to_dict().items()},
                **{f"tau_{key}": value for key, value in fit.tau_summary.to_dict().items()},
                "pi_lb": fit.theta_summary.ci_lb,
                "pi_ub": fit.theta_summary.ci_ub,
                "log_evidence": fit.log_evidence,
            }
            for fit in self.fits
        }
        return DataFrame(rows).T

    def __str__(self) -> str:
        """One line per prior."""
        percent = f"{100.0 * self.fits[0].level:g}%"
        head = (
            "prior of tau",
            "mean",
            f"{percent} interval",
            "tau (median)",
            f"{percent} prediction",
            "log evidence",
        )
        rows = (
            (
                str(fit.tau_prior),
                number(fit.mu_summary.mean),
                interval(fit.mu_summary.ci_lb, fit.mu_summary.ci_ub),
                number(fit.tau_summary.median),
                interval(fit.theta_summary.ci_lb, fit.theta_summary.ci_ub),
                number(fit.log_evidence),
            )
            for fit in self.fits
        )
        return "\n".join([f"Prior of the mean effect: {self.fits[0].mean_prior}", "", table(head, rows)])
