"""``dualtrace experiments fit``: a memory model fitted to the trial-by-trial fear of individuals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from dualtrace.cli.answer import aligned
from dualtrace.cli.options import print_json
from dualtrace.experiments.design import design_of
from dualtrace.experiments.fit import fit
from dualtrace.experiments.individuals import read_responses, scale_of
from dualtrace.mechanism.memory.registry import memory_model

if TYPE_CHECKING:
    from pathlib import Path

    from dualtrace.experiments.fitted import Fitted, Summary

_HEAD = ("constant", "typical", "5 to 95 %", "spread", "contraction", "R-hat", "effective draws")


def fit_individuals(
    data: Path,
    design: str,
    model: str,
    free: tuple[str, ...],
    samples: int,
    seed: int,
    as_json: bool,
    *,
    scale: str = "freezing",
    column: str = "fear",
) -> None:
    """Read, fit, and print a table with what a reader must know, or JSON."""
    plan, what = design_of(design), memory_model(model)
    responses = read_responses(data, scale=scale_of(scale), column=column, trials=len(plan.rows))
    found = fit(what, plan, responses, free, warmup=samples, draws=samples, seed=seed)
    if as_json:
        print_json(_for_json(found, plan.trials))
        return
    click.echo("\n".join(_lines(found)))


def _lines(found: Fitted) -> list[str]:
    responses = found.responses
    seen = int(np.isfinite(responses.readings).sum())
    chains, draws = found.noise.shape
    rows = [_row(found, name) for name in found.free]
    others = [
        f"{s.name}: {s.mean:.3g} (5 to 95 %: {s.q05:.3g} to {s.q95:.3g})" for s in found.summaries[2 * len(rows) :]
    ]
    notes = found.sentences or ("The sampler converged, and the data inform every constant that was free.",)
    title = (
        f"{found.model} fitted to {len(responses.subjects)} subjects, {seen} readings ({responses.scale.value}), "
        f"NUTS ({chains} chains of {draws} draws)"
    )
    return [
        title,
        f"Design: {found.design}",
        "",
        *aligned(_HEAD, rows),
        "",
        *others,
        f"expected log density (WAIC): {found.elpd:.1f}",
        "",
        "Typical: of the median subject. Spread: standard deviation over subjects of the logit within the range.",
        "Contraction: share of the prior's variance that the data took off; 0 means they said nothing.",
        *notes,
    ]


def _row(found: Fitted, name: str) -> tuple[str, ...]:
    typical, spread = found[name], found[f"spread of {name}"]
    return (
        name,
        f"{typical.mean:.3g}",
        f"{typical.q05:.3g} to {typical.q95:.3g}",
        f"{spread.mean:.2f}",
        f"{typical.contraction:.2f}",
        f"{max(typical.rhat, spread.rhat):.3f}",
        f"{min(typical.ess, spread.ess):.0f}",
    )


def _for_json(found: Fitted, trials: tuple[str, ...]) -> dict[str, Any]:
    by_subject = found.subjects.reshape(-1, *found.subjects.shape[2:])
    low, middle, high = np.quantile(by_subject, (0.05, 0.5, 0.95), axis=0)
    return {
        "model": found.model,
        "design": found.design,
        "scale": found.responses.scale.value,
        "free": list(found.free),
        "converged": found.converged,
        "divergences": found.divergences,
        "rhat_subjects": _plain(found.rhat_subjects),
        "sentences": list(found.sentences),
        "population": [_summary(summary) for summary in found.summaries],
        "correlation": found.correlation.tolist(),
        "elpd_waic": found.elpd,
        "trials": list(trials),
        "subjects": [
            {
                "subject": label,
                "constants": {
                    name: {"q05": low[s, k], "q50": middle[s, k], "q95": high[s, k]}
                    for k, name in enumerate(found.free)
                },
                "predicted": found.predicted[s].tolist(),
                "low": found.low[s].tolist(),
                "high": found.high[s].tolist(),
            }
            for s, label in enumerate(found.responses.subjects)
        ],
    }


def _summary(summary: Summary) -> dict[str, Any]:
    names = ("mean", "sd", "q05", "q50", "q95", "rhat", "ess", "contraction")
    return {"name": summary.name, **{name: _plain(getattr(summary, name)) for name in names}}


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
