"""What ``dualtrace experiments`` prints: the board, one experiment, the list, the findings of the linter."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from dualtrace.cli.options import print_json
from dualtrace.errors import EvidenceError, InputError
from dualtrace.experiments.board import Board, board, flips, prior_share, regimes
from dualtrace.experiments.lint import lint
from dualtrace.experiments.load import catalogue, experiment_files, load_experiments, read_experiments
from dualtrace.experiments.record import Experiment, Strength
from dualtrace.mechanism.memory.registry import ablations, memory_model, memory_models
from dualtrace.mechanism.parameters import ParameterTable, load_parameters
from dualtrace.printed import table

if TYPE_CHECKING:
    from pathlib import Path

_WHERE_NOT = (
    "A finding that holds is a sign the model can show, not evidence that the brain works so: the dual trace was "
    "tuned on the training part, the rivals run at published constants."
)


@dataclass(frozen=True, slots=True)
class Request:
    """What ``run`` was asked for."""

    models: tuple[str, ...]
    folder: Path | None
    draws: int | None
    seed: int
    assumptions: bool
    ablate: bool
    constants: Path | None
    figures: Path | None
    as_json: bool

    def __post_init__(self) -> None:
        if self.draws is not None and self.draws < 1:
            raise InputError(f"--draws must be 1 or more; given {self.draws}")


def answer(asked: Request) -> None:
    """Score, and print as text or JSON."""
    chosen = [memory_model(name) for name in dict.fromkeys(asked.models)] or list(memory_models().values())
    found = _scorable(load(asked.folder))
    constants = _constants(asked.constants)
    result = board([*chosen, *(ablations() if asked.ablate else ())], found, table=constants)
    parts: dict[str, Any] = {"board": _board_rows(result), "misses": _miss_rows(result)}
    if asked.draws is not None:
        parts["prior"] = {model.name: _prior(model.name, found, asked) for model in chosen}
    if asked.assumptions:
        parts["assumptions"] = {model.name: _flip_rows(model.name, found) for model in chosen}
    if asked.figures is not None:
        _draw(result, asked.figures)
    if asked.as_json:
        print_json(parts)
        return
    _print(result, parts, asked)


def load(folder: Path | None) -> tuple[Experiment, ...]:
    """The catalogue, or a user's experiments, which must pass the linter.

    Raises
    ------
    EvidenceError
        Naming file, line and field of what would stop or falsify a run.
    """
    if folder is None:
        return catalogue()
    found = load_experiments(folder)
    files = {file.stem: file for file in experiment_files(folder)}
    problems = lint([(files[e.id], e) for e in found], [e.id for e in catalogue()])
    if wrong := tuple(problem for problem in problems if problem.severity == "error"):
        raise EvidenceError(wrong)
    return found


def _scorable(found: tuple[Experiment, ...]) -> tuple[Experiment, ...]:
    if not any(finding.contrast for experiment in found for finding in experiment.findings):
        raise InputError("none of these experiments has a finding with a contrast, so nothing can be scored")
    return found


def _constants(path: Path | None) -> ParameterTable | None:
    if path is None:
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"--constants {path} cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise InputError(f"--constants {path} must be JSON, a name to a number; it is not ({error})") from None
    if not isinstance(values, dict) or not all(type(v) in {int, float} for v in values.values()):
        raise InputError(
            f"--constants {path} must hold one object of names and numbers, as `tune --output` writes it"
        )
    return load_parameters().with_values(values)


def _board_rows(result: Board) -> list[dict[str, Any]]:
    rows = []
    for model in result.models:
        row: dict[str, Any] = {"model": model.name, "title": model.title, "source": model.source}
        for split in ("training", "held_out"):
            tally = result.tally(model.name, split=split, strength=Strength.CORE)
            row[f"core_{split}"] = {"held": tally.held, "total": tally.total}
        for strength in (Strength.SUPPORTING, Strength.CONTESTED):
            tally = result.tally(model.name, strength=strength)
            row[strength.value] = {"held": tally.held, "total": tally.total}
        row["weighted_share"] = round(result.tally(model.name).weight, 4)
        row["families"] = {f: {"held": t.held, "total": t.total} for f, t in result.families(model.name).items()}
        rows.append(row)
    return rows


def _miss_rows(result: Board) -> dict[str, list[dict[str, Any]]]:
    return {
        model.name: [
            {
                "experiment": miss.experiment.id,
                "split": miss.experiment.split,
                "says": miss.finding.says,
                "contrast": miss.finding.contrast,
                "outcome": miss.outcome.value,
                "slack_in_margins": round(float(miss.slack[0]), 2),
            }
            for miss in result.misses(model.name)
        ]
        for model in result.models
    }


def _prior(name: str, found: tuple[Experiment, ...], asked: Request) -> dict[str, Any]:
    shares = prior_share(memory_model(name), found, draws=asked.draws or 1, seed=asked.seed)
    return {
        "draws": asked.draws,
        "seed": asked.seed,
        "findings": [
            {"experiment": s.experiment.id, "contrast": s.finding.contrast, "share": round(float(share), 3)}
            for s, share in zip(shares.scored, shares.shares, strict=True)
        ],
        "regimes": [
            {
                "pair": [r.first.id, r.second.id],
                "only_first": r.only_first,
                "only_second": r.only_second,
                "both": r.both,
                "neither": r.neither,
            }
            for r in regimes(shares)
        ],
    }


def _flip_rows(name: str, found: tuple[Experiment, ...]) -> list[dict[str, str]]:
    return [
        {
            "experiment": flip.scored.experiment.id,
            "contrast": flip.scored.finding.contrast or "",
            "usual": flip.scored.outcome.value,
            "low": flip.at_low.value,
            "high": flip.at_high.value,
        }
        for flip in flips(memory_model(name), found)
    ]


def _draw(result: Board, folder: Path) -> None:
    from dualtrace.cli import pictures
    from dualtrace.report.figures.scoreboard import scoreboard, scoreboard_spec

    spec = scoreboard_spec(result, title="Memory models on published experiments", footnote=_WHERE_NOT)
    for sentence in pictures.write({"scoreboard": scoreboard(spec)}, folder):
        click.echo(sentence, err=True)


def _print(result: Board, parts: dict[str, Any], asked: Request) -> None:
    rows = [
        (
            row["title"],
            _of(row["core_training"]),
            _of(row["core_held_out"]),
            _of(row["supporting"]),
            _of(row["contested"]),
            f"{row['weighted_share']:.2f}",
        )
        for row in parts["board"]
    ]
    head = ("Findings that hold", "core, training", "core, held out", "supporting", "contested", "weighted")
    click.echo(table(head, rows))
    click.echo(f"\n{_WHERE_NOT}")
    first = result.models[0]
    misses = parts["misses"][first.name]
    if misses:
        click.echo(f"\nCore findings that {first.title.lower()} misses:")
        for miss in misses:
            click.echo(
                f"  {miss['experiment']} ({miss['split'].replace('_', ' ')}), {miss['outcome']}: {miss['says']}"
            )
    for name, prior in parts.get("prior", {}).items():
        _print_prior(name, prior)
    for name, changed in parts.get("assumptions", {}).items():
        click.echo(f"\nHangs on what was assumed where sources are silent ({name}): {len(changed)} findings")
        for flip in changed:
            click.echo(
                f"  {flip['experiment']}: {flip['usual']}; low {flip['low']}, high {flip['high']}: {flip['contrast']}"
            )
    if asked.folder is None:
        click.echo("\n`dualtrace experiments show ID` shows one experiment, `--json` every miss of every model.")


def _of(count: dict[str, int]) -> str:
    return f"{count['held']}/{count['total']}"


def _print_prior(name: str, prior: dict[str, Any]) -> None:
    click.echo(f"\nShare of {prior['draws']} draws of the prior under which a finding holds ({name}):")
    for finding in sorted(prior["findings"], key=lambda f: float(f["share"])):
        click.echo(f"  {finding['share']:5.2f}  {finding['experiment']}  {finding['contrast']}")
    for r in prior["regimes"]:
        one, other = r["pair"]
        click.echo(
            f"  {one} or {other}: only the first {r['only_first']:.2f}, only the second {r['only_second']:.2f}, "
            f"both {r['both']:.2f}, neither {r['neither']:.2f}"
        )


def listing(folder: Path | None, as_json: bool) -> None:
    """Print one line per experiment."""
    rows = [
        {
            "id": e.id,
            "title": e.title,
            "species": e.species,
            "strength": e.strength.value,
            "split": e.split,
            "findings": len(e.findings),
            "simulated": sum(f.contrast is not None for f in e.findings),
        }
        for e in load(folder)
    ]
    if as_json:
        print_json(rows)
        return
    head = ("id", "strength", "split", "findings", "simulated")
    click.echo(table(head, [tuple(str(row[key]) for key in head) for row in rows]))
    click.echo(
        f"{len(rows)} experiments, {sum(int(str(r['simulated'])) for r in rows)} findings that can be simulated."
    )


def show_one(experiment_id: str, model: str, folder: Path | None, as_json: bool) -> None:
    """Print one experiment and what a model makes of it."""
    from dualtrace.experiments.show import show_experiment

    found = {experiment.id: experiment for experiment in load(folder)}
    if experiment_id not in found:
        near = [key for key in found if key.lower().startswith(experiment_id.lower()[:3])]
        hint = f"did you mean one of {', '.join(near)}?" if near else "`dualtrace experiments list` prints the ids"
        raise InputError(f"there is no experiment {experiment_id!r}; {hint}")
    if as_json:
        print_json(found[experiment_id].model_dump(mode="json", exclude_none=True))
        return
    click.echo(show_experiment(found[experiment_id], memory_model(model)))


def check_files(path: Path | None, as_json: bool) -> None:
    """Print what the reader and the linter find; exit code 1 when something is wrong."""
    files = experiment_files(path)
    found, unreadable = read_experiments(files)
    by_id = {file.stem: file for file in files}
    problems = (
        *unreadable,
        *lint([(by_id[e.id], e) for e in found], [] if path is None else [e.id for e in catalogue()]),
    )
    if as_json:
        print_json([{"file": str(p.path), "line": p.line, "field": p.field, "message": p.message} for p in problems])
    else:
        for problem in problems:
            click.echo(f"{problem.severity}: {problem}" + (f" ({problem.check})" if problem.check else ""))
        click.echo(f"{len(files)} files: {len(problems)} problems.")
    if problems:
        raise SystemExit(1)


def tune_model(
    model: str, generations: int, starts: int, seed: int, output: Path | None, folder: Path | None
) -> None:
    """Tune a model on the training part, then score both parts."""
    from dualtrace.experiments.tune import tune

    for name, given, least in (("--generations", generations, 1), ("--starts", starts, 1), ("--seed", seed, 0)):
        if given < least:
            raise InputError(f"{name} must be {least} or more; given {given}")
    chosen, found = memory_model(model), _scorable(load(folder))
    best = tune(
        chosen,
        found,
        generations=generations,
        starts=starts,
        seed=seed,
        progress=lambda start, n, cost: click.echo(f"start {start}, generation {n}: cost {cost:.2f}", err=True),
    )
    if output is not None:
        try:
            output.write_text(json.dumps(best.constants, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise InputError(f"--output {output} cannot be written ({error.strerror})") from None
    scored = board([chosen], found, table=load_parameters().with_values(best.constants))
    for split in ("training", "held_out"):
        tally = scored.tally(model, split=split, strength=Strength.CORE)
        click.echo(f"core findings, {split.replace('_', ' ')}: {tally}")
    click.echo(table(("constant", "value"), [(name, f"{value:.4g}") for name, value in best.constants.items()]))
