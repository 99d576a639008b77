"""Pooled analyses by others beside ours, and what of theirs can be recomputed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from dualtrace.evidence.record import Timepoint
from dualtrace.report.document import Block, Bullets, Cite, Line, Link, Paragraph, Section, Table
from dualtrace.report.figures.comparison import ComparisonGroup, ComparisonRow, ComparisonSpec, alt, comparison
from dualtrace.report.picture import picture
from dualtrace.report.sections import verdict
from dualtrace.report.words import estimate, number, p_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualtrace.evidence.pooled import PooledResult, PublishedPooling
    from dualtrace.pooling.synthesis import Synthesis
    from dualtrace.report.analysis import Analysis, Question

STANDARDISED = ("SMD", "Hedges g", "Hedges' g", "g", "Cohen d", "d", "SMCC")
HEADERS = (
    "Analysis", "Outcome", "When", "Who", "Measure", "Printed result", "Positive favours", "Trials", "Patients",
    "Note",
)  # fmt: skip
INTRODUCTION = (
    "Others pooled these trials before, with access to numbers that their printed pages do not repeat. Their results "
    "stand beside ours, turned to the same side; they differ in trials, outcomes and time, so agreement is what may "
    "be expected, identity is not. The patient-level analysis of 2017 had the data of 21 trials and is the strongest "
    "single source."
)


def others(analysis: Analysis) -> Section:
    """Return the chapter."""
    groups = tuple(
        group
        for title, question, when in (
            ("After treatment, standardised difference", ("severity_mixed", Timepoint.POST), "post"),
            ("Follow-up, standardised difference", ("severity_mixed", Timepoint.FOLLOWUP), "follow"),
        )
        if (group := _group(title, question, when, analysis)).rows
    )
    spec = ComparisonSpec(title="Pooled effects: ours beside others'", groups=groups)
    caption: Line = ("Pooled standardised effects; right of the line favours D-cycloserine.",)
    blocks: list[Block] = [Paragraph((INTRODUCTION,))]
    blocks.append(picture("others", caption, alt(spec), partial(comparison, spec)))
    blocks.append(_table(analysis))
    notes = tuple((p.label, " ", Cite(p.id), f": {note}") for p in analysis.poolings for note in p.notes)
    blocks.append(Bullets(notes))
    return Section("others", "Pooled analyses by others, beside ours", tuple(blocks))


def _group(title: str, question: Question, when: str, analysis: Analysis) -> ComparisonGroup:
    rows = (*_ours(question, analysis), *(row for p in analysis.poolings for row in _theirs(p, when)))
    return ComparisonGroup(title=title, scale="linear", axis_label="Standardised mean difference", rows=rows)


def _ours(question: Question, analysis: Analysis) -> Iterator[ComparisonRow]:
    like: Question = ("severity", question[1])
    for chosen, words in ((like, "differences only"), (question, "kinds mixed")):
        grouped = analysis.syntheses.get(chosen)
        if grouped is None:
            continue
        for name, found in zip(("numbers", "all information"), verdict.answers(grouped.overall), strict=True):
            if found is not None:
                yield ComparisonRow(
                    label=f"This report, {name}",
                    sublabel=words,
                    estimate=found.value,
                    low=found.low,
                    high=found.high,
                    k=found.k,
                    n=_behind(grouped.overall, found.k),
                    who="ours",
                )


def _behind(synthesis: Synthesis, k: int) -> int:
    chosen = synthesis.effects if k == len(synthesis.effects) else [e for e in synthesis.effects if e.is_exact]
    return round(sum(e.n_treatment + e.n_reference for e in chosen))


def _theirs(pooling: PublishedPooling, when: str) -> Iterator[ComparisonRow]:
    for result in pooling.results:
        value, interval, standardised = _turned(result)
        if not standardised or when not in result.timepoint.lower() or value is None:
            continue
        details = [result.metric, result.timepoint, *([] if result.subgroup == "all" else [result.subgroup])]
        yield ComparisonRow(
            label=pooling.label,
            sublabel=", ".join(details),
            estimate=value,
            low=None if interval is None else interval[0],
            high=None if interval is None else interval[1],
            k=result.k or pooling.k,
            n=result.n or pooling.n,
            who="published",
        )


def _turned(result: PooledResult) -> tuple[float | None, tuple[float, float] | None, bool]:
    """Return a standardised result with positive favouring treatment."""
    if result.d is not None:
        return (result.d if result.positive_favours == "treatment" else -result.d), None, True
    if not any(result.metric.startswith(name) for name in STANDARDISED) or result.positive_favours is None:
        return None, None, False
    sign = 1 if result.positive_favours == "treatment" else -1
    value = None if result.estimate is None else sign * result.estimate
    ends = None if result.ci is None else sorted((sign * result.ci[0], sign * result.ci[1]))
    return value, None if ends is None else (ends[0], ends[1]), True


def _table(analysis: Analysis) -> Table:
    rows = tuple(_row(pooling, result) for pooling in analysis.poolings for result in pooling.results)
    return Table("published_poolings", "What others pooled, as printed", HEADERS, rows, numeric=(7, 8))


def _row(pooling: PublishedPooling, result: PooledResult) -> tuple[Line, ...]:
    sides: dict[Literal["treatment", "reference"], str] = {"treatment": "D-cycloserine", "reference": "placebo"}
    return (
        (pooling.label, " ", Cite(pooling.id)),
        (Link(result.outcome, result.url),),
        (result.timepoint,),
        (result.subgroup,),
        (result.metric,),
        (_printed(result),),
        ("" if result.positive_favours is None else sides[result.positive_favours],),
        (_whole(result.k),),
        (_whole(result.n),),
        ("; ".join(part for part in (f"GRADE {result.grade}" if result.grade else "", result.note or "") if part),),
    )


def _printed(result: PooledResult) -> str:
    if result.estimate is None:
        return "not printed"
    value = number(result.estimate) if result.ci is None else estimate(result.estimate, *result.ci)
    return value + (f", {p_text(result.p.value)}" if result.p is not None and result.p.relation == "=" else "")


def _whole(count: int | None) -> str:
    return "" if count is None else f"{count:,}"
