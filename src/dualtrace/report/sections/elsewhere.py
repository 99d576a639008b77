"""Everything else that was reported: which way each trial points in each kind of outcome, and its p-values."""

from __future__ import annotations

from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Literal

from scipy.special import ndtr

from dualtrace.effects.effect import Effect, Information
from dualtrace.effects.primary import DRUG
from dualtrace.evidence.record import Estimand, Timepoint
from dualtrace.report.document import Block, Cite, Paragraph, Section
from dualtrace.report.figures import albatross, direction, timing
from dualtrace.report.picture import picture
from dualtrace.report.words import DISORDER_NAMES, participants

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.report.analysis import Analysis
    from dualtrace.report.figures.symbols import Direction, Strength

DOMAINS: tuple[tuple[str, frozenset[Estimand]], ...] = (
    (
        "severity",
        frozenset(
            {Estimand.POST_DIFFERENCE, Estimand.CHANGE, Estimand.GROWTH_MODEL, Estimand.SLOPE, Estimand.INTERACTION}
        ),
    ),
    ("response or remission", frozenset({Estimand.RESPONSE, Estimand.REMISSION})),
    ("within session", frozenset({Estimand.WITHIN_SESSION})),
    ("marker", frozenset({Estimand.MARKER})),
)
TIMES = (Timepoint.MID, Timepoint.POST, Timepoint.FOLLOWUP)
TIME_WORDS = {Timepoint.MID: "mid", Timepoint.POST: "post", Timepoint.FOLLOWUP: "follow-up"}
CONVENTIONAL_Z = 1.959963984540054

INTRODUCTION = (
    "Many comparisons were reported without a number that can be pooled. The effect direction plot shows, for every "
    "trial and kind of outcome, which side the reports favour and whether they were called significant. Where a cell "
    "sums up several outcomes, it shows the side that at least 70 % of them favour, else neither; it counts reports, "
    "not sizes."
)
ALBATROSS = (
    "The albatross plot places each trial's severity report after treatment by its p-value and size; contours are "
    "standardised differences that give that p at that size. A report of “p below” or “p above” is drawn as a range."
)
PROTOCOLS = "Trials also differ in how the drug was given: dose, and minutes before or after the session."
DIRECTION = "Direction of every drug-against-placebo comparison. Upward triangles favour D-cycloserine."
SEVERITY = "Severity after treatment, any kind of report. Right of the middle favours D-cycloserine."
TIMES_DOSES = "Dose and time of every drug arm; colour is the side its trial's severity report favours."
AGREEMENT = 0.7
"""Share of outcomes that must agree for a cell to have a side (Boon & Thomson 2021)."""


def elsewhere(analysis: Analysis) -> Section:
    """Return the chapter."""
    directions = _directions(analysis)
    points = _albatross(analysis)
    protocols = _protocols(analysis)
    blocks: list[Block] = []
    if directions.rows:
        drawn = picture(
            "direction", (DIRECTION,), direction.alt(directions), partial(direction.direction, directions)
        )
        blocks += [Paragraph((INTRODUCTION, " ", Cite("boon2021"))), drawn]
    if points.points:
        drawn = picture("albatross", (SEVERITY,), albatross.alt(points), partial(albatross.albatross, points))
        blocks += [Paragraph((ALBATROSS, " ", Cite("harrison2017"))), drawn]
    if protocols.points:
        drawn = picture("timing_dose", (TIMES_DOSES,), timing.alt(protocols), partial(timing.timing_dose, protocols))
        blocks += [Paragraph((PROTOCOLS,)), drawn]
    return Section("elsewhere", "Everything else that was reported", tuple(blocks))


# --- effect directions -----------------------------------------------------------------------------------------


def _directions(analysis: Analysis) -> direction.DirectionSpec:
    keys = [(name, kinds, time) for name, kinds in DOMAINS for time in TIMES]
    by_trial: dict[str, list[Effect]] = {}
    for effect in analysis.comparisons:
        by_trial.setdefault(effect.trial, []).append(effect)
    cells = {
        trial: [_cell([e for e in effects if e.estimand in kinds and e.timepoint is time]) for _, kinds, time in keys]
        for trial, effects in by_trial.items()
    }
    used = [i for i in range(len(keys)) if any(row[i] is not None for row in cells.values())]
    columns = tuple(direction.DirectionColumn(domain=keys[i][0], timepoint=TIME_WORDS[keys[i][2]]) for i in used)
    rows = []
    for trial, row in cells.items():
        record = analysis.trial(trial)
        chosen = tuple(row[i] for i in used)
        if any(cell is not None for cell in chosen):
            group = DISORDER_NAMES[record.disorder]
            rows.append(direction.DirectionRow(label=record.label, group=group, n=participants(record), cells=chosen))
    return direction.DirectionSpec(title="Which way each trial points", columns=columns, rows=tuple(rows))


