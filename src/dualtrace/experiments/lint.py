"""Small named checks of experiments: what is needed to run them, and what looks wrong; collected, not thrown."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from dualtrace.errors import InputError, Problem
from dualtrace.experiments.contrast import parse_term
from dualtrace.experiments.pharmacology import drug, session_gain
from dualtrace.experiments.procedure import procedure_of
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.source_map import dotted, read_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from dualtrace.experiments.contrast import Term
    from dualtrace.experiments.record import Experiment
    from dualtrace.source_map import FieldPath


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a check found, before it is tied to a line."""

    where: FieldPath
    message: str
    remedy: str
    severity: Literal["error", "warning", "note"] = "error"


def lint(experiments: Sequence[tuple[Path, Experiment]], known: Sequence[str] = ()) -> tuple[Problem, ...]:
    """Run every check on every experiment; ``known`` names experiments that stand elsewhere."""
    names = {experiment.id for _, experiment in experiments} | set(known)
    problems: list[Problem] = []
    for path, experiment in experiments:
        lines = read_yaml(path)
        for check in CHECKS:
            problems += [
                Problem(path, lines.line(c.where), dotted(c.where), c.message, c.remedy, c.severity, check.__name__)
                for c in check(experiment)
            ]
        if experiment.regime and experiment.regime not in names:
            message = f"there is no experiment {experiment.regime!r}."
            problems.append(
                Problem(path, lines.line(("regime",)), "regime", message, "Name one that exists.", check="regime")
            )
    return tuple(problems)


def groups_can_be_run(experiment: Experiment) -> Iterator[Complaint]:
    """What is left out has a default, drugs stand in the table of drugs, and every dose has a gain."""
    lookup = load_parameters().number
    for group in experiment.groups:
        try:
            procedure = procedure_of(experiment, group)
            for dose in procedure.doses:
                drug(dose.given.name)
                session_gain([dose], procedure.doses, lookup)
        except InputError as error:
            message = f"group {','.join(group) or 'of all'}: {error}."
            yield Complaint(("phases",), message, "Correct it in the file; drugs.yaml holds the drugs.")
            return


def findings_have_presentations(experiment: Experiment) -> Iterator[Complaint]:
    """Every quantity speaks of a phase that its groups went through."""
    try:
        shown = {
            group: {name for row in procedure_of(experiment, group).rows for name in row.phases}
            for group in experiment.groups
        }
    except InputError:
        return  # said by groups_can_be_run
    for number, finding in enumerate(experiment.findings):
        for term in _terms(experiment, number):
            for index in experiment.matching(term.levels):
                group = experiment.groups[index]
                if term.phase not in shown[group]:
                    message = (
                        f"{finding.contrast!r}: group {','.join(group)} has no presentation in phase {term.phase!r}."
                    )
                    yield Complaint(("findings", number), message, "Name a phase that the group went through.")


def values_are_shares(experiment: Experiment) -> Iterator[Complaint]:
    """Reported sizes stand on the scale of the model, 0 to 1."""
    for number, finding in enumerate(experiment.findings):
        for place, value in enumerate(finding.values):
            if not 0 <= value.mean <= 1:
                yield Complaint(
                    ("findings", number, "values", place),
                    f"{value.term} has a mean of {value.mean:g}; fear lies between 0 and 1.",
                    "Divide per cent by 100.",
                    "warning",
                )


def terms_differ(experiment: Experiment) -> Iterator[Complaint]:
    """The two sides of a comparison are not the same quantity."""
    for number, finding in enumerate(experiment.findings):
        if finding.contrast is None:
            continue
        sides = finding.parsed.sides
        if any(left == right for left, right in pairwise(sides)):
            yield Complaint(
                ("findings", number),
                f"{finding.contrast!r} compares a quantity with itself.",
                "Name two groups or phases.",
            )


def _terms(experiment: Experiment, number: int) -> tuple[Term, ...]:
    finding = experiment.findings[number]
    stated = () if finding.contrast is None else finding.parsed.terms
    return (*stated, *(parse_term(value.term) for value in finding.values))


CHECKS: tuple[Callable[[Experiment], Iterator[Complaint]], ...] = (
    groups_can_be_run,
    findings_have_presentations,
    values_are_shares,
    terms_differ,
)
