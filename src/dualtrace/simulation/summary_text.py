"""The summary of a virtual trial as text for a terminal."""

from __future__ import annotations

import math
from textwrap import fill
from typing import TYPE_CHECKING, Any

from dualtrace.analysis.moderation import SLOPE
from dualtrace.analysis.result import p_value
from dualtrace.printed import table
from dualtrace.simulation.unseen import LEVELS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dualtrace.analysis.effect_line import Crossing
    from dualtrace.simulation.patient_analyses import Analysis
    from dualtrace.simulation.reported import Fear
    from dualtrace.simulation.summary import Summary
    from dualtrace.simulation.unseen import Unseen

WIDTH = 100
_FEARS = (20.0, 40.0, 60.0, 80.0)
"""SUDS at the end of a session at which the effect of the drug is printed."""

_MOST_FEAR = 100.0
"""Upper end of SUDS."""


def summary_text(found: Summary) -> str:
    """Return the summary in lines of at most 100 characters where words allow."""
    return "\n".join(_lines(found))


def _lines(found: Summary) -> Iterator[str]:
    yield fill(f"{found.title} ({found.protocol}), virtual", WIDTH)
    yield f"{found.patients:,} patients, memory model {found.memory}, seed {found.seed}, {found.precision}"
    yield from (fill(f"changed: {', '.join(found.changes)}", WIDTH),) if found.changes else ()
    yield fill(
        f"assumed: {found.assumed_protocol} values of the protocol (--show lists them), {found.assumed_constants} of "
        f"{found.constants} constants of the clinic",
        WIDTH,
    )
    yield fill(found.warning, WIDTH)
    yield from (fill(found.note, WIDTH),) if found.note else ()
    yield "\nARMS"
    yield _indented(_arms(found))
    yield f"\n{found.primary}: mean (SD), as measured in those still there; {found.better} is better"
    yield _indented(_scores(found))
    yield f"\nDIFFERENCES from {found.reference}, as trials report them; positive, or above 1, favours the drug"
    yield _indented(_compared(found))
    if found.analyses:
        sign = "negative" if found.better == "lower" else "positive"
        yield f"\nPATIENTS ANALYSED, {found.primary} against {found.reference}; {sign} favours the drug"
        for one in found.analyses:
            yield fill(one.title, WIDTH, initial_indent="  ", subsequent_indent="  ")
            yield _indented(_analysis(one), "    ")
    yield f"\nWHAT NO TRIAL SEES: every patient against the same patient in {found.reference}"
    yield _indented(_visits(found))
    yield from _quantiles(found)
    yield "  SUDS more lost from a session with drug to the next one, by SUDS at its end"
    yield _indented(_by_fear(found.unseen), "    ")


def _indented(text: str, by: str = "  ") -> str:
    return "\n".join(by + line for line in text.splitlines())


def _fixed(value: float, digits: int = 2) -> str:
    """Digits fixed, ``-`` where undefined, no negative zero."""
    if math.isnan(value):
        return "-"
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _arms(found: Summary) -> str:
    rows = [
        (
            one.arm + (" (reference)" if one.is_reference else ""),
            one.given,
            f"{one.n:,}",
            f"{one.left:,}",
            _fixed(one.sessions, 1),
            _fixed(one.capsules, 1),
            _fixed(one.boost),
            _suds([fear for fear in found.sessions if fear.arm == one.arm and fear.n]),
        )
        for one in found.arms
    ]
    return table(("arm", "given", "n", "left", "sessions", "capsules", "boost M", "SUDS first, last session"), rows)


def _suds(fears: Sequence[Fear]) -> str:
    return "; ".join(f"{one.start:.0f} to {one.end:.0f}" for one in (fears[0], fears[-1])) if fears else "-"


def _scores(found: Summary) -> str:
    arms = [one.arm for one in found.arms]
    rows = []
    for places in zip(*(found.primary_scores(arm) for arm in arms), strict=True):
        cells = [f"{_fixed(one.mean, 1)} ({_fixed(one.sd, 1)}), n {one.n:,}" if one.n else "-" for one in places]
        rows.append((places[0].visit, f"{places[0].weeks:.1f}", *cells))
    return table(("visit", "week", *arms), rows)


def _compared(found: Summary) -> str:
    rows = []
    for one in found.compared:
        if one.scale == found.primary and (one.metric == "SMD" or one.visit == found.end):
            name = one.estimand.replace("post_", "").replace("_", " ")
            measured = [one.refused] if one.refused else [_with(one.estimate, one.ci_lb, one.ci_ub), p_value(one.p)]
            rows.append((one.visit, one.arm, f"{name}, {'g' if one.metric == 'SMD' else one.metric}", *measured))
    width = max((len(row) for row in rows), default=3)
    return table(("visit", "arm", "", "95% CI", "p")[:width], [(*row, *[""] * (width - len(row))) for row in rows])


