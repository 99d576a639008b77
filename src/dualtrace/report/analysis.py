"""Everything the report shows, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualtrace.effects.effect import Effect, Metric
from dualtrace.effects.select import between_arms, every_comparison
from dualtrace.evidence.load import published_poolings
from dualtrace.evidence.record import Timepoint
from dualtrace.evidence.scope import CORE_DISORDERS, pooled_trials
from dualtrace.pooling.synthesis import GroupedSynthesis, by_disorder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualtrace.evidence.pooled import PublishedPooling
    from dualtrace.evidence.record import Disorder, Trial

Question = tuple[str, Timepoint]
"""An outcome of :data:`dualtrace.effects.select.OUTCOMES` at a time point."""

MAIN: tuple[Question, ...] = (
    ("severity", Timepoint.POST),
    ("severity", Timepoint.MID),
    ("severity", Timepoint.FOLLOWUP),
    ("severity_mixed", Timepoint.POST),
    ("severity_mixed", Timepoint.MID),
    ("severity_mixed", Timepoint.FOLLOWUP),
    ("benefit_mixed", Timepoint.POST),
    ("response", Timepoint.POST),
    ("response", Timepoint.FOLLOWUP),
    ("remission", Timepoint.POST),
    ("remission", Timepoint.FOLLOWUP),
    ("adverse_event", Timepoint.POST),
    ("dropout", Timepoint.POST),
)
"""What is pooled, in the order of the report."""

HEADLINE: Question = ("severity", Timepoint.POST)
MIXED: Question = ("severity_mixed", Timepoint.POST)


@dataclass(frozen=True, slots=True)
class Analysis:
    """The comparative analysis.

    Attributes
    ----------
    trials
        The whole evidence base, ordered by id.
    pooled
        The trials the scope rule includes.
    syntheses
        Pooled answers by question; questions no trial answers are absent.
    comparisons
        Every drug-against-placebo effect of the pooled trials, primary or not.
    poolings
        Pooled analyses by others.
    """

    trials: tuple[Trial, ...]
    pooled: tuple[Trial, ...]
    syntheses: Mapping[Question, GroupedSynthesis]
    comparisons: tuple[Effect, ...]
    poolings: tuple[PublishedPooling, ...]

    def trial(self, trial_id: str) -> Trial:
        """Return the trial of that id."""
        return next(trial for trial in self.trials if trial.id == trial_id)

    def of(self, disorder: Disorder) -> tuple[Trial, ...]:
        """Return the pooled trials of one disorder, oldest first."""
        own = [trial for trial in self.pooled if trial.disorder is disorder]
        return tuple(sorted(own, key=lambda t: (t.year or 9999, t.label)))


def analyse(trials: Sequence[Trial]) -> Analysis:
    """Compute the comparative analysis of a set of trials."""
    included = pooled_trials(trials)
    syntheses: dict[Question, GroupedSynthesis] = {}
    for outcome, timepoint in MAIN:
        selection = between_arms(trials, outcome=outcome, timepoint=timepoint, ratio=Metric.OR)
        if selection.effects:
            syntheses[outcome, timepoint] = by_disorder(selection)
    effects = [e for trial in included for e in every_comparison(trial) if isinstance(e, Effect)]
    order = {disorder: i for i, disorder in enumerate(CORE_DISORDERS)}
    effects.sort(key=lambda e: (order[e.disorder], e.year or 9999, e.label))
    return Analysis(tuple(trials), included, syntheses, tuple(effects), published_poolings())
