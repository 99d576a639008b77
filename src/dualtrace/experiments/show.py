"""One experiment in words, with what a model makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualtrace.experiments.procedure import procedure_of
from dualtrace.experiments.run import run
from dualtrace.experiments.score import score, sizes

if TYPE_CHECKING:
    from dualtrace.experiments.record import Experiment, Given, Phase
    from dualtrace.experiments.score import Scored
    from dualtrace.mechanism.memory.contract import Memory


def show_experiment(experiment: Experiment, model: Memory[Any, Any]) -> str:
    """Return citation, procedure, assumptions, findings, and the model's outcome of each."""
    lines = [
        f"{experiment.id}: {experiment.title}",
        f"{experiment.citation}" + (f", doi {experiment.doi}" if experiment.doi else ""),
        "; ".join(
            (experiment.species, experiment.strength.value, experiment.split.replace("_", " "), experiment.family)
        ),
        "",
        "Procedure",
        *_procedure(experiment),
        "",
        "Assumed, as the source does not state it",
        *_assumptions(experiment),
        "",
        f"Findings ({model.title})",
    ]
    done = run(model, [experiment])
    scored = {s.number: s for s in score(done)}
    for number, finding in enumerate(experiment.findings):
        lines.append(f"  {finding.says}")
        lines.append(
            f"    {_outcome(scored[number], done)}"
            if number in scored
            else f"    not simulated: {finding.not_simulated}"
        )
    measured = sizes(done)
    if measured:
        lines += ["", "Sizes: measured mean (SD), simulated"]
        for sized in measured:
            spread = f" ({sized.measured.sd:.2f})" if sized.measured.sd is not None else ""
            lines.append(
                f"  {sized.measured.term}: {sized.measured.mean:.2f}{spread}, {float(sized.simulated[0]):.2f}"
            )
    if experiment.note:
        lines += ["", experiment.note]
    if experiment.where is not None:
        lines += [
            "",
            f"Read in: {experiment.where.text}, {experiment.where.place} {experiment.where.url or ''}".rstrip(),
        ]
    return "\n".join(lines)


def _outcome(scored: Scored, done: Any) -> str:  # noqa: ANN401
    values = [f"{float(done.value(0, side)[0]):.2f}" for side in scored.finding.parsed.sides]
    return f"{scored.outcome.value}: {scored.finding.contrast}  ({', '.join(values)})"


def _procedure(experiment: Experiment) -> list[str]:
    if experiment.design:
        return [f"  {group}: {line}" for group, line in experiment.design.items()]
    lines = [f"  {_phase(phase)}" for phase in experiment.phases]
    for factor, levels in experiment.factors.items():
        lines.append(f"  {factor}:")
        for level, change in levels.items():
            stated = ", ".join(f"{key} = {_value(value)}" for key, value in change.items()) or "as above"
            lines.append(f"    {level}: {stated}")
    for name, kind in experiment.people.items():
        changes = ", ".join(f"{key} = {value}" for key, value in kind.change.items())
        lines.append(f"  people {name}: share {kind.share:g}, {changes}")
    return lines


def _phase(phase: Phase) -> str:
    stated = phase.model_dump(exclude_defaults=True, exclude={"name", "kind", "drug"})
    words = ", ".join(f"{key} {value if value != '' else 'none'}" for key, value in stated.items())
    drugs = "".join(f"; {_given(given)}" for given in phase.drug)
    return f"{phase.name} ({phase.kind.value}): {words}{drugs}"


def _value(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, dict):
        return " ".join(f"{key} {item}" for key, item in value.items())
    return str(value)


def _given(given: Given) -> str:
    amount = f"{given.dose_mg:g} mg" if given.dose_mg is not None else f"{given.gain} gain"
    time = f"{given.before_h:g} h before" if given.before_h is not None else f"{given.after_h:g} h after"
    return f"{given.name}, {amount}, {time}"


def _assumptions(experiment: Experiment) -> list[str]:
    found: dict[str, None] = {}
    for group in experiment.groups:
        for a in procedure_of(experiment, group).assumptions:
            found[f"  {a.phase}: {a.field} = {a.value:g}"] = None
    return list(found) or ["  nothing"]
