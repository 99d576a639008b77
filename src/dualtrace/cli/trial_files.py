"""Files of a virtual trial: record, protocol, summary, tables and figures; each is whole or absent."""

from __future__ import annotations

import csv
import json
import math
import tempfile
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from dualtrace.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dualtrace.cli.virtual_trial import Request
    from dualtrace.evidence.record import Trial
    from dualtrace.simulation.summary import Summary
    from dualtrace.simulation.tables import Table
    from dualtrace.simulation.virtual_trial import VirtualTrial

FIGURES = "figures"


def written(request: Request, trial: VirtualTrial, found: Summary, published: Trial | None) -> Iterator[Path]:
    """Write what was asked for, the quick files first, and yield each path once its file is there.

    Raises
    ------
    InputError
        A file cannot be written.
    """
    try:
        if request.out is not None:
            yield from _texts(request.out, trial, found)
            if not found.note:
                yield from _tables(request.out, trial, request.tables)
            yield from _figures(request.out / FIGURES, trial, found, published)
        if request.figures is not None:
            yield from _figures(request.figures, trial, found, published)
    except OSError as error:
        raise InputError(
            f"{error.filename or request.out or request.figures} cannot be written ({error.strerror}); what was "
            "written before is whole"
        ) from None


def record_yaml(record: Trial) -> str:
    """A record as the YAML file that ``dualtrace trials check`` reads."""
    content = record.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=118)


def _texts(folder: Path, trial: VirtualTrial, found: Summary) -> Iterator[Path]:
    from dualtrace.simulation.load import protocol_json

    yield _put(folder / f"{trial.plan.protocol.id}.yaml", record_yaml(trial.record).encode())
    yield _put(folder / "protocol.json", protocol_json(trial.plan.protocol).encode())
    summary = json.dumps(found.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
    yield _put(folder / "summary.json", summary.encode())


def _tables(folder: Path, trial: VirtualTrial, form: str) -> Iterator[Path]:
    makers: dict[str, Callable[[], Table]] = {
        "patients": lambda: trial.patient_table,
        "sessions": lambda: trial.session_table,
        "decisions": lambda: trial.decision_table,
    }
    for name, make in makers.items():
        table = make()
        if table:
            yield _put(folder / f"{name}.{form}", _as_csv(table) if form == "csv" else _as_parquet(table))


def _as_parquet(table: Table) -> bytes:
    from dualtrace.runner.tables import to_parquet

    return bytes(to_parquet(table))


def _as_csv(table: Table) -> bytes:
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table)
    for row in zip(*(column.tolist() for column in table.values()), strict=True):
        writer.writerow(["" if isinstance(cell, float) and math.isnan(cell) else cell for cell in row])
    return out.getvalue().encode()


def _figures(folder: Path, trial: VirtualTrial, found: Summary, published: Trial | None) -> Iterator[Path]:
    from dualtrace.report.figures.save import png, svg
    from dualtrace.report.figures.virtual_trial import figures
    from dualtrace.simulation.published import published as published_by

    for shown in figures(found, None if published is None else published_by(published, trial.plan)):
        drawn = shown.draw(width="wide")
        yield _put(folder / f"{shown.key}.svg", svg(drawn, title=found.title, description=shown.alt))
        yield _put(folder / f"{shown.key}.png", png(drawn))


def _put(path: Path, content: bytes) -> Path:
    """Write under another name first, so that a file is whole or absent after any interruption."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as scratch:
        try:
            scratch.write(content)
        except BaseException:
            Path(scratch.name).unlink()
            raise
    Path(scratch.name).chmod(0o644)
    return Path(scratch.name).replace(path)
