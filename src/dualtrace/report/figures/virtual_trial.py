"""Figures of a virtual trial from its summary: fear, severity, effect, benefit of individuals and by fear."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import isfinite, nan, sqrt
from typing import TYPE_CHECKING, Final

from dualtrace.report.figures.benefit import BenefitSpec, Panel, benefit
from dualtrace.report.figures.lines import LinesSpec, Series, Style, lines
from dualtrace.report.figures.style import DRUG, MUTED, PLACEBO
from dualtrace.report.words import listing, number
from dualtrace.simulation.published import Published
from dualtrace.simulation.tally import GAIN_EDGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dualtrace.report.picture import Draw
    from dualtrace.simulation.published import PublishedEffect, PublishedMean
    from dualtrace.simulation.reported import Compared, Fear
    from dualtrace.simulation.summary import Summary
    from dualtrace.simulation.unseen import Unseen, Visited

_OTHERS: Final = (DRUG, "#00805f", "#8d4a83", "#a07800", "#33414f", "#2f9fd0", "#7a1f1f")
_Z: Final = 1.959963984540054
_MARGIN: Final = 0.1
_LEAST_SESSIONS: Final = 20
_BESIDE: Final = 0.012
"""Share of the axis by which published effects stand beside the virtual ones."""

_DODGE: Final = 0.007
"""Share of the axis by which the arms stand beside each other."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure: file name without ending, reading aid, what it shows in words, and how it is drawn."""

    key: str
    caption: str
    alt: str
    draw: Draw


def figures(found: Summary, beside: Published | None = None) -> tuple[Shown, ...]:
    """Return every figure that a virtual trial gives.

    Parameters
    ----------
    found
        The trial.
    beside
        What the published trial whose protocol was run reports.
    """
    return tuple(_figures(found, beside or Published("")))


def _figures(found: Summary, beside: Published) -> Iterator[Shown]:
    if any(one.n for one in found.sessions):
        yield _lines("suds", suds_spec(found), suds_alt(found))
    yield _lines("severity", severity_spec(found, beside), severity_alt(found, beside))
    if found.unseen[0].visits:
        yield _lines("effect", effect_spec(found, beside), effect_alt(found, beside))
        spec = benefit_spec(found)
        yield Shown("benefit", spec.footnote, benefit_alt(found), partial(benefit, spec))
    if any(_enough(one) for one in found.unseen):
        yield _lines("by_fear", by_fear_spec(found), by_fear_alt(found))


def _lines(key: str, spec: LinesSpec, alt: str) -> Shown:
    return Shown(key, spec.footnote, alt, partial(lines, spec))


def _colors(found: Summary) -> dict[str, str]:
    others = [arm.arm for arm in found.arms if not arm.is_reference]
    colors = {arm: _OTHERS[i % len(_OTHERS)] for i, arm in enumerate(others)}
    return {**colors, found.reference: PLACEBO}


def _names(found: Summary) -> dict[str, str]:
    return {arm.arm: arm.label for arm in found.arms}


def _moved(x: Sequence[float], place: int, count: int) -> tuple[float, ...]:
    """Places of one arm beside those of the others."""
    step = _DODGE * (max(x) - min(x) or 1.0)
    return tuple(value + step * (place - (count - 1) / 2) for value in x)


def suds_spec(found: Summary) -> LinesSpec:
    """Fear at the start and at the end of every session, by arm, with 95 % intervals of the means."""
    colors, names = _colors(found), _names(found)
    series = []
    for place, (arm, color) in enumerate(colors.items()):
        mine = [one for one in found.sessions if one.arm == arm]
        x = _moved([one.session for one in mine], place, len(colors))
        series += [_fear_series(mine, x, color, at_end=at_end) for at_end in (False, True)]
    count = max(one.session for one in found.sessions)
    return LinesSpec(
        title="Fear by session and arm",
        labels=("session", "SUDS (0 to 100)"),
        series=tuple(series),
        keys=(
            *((Style(color), names[arm]) for arm, color in colors.items()),
            (Style(MUTED), "first exposure"),
            (Style(MUTED, (4.0, 2.2), mark="ring"), "end of the session"),
        ),
        across=(0.5, count + 0.5),
        up=(0.0, 100.0),
        whole=True,
        footnote="Virtual patients still in treatment; bars are 95% intervals of the means. Sessions without "
        "exposures have none.",
    )


def _fear_series(mine: Sequence[Fear], x: tuple[float, ...], color: str, *, at_end: bool) -> Series:
    means = [one.end if at_end else one.start for one in mine]
    halves = [_half(one.end_sd if at_end else one.start_sd, one.n) for one in mine]
    return Series(
        style=Style(color, (4.0, 2.2), mark="ring") if at_end else Style(color),
        x=x,
        y=tuple(means),
        low=tuple(mean - half for mean, half in zip(means, halves, strict=True)),
        high=tuple(mean + half for mean, half in zip(means, halves, strict=True)),
    )


def _half(sd: float, n: int | None) -> float:
    return _Z * sd / sqrt(n) if n else nan


