"""Forest plots: every pooled question, by disorder and overall; then one chapter per disorder."""

from __future__ import annotations

from functools import partial
from math import exp, isfinite, log
from typing import TYPE_CHECKING, Any

from dualtrace.evidence.record import Estimand, Timepoint
from dualtrace.evidence.scope import CORE_DISORDERS
from dualtrace.report.document import Block, Cite, Folded, Line, Paragraph, Picture, Section, Table
from dualtrace.report.figures.forest import ForestGroup, ForestRow, ForestSpec, ForestSummary, RowKind, alt, forest
from dualtrace.report.picture import picture
from dualtrace.report.sections import verdict
from dualtrace.report.words import DISORDER_NAMES, OUTCOME_NAMES, TIMEPOINT_NAMES, count, estimate, interval, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualtrace.effects.effect import Effect
    from dualtrace.evidence.record import Disorder
    from dualtrace.pooling.synthesis import GroupedSynthesis, Synthesis
    from dualtrace.report.analysis import Analysis, Question

AXES = {
    "SMD": "Standardised mean difference (Hedges' g)",
    "OR": "Odds ratio",
    "RR": "Risk ratio",
}
WEIGHT_HEADERS = (
    "Trial", "Outcome", "n", "Effect or range", "Known", "Weight, numbers only", "Weight, all",
    "Shift if left out (SE)",
)  # fmt: skip
SIDES = ("favours placebo", "favours D-cycloserine")


_NOT_ONE_QUANTITY = (
    "They do not estimate the same quantity; read this plot as a check on direction, not as a size of effect."
)
MIXTURES = {
    "severity_mixed": (
        "A mixture: differences at one time point, changes, slopes, growth-model effects and group-by-time tests "
        f"stand side by side. {_NOT_ONE_QUANTITY}"
    ),
    "benefit_mixed": (
        "A mixture that leaves out the fewest trials: any kind of severity effect, else response or remission turned "
        f"into a standardised difference. {_NOT_ONE_QUANTITY}"
    ),
}


def results(analysis: Analysis) -> tuple[Section, ...]:
    """Return the chapter of forest plots."""
    intro = (
        "Each row is one trial's primary comparison, chosen without looking at its result. A square is a number "
        "the trial reported; a hatched bar or fading arrow is a trial that reported only words, drawn over the "
        "range its words allow. Two pooled answers are given: from the numbers alone (random effects, REML with "
        "Knapp-Hartung intervals), and from all information (maximum likelihood, profile intervals), in which "
        "words count as ranges. Positive always favours D-cycloserine."
    )
    head = Section("results", "What was found", (Paragraph((intro,)),))
    return (head, *(_question(question, grouped) for question, grouped in analysis.syntheses.items()))


def disorders(analysis: Analysis) -> tuple[Section, ...]:
    """Return one section per disorder: its own forest plot over time points and what can be said."""
    head = Section("disorders", "Disorder by disorder", ())
    return (head, *(_disorder(disorder, analysis) for disorder in CORE_DISORDERS))


def question_title(question: Question) -> str:
    """Return ``Symptom severity after treatment``."""
    outcome, timepoint = question
    joiner = ", " if timepoint is Timepoint.FOLLOWUP else " "
    return OUTCOME_NAMES[outcome] + joiner + TIMEPOINT_NAMES[timepoint]


def _question(question: Question, grouped: GroupedSynthesis) -> Section:
    outcome, timepoint = question
    title = question_title(question)
    key = f"forest_{outcome}_{timepoint.value}"
    blocks: list[Block] = [Paragraph((MIXTURES[outcome],))] if outcome in MIXTURES else []
    blocks += [
        Paragraph((f"{verdict.sentence(grouped.overall)}{verdict.disorders_differ(grouped)}",)),
        _forest(key, title, grouped),
        Folded("Numbers behind the plot, and each trial's weight", (_weights(key, title, grouped),), on_paper=False),
    ]
    return Section(key.replace("_", "-"), title, tuple(blocks), level=2)


