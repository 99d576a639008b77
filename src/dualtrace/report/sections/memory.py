"""Memory models on published experiments: the board, what each model can and cannot show, and the misses of ours."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dualtrace.experiments.board import board, flips, prior_share, regimes
from dualtrace.experiments.load import catalogue
from dualtrace.experiments.misses import reasons
from dualtrace.experiments.record import Strength
from dualtrace.experiments.score import Outcome
from dualtrace.mechanism.memory.registry import memory_models
from dualtrace.report.document import Block, Bullets, Folded, Line, Paragraph, Section, Strong, Table
from dualtrace.report.figures.scoreboard import scoreboard, scoreboard_alt, scoreboard_spec
from dualtrace.report.picture import picture
from dualtrace.report.words import listing, number

if TYPE_CHECKING:
    from dualtrace.experiments.board import Board, PriorShare
    from dualtrace.experiments.score import Scored

OURS = "dual_trace"
DRAWS = 200
SEED = 1
PRIOR_FAMILIES = ("extinction_pharmacology", "reconsolidation", "human")

INTRODUCTION = (
    "Can one mechanism show what experiments on extinction and reconsolidation found? Every experiment of the "
    "catalogue is run through every memory model at one set of constants, the same for all experiments, and each "
    "finding is held against the outcome: it holds, it does not, or it comes out the other way round. The constants "
    "of the dual trace were tuned on the training part of the catalogue only; the rivals run at the constants their "
    "authors published. What is held out entered no search; it was seen while the model was built."
)
LIMITS = (
    "A finding that holds is a sign that a model can show, not evidence that the brain works so. Signs do not "
    "identify a model: other constants show as much. Counts, lengths and times that a source does not state "
    "are assumed, and animal doses enter as a low, medium or high gain, for want of animal pharmacokinetics."
)
CAPTION = (
    "Bold numbers: training; plain: held out; grey: contested. A finding counts when the difference in fear is at "
    "least 0.05 of the scale (0.03 in patients), and as no difference when it is less."
)


def memory() -> Section:
    """Return the chapter; takes several seconds."""
    experiments, models = catalogue(), tuple(memory_models().values())
    found = board(models, experiments)
    shares = prior_share(memory_models()[OURS], experiments, draws=DRAWS, seed=SEED)
    spec = scoreboard_spec(found, title="Memory models on published experiments")
    blocks: tuple[Block, ...] = (
        Paragraph((INTRODUCTION,)),
        _tallies(found),
        Paragraph((LIMITS,)),
        picture("memory_scoreboard", (CAPTION,), scoreboard_alt(spec), partial(scoreboard, spec)),
        Bullets(tuple(_families(found, model.name, model.title) for model in models)),
        _misses(found),
        Folded("Under how much of the prior each finding holds", (_prior(shares), _regimes(shares)), on_paper=False),
        Folded("What hangs on assumptions where sources are silent", (_assumptions(),), on_paper=False),
    )
    return Section("memory", "Memory models on published experiments", blocks)


def _tallies(found: Board) -> Table:
    rows = []
    for model in found.models:
        cells = [
            str(found.tally(model.name, split=split, strength=Strength.CORE)) for split in ("training", "held_out")
        ]
        cells += [str(found.tally(model.name, strength=s)) for s in (Strength.SUPPORTING, Strength.CONTESTED)]
        rows.append(((model.title,), *((cell,) for cell in cells), (number(found.tally(model.name).weight),)))
    return Table(
        "memory_models",
        "Findings that hold, by model",
        ("Model", "Core, training", "Core, held out", "Supporting", "Contested", "Weighted share"),
        tuple(rows),
        numeric=(1, 2, 3, 4, 5),
        note=("Weights: core 1, supporting 1/2, contested 1/4.",),
    )


def _families(found: Board, name: str, title: str) -> Line:
    families = found.families(name)
    shown = [_family(f) for f, t in families.items() if t.held == t.total]
    none = [_family(f) for f, t in families.items() if t.held == 0]
    return (
        Strong(f"{title}"),
        f" shows all findings of {len(shown)} of {len(families)} families"
        + (f" ({listing(shown)})" if shown else "")
        + (f", and none of {listing(none)}." if none else "."),
    )


def _family(key: str) -> str:
    return key.replace("/", ": ").replace("_", " ").replace("+", " and ")


def _misses(found: Board) -> Table:
    why = reasons(OURS)
    rows = tuple(
        (
            (miss.experiment.id,),
            (miss.experiment.split.replace("_", " "),),
            (miss.finding.says,),
            ("other way round" if miss.outcome is Outcome.OPPOSITE else "not shown",),
            (why.get(miss.experiment.id, ""),),
        )
        for miss in found.misses(OURS)
    )
    return Table(
        "memory_misses",
        "Core findings that the dual trace misses",
        ("Experiment", "Part", "Finding", "Outcome", "Why"),
        rows,
    )


def _prior(shares: PriorShare) -> Table:
    chosen = [
        (scored, float(share))
        for scored, share in zip(shares.scored, shares.shares, strict=True)
        if scored.strength is Strength.CORE and scored.experiment.family.partition("/")[0] in PRIOR_FAMILIES
    ]
    return Table(
        "memory_prior",
        f"Share of {DRAWS} draws of the prior under which the dual trace shows a finding",
        ("Experiment", "Finding", "Share"),
        tuple(((s.experiment.id,), (s.finding.says,), (number(share),)) for s, share in chosen),
        numeric=(2,),
    )


def _regimes(shares: PriorShare) -> Table:
    rows = tuple(
        (
            (f"{r.first.id} or {r.second.id}",),
            (r.first.title,),
            *((number(x),) for x in (r.only_first, r.only_second, r.both, r.neither)),
        )
        for r in regimes(shares)
    )
    return Table(
        "memory_regimes",
        "Contested pairs as regimes: share of the prior under which the dual trace shows each side whole",
        ("Pair", "About", "Only the first", "Only the second", "Both", "Neither"),
        rows,
        numeric=(2, 3, 4, 5),
    )


def _assumptions() -> Table:
    def row(scored: Scored, low: Outcome, high: Outcome) -> tuple[Line, ...]:
        return (
            (scored.experiment.id,),
            (scored.finding.says,),
            (scored.outcome.value,),
            (low.value,),
            (high.value,),
        )

    return Table(
        "memory_assumptions",
        "Findings of which the outcome changes when all assumed values are at their low or at their high end",
        ("Experiment", "Finding", "As assumed", "Low", "High"),
        tuple(row(f.scored, f.at_low, f.at_high) for f in flips(memory_models()[OURS], catalogue())),
    )