def suds_alt(found: Summary) -> str:
    """Return what the figure of fear shows in words."""
    parts = []
    for arm, name in _names(found).items():
        mine = [one for one in found.sessions if one.arm == arm and one.n]
        first, last = mine[0], mine[-1]
        parts.append(
            f"{name} from {first.start:.0f} to {first.end:.0f} in session {first.session} and from {last.start:.0f} "
            f"to {last.end:.0f} in session {last.session}"
        )
    return f"Mean SUDS at the start and end of each session of the virtual trial {found.title}: {'; '.join(parts)}."


def severity_spec(found: Summary, beside: Published) -> LinesSpec:
    """Primary score over time by arm with 95 % intervals, beside the means a published trial reports."""
    colors, names = _colors(found), _names(found)
    series = []
    for place, (arm, color) in enumerate(colors.items()):
        mine = found.primary_scores(arm)
        halves = [_half(one.sd, one.n) for one in mine]
        series.append(
            Series(
                style=Style(color),
                x=_moved([one.weeks for one in mine], place, len(colors)),
                y=tuple(one.mean for one in mine),
                low=tuple(one.mean - half for one, half in zip(mine, halves, strict=True)),
                high=tuple(one.mean + half for one, half in zip(mine, halves, strict=True)),
            )
        )
        series += _published(beside.means, arm, color)
    keys = [(Style(color), names[arm]) for arm, color in colors.items()]
    if beside.means:
        keys.append((Style(MUTED, (1.5, 2.0), 0.9, "diamond"), f"published: {beside.label}"))
    side = "lower" if found.better == "lower" else "higher"
    return LinesSpec(
        title=f"{found.primary} over time by arm",
        labels=("weeks from the first session", f"{found.primary} (points, {side} is better)"),
        series=tuple(series),
        keys=tuple(keys),
        footnote="Virtual patients still there, as measured; bars are 95% intervals of the means."
        + (" Published means were measured in people." if beside.means else ""),
    )


def _published(published: Sequence[PublishedMean], arm: str, color: str) -> list[Series]:
    mine = [one for one in published if one.arm == arm]
    if not mine:
        return []
    halves = [_half(one.sd, one.n) for one in mine]
    return [
        Series(
            style=Style(color, (1.5, 2.0), 0.9, "diamond"),
            x=tuple(one.weeks for one in mine),
            y=tuple(one.mean for one in mine),
            low=tuple(one.mean - half for one, half in zip(mine, halves, strict=True)),
            high=tuple(one.mean + half for one, half in zip(mine, halves, strict=True)),
        )
    ]


def severity_alt(found: Summary, beside: Published) -> str:
    """Return what the figure of severity shows in words."""
    parts = []
    for arm, name in _names(found).items():
        mine = [one for one in found.primary_scores(arm) if one.n]
        told = listing([f"{one.mean:.1f} at {one.visit.replace('_', ' ')}" for one in mine])
        reported = listing([f"{one.mean:.1f} at week {one.weeks:.3g}" for one in beside.means if one.arm == arm])
        parts.append(f"{name} {told}" + (f" (published by {beside.label}: {reported})" if reported else ""))
    return f"Mean {found.primary} over time in the virtual trial {found.title}: {'; '.join(parts)}."


def effect_spec(found: Summary, beside: Published) -> LinesSpec:
    """Mean benefit of everyone against the same patient on placebo, and what the trial itself would report."""
    colors, names = _colors(found), _names(found)
    series = []
    for place, one in enumerate(found.unseen):
        color = colors[one.arm]
        told = found.effects(one.arm)
        x = _moved([effect.weeks for effect in told], place, len(found.unseen)) if told else ()
        series.append(_told(told, x, Style(color, width=0.0, mark="ring")))
        reported = [effect for effect in beside.effects if effect.arm == one.arm]
        x = tuple(effect.weeks + _BESIDE * found.last_week for effect in reported)
        series.append(_told(reported, x, Style(color, width=0.0, mark="diamond")))
        series.append(
            Series(
                style=Style(color),
                x=(0.0, *(at.weeks for at in one.visits)),
                y=(0.0, *(at.mean for at in one.visits)),
            )
        )
    return LinesSpec(
        title=f"Effect over time, against {names[found.reference]}",
        labels=("weeks from the first session", "SDs; above 0 favours the drug"),
        series=tuple(one for one in series if one.x),
        keys=(
            *((Style(colors[one.arm]), names[one.arm]) for one in found.unseen),
            (Style(MUTED), "mean benefit against the same patient"),
            (Style(MUTED, width=0.0, mark="ring"), "g that the virtual trial would report (95% interval)"),
            *(((Style(MUTED, width=0.0, mark="diamond"), f"published: {beside.label}"),) if beside.effects else ()),
        ),
        level=0.0,
        footnote="Benefit is in SDs at baseline, of true scores of all patients; g is in SDs at the visit, of scores "
        "as measured in patients still there.",
    )


def _told(told: Sequence[Compared | PublishedEffect], x: tuple[float, ...], style: Style) -> Series:
    return Series(
        style=style,
        x=x,
        y=tuple(one.estimate for one in told),
        low=tuple(one.ci_lb for one in told),
        high=tuple(one.ci_ub for one in told),
    )


