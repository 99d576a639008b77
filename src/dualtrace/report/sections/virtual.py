"""Virtual trials beside the published pattern: benefit that fades, fear at the end of sessions, poor exposures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualtrace.evidence.load import load
from dualtrace.evidence.record import Estimand, Timepoint
from dualtrace.evidence.statistic import Events, Favours, SlopeRatio
from dualtrace.report.document import Block, Callout, Cite, Line, Paragraph, Section, Table
from dualtrace.report.figures.virtual_trial import figures
from dualtrace.report.picture import picture
from dualtrace.report.words import number
from dualtrace.simulation.from_trial import protocol_of
from dualtrace.simulation.load import find_protocol
from dualtrace.simulation.published import published
from dualtrace.simulation.summary import WARNING, summarise
from dualtrace.simulation.virtual_trial import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dualtrace.evidence.record import Trial
    from dualtrace.report.document import Picture
    from dualtrace.simulation.published import Published
    from dualtrace.simulation.summary import Summary
    from dualtrace.simulation.unseen import ByFear, Visited

PATIENTS = 4096
SEED = 1
BRIEF, LONG, POOR = "sad_pre_vs_post_vs_tailored", "hofmann2013", "ptsd_poor_exposure"
HARMED = "litz2012"
MODERATOR = "end_of_session_fear"
_LEAST_SESSIONS = 20
_NOTHING = 0.1
"""SUDS below which a difference is called none."""


INTRODUCTION = (
    "The mechanism and the memory model above are put into patients: each has kinetics, fear, learning and symptoms "
    "of their own, goes through the sessions of a protocol in every arm, and is measured on the scales of the trial. "
    "Three courses are run at the constants as they stand in the parameter table: a brief one (five sessions, social "
    "anxiety), a long one (the protocol of Hofmann 2013), and one with exposures that end before fear has fallen. "
    "Benefit is that of the same patients with and without the drug, in standard deviations of the primary scale at "
    "baseline."
)
NOT_CONCLUDED = (
    "That D-cycloserine works in this way, or at all: another model with other constants may give the same curves.",
    "How large an effect is: the constants of the clinic are assumptions, and benefits scale with them.",
    "What happens to a patient: these are none.",
    "That a pattern found here confirms a trial: the model was built by people who knew the trials.",
)
_SHOWN = {
    BRIEF: ("severity", "by_fear"),
    LONG: ("suds", "effect", "by_fear"),
    POOR: ("effect", "benefit", "by_fear"),
}


@dataclass(frozen=True, slots=True)
class Course:
    """One protocol that was run: its summary, and the published trial it was made from."""

    found: Summary
    beside: Published | None


def virtual(trials: Sequence[Trial]) -> Section:
    """Return the chapter; takes several seconds, and longer where the programs must be compiled first."""
    records = {trial.id: trial for trial in (*load(), *trials)}
    cited = {trial.id for trial in trials}
    courses = {name: _course(name, records) for name in (BRIEF, LONG, POOR)}
    blocks: tuple[Block, ...] = (
        Paragraph((INTRODUCTION,)),
        _pattern(courses, records, cited),
        *(shown for name, course in courses.items() for shown in _pictures(name, course)),
        _benefits(courses),
        Callout("What may not be concluded", tuple((text,) for text in (WARNING, *NOT_CONCLUDED))),
    )
    return Section("virtual", "Virtual trials beside the published pattern", blocks)


def _course(name: str, records: Mapping[str, Trial]) -> Course:
    record = records.get(name)
    protocol = find_protocol(name) if record is None else protocol_of(record)
    trial = run(protocol, patients=PATIENTS, seed=SEED)
    beside = None if record is None else published(record, trial.plan)
    return Course(summarise(trial, with_patients=False), beside)


def _pictures(name: str, course: Course) -> Iterator[Picture]:
    for shown in figures(course.found, course.beside):
        if shown.key in _SHOWN[name]:
            caption: Line = (f"{course.found.title}. {shown.caption}",)
            yield picture(f"virtual_{name}_{shown.key}", caption, shown.alt, shown.draw)


def _pattern(courses: Mapping[str, Course], records: Mapping[str, Trial], cited: set[str]) -> Table:
    """What the trials found, and what the virtual ones show, in words that follow the numbers."""
    rows = (
        ("Early benefit that fades", _early(records[LONG]), _cite(LONG, cited), _fades(courses[LONG].found)),
        ("Fear at the end of sessions", _moderation(records[LONG]), _cite(LONG, cited), _changes(courses)),
        ("Poor exposures", _harm(records[HARMED]), _cite(HARMED, cited), _harms(courses[POOR].found)),
    )
    return Table(
        "virtual_pattern",
        "What was found in people, and what the virtual trials show at the constants as they stand",
        ("Pattern", "In people", "In virtual patients"),
        tuple(((name,), (people, *cite), (shown,)) for name, people, cite, shown in rows),
        note=(
            f"{PATIENTS:,} virtual patients each; positive is benefit. Where a pattern does not appear it says so.",
        ),
    )


def _cite(key: str, cited: set[str]) -> tuple[Cite, ...]:
    return (Cite(key),) if key in cited else ()


def _early(record: Trial) -> str:
    """Rate of improvement, and remission after treatment, as the record has them."""
    reports = [(outcome, report) for outcome in record.outcomes for report in outcome.reported]
    rates = [report.value for _, report in reports if isinstance(report, SlopeRatio)]
    ends = [
        f"remission after treatment {report.treatment.percent:g}% against {report.reference.percent:g}%"
        for outcome, report in reports
        if (outcome.estimand, outcome.timepoint) == (Estimand.REMISSION, Timepoint.POST)
        and isinstance(report, Events)
        and report.treatment.percent is not None
        and report.reference.percent is not None
    ]
    said = [f"improvement {min(rates):g} to {max(rates):g} times as fast with the drug"] if rates else []
    return f"{'; '.join([*said, *ends])}. ".capitalize()


def _moderation(record: Trial) -> str:
    return " ".join(one.finding for one in record.moderators if one.moderator == MODERATOR) + " "


def _harm(record: Trial) -> str:
    worse = [
        outcome.measure
        for outcome in record.outcomes
        if any(report.favours is Favours.REFERENCE for report in outcome.reported)
    ]
    size = record.design.n_randomized
    return f"{size} patients; worse with the drug: {', '.join(dict.fromkeys(worse))}. "


def _fades(found: Summary) -> str:
    visits = found.unseen[0].visits
    early = max((at for at in visits if at.weeks < _end(visits, found).weeks), key=lambda at: at.mean)
    late = _end(visits, found)
    told = (
        f"benefit {number(early.mean, 3)} SD at week {early.weeks:g}, {number(late.mean, 3)} at week {late.weeks:g}, "
        "the end of treatment"
    )
    if early.mean > late.mean > 0:
        return f"Appears, small: {told}; placebo catches up."
    return f"Does not appear: {told}."


def _end(visits: Sequence[Visited], found: Summary) -> Visited:
    return next(at for at in visits if at.visit == found.treatment_end)


def _changes(courses: Mapping[str, Course]) -> str:
    labels = {LONG: "Long course", POOR: "Poor exposures"}
    return " ".join(f"{label}: {_by_fear(courses[name].found)}" for name, label in labels.items())


def _by_fear(found: Summary) -> str:
    bins = [one for one in found.unseen[0].by_fear if one.sessions >= _LEAST_SESSIONS]
    best, worst = max(bins, key=lambda one: one.less_fear), min(bins, key=lambda one: one.less_fear)
    told = f"to the next session, fear falls by {_suds(best)}, by {_suds(worst)} than in the same patient on placebo"
    signs = "the sign changes" if best.less_fear > _NOTHING and worst.less_fear < -_NOTHING else "no change of sign"
    return f"{told}; {signs}."


def _suds(one: ByFear) -> str:
    after = f"after sessions that ended at {one.low:.0f} to {one.high:.0f}"
    if abs(one.less_fear) < _NOTHING:
        return f"no more {after}"
    return f"{number(abs(one.less_fear), 1)} SUDS {'more' if one.less_fear > 0 else 'less'} {after}"


def _harms(found: Summary) -> str:
    before = found.unseen[0]
    end = _end(before.visits, found)
    told = (
        f"mean benefit {number(end.mean, 3)} SD with the drug before every session; {100 * end.worse:.0f}% are "
        f"worse off by 0.1 SD or more, {100 * end.better:.0f}% better off"
    )
    return f"{'Harm' if end.mean < 0 else 'No harm on average'}: {told}."


def _benefits(courses: Mapping[str, Course]) -> Table:
    rows = []
    for course in courses.values():
        names = {arm.arm: arm.label for arm in course.found.arms}
        for one in course.found.unseen:
            end = _end(one.visits, course.found)
            rows.append(
                (
                    (course.found.title,),
                    (names[one.arm],),
                    (", ".join(f"{number(at.mean, 3)} (week {at.weeks:g})" for at in one.visits),),
                    (f"{100 * end.better:.1f}%",),
                    (f"{100 * end.worse:.1f}%",),
                )
            )
    return Table(
        "virtual_benefit",
        "Benefit of the same patients with the drug against without, SDs at baseline",
        ("Course", "Arm", "Mean benefit by week", "Better off by 0.1 SD", "Worse off by 0.1 SD"),
        tuple(rows),
        numeric=(3, 4),
        note=("Better and worse off at the end of treatment.",),
    )
