"""What a posterior says of its origin: version, model, trials, patients; enough to make it again."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from dualtrace.evidence.record import Trial
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.runner.task import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dualtrace.calibration.model import Problem

MODEL_VERSION: Final = 2
"""Of the equations and the likelihood; raised whenever a change of code changes what they give.

It enters every digest, so that fits and findings of another version are neither taken up nor shown as current.
"""


def provenance(problem: Problem) -> dict[str, Any]:
    """Version, digests of model and trials, and the quasi-random patients of a problem."""
    return {
        "dualtrace": version("dualtrace"),
        "model": model_digest(),
        "trials": digest(contents_of(subject.trial for subject in problem.subjects)),
        "points": int(problem.population.quality.shape[-1]),
        "layout_seed": problem.seed,
    }


def contents_of(trials: Iterable[Trial]) -> list[dict[str, Any]]:
    """Trials as plain content; :func:`trials_from` makes them again."""
    return [trial.model_dump(mode="json", exclude_defaults=True) for trial in trials]


def trials_from(contents: Iterable[Any]) -> tuple[Trial, ...]:
    """Trials from :func:`contents_of`."""
    return tuple(Trial.model_validate(content) for content in contents)


def model_digest() -> str:
    """SHA-256 of the version of the equations and of every constant with its prior."""
    return digest({"version": MODEL_VERSION, "constants": load_parameters().model_dump(mode="json")})


def digest(content: Any) -> str:  # noqa: ANN401 - anything JSON can hold
    """SHA-256 of plain content, in hexadecimal."""
    return hashlib.sha256(canonical(content).encode()).hexdigest()
