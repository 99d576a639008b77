"""The whole model of one account: shared constants, disorders partially pooled, trials with a deviation of their own.

Everything is a pure function of a dictionary of parameters, so that NUTS, Laplace's approximation, prior draws and
leave-one-out use the same code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np

from dualtrace.calibration.courses import Courses, Population, lay_out
from dualtrace.calibration.likelihood import placebo_log_likelihood, trial_log_likelihoods
from dualtrace.calibration.moderation import INTERACTION
from dualtrace.calibration.outcomes import Rows, predicted, rows_of
from dualtrace.calibration.predict import Constants
from dualtrace.calibration.targets import DISORDERS, Subject
from dualtrace.mechanism.arrays import xp
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.simulation.mechanism import lookup_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualtrace.calibration.outcomes import Reported
    from dualtrace.calibration.rivals import Rival
    from dualtrace.mechanism.arrays import Array
    from dualtrace.mechanism.parameters import Lookup
    from dualtrace.mechanism.prior import Prior

LEARNING = (
    "dual_trace.safety_rate",
    "dual_trace.lability_threshold",
    "dual_trace.lability_closes",
    "dual_trace.storage_opens",
    "clinic.quality",
    "clinic.generalisation",
    "clinic.fear_share",
    "clinic.nonspecific",
)
"""Shared constants of learning and symptoms, with the priors of ``parameters.yaml``."""

THREAT = ("dual_trace.restabilisation",)
TOLERANCE = ("tolerance.jump", "tolerance.recovery")
STRENGTH = ("calibration.strength",)
AROUSAL = ("calibration.arousal",)
STATISTICAL = ("calibration.mean_effect", "calibration.disorder_effect_sd")
HETEROGENEITY = "calibration.heterogeneity"
PLACEBO_SD = "calibration.placebo_sd"
BY_DISORDER = ("learning", "quality", "nonspecific")
"""What differs between disorders: deviations of the log rate of learning and of two logits."""

BY_DISORDER_SD = "calibration.disorder_sd"
EFFECT_BY_DISORDER = "effect"


@final
@dataclass(frozen=True, eq=False)
class Problem:
    """The trials laid out: made once, shared by all accounts.

    Attributes
    ----------
    subjects
        The trials, in the order of ``rows.trial``.
    seed
        How the quasi-random patients were scrambled.
    """

    subjects: tuple[Subject, ...]
    courses: Courses
    population: Population
    rows: Rows
    disorder_of_arm: Array
    seed: int = 0

    @property
    def trials(self) -> int:
        """Number of trials."""
        return len(self.subjects)

    @property
    def precision(self) -> Any:  # noqa: ANN401 - a NumPy type
        """In which patients are followed."""
        return self.population.quality.dtype

    def in_precision(self, dtype: Any) -> Problem:  # noqa: ANN401 - a NumPy type
        """The same trials, patients followed in another precision."""
        courses, population = _in_precision((self.courses, self.population), dtype)
        return replace(self, courses=courses, population=population)

    def with_reported(self, reported: Reported) -> Problem:
        """The same trials, had they reported something else in the same form."""
        return replace(self, rows=self.rows._replace(**reported._asdict()))


def problem_of(subjects: Sequence[Subject], *, points: int = 64, seed: int = 0) -> Problem:
    """Lay the trials out with ``points`` quasi-random patients (a power of two)."""
    import jax

    courses, population, numbers = lay_out(subjects, points=points, seed=seed)
    names = [disorder.value for disorder in DISORDERS]
    lookup = lookup_in({n: p.value for n, p in load_parameters().parameters.items()}, np.float64)
    rows = rows_of(subjects, numbers, population, names, lookup)
    disorders = np.array(
        [names.index(s.trial.disorder.value) for s, own in zip(subjects, numbers, strict=True) for _ in own]
    )
    on_courses, on_population, on_rows, on_disorders = jax.tree.map(
        jax.numpy.asarray, (courses, population, rows, disorders)
    )
    return Problem(tuple(subjects), on_courses, on_population, on_rows, on_disorders, seed)


def priors_of(rival: Rival) -> dict[str, Prior]:
    """Priors of the shared parameters of an account, by name."""
    names = [HETEROGENEITY]
    if rival.is_mechanism:
        names += [PLACEBO_SD, *LEARNING, *STRENGTH, BY_DISORDER_SD]
        names += THREAT if rival.on_threat else ()
        names += TOLERANCE if rival.tolerance else ()
        names += AROUSAL if rival.arousal else ()
        if not rival.gap:
            names.remove("dual_trace.lability_closes")
    elif rival.drug_acts:
        names += STATISTICAL
    table = load_parameters()
    return {name: table.parameter(name).prior for name in names}


def deviations_of(rival: Rival) -> tuple[str, ...]:
    """Standard normal deviations per disorder that an account has, each ``(disorders,)``."""
    if rival.is_mechanism:
        return BY_DISORDER
    return (EFFECT_BY_DISORDER,) if rival.drug_acts else ()


def predictions(problem: Problem, rival: Rival, shared: Mapping[str, Any], deviations: Mapping[str, Any]) -> Array:
    """Predicted effect of every row, ``(R,)``.

    Parameters
    ----------
    problem, rival
        The trials, and the account.
    shared
        Shared parameters by name (:func:`priors_of`).
    deviations
        Standard normal deviations by name, ``(disorders,)`` (:func:`deviations_of`).
    """
    rows = problem.rows
    if not rival.is_mechanism:
        return _statistical(rows, rival, shared, deviations)
    precise, precision = problem.rows.y.dtype, problem.precision
    constants, lookup = constants_at(rival, shared, deviations, problem.disorder_of_arm)
    rows, constants = _in_precision((rows, constants), precision)
    found = predicted(
        rows,
        problem.courses,
        problem.population,
        constants,
        lambda name, unit: xp.asarray(lookup(name, unit), precision),
    )
    return xp.asarray(found, precise)


def _in_precision(tree: Any, dtype: Any) -> Any:  # noqa: ANN401 - a tuple of arrays, of whatever kind
    """Arrays of real numbers in a precision; all others as they are."""
    import jax

    return jax.tree.map(lambda leaf: leaf.astype(dtype) if xp.issubdtype(leaf.dtype, np.floating) else leaf, tree)


def constants_at(
    rival: Rival, shared: Mapping[str, Any], deviations: Mapping[str, Any], disorder_of_arm: Array
) -> tuple[Constants, Lookup]:
    """Constants of every arm under a mechanism, and all others by name.

    Parameters
    ----------
    rival, shared, deviations
        As in :func:`predictions`.
    disorder_of_arm
        Place of the disorder of each arm in :data:`dualtrace.calibration.targets.DISORDERS`.
    """
    values: dict[str, Any] = {n: p.value for n, p in load_parameters().parameters.items()}
    values |= {name: value for name, value in shared.items() if name in values}
    if not rival.gap:
        values["dual_trace.lability_closes"] = values["dual_trace.storage_opens"]
    lookup = lookup_in(values, np.float64)
    spread = shared[BY_DISORDER_SD]
    of_arm = {name: spread * deviations[name][disorder_of_arm] for name in BY_DISORDER}
    share = xp.asarray(values["clinic.nonspecific"])
    constants = Constants(
        learning=of_arm["learning"],
        quality=values["clinic.quality"] + of_arm["quality"],
        nonspecific=xp.log(share / (1 - share)) + of_arm["nonspecific"],
        safety_strength=xp.asarray(shared["calibration.strength"]),
        threat_strength=xp.asarray(shared["calibration.strength"] if rival.on_threat else 0.0),
        arousal=xp.asarray(shared.get("calibration.arousal", 0.0)),
        jump=xp.asarray(values["tolerance.jump"] if rival.tolerance else 0.0),
        recovery_h=xp.asarray(24.0 * values["tolerance.recovery"]),
    )
    return constants, lookup


def _statistical(rows: Rows, rival: Rival, shared: Mapping[str, Any], deviations: Mapping[str, Any]) -> Array:
    """One effect per disorder in SMD, times pi/sqrt(3) for log odds; nothing is moderated, or said of placebo."""
    if not rival.drug_acts:
        return xp.zeros_like(rows.y)
    own = shared["calibration.disorder_effect_sd"] * deviations[EFFECT_BY_DISORDER]
    effect = shared["calibration.mean_effect"] + own
    ratio = (rows.standard == 2) | (rows.standard == 3)
    each = effect[rows.disorder] * xp.where(ratio, np.pi / np.sqrt(3), 1.0)
    return xp.asarray(xp.where(rows.standard == INTERACTION, 0.0, each))


def log_likelihoods(
    problem: Problem, rival: Rival, shared: Mapping[str, Any], deviations: Mapping[str, Any]
) -> tuple[Array, Array]:
    """Log-likelihood of the drug's effects in every trial ``(trials,)``, and of all changes with placebo.

    Accounts are compared by the first alone: those without a mechanism say nothing of placebo, and their second
    part is 0.
    """
    return likelihoods_of(problem, rival, shared, predictions(problem, rival, shared, deviations))


def likelihoods_of(problem: Problem, rival: Rival, shared: Mapping[str, Any], expected: Array) -> tuple[Array, Array]:
    """Return the same from what is predicted of every row, ``(R,)``."""
    rows = problem.rows
    of_trials = trial_log_likelihoods(
        rows,
        expected,
        trials=problem.trials,
        heterogeneity=shared["calibration.heterogeneity"],
        shared=load_parameters().number("calibration.shared_error", "1"),
        precision=problem.precision,
    )
    if not rival.is_mechanism:
        return of_trials, xp.zeros_like(of_trials[0])
    return of_trials, placebo_log_likelihood(rows, expected, placebo_sd=shared["calibration.placebo_sd"])
