"""The first screen: what may be concluded, what not, and the disorders side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualtrace.evidence.record import Timepoint
from dualtrace.evidence.scope import CORE_DISORDERS
from dualtrace.report.analysis import HEADLINE, MIXED
from dualtrace.report.document import Block, Bullets, Callout, Cite, Line, Paragraph, Section, Strong, Table
from dualtrace.report.sections import verdict
from dualtrace.report.words import DISORDER_NAMES, count, listing, participants

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.evidence.record import Disorder, Trial
    from dualtrace.report.analysis import Analysis, Question

NOT_ADVICE = (
    "This is a research tool, not medical advice. D-cycloserine is not approved for any of these disorders, and "
    "nothing here says what an individual patient should take."
)


NO_BEST_PROTOCOL = (
    "That one dose, time of dosing or number of sessions is better than another: trials differ in many ways at once, "
    "and only a few compared doses or times within one trial."
)
NO_VERDICT = (
    "That the dual effect is shown or refuted: the findings for and against it are mostly secondary analyses, and "
    "the mechanism has not been fitted to these trials here."
)
EFFECTS = "; counts become odds ratios. Positive, or above 1, favours D-cycloserine whatever way the scale runs."
TABLE_NOTE = (
    "Standardised mean differences and odds ratios from all information, with 95 % profile intervals, numbers of "
    "trials in brackets; positive, or above 1, favours D-cycloserine. Certainty is of severity after treatment, or "
    "of all kinds of severity effect where no trial compares severity after treatment."
)
ONE_OUTCOME = (
    "Chosen without looking at results: the registered primary outcome, else the standard clinician scale of the "
    "disorder, and so on down a fixed list."
)
WORDS = (
    "“No significant difference” bounds the effect to the range that the trial's size would not have called "
    "significant; “p < .02 in favour” bounds it from below; a bare direction is a half-line. One likelihood takes "
    "numbers as densities and ranges as probabilities."
)
LIKE = (
    "Post-treatment differences are pooled with post-treatment differences only. Where kinds are mixed, the title "
    "says so."
)
ARMS = "Arms that share a placebo arm are combined with their covariance; nobody is counted twice."


def summary(analysis: Analysis) -> Section:
    """Return the summary: conclusions, limits, and the table of disorders."""
    blocks: tuple[Block, ...] = (
        Paragraph((_scope_sentence(analysis),)),
        Bullets(conclusions(analysis)),
        Callout("What may not be concluded", limits(analysis)),
        _table(analysis),
        Paragraph((verdict.CERTAINTY_RULE,)),
    )
    return Section("summary", "In short", blocks)


def conclusions(analysis: Analysis) -> tuple[Line, ...]:
    """Return the plain-words conclusions; each follows from the numbers by a stated rule."""
    found: list[Line] = []
    for question, words in (
        (HEADLINE, "Severity after treatment"),
        (("severity", Timepoint.FOLLOWUP), "Severity at follow-up"),
        (("severity_mixed", Timepoint.MID), "During treatment (kinds of effect mixed)"),
        (("response", Timepoint.POST), "Response after treatment"),
        (("remission", Timepoint.POST), "Remission after treatment"),
        (("dropout", Timepoint.POST), "Drop-out (a ratio above 1: fewer with D-cycloserine)"),
    ):
        grouped = analysis.syntheses.get(question)
        if grouped is not None:
            found.append((Strong(f"{words}. "), verdict.sentence(grouped.overall)))
    found.append((Strong("Words matter. "), _words_matter(analysis)))
    found.append((Strong("Dual effect. "), _dual_effect(analysis)))
    return tuple(found)


def limits(analysis: Analysis) -> tuple[Line, ...]:
    """Return what a reader may not conclude from this evidence."""
    headline = analysis.syntheses.get(HEADLINE)
    found = () if headline is None else headline.overall.effects
    words = sum(not effect.is_exact for effect in found)
    in_words = (
        f"That the drug works, or does not, in any one disorder: {words} of the {len(found)} trials that compare "
        "severity after treatment report it only in words, and most trials are small."
    )
    return (in_words,), (NO_BEST_PROTOCOL,), (NO_VERDICT,), (NOT_ADVICE,)


def _scope_sentence(analysis: Analysis) -> str:
    total = sum(n for trial in analysis.pooled if (n := participants(trial)) is not None)
    unknown = sum(participants(trial) is None for trial in analysis.pooled)
    outside = len(analysis.trials) - len(analysis.pooled)
    missing = f" ({count(unknown, 'trial')} of unknown size not counted)" if unknown else ""
    return (
        f"{count(len(analysis.pooled), 'trial')} with results and {total:,} participants{missing} added "
        "D-cycloserine or placebo to exposure therapy in social anxiety disorder, panic disorder, "
        "obsessive-compulsive disorder, "
        f"post-traumatic stress disorder or specific phobia. {count(outside, 'further record')} "
        "(registry entries without results, laboratory assays, other disorders) are kept and listed, not pooled."
    )


def _words_matter(analysis: Analysis) -> str:
    parts = []
    for question, name in ((HEADLINE, "severity after treatment"), (MIXED, "all kinds of severity effect")):
        grouped = analysis.syntheses.get(question)
        text = None if grouped is None else verdict.shrinkage(grouped.overall)
        if text is not None:
            parts.append(f"for {name} the standardised difference is {text}")
    lead = "Trials that print a number are not a random sample of trials"
    return f"{lead}: {listing(parts)} (maximum likelihood both times)." if parts else f"{lead}."


def _dual_effect(analysis: Analysis) -> str:
    found = [m.dual_effect for trial in analysis.trials for m in trial.moderators]
    tried = [
        f"{trial.label} ({CONTINGENT[moderator.dual_effect]})"
        for trial in analysis.pooled
        for moderator in trial.moderators
        if moderator.moderator == "contingent_dosing"
    ]
    last = f" Dosing only after sessions that went well was tried in {listing(tried)}." if tried else ""
    return (
        f"Of {len(found)} moderator findings, {found.count('supports')} are in line with it, "
        f"{found.count('against')} speak against it, and the others are mixed or silent.{last}"
    )


CONTINGENT = {"supports": "helped", "against": "did not help", "mixed": "mixed", "silent": "not informative"}
HEADERS = (
    "Disorder", "Trials", "Participants", "Doses", "Taken", "Severity after treatment",
    "All kinds of severity effect",
    "Remission (odds ratio)", "Certainty",
)  # fmt: skip


def _table(analysis: Analysis) -> Table:
    rows = tuple(_row(disorder, analysis) for disorder in CORE_DISORDERS)
    return Table("summary", "Disorder by disorder", HEADERS, rows, numeric=(1, 2), note=(TABLE_NOTE,))


def _row(disorder: Disorder, analysis: Analysis) -> tuple[Line, ...]:
    trials = analysis.of(disorder)
    known = [n for trial in trials if (n := participants(trial)) is not None]
    level, reasons = _certainty(disorder, analysis)
    return (
        (DISORDER_NAMES[disorder],),
        (str(len(trials)),),
        (f"{sum(known):,}" + ("" if len(known) == len(trials) else "+"),),
        (doses(trials),),
        (timing(trials),),
        (_answer(HEADLINE, disorder, analysis),),
        (_answer(MIXED, disorder, analysis),),
        (_answer(("remission", Timepoint.POST), disorder, analysis),),
        (Strong(level), f" ({reasons})" if reasons else ""),
    )


def _answer(question: Question, disorder: Disorder, analysis: Analysis) -> str:
    grouped = analysis.syntheses.get(question)
    synthesis = None if grouped is None else grouped.by_disorder.get(disorder)
    if synthesis is None:
        return "not reported"
    found = verdict.answers(synthesis)[1]
    return f"{found} [{found.k}]" if found is not None else f"not determined [{len(synthesis.effects)}]"


def _certainty(disorder: Disorder, analysis: Analysis) -> tuple[str, str]:
    for question in (HEADLINE, MIXED):
        grouped = analysis.syntheses.get(question)
        if grouped is not None and disorder in grouped.by_disorder:
            return verdict.certainty(grouped.by_disorder[disorder])
    return "very low", "nothing to pool"


def doses(trials: Sequence[Trial]) -> str:
    """Return the doses of D-cycloserine used, ascending."""
    found = {
        arm.dose_mg for trial in trials for arm in trial.design.arms if arm.agent == "d-cycloserine" and arm.dose_mg
    }
    ordered = sorted(found, key=lambda span: (span.low, span.high))
    return ", ".join(str(span) for span in ordered) + " mg" if ordered else "not reported"


def timing(trials: Sequence[Trial]) -> str:
    """Return how many trials dosed before and after sessions."""
    given = [{a.timing.given for a in t.design.arms if a.timing and not a.is_placebo} for t in trials]
    counts = {"before": sum(g == {"before"} for g in given), "after": sum(g == {"after"} for g in given)}
    counts["both"] = sum(g == {"before", "after"} for g in given)
    counts["not reported"] = sum(not g for g in given)
    return ", ".join(f"{n} {name}" for name, n in counts.items() if n)


def reading(analysis: Analysis) -> Section:
    """Return how to read the report and what it is made of."""
    lines: tuple[Line, ...] = (
        (Strong("Effects. "), "Standardised mean differences are Hedges' g ", Cite("hedges1981"), EFFECTS),
        (Strong("One outcome per trial. "), ONE_OUTCOME),
        (Strong("Words as ranges. "), WORDS),
        (Strong("Like with like. "), LIKE),
        (Strong("Several drug arms. "), ARMS, " ", Cite("gleser2009")),
        (
            Strong("Pooling. "),
            "Random effects by REML ",
            Cite("viechtbauer2005"),
            " with Knapp-Hartung intervals ",
            Cite("knapp2003"),
            ", τ² by Q-profile ",
            Cite("viechtbauer2007"),
            ", prediction intervals ",
            Cite("riley2011"),
            ".",
        ),
        (
            Strong("Sources. "),
            f"{len(analysis.trials)} records, each number with its source, ship with the program. ",
            "Every figure and table can be downloaded beside this page.",
        ),
    )
    return Section("reading", "Scope, and how to read this", (Bullets(lines),))