def _with(estimate: float, low: float, high: float, digits: int = 2) -> str:
    return f"{_fixed(estimate, digits)} ({_fixed(low, digits)} to {_fixed(high, digits)})"


def _three(parts: tuple[Any, Any, Any], place: int) -> tuple[float, float, float]:
    estimate, low, high = (float(part[place]) for part in parts)
    return estimate, low, high


def _analysis(one: Analysis) -> str:
    if one.result is None:
        return fill(f"not available: {one.refused}", WIDTH - 4)
    kind = one.key.partition("_")[0]
    return _PRINTED[kind](one)


def _ancova(one: Analysis) -> str:
    found = one.result
    rows = [
        (
            arm,
            f"{found.n[j + 1]}, {found.n[0]}",
            _with(found.estimate[j], found.ci_lb[j], found.ci_ub[j], 1),
            p_value(float(found.p[j])),
            _fixed(float(found.d_baseline[j])),
        )
        for j, arm in enumerate(found.arms[1:])
    ]
    return table(("arm", "n", "difference (CI)", "p", "baseline SDs"), rows)


def _mmrm(one: Analysis) -> str:
    found = one.result
    rows = [
        (
            visit,
            arm,
            _with(found.estimate[v, j], found.ci_lb[v, j], found.ci_ub[v, j], 1),
            p_value(float(found.p[v, j])),
        )
        for v, visit in enumerate(one.visits)
        for j, arm in enumerate(found.arms[1:])
    ]
    return table(("visit", "arm", "difference (CI)", "p"), rows)


def _shares(one: Analysis) -> str:
    found = one.result
    rows = []
    for j, arm in enumerate(found.arms):
        row = (arm, f"{found.events[j]}/{found.n[j]}", _percent(float(found.proportion[j])))
        if j:
            parts = (found.difference, found.difference_ci_lb, found.difference_ci_ub)
            rows.append((*row, _with(*_three(parts, j - 1)), p_value(float(found.p[j - 1]))))
        else:
            rows.append((*row, "", ""))
    return table(("arm", "events", "share", "difference (CI)", "p"), rows)


def _moderated(one: Analysis) -> str:
    found = one.result
    effects = zip(_FEARS, found.effect_at(_FEARS).estimate, strict=True)
    each = ", ".join(f"{_fixed(float(value), 1)} at {fear:.0f} SUDS" for fear, value in effects)
    change = _with(*_three((10 * found.estimate, 10 * found.ci_lb, 10 * found.ci_ub), SLOPE))
    return (
        f"difference by fear at the end: {each}\n"
        f"change per 10 SUDS (CI): {change}, p {p_value(float(found.p[SLOPE]))}; {sign_change(found.crossing())}"
    )


def sign_change(crossing: Crossing) -> str:
    """Say where on the scale of distress a difference changes sign, if it does."""
    bounds = f"CI {crossing.lower:.0f} to {crossing.upper:.0f}" if crossing.bounded else "CI not bounded"
    if 0 <= crossing.at <= _MOST_FEAR:
        return f"its sign changes at {crossing.at:.0f} SUDS ({bounds})"
    return f"no change of sign is estimated between 0 and {_MOST_FEAR:.0f} SUDS ({bounds})"


_PRINTED: dict[str, Callable[[Analysis], str]] = {
    "ancova": _ancova,
    "mmrm": _mmrm,
    "response": _shares,
    "remission": _shares,
    "sessions": _moderated,
    "moderation": _moderated,
}


def _visits(found: Summary) -> str:
    rows = [
        (
            one.arm,
            at.visit,
            f"{at.weeks:.1f}",
            _fixed(at.mean, 3),
            _fixed(at.sd, 3),
            _percent(at.better),
            _percent(at.worse),
        )
        for one in found.unseen
        for at in one.visits
    ]
    return table(("arm", "visit", "week", "benefit, SDs", "its SD", "better by 0.1", "worse by 0.1"), rows)


def _quantiles(found: Summary) -> Iterable[str]:
    rows = [(one.arm, *(_fixed(value, 3) for value in one.quantiles)) for one in found.unseen if one.quantiles]
    if rows:
        yield "  benefit at the end of treatment, quantiles over patients"
        yield _indented(table(("arm", *(f"{level:.0%}" for level in LEVELS)), rows), "    ")


def _by_fear(unseen: Sequence[Unseen]) -> str:
    bins: Any = unseen[0].by_fear
    header = ("arm", *(f"{one.low:.0f}-{one.high:.0f}" for one in bins))
    return table(header, [(one.arm, *(_fixed(at.less_fear, 1) for at in one.by_fear)) for one in unseen])
