"""What each method of small-study effects and selective reporting makes of the trials that print numbers.

Every method gives an estimate with its interval, a test, or one sentence on why it does not apply.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dualtrace.errors import FitError
from dualtrace.pooling import univariate
from dualtrace.pooling.small_study.asymmetry import pet_peese, rank_test, regression_test
from dualtrace.pooling.small_study.limit import limit_meta_analysis
from dualtrace.pooling.small_study.p_curve import p_curve
from dualtrace.pooling.small_study.p_uniform import p_uniform_star
from dualtrace.pooling.small_study.selection import selection_model
from dualtrace.pooling.small_study.significance import excess_significance
from dualtrace.pooling.small_study.trim_and_fill import trim_and_fill
from dualtrace.report.sections.verdict import WIDEST_SMD
from dualtrace.report.words import count, estimate, number, p_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualtrace.effects.effect import Effect
    from dualtrace.pooling.contract import Pooled
    from dualtrace.pooling.likelihood import Array
    from dualtrace.pooling.small_study.asymmetry import RegressionTest
    from dualtrace.pooling.small_study.selection_contract import Selection

LEAST = 3
"""Trials with numbers below which nothing here is computed."""

FUNNEL_LEAST = 10
"""Trials below which the Cochrane Handbook advises against funnel plots and tests of their asymmetry."""

ONE_SIDED = 0.025
"""One-sided p below which a result in favour of the drug counts as significant."""


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """The trials that print a number: effects, variances, participants, labels."""

    y: Array
    v: Array
    n: Array
    labels: tuple[str, ...]

    @classmethod
    def of(cls, effects: Sequence[Effect]) -> Numbers:
        """Return the exact ones of some effects."""
        exact = [effect for effect in effects if effect.yi is not None]
        return cls(
            np.array([effect.yi for effect in exact], dtype=float),
            np.array([effect.vi for effect in exact], dtype=float),
            np.array([effect.n_treatment + effect.n_reference for effect in exact], dtype=float),
            tuple(effect.label for effect in exact),
        )

    @property
    def k(self) -> int:
        """How many there are."""
        return len(self.labels)

    @property
    def favourable(self) -> int:
        """How many are significant in favour of the drug."""
        return int((self.y > 1.959963984540054 * np.sqrt(self.v)).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one method says.

    Attributes
    ----------
    adjusted
        Estimate and the ends of its interval; None where the method gives none or does not apply.
    words
        A test, or why the method does not apply; may be empty.
    """

    adjusted: tuple[float, float, float] | None = None
    words: str = ""

    def __str__(self) -> str:
        """As printed in a cell; an interval that holds every effect ever seen is not printed."""
        if self.adjusted is None:
            return self.words
        value, low, high = self.adjusted
        wide = high - low > WIDEST_SMD
        text = f"not determined (interval wider than {WIDEST_SMD:g})" if wide else estimate(value, low, high)
        return f"{text}; {self.words}" if self.words else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One method: its name, sources, what it assumes, what it cannot tell, and how it is computed."""

    name: str
    sources: tuple[str, ...]
    assumes: str
    cannot: str
    compute: Callable[[Numbers], Finding]


def finding(method: Method, numbers: Numbers) -> Finding:
    """Return what a method says of some trials; a refusal becomes its sentence."""
    if numbers.k < LEAST:
        return Finding(words=f"needs at least {LEAST} trials with numbers")
    try:
        return method.compute(numbers)
    except FitError as error:
        return Finding(words=f"does not apply: {error}")


def _first(fit: Pooled | Selection) -> tuple[float, float, float]:
    return float(fit.beta[0]), float(fit.ci_lb[0]), float(fit.ci_ub[0])


def _pooled(given: Numbers) -> Finding:
    return Finding(adjusted=_first(univariate.fit(given.y, given.v, test="knha")))


def _asymmetry(found: RegressionTest) -> Finding:
    return Finding(adjusted=(found.est, found.ci_lb, found.ci_ub), words=f"asymmetry {p_text(found.pval)}")


def _egger(given: Numbers) -> Finding:
    return _asymmetry(regression_test(given.y, given.v, model="lm"))


def _by_size(given: Numbers) -> Finding:
    return _asymmetry(regression_test(given.y, given.v, predictor="sqrtninv", ni=given.n, test="knha"))


def _rank(given: Numbers) -> Finding:
    found = rank_test(given.y, given.v)
    return Finding(words=f"asymmetry {p_text(found.pval)} (Kendall's τ = {number(found.tau)}); no estimate")


def _filled(given: Numbers) -> Finding:
    found = trim_and_fill(given.y, given.v, test="knha")
    return Finding(adjusted=_first(found.fit), words=f"{count(found.k0, 'trial') if found.k0 else 'no trial'} added")


def _pet_peese(given: Numbers) -> Finding:
    found = pet_peese(given.y, given.v)
    return Finding(adjusted=(found.est, found.ci_lb, found.ci_ub), words=f"{found.chosen} chosen")


def _limit(given: Numbers) -> Finding:
    found = limit_meta_analysis(given.y, given.v)
    words = f"small-study effect {p_text(found.pval_alpha)}"
    return Finding(adjusted=(found.est, found.ci_lb, found.ci_ub), words=words)


def _steps(given: Numbers) -> Finding:
    if given.favourable in (0, given.k):
        which = "no trial" if given.favourable == 0 else "every trial"
        return Finding(words=f"does not apply: {which} is significant in favour, so selection cannot be estimated")
    found = selection_model(given.y, given.v, steps=(ONE_SIDED,))
    return Finding(adjusted=_first(found), words=f"selection {p_text(found.LRTp)}")


def _fixed_steps(share: float) -> Callable[[Numbers], Finding]:
    def compute(given: Numbers) -> Finding:
        return Finding(adjusted=_first(selection_model(given.y, given.v, steps=(ONE_SIDED,), delta=(1.0, share))))

    return compute


def _uniform(given: Numbers) -> Finding:
    if given.favourable in (0, given.k):
        which = "no trial" if given.favourable == 0 else "every trial"
        return Finding(words=f"does not apply: {which} is significant in favour, so selection cannot be estimated")
    found = p_uniform_star(given.y, given.v)
    return Finding(adjusted=(found.est, found.ci_lb, found.ci_ub))


def _curve(given: Numbers) -> Finding:
    found = p_curve(given.y, given.v)
    power = f"{100 * found.power:.0f} % ({100 * found.power_ci_lb:.0f} % to {100 * found.power_ci_ub:.0f} %)"
    words = f"{found.k_sig} of {found.k} significant; mean power {power}, 90 % interval"
    return Finding(words=f"{words}; right skew {p_text(found.p_full)}")


def _excess(given: Numbers) -> Finding:
    found = excess_significance(given.y, given.v)
    words = f"{found.O} significant, {found.E:.1f} expected ({p_text(found.pval)}); no estimate"
    return Finding(words=words)


METHODS: tuple[Method, ...] = (
    Method(
        name="No adjustment",
        sources=("viechtbauer2010",),
        assumes="Trials with a number are like trials without one.",
        cannot="Whether that is so.",
        compute=_pooled,
    ),
    Method(
        name="Regression on the standard error (Egger)",
        sources=("egger1997", "sterne2011"),
        assumes="Without bias, effects do not depend on precision; the estimate is that of an endlessly large trial.",
        cannot="Bias from other reasons why small trials differ; for standardised differences it errs by itself.",
        compute=_egger,
    ),
    Method(
        name="Regression on trial size",
        sources=("pustejovsky2019",),
        assumes="The same, with 1/√n in place of the standard error, which for standardised differences is fairer.",
        cannot="The same; of trials of like size it learns nothing.",
        compute=_by_size,
    ),
    Method(
        name="Rank correlation",
        sources=("begg1994",),
        assumes="Without bias, the order of effects has nothing to do with the order of variances.",
        cannot="How large bias is; it has the least power of these tests.",
        compute=_rank,
    ),
    Method(
        name="Trim and fill",
        sources=("duval2000",),
        assumes="The most extreme trials on one side were suppressed and mirror those on the other.",
        cannot="Whether asymmetry is suppression: heterogeneity looks the same to it.",
        compute=_filled,
    ),
    Method(
        name="PET-PEESE",
        sources=("stanley2014",),
        assumes="Bias grows with the standard error (PET) or the variance (PEESE), and vanishes in large trials.",
        cannot="Much below 20 trials, or with this much heterogeneity; it extrapolates beyond every trial.",
        compute=_pet_peese,
    ),
    Method(
        name="Limit meta-analysis",
        sources=("rucker2011",),
        assumes="Small trials are shifted in proportion to their total standard deviation.",
        cannot="Where the shift comes from.",
        compute=_limit,
    ),
    Method(
        name="Selection model, one step at one-sided p = .025",
        sources=("vevea2005",),
        assumes="Trials not significant in favour are reported some fraction as often; the fraction is estimated.",
        cannot="The fraction, from few trials: the interval carries that.",
        compute=_steps,
    ),
    Method(
        name="The same, half of the others reported",
        sources=("vevea2005",),
        assumes="A trial not significant in favour had half the chance of printing a number.",
        cannot="Whether it had; this is a what-if.",
        compute=_fixed_steps(0.5),
    ),
    Method(
        name="The same, a tenth of the others reported",
        sources=("vevea2005",),
        assumes="It had a tenth of the chance: severe selection.",
        cannot="Whether it had; this is a what-if.",
        compute=_fixed_steps(0.1),
    ),
    Method(
        name="p-uniform*",
        sources=("vanaert2018",),
        assumes="Trials are reported by significance alone, significant and other ones each alike.",
        cannot="Anything where all trials fall on one side of significance.",
        compute=_uniform,
    ),
    Method(
        name="p-curve",
        sources=("simonsohn2014",),
        assumes="Of significant results all are seen; small p values outweigh large ones if there is an effect.",
        cannot="The mean effect; which side it is on; what the results that are not significant say.",
        compute=_curve,
    ),
    Method(
        name="Excess significance",
        sources=("ioannidis2007",),
        assumes="All trials share the pooled effect, from which the expected number of significant ones follows.",
        cannot="Bias from heterogeneity: trials that truly differ give an excess, too.",
        compute=_excess,
    ),
)
"""What is computed, in the order printed."""
