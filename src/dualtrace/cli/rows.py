"""Rows to analyse: effects with labels and moderators, from the evidence or from a user's CSV table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dualtrace.cli.asked import OUTCOME, RATIO, TIMEPOINT
from dualtrace.cli.effect_columns import (
    bounds,
    distinct,
    labels,
    require_defined,
    require_order,
    table_effects,
    variances,
)
from dualtrace.cli.options import load_trials
from dualtrace.cli.raw import estimates, open_table
from dualtrace.effects.effect import Effect, Metric
from dualtrace.effects.select import OUTCOMES, between_arms, every_comparison
from dualtrace.effects.table import moderator_row
from dualtrace.errors import FitError, InputError, row_name
from dualtrace.evidence.scope import scope
from dualtrace.pooling.formula import design

if TYPE_CHECKING:
    from pathlib import Path

    from pandas import DataFrame

    from dualtrace.cli.asked import Asked
    from dualtrace.effects.select import Selection
    from dualtrace.evidence.record import Trial
    from dualtrace.pooling.contract import TestName
    from dualtrace.pooling.likelihood import Array, Ints


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Rows:
    """Rows to analyse.

    Attributes
    ----------
    yi, vi
        Effects, NaN where only bounds are known, and sampling variances.
    lo, hi
        Bounds of the rows without an effect, NaN for the others.
    slab
        Labels, all different.
    table
        Moderators, one row per effect.
    title, scale
        What the effects are, and their metric, in words.
    missing
        What becomes of rows that lack a moderator: ``drop`` for the evidence, ``refuse`` for a user's table.
    left_out
        Labels of rows that are not among these, and why in ``title``'s words.
    """

    yi: Array
    vi: Array
    lo: Array
    hi: Array
    slab: tuple[str, ...]
    table: DataFrame
    title: str
    scale: str
    missing: Literal["refuse", "drop"]
    left_out: tuple[str, ...] = ()

    @property
    def all_exact(self) -> bool:
        """Whether every row has an effect."""
        return bool(np.isfinite(self.yi).all())

    @property
    def test(self) -> TestName:
        """Test of coefficients where none is asked for."""
        return "knha" if self.missing == "drop" else "z"

    @property
    def sides(self) -> tuple[str, str]:
        """What effects below and above 0 mean; of a user's table only the sign is known."""
        return ("favours placebo", "favours the drug") if self.missing == "drop" else ("negative", "positive")

    @property
    def heading(self) -> str:
        """Title, and what was left out, in at most two lines."""
        if not self.left_out:
            return self.title
        names = ", ".join(self.left_out)
        return f"{self.title}\nWithout an estimate, or without a moderator, so not in this fit: {names}."

    def pick(self, index: Ints) -> Rows:
        """Some of the rows."""
        return replace(
            self,
            yi=self.yi[index],
            vi=self.vi[index],
            lo=self.lo[index],
            hi=self.hi[index],
            slab=tuple(self.slab[i] for i in index),
            table=self.table.iloc[index],
        )

    def exact(self, what: str) -> Rows:
        """Rows with an effect; the others are named as left out.

        Raises
        ------
        FitError
            When there is none.
        """
        known = np.isfinite(self.yi)
        if not known.any():
            raise FitError(f"{what} needs effects with a point estimate; none of these rows has one.")
        silent = tuple(label for label, is_known in zip(self.slab, known, strict=True) if not is_known)
        return replace(self.pick(np.flatnonzero(known)), left_out=(*self.left_out, *silent))

    def column(self, name: str, option: str) -> list[Any]:
        """Values of a column of the table, none of them empty.

        Raises
        ------
        InputError
            When there is no such column, or a row lacks a value.
        """
        if name not in self.table.columns:
            columns = ", ".join(map(str, self.table.columns))
            raise InputError(f"{option} {name}: there is no such column; there are {columns}.")
        values = self.table[name]
        if values.isna().any():
            label = self.slab[int(np.argmax(values.isna()))]
            raise InputError(f"{option} {name}: every row needs a value; row {label} has none.")
        return list(values)

    def numbers(self, name: str, option: str) -> Array:
        """Values of a column as numbers.

        Raises
        ------
        InputError
            As ``column``, and when a value is no number.
        """
        values = self.column(name, option)
        for label, value in zip(self.slab, values, strict=True):
            try:
                float(value)
            except (TypeError, ValueError):
                raise InputError(
                    f"{option} {name}: a number is needed; given {value!r} in {row_name(label)}."
                ) from None
        return np.array(values, dtype=float)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"title": self.title, "slab": list(self.slab), "left_out": list(self.left_out)}


@dataclass(frozen=True, slots=True, eq=False)
class Designed:
    """Rows with the design matrix of a moderator formula; None stands for a mean alone.

    Attributes
    ----------
    rows, X, names
        Rows that have all moderators, design matrix and names of its columns.
    """

    rows: Rows
    X: Array | None
    names: tuple[str, ...] | None

    @property
    def data(self) -> dict[str, Any]:
        """Arguments that every fit takes."""
        return {
            "yi": self.rows.yi,
            "vi": self.rows.vi,
            "X": self.X,
            "names": self.names,
            "slab": list(self.rows.slab),
        }