def _forest(key: str, title: str, grouped: GroupedSynthesis) -> Picture:
    spec = forest_spec(title, grouped)
    text: Line = (f"{title}. ", caption(grouped.overall))
    return picture(key, text, alt(spec), partial(forest, spec))


def forest_spec(title: str, grouped: GroupedSynthesis) -> ForestSpec:
    """Return the forest plot of one question, by disorder and overall."""
    groups = tuple(
        ForestGroup(
            title=DISORDER_NAMES[disorder],
            rows=tuple(row(effect, grouped.overall) for effect in synthesis.effects),
            summaries=summaries(synthesis, "Within disorder") if len(synthesis.effects) > 1 else (),
        )
        for disorder, synthesis in grouped.by_disorder.items()
    )
    metric = grouped.overall.effects[0].metric
    return ForestSpec(
        title=title,
        groups=groups,
        overall=summaries(grouped.overall, "All disorders"),
        scale="log" if metric.is_ratio else "linear",
        axis_label=axis(grouped.overall.effects[0]),
        left_label=SIDES[0],
        right_label=SIDES[1],
        limits=limits(grouped.overall),
        column_headers=("n", f"{metric.value} (95% CI)", "weight"),
        key_column=1,
        footnote="Weights are shares of the information about the mean when all information is used.",
    )


def axis(effect: Effect) -> str:
    """Return the axis label; the ratio of an unwanted event is that of being spared it."""
    name = AXES[effect.metric.value]
    if not effect.is_harm:
        return name
    return f"{name} of {'staying in treatment' if effect.estimand == Estimand.DROPOUT else 'no adverse event'}"


def limits_of(syntheses: Sequence[Synthesis]) -> tuple[float, float]:
    """Return one axis for several syntheses."""
    found = [limits(synthesis) for synthesis in syntheses]
    return min(low for low, _ in found), max(high for _, high in found)


def limits(synthesis: Synthesis) -> tuple[float, float]:
    """Return an axis on which trials can be told apart: their ranges, within ±3 SMD or ln 20.

    Wider intervals, above all Knapp-Hartung intervals of two trials, are cut and get an arrow.
    """
    ratio = synthesis.effects[0].metric.is_ratio
    widest = log(20) if ratio else 3.0
    ends = [x for e in synthesis.effects for x in (*e.ci(), *((e.yi,) if e.yi is not None else ())) if isfinite(x)]
    half = min(max([abs(end) for end in ends] + [0.8]) * 1.15, widest)
    low = -half if min(ends) < -0.4 * half else -0.6 * half
    return (exp(low), exp(half)) if ratio else (low, half)


def caption(synthesis: Synthesis) -> str:
    """Return how many trials and participants, and how many numbers."""
    return (
        f"{count(len(synthesis.effects), 'trial')}, {count(round(synthesis.participants), 'participant')}; "
        f"{synthesis.n_exact} with a number, {len(synthesis.effects) - synthesis.n_exact} with words only. "
        "Right of the line favours D-cycloserine."
    )


def row(effect: Effect, synthesis: Synthesis) -> ForestRow:
    """Return one trial's row; ratios are printed as ratios on the side they favour."""
    shown = exp if effect.metric.is_ratio else float
    low, high = (shown(bound) if isfinite(bound) else bound for bound in effect.ci())
    value = None if effect.yi is None else shown(effect.yi)
    text = interval_text(effect, low, high) if value is None else estimate(value, low, high)
    n = f"{effect.n_treatment:.0f} v {effect.n_reference:.0f}"
    share = share_of(effect, synthesis)
    weight = "" if share is None else f"{share:.1f}%"
    return ForestRow(
        label=effect.label,
        sublabel=", ".join(effect.instruments[:2]),
        kind=_drawn_as(effect),
        estimate=value,
        low=low,
        high=high,
        weight_percent=share,
        columns=(n, text, weight),
    )


def _drawn_as(effect: Effect) -> RowKind:
    if effect.yi is not None:
        return "exact"
    return "interval" if isfinite(effect.lower) and isfinite(effect.upper) else "direction"


