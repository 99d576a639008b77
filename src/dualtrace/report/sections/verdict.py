"""Numbers to plain words: what may be concluded, what not, and how certain it is. Every sentence follows a rule."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, isfinite
from typing import TYPE_CHECKING

from dualtrace.report.analysis import HEADLINE, MIXED
from dualtrace.report.words import DISORDER_NAMES, count, estimate, number, p_text

if TYPE_CHECKING:
    from dualtrace.evidence.record import Disorder
    from dualtrace.pooling.contract import Pooled
    from dualtrace.pooling.partial_contract import PartialPooled
    from dualtrace.pooling.synthesis import GroupedSynthesis, Synthesis
    from dualtrace.report.analysis import Analysis

SMALL_EFFECT = 0.2
"""A standardised difference often called small (Cohen 1988); used only to word precision."""

INFORMATION_SIZE = 400
"""Participants under which GRADE calls a mean imprecise (Cochrane Handbook, chapter 14)."""

WIDEST_SMD = 6.0
WIDEST_LOG_RATIO = 9.0
"""Intervals wider than these are called "not determined": they hold every effect ever seen."""

CERTAINTY_RULE = (
    "Certainty starts at moderate: the trials are randomised, but risk of bias can be judged in few of them. It "
    "falls one step for each of: fewer than 400 participants, or an interval that holds both no effect and a small "
    "benefit (imprecise); a prediction interval that reaches 0.2 on both sides of no effect (inconsistent); fewer "
    "than half of the trials with a number (few numbers); effects of different kinds side by side (kinds mixed). It "
    "is a rule that a program can follow, not the judgement of a GRADE panel."
)


@dataclass(frozen=True, slots=True)
class Answer:
    """One pooled answer on the printed scale."""

    value: float
    low: float
    high: float
    prediction: tuple[float, float] | None
    k: int
    ratio: bool

    @property
    def null(self) -> float:
        """The value of no effect."""
        return 1.0 if self.ratio else 0.0

    def __str__(self) -> str:
        """Value and interval."""
        return estimate(self.value, self.low, self.high)


def answer(fit: Pooled | PartialPooled | None, *, ratio: bool) -> Answer | None:
    """Return the pooled answer of an intercept-only fit, None when its interval is open or says nothing."""
    if fit is None or float(fit.ci_ub[0]) - float(fit.ci_lb[0]) > (WIDEST_LOG_RATIO if ratio else WIDEST_SMD):
        return None
    shown = exp if ratio else float
    prediction = (shown(fit.pi_lb), shown(fit.pi_ub)) if isfinite(fit.pi_lb) and fit.k > 2 else None
    value, low, high = (shown(float(x)) for x in (fit.beta[0], fit.ci_lb[0], fit.ci_ub[0]))
    return Answer(value, low, high, prediction, fit.k, ratio)


def answers(synthesis: Synthesis) -> tuple[Answer | None, Answer | None]:
    """Return the answer of the numbers alone and the answer of all information."""
    ratio = synthesis.effects[0].metric.is_ratio
    return answer(synthesis.classical, ratio=ratio), answer(synthesis.everything, ratio=ratio)


def sentence(synthesis: Synthesis) -> str:
    """Return what one synthesis says, in two or three plain sentences."""
    exact, everything = answers(synthesis)
    metric = synthesis.effects[0].metric.value
    parts: list[str] = []
    if exact is not None:
        numbers = (
            "the one trial that printed a number" if exact.k == 1 else f"the {exact.k} trials that printed numbers"
        )
        parts.append(f"In {numbers}, the {metric} is {exact}.")
    if everything is not None and synthesis.n_exact < len(synthesis.effects):
        what = "With the words of the other trials counted as ranges" if exact else "From words alone"
        parts.append(f"{what} ({count(everything.k, 'trial')}), it is {everything}: {meaning(everything)}.")
    elif exact is not None:
        parts.append(f"That is {meaning(exact)}.")
    last = everything or exact
    if last is not None and last.prediction is not None:
        low, high = (number(end) for end in last.prediction)
        parts.append(f"The true effect in a new, similar trial could lie between {low} and {high}.")
    return " ".join(parts) or "Nothing reported determines a pooled answer."


def disorders_differ(grouped: GroupedSynthesis) -> str:
    """Return whether disorders differ by all information, as a sentence; empty when there is no test."""
    test = grouped.between_all
    if test is None:
        return ""
    found = "differ" if test.p < 0.05 else "are not shown to differ"
    return f" Disorders {found} (likelihood-ratio χ²({test.df}) = {test.Q:.2f}, {p_text(test.p)})."


def meaning(found: Answer) -> str:
    """Return whether the interval tells benefit from no effect."""
    if found.low > found.null:
        return "in favour of D-cycloserine"
    if found.high < found.null:
        return "in favour of placebo"
    narrow = not found.ratio and found.high < SMALL_EFFECT and found.low > -SMALL_EFFECT
    if narrow:
        return "no effect of a size that would matter, in either direction"
    if found.ratio or found.high >= SMALL_EFFECT > -found.low:
        return "compatible with no effect and with a benefit"
    return "compatible with no effect, with a small benefit and with a small harm"


def certainty(synthesis: Synthesis) -> tuple[str, str]:
    """Return the level of certainty and the reasons for lowering it; see :data:`CERTAINTY_RULE`."""
    exact, everything = answers(synthesis)
    best = everything or exact
    if best is None:
        return "very low", "no pooled answer"
    reasons = []
    imprecise = best.low <= best.null and (best.ratio or best.high >= SMALL_EFFECT)
    if synthesis.participants < INFORMATION_SIZE or imprecise:
        reasons.append("imprecise")
    reach = best.prediction
    if reach is not None and not best.ratio and reach[0] <= -SMALL_EFFECT and reach[1] >= SMALL_EFFECT:
        reasons.append("inconsistent")
    if synthesis.n_exact * 2 < len(synthesis.effects):
        reasons.append("few numbers")
    if len({effect.estimand for effect in synthesis.effects}) > 1:
        reasons.append("kinds mixed")
    return ("moderate", "low", "very low")[min(len(reasons), 2)], ", ".join(reasons)


def of_disorder(disorder: Disorder, analysis: Analysis) -> str:
    """Return what can be said of one disorder."""
    trials = analysis.of(disorder)
    name = DISORDER_NAMES[disorder].lower()
    parts = [f"{count(len(trials), 'trial')} with results treated {name}."]
    for question, words in (
        (HEADLINE, "Severity after treatment"),
        (MIXED, "Every kind of severity effect side by side (a mixture)"),
    ):
        grouped = analysis.syntheses.get(question)
        synthesis = grouped.by_disorder.get(disorder) if grouped else None
        if synthesis is None:
            parts.append(f"{words}: no trial reports it.")
            continue
        _, everything = answers(synthesis)
        if everything is None:
            parts.append(f"{words}: {'; '.join(synthesis.refused) or 'not determined'}.")
        else:
            k = count(everything.k, "trial")
            parts.append(f"{words}, all information of {k}: {everything}, {meaning(everything)}.")
    return " ".join(parts)


def shrinkage(synthesis: Synthesis) -> str | None:
    """Return how the answer moves when words are used, None when there is nothing to compare."""
    exact = None if synthesis.information is None else synthesis.information.exact
    everything = synthesis.everything
    if exact is None or everything is None or exact.k == everything.k:
        return None
    one, two = float(exact.beta[0]), float(everything.beta[0])
    return f"{number(one)} from the {exact.k} trials with numbers, {number(two)} from all {everything.k}"
