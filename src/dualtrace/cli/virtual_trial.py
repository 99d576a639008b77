"""What ``dualtrace simulate PROTOCOL`` does: find the protocol, run it, print the summary, write the files."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from dualtrace.cli.options import changes_from, print_json
from dualtrace.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualtrace.evidence.record import Trial
    from dualtrace.simulation.engine import Precision
    from dualtrace.simulation.mechanism import Mechanism
    from dualtrace.simulation.protocol import Protocol
    from dualtrace.simulation.virtual_trial import VirtualTrial

PUBLISHED = "trial:"
_LEAST_PER_ARM = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was typed.

    Attributes
    ----------
    protocol
        A file, a shipped id, or ``trial:ID``.
    patients
        How many; the protocol's number when ``None``.
    seed, precision, memory, changes
        By which random numbers and mechanism.
    out, tables, figures
        Where files go, and the format of tables.
    as_json, show
        JSON instead of text; only the protocol.
    work
        Folder of results, worker processes and cluster, where the patients are to be shared out; ``None``: here.
    """

    protocol: str
    patients: int | None
    seed: int
    precision: Precision
    memory: str
    changes: dict[str, float]
    out: Path | None
    tables: Literal["parquet", "csv"]
    figures: Path | None
    as_json: bool
    show: bool
    work: tuple[Path | None, int, str | None] | None


def request_from(given: Mapping[str, Any]) -> Request:
    """Check the options against each other.

    Raises
    ------
    InputError
        ``--tables`` without ``--out``, or a change that is not NAME=VALUE.
    """
    if given["tables"] is not None and given["out"] is None:
        raise InputError(f"--tables {given['tables']} needs --out DIR, the folder the tables are written to")
    work = (given["store"], given["processes"], given["cluster"])
    return Request(
        protocol=given["protocol"],
        patients=given["patients"],
        seed=given["seed"],
        precision=given["precision"],
        memory=given["model"],
        changes=changes_from(given["changes"]),
        out=given["out"],
        tables=given["tables"] or "parquet",
        figures=given["figures"],
        as_json=given["as_json"],
        show=given["show"],
        work=work if any(work) else None,
    )


def answer(request: Request) -> None:
    """Show the protocol, or run it, print its summary and write what was asked for."""
    protocol, published = named(request.protocol)
    if request.show:
        _show(protocol, as_json=request.as_json)
        return
    from dualtrace.simulation.mechanism import Mechanism

    mechanism = Mechanism(request.memory, changes=request.changes)
    patients = protocol.patients if request.patients is None else request.patients
    _require_patients(patients, protocol)
    for folder in (request.out, request.figures):
        _require_folder(folder)
    trial = simulated(
        protocol, mechanism, patients=patients, seed=request.seed, precision=request.precision, work=request.work
    )
    _tell(request, trial, published)


def simulated(
    protocol: Protocol,
    mechanism: Mechanism,
    *,
    patients: int,
    seed: int,
    precision: Precision,
    work: tuple[Path | None, int, str | None] | None = None,
) -> VirtualTrial:
    """Run a protocol on all cores, or as tasks whose results are stored (:mod:`dualtrace.runner`)."""
    from dualtrace.simulation.virtual_trial import VirtualTrial, run

    if work is None:
        return run(protocol, mechanism, patients=patients, seed=seed, precision=precision)
    from dualtrace.cli.work import carry_out
    from dualtrace.simulation.engine import Engine
    from dualtrace.simulation.plan import plan_of
    from dualtrace.simulation.tasks import sums_from, tasks_of

    tasks = tasks_of(protocol, mechanism, patients=patients, seed=seed, precision=precision)
    sums = sums_from(protocol, carry_out(tasks, *work))
    return VirtualTrial(Engine(plan_of(protocol), mechanism, precision), patients, seed, sums)


def _tell(request: Request, trial: VirtualTrial, published: Trial | None) -> None:
    from dualtrace.cli.trial_files import written
    from dualtrace.simulation.summary import summarise

    done: list[Path] = []
    try:
        found = summarise(trial)
        for path in written(request, trial, found, published):
            done.append(path)  # noqa: PERF402 - what is done must be known when the loop is interrupted
    except KeyboardInterrupt:
        if done:
            click.echo(f"Stopped. These files are whole: {', '.join(map(str, done))}", err=True)
        raise
    if request.as_json:
        print_json({**found.to_dict(), "files": [str(path) for path in done]})
        return
    click.echo(str(found))
    click.echo("".join(f"\nwrote {path}" for path in done).lstrip("\n"), nl=bool(done))


def named(name: str) -> tuple[Protocol, Trial | None]:
    """The protocol of that name, and the published trial it was made from.

    Raises
    ------
    InputError
        There is no such protocol, file or record, or no protocol can be made of the record.
    EvidenceError
        The file is no protocol.
    """
    from dualtrace.simulation.load import EXAMPLES, find_protocol

    if name.startswith(PUBLISHED):
        return _of_record(name.removeprefix(PUBLISHED))
    shipped = sorted(path.stem for path in EXAMPLES.glob("*.yaml"))
    if name not in shipped and not Path(name).is_file():
        raise InputError(_unknown(name, shipped))
    return find_protocol(name), None


def _unknown(name: str, shipped: list[str]) -> str:
    from dualtrace.cli.simulate import simulate
    from dualtrace.evidence.load import TRIALS

    commands = sorted(simulate.commands)
    records = {path.stem: f"{PUBLISHED}{path.stem}" for path in TRIALS.glob("*.yaml")}
    near = [records[name]] if name in records else []
    near += difflib.get_close_matches(name, [*shipped, *commands], n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}? Otherwise " if near else ""
    return (
        f"{name!r} is neither a protocol nor a sub-command; {hint}give a YAML file that exists, trial:ID of a "
        f"published trial or a shipped protocol ({', '.join(shipped)}); sub-commands are {', '.join(commands)}"
    )


def _of_record(trial_id: str) -> tuple[Protocol, Trial]:
    from dualtrace.evidence.load import load
    from dualtrace.simulation.from_trial import protocol_of

    trials = {trial.id: trial for trial in load()}
    if trial_id not in trials:
        near = difflib.get_close_matches(trial_id, trials, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "`dualtrace trials list` shows them"
        raise InputError(f"trial: needs the id of a shipped trial; given {trial_id!r}; {hint}")
    return protocol_of(trials[trial_id]), trials[trial_id]


def _show(protocol: Protocol, *, as_json: bool) -> None:
    from dualtrace.simulation.load import protocol_content

    if as_json:
        print_json(protocol_content(protocol))
    else:
        click.echo(str(protocol))


def _require_patients(patients: int, protocol: Protocol) -> None:
    least = _LEAST_PER_ARM * len(protocol.arms)
    if patients < least:
        raise InputError(
            f"{len(protocol.arms)} arms need {least} patients or more, two for each standard deviation; given "
            f"{patients:,}; raise --patients"
        )


def _require_folder(folder: Path | None) -> None:
    """Find out before the work whether its results can be written."""
    if folder is None:
        return
    probe = folder / ".dualtrace-probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"results cannot be written to {folder} ({error.strerror}); give a folder that can be written"
        ) from None
