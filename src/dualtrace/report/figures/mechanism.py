"""Figures of the mechanism chapter: results in, a matplotlib figure out; nothing is computed here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dualtrace.mechanism.scenario import Result, Scenario
    from dualtrace.mechanism.sensitivity import Sensitivity
    from dualtrace.report.figures.style import Width

_LINKS = {
    "plasma_mg_per_l": "plasma (mg/L)",
    "brain_um": "brain (µM)",
    "occupancy": "drug's share of sites",
    "gain": "receptor gain G",
}
_COLOURS = ("#0072B2", "#009E73", "#E69F00", "#D55E00", "#CC79A7")
"""Okabe and Ito's palette, distinguishable without colour vision."""

_SESSION = "#BBBBBB"
_DOSE_TICKS_MG = (10, 25, 50, 100, 250, 500, 1000)


def exposure_figure(scenario: Scenario, result: Result, *, width: Width = "wide") -> Figure:
    """Time courses of one scenario with population bands, the session shaded."""
    return time_course_figure({f"{scenario.dose_mg:g} mg": (scenario, result)}, width=width)


def time_course_figure(results: Mapping[str, tuple[Scenario, Result]], *, width: Width = "wide") -> Figure:
    """Draw plasma, brain, occupancy and gain of several scenarios; bands are 5 to 95 % of people."""
    wide = width == "wide"
    figure = Figure(figsize=(8.6, 6.0) if wide else (3.6, 9.0), layout="constrained")
    panels = figure.subplots(*((2, 2) if wide else (4, 1)), sharex=True, squeeze=False)
    for panel, (link, label) in zip(panels.ravel(), _LINKS.items(), strict=True):
        for colour, (name, (scenario, result)) in zip(_COLOURS, results.items(), strict=False):
            low, _, high = result.curve_band(link)
            panel.fill_between(result.time_h, low, high, color=colour, alpha=0.15, linewidth=0)
            panel.plot(result.time_h, np.asarray(getattr(result.typical, link)), color=colour, label=name)
            panel.axvspan(0, scenario.session_end_h, color=_SESSION, alpha=0.2, linewidth=0)
        panel.set_ylabel(label)
        panel.margins(x=0)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels[-1]:
        panel.set_xlabel("hours from the start of the session")
    panels[0, 0].legend(frameon=False)
    return figure


def dose_timing_figure(
    doses_mg: NDArray[np.float64],
    minutes_before: NDArray[np.float64],
    boosts: NDArray[np.float64],
    *,
    width: Width = "wide",
) -> Figure:
    """Map of ``M`` over dose (log scale) and timing; contours carry the values."""
    figure = Figure(figsize=(8.6, 5.0) if width == "wide" else (3.6, 3.4), layout="constrained")
    panel = figure.subplots()
    mesh = panel.contourf(minutes_before, doses_mg, boosts, levels=12, cmap="viridis")
    lines = panel.contour(
        minutes_before, doses_mg, boosts, levels=np.asarray(mesh.levels)[::2], colors="white", linewidths=0.6
    )
    panel.clabel(lines, fmt="%.2f", fontsize=8)
    panel.set_yscale("log")
    ticks = [dose for dose in _DOSE_TICKS_MG if doses_mg.min() <= dose <= doses_mg.max()]
    panel.set_yticks(ticks, [f"{dose:g}" for dose in ticks])
    panel.minorticks_off()
    panel.set_xlabel("minutes from dose to start of session\n(negative: after it started)")
    panel.set_ylabel("dose (mg)")
    panel.invert_xaxis()
    figure.colorbar(mesh, ax=panel, label="boost of consolidation M")
    return figure


def sensitivity_figure(sensitivity: Sensitivity, *, most: int = 12, width: Width = "wide") -> Figure:
    """Bars of first-order and total Sobol indices, largest first."""
    chosen = sensitivity.order[:most][::-1]
    figure = Figure(figsize=(8.6 if width == "wide" else 3.6, 0.8 + 0.34 * len(chosen)), layout="constrained")
    panel = figure.subplots()
    place = np.arange(len(chosen))
    bars = (
        ("total", sensitivity.total, sensitivity.total_half_width, -0.2, _COLOURS[0]),
        ("first order", sensitivity.first, sensitivity.first_half_width, 0.2, _COLOURS[2]),
    )
    for label, values, half_width, shift, colour in bars:
        panel.barh(place + shift, values[chosen], 0.38, xerr=half_width[chosen], color=colour, label=label)
    panel.set_yticks(place, [sensitivity.names[k] for k in chosen])
    panel.set_xlabel("share of the variance of M")
    panel.set_xlim(left=0)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, loc="lower right")
    return figure
