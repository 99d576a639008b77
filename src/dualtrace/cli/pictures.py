"""Figures of an analysis: specifications from results, drawn and written to a folder the user names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dualtrace.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

    from dualtrace.cli.rows import Rows
    from dualtrace.pooling.bayesian.contract import Posterior
    from dualtrace.pooling.contract import Pooled
    from dualtrace.pooling.small_study.funnel import Funnel
    from dualtrace.pooling.small_study.trim_and_fill import TrimAndFill

figures_option = click.option(
    "--figures", type=click.Path(path_type=Path, file_okay=False), help="Also draw, into this folder."
)


def write(figures: Mapping[str, Figure], folder: Path) -> list[str]:
    """Write figures as PNG and return a sentence that says where.

    Raises
    ------
    InputError
        When the folder cannot be written.
    """
    from dualtrace.report.figures.save import save

    paths = [folder / f"{name}.png" for name in figures]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, figure in zip(paths, figures.values(), strict=True):
            save(figure, path)
    except OSError as error:
        raise InputError(f"--figures {folder}: the figures cannot be written there ({error.strerror})") from None
    return [f"Figures: {', '.join(map(str, paths))}"]


def robustness(rows: Rows, results: Mapping[str, Any], overall: Pooled, curves: Any) -> dict[str, Figure]:  # noqa: ANN401
    """Draw what ``dualtrace robustness`` found: refits, diagnostics, Baujat, GOSH, drapery.

    Parameters
    ----------
    rows
        What was analysed.
    results
        Results by the keys of the verb's parts.
    overall
        The fit of all rows.
    curves
        p-value functions, from ``robustness.drapery``.
    """
    from dualtrace.report.figures import drapery, forest, gosh, influence, refits

    title = rows.title
    drawn = {"drapery": drapery.drapery(replace(drapery.drapery_spec(curves, title=title), **_axis(rows)))}
    if "influence" in results:
        spec = influence.influence_spec(results["influence"], overall, title=title)
        drawn["influence"] = influence.influence(spec)
    if "baujat" in results:
        drawn["baujat"] = influence.baujat(influence.baujat_spec(results["baujat"], title=title))
    if "gosh" in results:
        drawn["gosh"] = gosh.gosh(replace(gosh.gosh_spec(results["gosh"], title=title), **_axis(rows)))
    headers = {"leave_one_out": "Left out", "leave_group_out": "Left out", "cumulative": "Up to"}
    for name, header in headers.items():
        if name in results:
            refit = refits.refit_spec([("", results[name])], overall, title=title, header=header)
            drawn[name] = forest.forest(replace(refit, **_labels(rows)))
    return drawn


def bias(rows: Rows, found: Funnel, filled: TrimAndFill | None) -> dict[str, Figure]:
    """Draw the contour-enhanced funnel with what trim-and-fill adds."""
    from dualtrace.report.figures.funnel import funnel, funnel_spec

    spec = funnel_spec(found, title=rows.title, filled=filled)
    return {"funnel": funnel(replace(spec, **_labels(rows)))}


def bayes(rows: Rows, found: Posterior) -> dict[str, Figure]:
    """Draw prior and posterior of the mean effect and of τ."""
    from dualtrace.report.figures.posterior import posterior, posterior_spec

    return {"posterior": posterior(posterior_spec(found, title=rows.title, **_axis(rows)))}


def _axis(rows: Rows) -> dict[str, Any]:
    return {"axis_label": rows.scale, "sides": rows.sides}


def _labels(rows: Rows) -> dict[str, Any]:
    return {"axis_label": rows.scale, "left_label": rows.sides[0], "right_label": rows.sides[1]}
