"""The evidence pooled overall and by disorder, as text for a terminal and as a dictionary for JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dualtrace.effects.table import effect_row

if TYPE_CHECKING:
    from dualtrace.effects.effect import Effect
    from dualtrace.pooling.synthesis import GroupedSynthesis, Synthesis


def as_dict(grouped: GroupedSynthesis) -> dict[str, Any]:
    """Effects, what was left out, and every fit, for JSON."""
    selection = grouped.selection
    return {
        "metric": selection.effects[0].metric.value,
        "mixed": selection.mixed,
        "effects": [_effect(effect) for effect in selection.effects],
        "left_out": [{"trial": x.trial, "reason": x.reason} for x in selection.left_out],
        "overall": _one(grouped.overall),
        "by_disorder": {d.value: _one(s) for d, s in grouped.by_disorder.items()},
        "between_exact": None if grouped.between_exact is None else asdict(grouped.between_exact),
        "between_all": None if grouped.between_all is None else asdict(grouped.between_all),
    }


def _one(synthesis: Synthesis) -> dict[str, Any]:
    return {
        "classical": None if synthesis.classical is None else synthesis.classical.to_dict(),
        "all_information": None if synthesis.information is None else synthesis.information.to_dict(),
        "refused": list(synthesis.refused),
    }


def _effect(effect: Effect) -> dict[str, Any]:
    row = effect_row(effect, pooled=True)
    return row | {"steps": list(effect.steps), "assumptions": list(effect.assumptions)}


def as_text(grouped: GroupedSynthesis, outcome: str, timepoint: str) -> str:
    """Effects, both fits overall, and one line per disorder."""
    selection = grouped.selection
    metric = selection.effects[0].metric
    scale = f"ln {metric}" if metric.is_ratio else metric.value
    lines = [f"{outcome} at {timepoint}, {scale}; positive favours the drug", ""]
    lines += [f"  {effect}  [{effect.information.value}]" for effect in selection.effects]
    if selection.mixed:
        lines += ["", "Mixed kinds of effect stand side by side here because a mixture was asked for."]
    overall = grouped.overall
    if overall.classical is not None:
        lines += ["", "Exact effects only, all disorders", str(overall.classical)]
    if overall.information is not None:
        lines += ["", "Beside all information", str(overall.information)]
    lines += [f"({sentence})" for sentence in overall.refused]
    lines += ["", "By disorder, all information:"]
    for disorder, synthesis in grouped.by_disorder.items():
        fit = synthesis.everything
        answer = (
            f"{fit.beta[0]:.2f} ({fit.ci_lb[0]:.2f} to {fit.ci_ub[0]:.2f})" if fit else "; ".join(synthesis.refused)
        )
        lines.append(f"  {disorder.value}: k = {len(synthesis.effects)}, {synthesis.n_exact} exact: {answer}")
    for words, test in (("exact effects", grouped.between_exact), ("all information", grouped.between_all)):
        if test is not None:
            lines.append(f"Do disorders differ? {words}: {test}")
    return "\n".join(lines)
