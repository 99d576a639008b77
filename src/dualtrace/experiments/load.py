"""Files to experiments: one YAML file each, the shipped catalogue or a user's folder."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from dualtrace.errors import EvidenceError, InputError, Problem
from dualtrace.experiments.record import Experiment
from dualtrace.source_map import read_yaml, validate

if TYPE_CHECKING:
    from collections.abc import Sequence


def catalogue_folder() -> Path:
    """Folder of the shipped experiments."""
    return Path(str(resources.files("dualtrace") / "data" / "experiments"))


def load_experiment(path: Path) -> Experiment:
    """Read one file.

    Raises
    ------
    EvidenceError
        Naming file, line and field of everything that is wrong.
    """
    source_map = read_yaml(path)
    experiment = validate(Experiment, source_map)
    if path.stem != experiment.id:
        message = f"the file must be named after its id, {experiment.id}.yaml; it is {path.name}."
        raise EvidenceError((source_map.problem(("id",), message, "Rename the file or change the id."),))
    return experiment


def read_experiments(files: Sequence[Path]) -> tuple[list[Experiment], list[Problem]]:
    """Read many files: the experiments that are sound, and the problems of the others."""
    found: list[Experiment] = []
    problems: list[Problem] = []
    for path in files:
        try:
            found.append(load_experiment(path))
        except EvidenceError as error:
            problems += error.problems
    return found, problems


def experiment_files(path: Path | None) -> list[Path]:
    """Files of the catalogue, of a folder, or one file.

    Raises
    ------
    InputError
        There is no such file or folder, or the folder holds no ``.yaml`` file.
    """
    folder = catalogue_folder() if path is None else path
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise InputError(f"there is no file or folder {folder}; give a file or a folder of experiments")
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise InputError(f"the folder {folder} holds no .yaml file; one experiment is one file")
    return files


def load_experiments(path: Path | None = None) -> tuple[Experiment, ...]:
    """Read the catalogue, a folder or a file; every problem found is reported.

    Raises
    ------
    EvidenceError
        Naming every problem.
    """
    found, problems = read_experiments(experiment_files(path))
    if problems:
        raise EvidenceError(tuple(problems))
    return tuple(found)


@cache
def catalogue() -> tuple[Experiment, ...]:
    """The shipped experiments, read once."""
    return load_experiments()