def _cell(effects: Sequence[Effect]) -> direction.DirectionCell | None:
    if not effects:
        return None
    sides = [_side(effect) for effect in effects]
    found: Direction = "neither"
    for side in ("drug", "placebo"):
        if sides.count(side) >= AGREEMENT * len(sides):
            found = side
    strengths = [_strength(effect) for effect, side in zip(effects, sides, strict=True) if side == found]
    best: Strength = "not_significant" if "not_significant" in strengths else "unstated"
    if "significant" in strengths and found != "neither":
        best = "significant"
    return direction.DirectionCell(direction=found, strength=best, k=len(effects))


def _side(effect: Effect) -> Direction:
    if effect.yi is not None:
        return "drug" if effect.yi > 0 else "placebo" if effect.yi < 0 else "neither"
    if effect.lower >= 0:
        return "drug"
    return "placebo" if effect.upper <= 0 else "neither"


def _strength(effect: Effect) -> Strength:
    p = effect.p_value
    if p is not None:
        return "significant" if p < 0.05 else "not_significant"
    bound = max(abs(x) for x in (effect.lower, effect.upper) if isfinite(x)) / effect.se
    if effect.information is Information.DIRECTION:
        return "unstated"
    one_sided = not (isfinite(effect.lower) and isfinite(effect.upper))
    return "significant" if one_sided and bound > CONVENTIONAL_Z - 1e-6 else "not_significant"


# --- albatross -------------------------------------------------------------------------------------------------


def _albatross(analysis: Analysis) -> albatross.AlbatrossSpec:
    points = tuple(point for effect in _severity(analysis) if (point := _point(effect)) is not None)
    return albatross.AlbatrossSpec(title="Severity after treatment: p-value and size", points=points)


def _severity(analysis: Analysis) -> tuple[Effect, ...]:
    grouped = analysis.syntheses.get(("severity_mixed", Timepoint.POST))
    return () if grouped is None else grouped.overall.effects


def _point(effect: Effect) -> albatross.AlbatrossPoint | None:
    n = effect.n_treatment + effect.n_reference
    group = DISORDER_NAMES[effect.disorder]
    if effect.yi is not None:
        p, side = effect.p_value, _sign(effect.yi)
        if p is None or side == 0:
            return albatross.AlbatrossPoint(label=effect.label, group=group, n=n, p=1.0, direction=0, bound="above")
        return albatross.AlbatrossPoint(label=effect.label, group=group, n=n, p=p, direction=side)
    low, high = effect.lower / effect.se, effect.upper / effect.se
    if effect.information is Information.DIRECTION:
        side = _sign(1.0 if effect.lower == 0 else -1.0)
        return albatross.AlbatrossPoint(label=effect.label, group=group, n=n, p=1.0, direction=side, bound="below")
    if isfinite(low) and isfinite(high):
        side = 0 if low < 0 < high else _sign(low + high)
        p = float(2 * ndtr(-max(abs(low), abs(high))))
        return albatross.AlbatrossPoint(label=effect.label, group=group, n=n, p=p, direction=side, bound="above")
    bound = low if isfinite(low) else high
    p = float(2 * ndtr(-abs(bound)))
    return albatross.AlbatrossPoint(label=effect.label, group=group, n=n, p=p, direction=_sign(bound), bound="below")


def _sign(value: float) -> Literal[-1, 0, 1]:
    return 1 if value > 0 else -1 if value < 0 else 0


# --- protocols -------------------------------------------------------------------------------------------------


def _protocols(analysis: Analysis) -> timing.TimingDoseSpec:
    sides = {effect.trial: _side(effect) for effect in _severity(analysis)}
    points = [
        timing.TimingDosePoint(
            label=trial.label,
            dose_mg=arm.dose_mg.middle,
            given=arm.timing.given,
            minutes=None if arm.timing.minutes is None else arm.timing.minutes.middle,
            n=arm.n,
            side=sides.get(trial.id, "unknown"),
        )
        for trial in analysis.pooled
        for arm in trial.design.arms
        if arm.agent == DRUG and arm.dose_mg is not None and arm.timing is not None and arm.timing.given != "daily"
    ]
    unplotted = sum(
        arm.agent == DRUG and (arm.dose_mg is None or arm.timing is None)
        for trial in analysis.pooled
        for arm in trial.design.arms
    )
    note = f"{unplotted} drug arms without a reported dose or time are not shown; weight-based doses at their middle."
    return timing.TimingDoseSpec(title="How the drug was given", points=tuple(points), footnote=note)
