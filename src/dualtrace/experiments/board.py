"""The scoreboard: models × findings, by split and strength, with the share of the prior under which each holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.experiments.defaults import Variant
from dualtrace.experiments.pharmacology import CONSTANTS
from dualtrace.experiments.record import Strength
from dualtrace.experiments.run import run
from dualtrace.experiments.score import Outcome, score, sizes
from dualtrace.experiments.timeline import lay_out
from dualtrace.mechanism.parameters import load_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from dualtrace.experiments.record import Experiment
    from dualtrace.experiments.score import Scored, Sized
    from dualtrace.mechanism.memory.contract import Memory
    from dualtrace.mechanism.parameters import ParameterTable

_CHUNK = 100


@dataclass(frozen=True, slots=True)
class Tally:
    """How many findings hold, out of how many, and the share of their weight."""

    held: int
    total: int
    weight: float

    def __str__(self) -> str:
        """``34/40``."""
        return f"{self.held}/{self.total}"


@dataclass(frozen=True, slots=True)
class Board:
    """Every model on every finding; models and findings in the order given."""

    models: tuple[Memory[Any, Any], ...]
    experiments: tuple[Experiment, ...]
    scored: dict[str, tuple[Scored, ...]]
    sized: dict[str, tuple[Sized, ...]]

    def tally(self, model: str, *, split: str | None = None, strength: Strength | None = None) -> Tally:
        """Count a model's findings that hold, of one split and one strength or of all."""
        chosen = [s for s in self.scored[model] if _is_asked(s, split, strength)]
        held = [s.outcome is Outcome.PASS for s in chosen]
        weights = np.array([s.strength.weight for s in chosen])
        share = float(np.sum(weights * held) / weights.sum()) if chosen else float("nan")
        return Tally(sum(held), len(chosen), share)

    def families(self, model: str) -> dict[str, Tally]:
        """Count by family of experiments; contested findings stay out, as their opposite stands beside them."""
        found: dict[str, list[Scored]] = {}
        for scored in self.scored[model]:
            if scored.strength is not Strength.CONTESTED:
                found.setdefault(scored.experiment.family, []).append(scored)
        return {
            family: Tally(sum(s.outcome is Outcome.PASS for s in group), len(group), float("nan"))
            for family, group in sorted(found.items())
        }

    def misses(self, model: str, *, split: str | None = None) -> tuple[Scored, ...]:
        """Core findings that do not hold."""
        return tuple(
            s for s in self.scored[model] if _is_asked(s, split, Strength.CORE) and s.outcome is not Outcome.PASS
        )


def _is_asked(scored: Scored, split: str | None, strength: Strength | None) -> bool:
    return split in {None, scored.experiment.split} and strength in {None, scored.strength}


def board(
    models: Sequence[Memory[Any, Any]],
    experiments: Sequence[Experiment],
    *,
    variant: Variant = Variant.USUAL,
    table: ParameterTable | None = None,
) -> Board:
    """Run and score every model on every experiment at one set of constants."""
    batches = lay_out(experiments, variant)
    runs = {model.name: run(model, experiments, batches=batches, table=table) for model in models}
    return Board(
        tuple(models),
        tuple(experiments),
        {name: score(done) for name, done in runs.items()},
        {name: sizes(done) for name, done in runs.items()},
    )


@dataclass(frozen=True, slots=True)
class PriorShare:
    """Whether each finding holds under each draw of the prior, shape ``(draws, findings)``."""

    scored: tuple[Scored, ...]
    holds: NDArray[np.bool_]

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of the prior under which each finding holds."""
        return np.asarray(self.holds.mean(axis=0))


def prior_draws(model: Memory[Any, Any], draws: int, seed: int) -> dict[str, NDArray[np.float64]]:
    """Draw a model's constants and the drug gains from their priors, within their ranges."""
    table, rng = load_parameters(), np.random.default_rng(seed)
    drawn: dict[str, NDArray[np.float64]] = {}
    for name in (*model.constants, *CONSTANTS):
        entry = table.parameter(name)
        probability = rng.random(draws)
        if entry.is_uncertain and entry.range is not None:
            drawn[name] = np.clip(entry.prior.quantile(probability), *entry.range)
    return drawn


def prior_share(
    model: Memory[Any, Any],
    experiments: Sequence[Experiment],
    *,
    draws: int,
    seed: int,
    progress: Callable[[int], None] = lambda _: None,
) -> PriorShare:
    """Score a model under many draws of its prior, in chunks that fit the cache."""
    drawn = prior_draws(model, draws, seed)
    batches = lay_out(experiments)
    holds: list[NDArray[np.bool_]] = []
    scored: tuple[Scored, ...] = ()
    for start in range(0, draws, _CHUNK):
        part = {name: values[start : start + _CHUNK] for name, values in drawn.items()}
        n = min(_CHUNK, draws - start)
        scored = score(run(model, experiments, draws=part, batches=batches))
        holds.append(np.stack([np.broadcast_to(s.holds, n) for s in scored], axis=1))
        progress(start + n)
    return PriorShare(scored, np.concatenate(holds))


@dataclass(frozen=True, slots=True)
class Regime:
    """Two experiments that found opposites, and the share of the prior under which a model shows each."""

    first: Experiment
    second: Experiment
    only_first: float
    only_second: float
    both: float
    neither: float


def regimes(shares: PriorShare) -> tuple[Regime, ...]:
    """Score contested pairs as regimes: which side a model takes, and under how much of its prior."""
    by_id = {scored.experiment.id: scored.experiment for scored in shares.scored}
    pairs = {
        tuple(sorted((e.id, e.regime))): (e, by_id[e.regime])
        for e in by_id.values()
        if e.regime and e.regime in by_id
    }
    return tuple(_regime(shares, *pair) for pair in pairs.values())


def _regime(shares: PriorShare, first: Experiment, second: Experiment) -> Regime:
    one, other = (
        shares.holds[:, [s.experiment.id == e.id for s in shares.scored]].all(axis=1) for e in (first, second)
    )
    return Regime(
        first,
        second,
        *(float(np.mean(side)) for side in (one & ~other, other & ~one, one & other, ~one & ~other)),
    )


@dataclass(frozen=True, slots=True)
class Flip:
    """A finding whose outcome hangs on what was assumed where the source is silent."""

    scored: Scored
    at_low: Outcome
    at_high: Outcome


def flips(model: Memory[Any, Any], experiments: Sequence[Experiment]) -> tuple[Flip, ...]:
    """Rerun with every assumed value at its low and at its high end, and return what changes."""
    usual, low, high = (board([model], experiments, variant=v).scored[model.name] for v in Variant)
    return tuple(
        Flip(s, at_low.outcome, at_high.outcome)
        for s, at_low, at_high in zip(usual, low, high, strict=True)
        if not s.outcome is at_low.outcome is at_high.outcome
    )