def designed(rows: Rows, formula: str | None) -> Designed:
    """Build the design of a formula; evidence that lacks a moderator is left out by name."""
    if formula is None:
        return Designed(rows, None, None)
    matrix = design(formula, rows.table, missing=rows.missing)
    dropped = tuple(rows.slab[i] for i in matrix.dropped)
    kept = replace(rows.pick(matrix.rows), left_out=(*rows.left_out, *dropped))
    return Designed(kept, matrix.X, matrix.names)


def read_rows(asked: Asked) -> Rows:
    """Return the rows a user asks for.

    Raises
    ------
    InputError
        When options do not fit together, or the table cannot be used.
    FitError
        When no trial reports the outcome.
    """
    return _evidence_rows(asked) if asked.table is None else _table_rows(asked, asked.table)


def select(asked: Asked) -> tuple[Selection, tuple[Trial, ...]]:
    """Return the evidence asked for, and the trials it is from.

    Raises
    ------
    InputError
        When options of a table are given without one.
    FitError
        When no trial reports the outcome.
    """
    asked.refuse_table_options()
    outcome, timepoint = asked.outcome or OUTCOME, asked.timepoint or TIMEPOINT
    trials = load_trials(asked.folder, asked.alone)
    kept = [t for t in trials if asked.disorder is None or t.disorder == asked.disorder]
    selection = between_arms(kept, outcome=outcome, timepoint=timepoint, ratio=asked.ratio or RATIO)
    if not selection.effects:
        who = f" in {asked.disorder}" if asked.disorder else ""
        raise FitError(
            f"no trial{who} reports {outcome} at {timepoint}; nothing to pool. Try --outcome severity_mixed."
        )
    return selection, trials


def _evidence_rows(asked: Asked) -> Rows:
    from pandas import DataFrame

    effects, trials = _every(asked) if asked.every else _one_per_trial(asked)
    by_id = {trial.id: trial for trial in trials}
    yi = np.array([np.nan if e.yi is None else e.yi for e in effects])
    known = np.isfinite(yi)
    slab = distinct([effect.label for effect in effects])
    facts = [_facts(by_id[e.trial], e) for e in effects]
    metric = effects[0].metric
    scale = f"ln {metric}" if metric.is_ratio else metric.value
    mixed = "; kinds of effect are mixed" if len({e.estimand for e in effects}) > 1 else ""
    when = "any time" if asked.every and asked.timepoint is None else asked.timepoint or TIMEPOINT
    return Rows(
        yi=yi,
        vi=np.array([e.vi for e in effects]),
        lo=np.where(known, np.nan, [e.lower for e in effects]),
        hi=np.where(known, np.nan, [e.upper for e in effects]),
        slab=slab,
        table=DataFrame(facts, index=list(slab)),
        title=f"{asked.outcome or OUTCOME} at {when}, {scale}; positive favours the drug{mixed}",
        scale=scale,
        missing="drop",
    )


def _facts(trial: Trial, effect: Effect) -> dict[str, Any]:
    what = {"trial": effect.trial, "measure": effect.measure, "timepoint": effect.timepoint.value}
    return what | moderator_row(trial, effect)


def _one_per_trial(asked: Asked) -> tuple[tuple[Effect, ...], tuple[Trial, ...]]:
    selection, trials = select(asked)
    return selection.effects, trials


def _every(asked: Asked) -> tuple[tuple[Effect, ...], tuple[Trial, ...]]:
    """All reports of the outcome in trials that are in scope."""
    asked.refuse_table_options()
    trials = load_trials(asked.folder, asked.alone)
    wanted, ratio = OUTCOMES[asked.outcome or OUTCOME], Metric(asked.ratio or RATIO)
    effects = tuple(
        effect
        for trial in trials
        if scope(trial).included and asked.disorder in (None, trial.disorder)
        for effect in every_comparison(trial, ratio=ratio)
        if isinstance(effect, Effect) and effect.estimand in wanted and asked.timepoint in (None, effect.timepoint)
    )
    metrics = sorted({effect.metric.value for effect in effects})
    if len(metrics) != 1:
        given = f"reports are {', '.join(metrics)}" if metrics else "no trial reports it"
        raise FitError(f"--every needs reports of {asked.outcome or OUTCOME} on one metric; {given}.")
    return effects, trials


def _table_rows(asked: Asked, path: Path) -> Rows:
    asked.refuse_evidence_options()
    frame = open_table(path)
    slab = labels(frame, asked.slab, path)
    nothing = np.full(len(frame), np.nan)
    if asked.measure is not None:
        found = estimates(frame, asked, path)
        require_defined(found, asked, path, list(frame.index))
        yi, vi, lo, hi = found.yi, found.vi, nothing, nothing
        title = f"{path.name}, {asked.measure_title}"
    else:
        asked.refuse_measure_options()
        vi = variances(frame, asked, path)
        lo, hi = bounds(frame, asked, path)
        yi = table_effects(frame, asked, path, bounded=np.isfinite(lo) | np.isfinite(hi))
        known = np.isfinite(yi)
        require_order(lo, hi, ~known, path, list(frame.index))
        lo, hi = (np.where(known, np.nan, bound) for bound in (lo, hi))
        title = path.name
    table = frame.set_axis(list(slab), axis=0)
    return Rows(yi=yi, vi=vi, lo=lo, hi=hi, slab=slab, table=table, title=title, scale="effect", missing="refuse")
