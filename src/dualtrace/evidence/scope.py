"""Which trials the synthesis uses: one stated rule, and the reason for every trial left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualtrace.evidence.record import Disorder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dualtrace.evidence.record import Trial

CORE_DISORDERS = (Disorder.SAD, Disorder.PD, Disorder.OCD, Disorder.PTSD, Disorder.SPECIFIC_PHOBIA)

RULE = (
    "A trial is pooled when it has results, gave the drug or placebo around sessions of exposure therapy, "
    "and treated social anxiety disorder, panic disorder, OCD, PTSD or a specific phobia. "
    "Registry entries without results, laboratory assays, daily dosing without exposure and other disorders "
    "are kept in the evidence base, marked, and left out of the pool."
)


@dataclass(frozen=True, slots=True)
class Scope:
    """Whether a trial is pooled and, if not, why."""

    trial: Trial
    reason: str | None

    @property
    def included(self) -> bool:
        """Whether the trial is pooled."""
        return self.reason is None


def scope(trial: Trial) -> Scope:
    """Apply the rule to one trial; the first reason that holds is given."""
    return Scope(trial, _reason(trial))


def pooled_trials(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """Return the trials the rule includes."""
    return tuple(trial for trial in trials if scope(trial).included)


def _reason(trial: Trial) -> str | None:
    if trial.status == "registry_only":
        return "registry entry without results"
    if trial.design.exposure == "none":
        return "the drug was not given around exposure sessions"
    if trial.design.exposure == "laboratory":
        return "laboratory assay, not a treatment"
    if trial.disorder not in CORE_DISORDERS:
        return f"outside the five disorders ({trial.disorder.value.replace('_', ' ')})"
    return None