def effect_alt(found: Summary, beside: Published) -> str:
    """Return what the figure of the effect shows in words."""
    names = _names(found)
    parts = []
    for one in found.unseen:
        told = listing([f"{number(at.mean, 3)} at {at.visit.replace('_', ' ')}" for at in one.visits])
        parts.append(f"{names[one.arm]} {told}")
    return (
        f"Mean benefit over time against the same patients given {names[found.reference]}, SDs at baseline, in the "
        f"virtual trial {found.title}: {'; '.join(parts)}.{_reported(beside, names)}"
    )


def _reported(beside: Published, names: Mapping[str, str]) -> str:
    """The published effects as a sentence; nothing without any."""
    told = [f"{names[one.arm]} g {number(one.estimate)} at week {one.weeks:.3g}" for one in beside.effects]
    return f" Published by {beside.label}: {'; '.join(told)}." if told else ""


def benefit_spec(found: Summary) -> BenefitSpec:
    """Distribution of each patient's own benefit and harm at the end of treatment."""
    names = _names(found)
    panels = []
    for one in found.unseen:
        total, end = sum(one.histogram), _at_end(found, one)
        shares = tuple(count / total for count in one.histogram)
        panels.append(Panel(names[one.arm], shares, end.better, end.worse, end.mean))
    return BenefitSpec(
        title="Benefit and harm of individuals at the end of treatment",
        axis_label=f"benefit against the same patient given {names[found.reference]} (SDs of {found.primary})",
        panels=tuple(panels),
        edges=tuple(float(edge) for edge in GAIN_EDGES),
        margin=_MARGIN,
        footnote="SDs at baseline, in bins of 0.05; the bin from 0 holds those to whom the drug makes no difference.",
    )


def _at_end(found: Summary, one: Unseen) -> Visited:
    return next(at for at in one.visits if at.visit == found.treatment_end)


def benefit_alt(found: Summary) -> str:
    """Return what the histograms show in words."""
    parts = [
        f"{panel.name}: {100 * panel.better:.1f}% better off by {_MARGIN:g} SD or more, {100 * panel.worse:.1f}% "
        f"worse off, mean {number(panel.mean, 3)}"
        for panel in benefit_spec(found).panels
    ]
    return (
        f"Histograms of each patient's benefit at the end of treatment against the same patient given "
        f"{_names(found)[found.reference]}, in the virtual trial {found.title}. {'; '.join(parts)}."
    )


def _enough(one: Unseen) -> list[tuple[float, float, int]]:
    """Middle of the bin, benefit and number of sessions, of the bins with enough sessions."""
    return [
        ((at.low + at.high) / 2, at.less_fear, at.sessions)
        for at in one.by_fear
        if at.sessions >= _LEAST_SESSIONS and isfinite(at.less_fear)
    ]


def by_fear_spec(found: Summary) -> LinesSpec:
    """Benefit of one session's capsule by fear at its end; larger marks are more sessions."""
    colors, names = _colors(found), _names(found)
    series = []
    for one in found.unseen:
        points = _enough(one)
        total = sum(n for *_, n in points) or 1
        series.append(
            Series(
                style=Style(colors[one.arm]),
                x=tuple(x for x, _, _ in points),
                y=tuple(y for _, y, _ in points),
                share=tuple(0.3 + 12.0 * n / total for *_, n in points),
            )
        )
    return LinesSpec(
        title="Benefit by fear at the end of the session",
        labels=("SUDS at the end of the session", "SUDS by which more was lost"),
        series=tuple(one for one in series if one.x),
        keys=tuple((Style(colors[one.arm]), names[one.arm]) for one in found.unseen),
        across=(0.0, 100.0),
        up=_both_sides([y for one in series for y in one.y]),
        level=0.0,
        sides=("less fear with the drug", "more fear with the drug"),
        footnote="Fall of reported fear from the start of a session with the drug to the start of the next one, less "
        f"that of the same patient given {names[found.reference]}; all sessions but the last. Larger discs stand for "
        "more sessions.",
    )


def _both_sides(values: Sequence[float]) -> tuple[float, float]:
    """Limits that leave room for words on either side of no difference."""
    low, high = min(0.0, *values), max(0.0, *values)
    room = 0.2 * ((high - low) or 1.0)
    return min(low - room / 4, -room), max(high + room / 4, room)


def by_fear_alt(found: Summary) -> str:
    """Return what the figure of benefit by fear shows in words."""
    parts = []
    for one in found.unseen:
        if points := _enough(one):
            best, worst = max(points, key=lambda p: p[1]), min(points, key=lambda p: p[1])
            parts.append(
                f"{_names(found)[one.arm]}: most {number(best[1], 1)} SUDS after sessions that ended near "
                f"{best[0]:.0f}, least {number(worst[1], 1)} near {worst[0]:.0f}"
            )
    return (
        f"How much more fear falls from a session with the drug to the next one than in the same patient given "
        f"{_names(found)[found.reference]}, by fear at the end of the session, virtual trial {found.title}. "
        f"{'; '.join(parts)}."
    )
