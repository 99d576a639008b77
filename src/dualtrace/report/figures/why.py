"""Figures of the chapter on the calibration: findings in, specifications of figures out."""

from __future__ import annotations

from itertools import groupby
from math import inf, pi, sqrt
from typing import TYPE_CHECKING, Final

from dualtrace.evidence.record import Disorder
from dualtrace.report.figures.banded import BandedRow, BandedSpec, Reported
from dualtrace.report.figures.panels import CurvePanel, PanelsSpec, Run
from dualtrace.report.figures.style import DRUG, MUTED, PLACEBO
from dualtrace.report.words import DISORDER_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dualtrace.calibration.findings import Curve, Findings, Row
    from dualtrace.calibration.rounding import Band

OURS, PLAIN = "dual_trace", "disorder"
_TITLES: Final = {OURS: "Dual trace", PLAIN: "One effect per disorder"}
_LOGISTIC_SD: Final = pi / sqrt(3)
_RATIOS: Final = ("response", "remission")
_STANDARDS: Final = ("score", "change", *_RATIOS)
_Z95: Final = 1.959963984540054
_MOST: Final = 2.0
"""Farthest end of the axis of effects (SMD)."""

_LEAST_SHARE: Final = 0.01
"""Share of patients below which a bin of fear is not drawn."""

SMD: Final = (
    "Standardised differences; log odds ratios of response and remission are divided by π/√3. One effect per trial: "
    "after treatment where there is one, severity before response."
)
_SETTINGS: Final = {
    "dose_mg": ("Dose", "dose (mg)"),
    "minutes": ("Time of the capsule", "minutes from the session"),
    "augmented": ("Number of augmented sessions", "sessions with the drug"),
    "end_fear": ("Fear at the end of sessions, among patients", "end-of-session fear (SUDS)"),
}
_FOOTNOTES: Final = {
    "minutes": "Up to 0: before the session starts; above 0: after it ends. Drug at every session with exposures.",
    "augmented": "The first sessions with exposures are those with the drug.",
    "end_fear": (
        "Patients by their mean fear at the end of sessions with exposures when on placebo, in bins of 10 points; "
        "bins with less than 1 % of patients are left out. Effect in SDs of all patients."
    ),
}


_UNSOUND: Final = "Not to be quoted: fits did not pass their checks."


def _warned(failures: Iterable[str], text: str = "") -> str:
    """Footnote of a figure, which may be seen without its chapter."""
    return f"{_UNSOUND} {text}".strip() if any(failures) else text


def traces_spec(findings: Findings) -> BandedSpec:
    """Change of each trace by the drug, posterior over prior."""
    titles = {"safety": "Safety trace", "threat": "Threat trace"}
    rows = []
    for trace, own in groupby(findings.traces, key=lambda one: one.trace):
        for i, one in enumerate(own):
            bands = (_times(one.posterior, 100), _times(one.prior, 100))
            rows.append(
                BandedRow(
                    label=_disorder(one.disorder), bands=bands, heading=titles.get(trace, trace) if i == 0 else ""
                )
            )
    most = 2.0 * max(row.bands[0][-1] for row in rows)
    return BandedSpec(
        title="How much the drug strengthens each trace",
        axis_label="change of the trace by the end of treatment, % of what it is with placebo",
        rows=tuple(rows),
        accounts=(("posterior", DRUG), ("prior", MUTED)),
        most=max(most, 1.0),
        footnote=_warned(
            findings.account(OURS).failures,
            "Mean over patients in the usual course of the disorder, the drug at every session with exposures.",
        ),
    )


def against_spec(findings: Findings) -> BandedSpec:
    """What the mechanism and meta-regression make of every trial, beside what it reported."""
    ours, plain = (list(findings.effects(findings.account(name))) for name in (OURS, PLAIN))
    failed = [failure for name in (OURS, PLAIN) for failure in findings.account(name).failures]
    return _against("What was predicted and what was reported", ours, plain, _warned(failed, SMD))


def newest_spec(findings: Findings) -> BandedSpec:
    """The same of the newest trials, which the fits had not seen."""
    ours, plain = (list(findings.newest_effects(findings.account(name))) for name in (OURS, PLAIN))
    title = f"Trials from {findings.provenance.since} on, predicted from the older ones"
    failed = [failure for name in (OURS, PLAIN) for failure in findings.account(name).newest_failures]
    return _against(title, ours, plain, _warned(failed, SMD))