def interval_text(effect: Effect, low: float, high: float) -> str:
    """Return the range that words allow, for a cell."""
    if not isfinite(effect.upper):
        return f"above {number(low)}"
    if not isfinite(effect.lower):
        return f"below {number(high)}"
    return f"[{interval(low, high)}]"


def share_of(effect: Effect, synthesis: Synthesis) -> float | None:
    """Return a trial's share of the information in percent, None when nothing was fitted."""
    fit = synthesis.everything
    if fit is None:
        return None
    return float(fit.influence.share[synthesis.effects.index(effect)])


def summaries(synthesis: Synthesis, name: str) -> tuple[ForestSummary, ...]:
    """Return the two pooled answers as diamonds."""
    exact, everything = verdict.answers(synthesis)
    all_exact = synthesis.n_exact == len(synthesis.effects)
    found: list[ForestSummary] = []
    for words, answer in (
        ("numbers only", exact if synthesis.n_exact > 1 else None),
        ("all information", everything if not all_exact or synthesis.n_exact == 1 else None),
    ):
        if answer is not None:
            found.append(
                ForestSummary(
                    label=f"{name}, {words}",
                    estimate=answer.value,
                    low=answer.low,
                    high=answer.high,
                    prediction=answer.prediction,
                    columns=(f"k = {answer.k}", str(answer), ""),
                )
            )
    return tuple(found)


def _weights(key: str, title: str, grouped: GroupedSynthesis) -> Table:
    overall = grouped.overall
    shares = None if overall.information is None else overall.information.columns()
    rows: list[tuple[Line, ...]] = []
    for i, effect in enumerate(overall.effects):
        drawn = row(effect, overall)
        weights = ("", "", "") if shares is None else _shares(shares, i)
        cells = (effect.measure, drawn.columns[0], drawn.columns[1], effect.information.value, *weights)
        rows.append(((effect.label, " ", Cite(effect.trial)), *((cell,) for cell in cells)))
    return Table(key, title, WEIGHT_HEADERS, tuple(rows), numeric=(2, 5, 6, 7), note=(SHIFT,))


SHIFT = "The last column is how far the mean of all information moves, in its standard errors, without the trial."


def _shares(columns: Mapping[str, Any], i: int) -> tuple[str, str, str]:
    shift = float(columns["change_se_all"][i])
    known = number(shift) if isfinite(shift) else "not determined"
    return f"{columns['share_exact'][i]:.1f}%", f"{columns['share_all'][i]:.1f}%", known


def _disorder(disorder: Disorder, analysis: Analysis) -> Section:
    name = DISORDER_NAMES[disorder]
    own = [
        (question, grouped.by_disorder[disorder])
        for question, grouped in analysis.syntheses.items()
        if question[0] == "severity_mixed" and disorder in grouped.by_disorder
    ]
    order = {Timepoint.MID: 0, Timepoint.POST: 1, Timepoint.FOLLOWUP: 2}
    own.sort(key=lambda pair: order[pair[0][1]])
    groups = tuple(
        ForestGroup(
            title=TIMEPOINT_NAMES[question[1]].capitalize(),
            rows=tuple(row(effect, synthesis) for effect in synthesis.effects),
            summaries=summaries(synthesis, "Pooled") if len(synthesis.effects) > 1 else (),
        )
        for question, synthesis in own
    )
    spec = ForestSpec(
        title=f"{name}: severity over time",
        groups=groups,
        axis_label=AXES["SMD"],
        left_label=SIDES[0],
        right_label=SIDES[1],
        limits=limits_of([synthesis for _, synthesis in own]) if own else None,
        column_headers=("n", "SMD (95% CI)", "weight"),
        key_column=1,
        footnote="Each trial's primary severity effect of any kind (differences, changes, slopes, growth models).",
    )
    key = f"forest_{disorder.value.lower()}"
    blocks: list[Block] = [Paragraph((verdict.of_disorder(disorder, analysis),))]
    if groups:
        text = (f"{name}: severity at each time point. Right of the line favours D-cycloserine.",)
        blocks.append(picture(key, text, alt(spec), partial(forest, spec)))
    return Section(f"disorder-{disorder.value.lower()}", name, tuple(blocks), level=2)
