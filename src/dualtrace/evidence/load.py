"""Files to records: read one, read all; every problem found is reported, not only the first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from dualtrace.errors import EvidenceError, InputError, Problem
from dualtrace.evidence.instrument import Instrument
from dualtrace.evidence.pooled import PublishedPooling
from dualtrace.evidence.record import Trial
from dualtrace.evidence.reference import Reference
from dualtrace.evidence.statistic import AnyReport
from dualtrace.source_map import FieldPath, Record, SourceMap, read_yaml, validate

if TYPE_CHECKING:
    from collections.abc import Iterable

REPORT_KINDS = frozenset(
    get_args(model.model_fields["kind"].annotation)[0] for model in get_args(get_args(AnyReport)[0])
)
"""Names by which the forms of report are told apart."""

DATA = Path(str(files("dualtrace") / "data"))
TRIALS = DATA / "trials"


@dataclass(frozen=True, slots=True)
class ReadTrial:
    """A trial with the file it came from."""

    trial: Trial
    source_map: SourceMap


def load(folder: Path | None = None, *, with_shipped: bool = True) -> tuple[Trial, ...]:
    """Return the evidence base, ordered by id.

    Parameters
    ----------
    folder
        A user's own folder of trial files, or None.
    with_shipped
        Whether the shipped trials are included.

    Raises
    ------
    EvidenceError
        When a file cannot be used or an id stands twice.
    InputError
        When the folder does not exist or holds no record.
    """
    found, problems = read_trials(trial_files(folder, with_shipped=with_shipped))
    if problems:
        raise EvidenceError(problems)
    return tuple(sorted((one.trial for one in found), key=lambda trial: trial.id))


def trial_files(folder: Path | None, *, with_shipped: bool) -> tuple[Path, ...]:
    """Return the record files of the shipped evidence and of a user's folder (or single file)."""
    shipped = tuple(sorted(TRIALS.glob("*.yaml"))) if with_shipped else ()
    if folder is None:
        return shipped
    if folder.is_file():
        return (*shipped, folder)
    if not folder.is_dir():
        raise InputError(f"a folder of trial files must exist; given {folder}")
    own = tuple(sorted(p for p in folder.iterdir() if p.suffix in (".yaml", ".yml")))
    if not own:
        raise InputError(f"{folder} holds no .yaml file; write one file per trial (`dualtrace trials schema`)")
    return (*shipped, *own)


def read_trials(paths: Iterable[Path]) -> tuple[tuple[ReadTrial, ...], tuple[Problem, ...]]:
    """Read every file that can be read; collect what is wrong with the others."""
    found: list[ReadTrial] = []
    problems: list[Problem] = []
    first: dict[str, Path] = {}
    for path in paths:
        try:
            one = read_trial(path)
        except EvidenceError as error:
            problems.extend(error.problems)
            continue
        trial_id = one.trial.id
        if trial_id in first:
            message = f"the id {trial_id!r} is taken by {first[trial_id]}."
            problems.append(one.source_map.problem(("id",), message, "Choose another id."))
            continue
        first[trial_id] = path
        found.append(one)
    return tuple(found), tuple(problems)


def read_trial(path: Path) -> ReadTrial:
    """Read one trial file."""
    source_map = read_yaml(path)
    return ReadTrial(validate(Trial, source_map, tags=REPORT_KINDS), source_map)


@cache
def instruments() -> dict[str, Instrument]:
    """Return the table of instruments by key."""
    return _table(Instrument, DATA / "instruments.yaml")


@cache
def references() -> dict[str, Reference]:
    """Return the documents that serve many records, by key."""
    return _table(Reference, DATA / "references.yaml")


@cache
def published_poolings() -> tuple[PublishedPooling, ...]:
    """Return the pooled analyses others published, ordered by id."""
    paths = sorted((DATA / "pooled").glob("*.yaml"))
    return tuple(validate(PublishedPooling, read_yaml(path)) for path in paths)


def _table(record: type[Record], path: Path) -> dict[str, Record]:
    source_map = read_yaml(path)
    return {
        key: validate(record, SourceMap(path, row, _below(source_map.lines, key)))
        for key, row in source_map.content.items()
    }


def _below(lines: dict[FieldPath, int], key: str) -> dict[FieldPath, int]:
    return {where[1:]: line for where, line in lines.items() if where[:1] == (key,)}