def _against(
    title: str, ours: Sequence[tuple[Row, Band]], plain: Sequence[tuple[Row, Band]], footnote: str
) -> BandedSpec:
    chosen = _one_per_trial([row for row, _ in ours])
    pairs = [(ours[i][0], ours[i][1], plain[i][1]) for i in chosen]
    names = list(dict.fromkeys(row.disorder for row, _, _ in pairs))
    pairs.sort(key=lambda pair: names.index(pair[0].disorder))
    rows = []
    for disorder, own in groupby(pairs, key=lambda pair: pair[0].disorder):
        for i, (row, mine, others) in enumerate(own):
            by = 1 / _LOGISTIC_SD if row.standard in _RATIOS else 1.0
            rows.append(
                BandedRow(
                    label=row.label,
                    bands=(_times(mine, by), _times(others, by)),
                    reported=_reported(row, by),
                    heading=_disorder(disorder) if i == 0 else "",
                )
            )
    return BandedSpec(
        title=title,
        axis_label="effect of the drug (SMD)",
        rows=tuple(rows),
        accounts=((_TITLES[OURS], DRUG), (_TITLES[PLAIN], PLACEBO)),
        sides=("favours placebo", "favours the drug"),
        most=_MOST,
        footnote=footnote,
    )


def _one_per_trial(rows: Sequence[Row]) -> list[int]:
    """Place of one effect of every trial, chosen without looking at results."""

    def rank(i: int) -> tuple[bool, int, int]:
        return rows[i].timepoint != "post", _STANDARDS.index(rows[i].standard), i

    found: dict[str, int] = {}
    for i, row in enumerate(rows):
        if row.trial not in found or rank(i) < rank(found[row.trial]):
            found[row.trial] = i
    return list(found.values())


def _reported(row: Row, by: float) -> Reported:
    if row.estimate is not None:
        reach = _Z95 * row.se
        return Reported(estimate=row.estimate * by, low=(row.estimate - reach) * by, high=(row.estimate + reach) * by)
    low = -inf if row.lower is None else row.lower * by
    return Reported(low=low, high=inf if row.upper is None else row.upper * by)


def curve_specs(findings: Findings) -> Iterator[tuple[str, PanelsSpec]]:
    """One figure per setting, a panel per disorder."""
    for setting, (title, across) in _SETTINGS.items():
        curves = [curve for curve in findings.curves if curve.setting == setting]
        if not curves:
            continue
        yield (
            setting,
            PanelsSpec(
                title=title,
                labels=(across, "effect (SMD)"),
                panels=tuple(CurvePanel(name=_disorder(one.disorder), runs=tuple(_runs(one))) for one in curves),
                across=(0.0, 100.0) if setting == "end_fear" else None,
                most=_MOST,
                whole=setting == "augmented",
                footnote=_warned(findings.account(OURS).failures, _FOOTNOTES.get(setting, "")),
            ),
        )


def _runs(curve: Curve) -> Iterator[Run]:
    """Stretches without a break: capsules before and after a session are two; bins with few patients are left out."""
    shares = curve.shares or (1.0,) * len(curve.x)
    points = list(zip(curve.x, curve.bands, shares, strict=True))

    def stretch(point: tuple[float, Band | None, float]) -> tuple[bool, bool]:
        x, bands, share = point
        return bands is not None and share >= _LEAST_SHARE, curve.setting == "minutes" and x > 0

    for (drawn, _), own in groupby(points, key=stretch):
        kept = [(x, bands) for x, bands, _ in own if drawn and bands is not None]
        if kept:
            yield Run(x=tuple(x for x, _ in kept), bands=tuple(bands for _, bands in kept))


def alt_of_rows(spec: BandedSpec) -> str:
    """The figure of rows in words: medians of every account."""
    names = [name for name, _ in spec.accounts]
    told = [f"{row.label} {_medians(names, row.bands)}" for row in spec.rows]
    return f"D-cycloserine. {spec.title}: {spec.axis_label}{_benefit(spec.sides)}. Medians: {'; '.join(told)}."


def _benefit(sides: tuple[str, str] | None) -> str:
    return f", right of 0 {sides[1]}" if sides else ""


def _medians(names: Sequence[str], bands: Iterable[Band]) -> str:
    return ", ".join(f"{name.lower()} {band[2]:.2f}" for name, band in zip(names, bands, strict=True))


def alt_of_panels(spec: PanelsSpec) -> str:
    """The figure of curves in words: where every median begins and ends."""
    told = []
    for panel in spec.panels:
        if panel.runs:
            first, last = panel.runs[0], panel.runs[-1]
            told.append(
                f"{panel.name} {first.bands[0][2]:.2f} at {first.x[0]:g}, {last.bands[-1][2]:.2f} at {last.x[-1]:g}"
            )
    said = f"{spec.title}: {spec.labels[1]} over {spec.labels[0]}, above 0 favours the drug"
    return f"D-cycloserine. {said}. Medians: {'; '.join(told)}."


def _times(band: Band, by: float) -> Band:
    low, lower, middle, upper, high = (value * by for value in band)
    return low, lower, middle, upper, high


def _disorder(value: str) -> str:
    return DISORDER_NAMES[Disorder(value)]
