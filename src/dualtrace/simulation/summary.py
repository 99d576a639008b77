"""What a virtual trial shows: what it would report, what its patients' data say, and what no trial can see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from dualtrace.analysis.result import Result
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.simulation.patient_analyses import analyses, end_visit
from dualtrace.simulation.reported import Compared, Fear, Score, Treated, compared, fears, scores, treated
from dualtrace.simulation.summary_text import summary_text
from dualtrace.simulation.unseen import unseen
from dualtrace.simulation.virtual_trial import MOST_ROWS

if TYPE_CHECKING:
    from dualtrace.simulation.patient_analyses import Analysis
    from dualtrace.simulation.plan import Plan
    from dualtrace.simulation.unseen import Unseen
    from dualtrace.simulation.virtual_trial import VirtualTrial

LEVEL = 0.95
WARNING = (
    "Simulated: no person was treated. It shows what the mechanism implies under constants that are mostly "
    "assumptions; it is not medical advice."
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Summary(Result):
    """A virtual trial in numbers.

    Attributes
    ----------
    protocol, title, disorder
        What was simulated.
    patients, seed, precision, memory
        On how many, by which random numbers and mechanism.
    changes
        Constants that differ from ``parameters.yaml``, as ``name = value``.
    assumed_protocol, assumed_constants, constants
        How many values of the protocol are assumed; how many of the constants of the clinic are, and of how many.
    reference
        Arm that the others are compared with.
    primary, better, primary_sd
        The primary scale, which way is better (``lower`` or ``higher``), its SD at baseline (1 for one of
        change).
    treatment_end, end
        Visit that ends treatment, and the visit of the main analysis: the same where the primary scale is measured
        there. Empty where there is none.
    arms, sessions, scores, compared
        What the trial would report.
    analyses
        Of the patients; empty where only sums are kept.
    unseen
        Each patient against the same patient in the reference arm.
    note
        What is left out and why; empty otherwise.
    warning
        What this may not be taken for.
    """

    protocol: str
    title: str
    disorder: str
    patients: int
    seed: int
    precision: str
    memory: str
    changes: tuple[str, ...]
    assumed_protocol: int
    assumed_constants: int
    constants: int
    reference: str
    primary: str
    better: str
    primary_sd: float
    treatment_end: str
    end: str
    arms: tuple[Treated, ...]
    sessions: tuple[Fear, ...]
    scores: tuple[Score, ...]
    compared: tuple[Compared, ...]
    analyses: tuple[Analysis, ...]
    unseen: tuple[Unseen, ...]
    note: str
    warning: str = WARNING

    def __post_init__(self) -> None:
        if self.reference not in {arm.arm for arm in self.arms} or len(self.unseen) != len(self.arms) - 1:
            raise ValueError(f"{self.protocol}: the arms must hold the reference and be compared with it")

    def __str__(self) -> str:
        """The summary as text, in lines of at most 100 characters where words allow."""
        return summary_text(self)

    @property
    def last_week(self) -> float:
        """Week of the last visit."""
        return max(one.weeks for one in self.scores)

    def primary_scores(self, arm: str) -> tuple[Score, ...]:
        """Scores of one arm on the primary scale, in order of time."""
        return tuple(one for one in self.scores if one.arm == arm and one.scale == self.primary)

    def effects(self, arm: str) -> tuple[Compared, ...]:
        """Standardised differences of one arm on the primary scale that could be told, in order of time."""
        return tuple(
            one
            for one in self.compared
            if one.arm == arm and one.scale == self.primary and one.metric == "SMD" and not one.refused
        )


def summarise(trial: VirtualTrial, *, with_patients: bool | None = None, level: float = LEVEL) -> Summary:
    """Summarise a virtual trial.

    Parameters
    ----------
    trial
        What was run.
    with_patients
        Whether patients are analysed one by one, which needs a table of them; by default where there are at most
        1,000,000. Without, everything is taken from sums.
    level
        Confidence level of the analyses.

    Raises
    ------
    InputError
        ``with_patients`` was asked for and there are too many.
    """
    kept = trial.patients <= MOST_ROWS if with_patients is None else with_patients
    plan, sums, mechanism = trial.plan, trial.sums, trial.engine.mechanism
    clinic = {name: entry for name, entry in load_parameters().parameters.items() if name.startswith("clinic.")}
    return Summary(
        patients=trial.patients,
        seed=trial.seed,
        precision=trial.engine.precision,
        memory=mechanism.memory,
        changes=tuple(f"{name} = {value:g}" for name, value in mechanism.changes.items()),
        assumed_constants=sum(entry.source == "assumption" for entry in clinic.values()),
        constants=len(clinic),
        **_planned(plan),
        arms=treated(plan, sums),
        sessions=fears(plan, sums),
        scores=scores(plan, sums),
        compared=compared(trial),
        analyses=analyses(trial, level) if kept else (),
        unseen=unseen(trial, with_rows=kept),
        note="" if kept else _note(trial.patients),
    )


def _note(patients: int) -> str:
    if patients > MOST_ROWS:
        return f"Only sums are kept of more than {MOST_ROWS:,} patients: no tables, no analyses, no quantiles."
    return "Only sums were asked for: no tables, no analyses, no quantiles."


def _planned(plan: Plan) -> dict[str, Any]:
    protocol, scale = plan.protocol, plan.scales[0]
    return {
        "protocol": protocol.id,
        "title": protocol.title,
        "disorder": protocol.disorder.value,
        "assumed_protocol": len(protocol.assumed),
        "reference": plan.arms[plan.reference].source.id,
        "primary": scale.name,
        "better": scale.instrument.better,
        "primary_sd": plan.primary_sd,
        "treatment_end": plan.visits[plan.last_of_treatment - 1].id if plan.visits else "",
        "end": end_visit(plan) or "",
    }
