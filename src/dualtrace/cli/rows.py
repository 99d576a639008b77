"""Rows to analyse: effects with labels and moderators, from the evidence or from a user's CSV table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dualtrace.cli.asked import OUTCOME, RATIO, TIMEPOINT
from dualtrace.cli.options import load_trials
from dualtrace.cli.raw import estimates, finite, open_table, require_column
from dualtrace.effects.effect import Effect, Metric
from dualtrace.effects.select import OUTCOMES, between_arms, every_comparison
from dualtrace.effects.table import moderator_row
from dualtrace.errors import FitError, InputError, TableError
from dualtrace.evidence.scope import scope
from dualtrace.pooling.formula import design

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pandas import DataFrame

    from dualtrace.cli.asked import Asked
    from dualtrace.effects.measures import Estimates
    from dualtrace.effects.select import Selection
    from dualtrace.evidence.record import Trial
    from dualtrace.pooling.contract import TestName
    from dualtrace.pooling.likelihood import Array, Flags, Ints

LABELS = ("slab", "study")
"""Columns that hold labels when none is named."""

BOUNDS = (("lo", "hi"), ("lower", "upper"))
"""Columns that hold bounds of rows without an effect when none are named."""


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
    title
        What the effects are, in words.
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
                raise InputError(f"{option} {name}: a number is needed; given {value!r} in row {label}.") from None
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
    slab = _distinct([effect.label for effect in effects])
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
        _require_defined(found, asked, path, list(frame.index))
        yi, vi, lo, hi = found.yi, found.vi, nothing, nothing
        title = f"{path.name}, {asked.measure_title}"
    else:
        asked.refuse_measure_options()
        vi = _variances(frame, asked, path)
        lo, hi = _bounds(frame, asked, path)
        yi = _effects(frame, asked, path, bounded=np.isfinite(lo) | np.isfinite(hi))
        known = np.isfinite(yi)
        _require_order(lo, hi, ~known, path, list(frame.index))
        lo, hi = (np.where(known, np.nan, bound) for bound in (lo, hi))
        title = path.name
    table = frame.set_axis(list(slab), axis=0)
    return Rows(yi=yi, vi=vi, lo=lo, hi=hi, slab=slab, table=table, title=title, missing="refuse")


def _variances(frame: DataFrame, asked: Asked, path: Path) -> Array:
    if asked.vi is not None and asked.sei is not None:
        raise InputError("--vi and --sei are two ways to say the same; give one of them")
    if asked.sei is not None or (asked.vi is None and "vi" not in frame.columns and "sei" in frame.columns):
        column = asked.sei or "sei"
        require_column(frame, column, "--sei", path)
        return _squared(finite(frame, column, path), column, path, list(frame.index))
    if asked.vi is None and "vi" not in frame.columns:
        raise InputError(
            f"--csv needs --yi COLUMN and --vi COLUMN (or --sei COLUMN), the effects and their sampling variances, "
            f"or --measure NAME to compute them; {path} has the columns {', '.join(map(str, frame.columns))}"
        )
    column = asked.vi or "vi"
    require_column(frame, column, "--vi", path)
    return finite(frame, column, path)


def _squared(errors: Array, column: str, path: Path, lines: Sequence[int]) -> Array:
    if (errors <= 0).any():
        i = int(np.argmax(errors <= 0))
        raise TableError(
            f"{path}, line {lines[i]}, column {column}: a standard error must be positive; given {errors[i]:g}"
        )
    return errors**2


def _effects(frame: DataFrame, asked: Asked, path: Path, *, bounded: Flags) -> Array:
    column = asked.yi or "yi"
    if asked.yi is None and "yi" not in frame.columns:
        raise InputError(
            f"--csv needs --yi COLUMN, the effects, or --measure NAME to compute them; {path} has the columns "
            f"{', '.join(map(str, frame.columns))}"
        )
    require_column(frame, column, "--yi", path)
    return finite(frame, column, path, optional=bounded)


def _bounds(frame: DataFrame, asked: Asked, path: Path) -> tuple[Array, Array]:
    """Bounds, infinite where the cell is empty; NaN on both sides where no bound is known."""
    low, high = asked.lo, asked.hi
    if low is None and high is None:
        low, high = next((pair for pair in BOUNDS if set(pair) <= set(frame.columns)), (None, None))
    everywhere = np.ones(len(frame), dtype=bool)
    ends = []
    for column, option, end in ((low, "--lo", -np.inf), (high, "--hi", np.inf)):
        if column is not None:
            require_column(frame, column, option, path)
        cells = np.full(len(frame), np.nan) if column is None else finite(frame, column, path, optional=everywhere)
        ends.append(np.where(np.isnan(cells), end, cells))
    return ends[0], ends[1]


def _require_order(lo: Array, hi: Array, used: Flags, path: Path, lines: Sequence[int]) -> None:
    bad = used & ~(lo < hi)
    if bad.any():
        i = int(np.argmax(bad))
        raise TableError(
            f"{path}, line {lines[i]}: the lower bound must be below the upper; given {lo[i]:g} and {hi[i]:g}"
        )


def labels(frame: DataFrame, column: str | None, path: Path) -> tuple[str, ...]:
    """Return labels of the rows, all different; ``line`` and its number in the file where there are none.

    Raises
    ------
    TableError
        When the column named is not there.
    """
    if column is not None:
        require_column(frame, column, "--slab", path)
    chosen = column or next((name for name in LABELS if name in frame.columns), None)
    if chosen is None:
        return tuple(f"line {line}" for line in frame.index)
    return _distinct([str(label) for label in frame[chosen]])


def _distinct(labels: Sequence[str]) -> tuple[str, ...]:
    """Labels that occur more than once get a number."""
    seen: dict[str, int] = {}
    made = []
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
        made.append(f"{label}.{seen[label]}" if labels.count(label) > 1 else label)
    return tuple(made)


def _require_defined(found: Estimates, asked: Asked, path: Path, lines: Sequence[int]) -> None:
    bad = ~(np.isfinite(found.yi) & (found.vi > 0))
    if bad.any():
        raise TableError(
            f"{path}, line {lines[int(np.argmax(bad))]}: {asked.measure} or its variance is not defined for this row "
            f"(an empty cell or an extreme count). Use --add and --to, another measure, or leave the row out."
        )
