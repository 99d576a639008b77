"""A published record as a protocol that can be run; everything the record does not say is filled and listed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import ValidationError

from dualtrace.errors import InputError
from dualtrace.evidence.record import Timepoint
from dualtrace.evidence.statistic import ArmMean, Means
from dualtrace.simulation.defaults import clinical_defaults, with_people
from dualtrace.simulation.gaps import NOT_REPORTED, Gaps
from dualtrace.simulation.protocol import People, Protocol, Randomisation, Spread
from dualtrace.simulation.trial_arms import arms_of
from dualtrace.simulation.trial_assessments import assessments_of
from dualtrace.simulation.trial_sessions import course_of

if TYPE_CHECKING:
    from dualtrace.evidence.record import Trial
    from dualtrace.simulation.arm import ProtocolArm
    from dualtrace.simulation.defaults import Population

_PER_ARM = 20
_Z95 = 1.959964


def protocol_of(trial: Trial) -> Protocol:
    """Make a protocol of a record.

    What the record reports is kept: arms, doses, times, sizes, sessions, spacing, scales, time points, baselines. A
    range becomes its middle. What it does not report is filled by the defaults of the disorder. Both are listed in
    ``assumed``, with the reason and the source.

    Parameters
    ----------
    trial
        A record whose drug was given around sessions of therapy.

    Returns
    -------
    Protocol
        A protocol of the same id.

    Raises
    ------
    InputError
        The drug was not given around sessions of therapy, or fewer than two arms can be simulated.
    """
    if trial.design.exposure != "therapy":
        what = "is a laboratory assay" if trial.design.exposure == "laboratory" else "gave the drug without exposure"
        raise InputError(f"a protocol is made from a trial of drug and therapy; {trial.id} {what}")
    population = trial.population or "adult"
    gaps = Gaps(clinical_defaults(trial.disorder, population), trial.id)
    if trial.population is None:
        gaps.say("population", population, f"the age of the participants is {NOT_REPORTED}")
    if trial.design.crossover:
        gaps.say("arms", "parallel", "a crossover is simulated as parallel arms")
    try:
        return with_people(_protocol(trial, population, gaps))
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise InputError(f"no protocol can be made from {trial.id}: {detail}") from None


def _protocol(trial: Trial, population: Population, gaps: Gaps) -> Protocol:
    course = course_of(trial, gaps)
    arms = arms_of(trial, course.dosed, gaps)
    assessments = assessments_of(trial, course.therapy.resolved(), gaps)
    patients, randomisation = _sizes(trial, arms, gaps)
    scales = dict.fromkeys(key for one in assessments for key in one.instruments)
    people = _people(trial, tuple(scales), gaps)
    return Protocol(
        id=trial.id,
        title=f"{trial.label}: {trial.design.sessions.therapy or 'exposure therapy'}",
        disorder=trial.disorder,
        population=population,
        patients=patients,
        arms=arms,
        therapy=course.therapy,
        assessments=assessments,
        randomisation=randomisation,
        people=people,
        assumed=gaps.assumed,
        note=f"made from the record {trial.id}",
    )


def _sizes(trial: Trial, arms: tuple[ProtocolArm, ...], gaps: Gaps) -> tuple[int, Randomisation]:
    sizes = {arm.id: trial.arm(arm.id).n_randomized or trial.arm(arm.id).n_analyzed or 0 for arm in arms}
    if all(sizes.values()):
        total, divisor = sum(sizes.values()), math.gcd(*sizes.values())
        gaps.read("randomisation.blocks", str(total), "one block, so that every arm has its reported size")
        ratio = {arm: size // divisor for arm, size in sizes.items()}
        return total, Randomisation(ratio=ratio, blocks=(total,))
    design = trial.design
    total = design.n_randomized or design.n_analyzed or design.n_enrolled or 0
    if total < len(arms):
        total = _PER_ARM * len(arms)
        gaps.say("patients", str(total), f"their number is {NOT_REPORTED}; {_PER_ARM} per arm")
    elif not (design.n_randomized or design.n_analyzed):
        gaps.read("patients", str(total), "the number enrolled; that randomised is not reported")
    elif len(arms) < len(design.arms):
        gaps.read("patients", str(total), "the number of the whole trial; sizes of the arms are not reported")
    gaps.say("randomisation.ratio", ":".join("1" for _ in arms), f"the sizes of the arms are {NOT_REPORTED}")
    gaps.say("randomisation.blocks", str(2 * len(arms)), f"the blocks are {NOT_REPORTED}")
    return total, Randomisation(blocks=(2 * len(arms),))


def _people(trial: Trial, scales: tuple[str, ...], gaps: Gaps) -> People:
    taken = trial.design.antidepressants
    share = 0.0 if taken == "excluded" else None
    if taken == "allowed" and gaps.usual.number("antidepressants") == 0:
        share = gaps.usual.general("antidepressants").value
        gaps.say("people.antidepressants", f"{share:g}", "allowed in this trial, and their share is not reported")
    return People(antidepressants=share, baseline=_baselines(trial, scales, gaps))


def _baselines(trial: Trial, scales: tuple[str, ...], gaps: Gaps) -> dict[str, Spread]:
    """Baselines the record reports, both sides taken together."""
    found: dict[str, Spread] = {}
    for outcome in trial.outcomes:
        if outcome.timepoint is not Timepoint.BASELINE or outcome.subgroup or len(outcome.instruments) != 1:
            continue
        key = outcome.instruments[0]
        for report in outcome.reported:
            if key in scales and key not in found and isinstance(report, Means):
                spread = _together(report.treatment, report.reference)
                if spread is not None:
                    found[key] = spread
                    gaps.read(
                        f"people.baseline.{key}", f"{spread.mean:.3g} (SD {spread.sd:.3g})", "both sides as reported"
                    )
    return found


def _together(one: ArmMean, other: ArmMean) -> Spread | None:
    """Mean and SD of both sides: ``mean = sum(n m) / sum(n)``, ``sd^2 = sum((n - 1) s^2) / sum(n - 1)``."""
    sides = [(side.n or 2, side.mean, _sd(side)) for side in (one, other)]
    if (one.n is None) != (other.n is None) or any(sd is None for _, _, sd in sides):
        return None
    mean = sum(n * m for n, m, _ in sides) / sum(n for n, _, _ in sides)
    variance = sum((n - 1) * (sd or 0) ** 2 for n, _, sd in sides) / sum(n - 1 for n, _, _ in sides)
    return Spread(mean=mean, sd=math.sqrt(variance))


def _sd(side: ArmMean) -> float | None:
    if side.sd is not None:
        return side.sd
    if side.n is None:
        return None
    if side.se is not None:
        return side.se * math.sqrt(side.n)
    return None if side.ci is None else (side.ci[1] - side.ci[0]) / (2 * _Z95) * math.sqrt(side.n)
