"""Trial-by-trial readings of individuals: freezing, subjective distress, expectancy, skin conductance."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from dualtrace.columns import require_distinct
from dualtrace.errors import InputError, TableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_EMPTY = frozenset({"", "na", "nan", "."})


class Scale(StrEnum):
    """How an instrument maps expressed fear, 0 to 1, to a reading.

    The noise of an instrument with ends is truncated to them; skin conductance has none, and each subject has a
    gain and an offset: ``reading = gain * fear + offset``.
    """

    FREEZING = "freezing"
    """Share of the time, 0 to 1."""

    SUDS = "suds"
    """Subjective units of distress, 0 to 100."""

    EXPECTANCY = "expectancy"
    """Expectancy of the US, 0 to 1."""

    EXPECTANCY_100 = "expectancy_100"
    """Expectancy of the US, 0 to 100."""

    SCR = "scr"
    """Skin conductance response in any units."""

    @property
    def top(self) -> float:
        """Reading at full fear; 1 where gain and offset are estimated."""
        return 100.0 if self in {Scale.SUDS, Scale.EXPECTANCY_100} else 1.0

    @property
    def has_ends(self) -> bool:
        """Whether readings lie between 0 and :attr:`top`."""
        return self is not Scale.SCR

    def noisy(
        self, expected: NDArray[np.float64], noise: NDArray[np.float64] | float, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Readings drawn around expected ones, both in units of :attr:`top`."""
        from scipy.special import ndtr, ndtri

        if not self.has_ends:
            return np.asarray(expected + noise * rng.standard_normal(expected.shape))
        floor, ceiling = ndtr((0 - expected) / noise), ndtr((1 - expected) / noise)
        drawn = expected + noise * ndtri(floor + rng.random(expected.shape) * (ceiling - floor))
        return np.asarray(np.clip(drawn, 0.0, 1.0))


def scale_of(name: str) -> Scale:
    """Return the scale of a name.

    Raises
    ------
    InputError
        There is none.
    """
    try:
        return Scale(name)
    except ValueError:
        raise InputError(f"a scale must be one of {', '.join(Scale)}; given {name!r}") from None


@dataclass(frozen=True, slots=True, eq=False)
class Responses:
    """What was read from each subject at each trial.

    Attributes
    ----------
    subjects
        Label of each subject, all different.
    readings
        Shape ``(subjects, trials)`` in the units of the instrument; NaN where not measured.
    scale
        The instrument.

    Raises
    ------
    InputError
        Shapes do not fit, a label stands twice, a reading lies off the scale or is infinite, a subject was never
        measured, or no reading differs from another.
    """

    subjects: tuple[str, ...]
    readings: NDArray[np.float64]
    scale: Scale = Scale.FREEZING

    def __post_init__(self) -> None:
        """Check, and keep a read-only copy."""
        readings = np.array(self.readings, dtype=np.float64)
        if readings.ndim != 2 or len(readings) != len(self.subjects) or not readings.size:
            raise InputError(
                f"readings must be an array of {len(self.subjects)} subjects by trials, one row per label, with at "
                f"least one of each; given the shape {readings.shape}"
            )
        if twice := next((name for name in self.subjects if self.subjects.count(name) > 1), None):
            raise InputError(f"subjects must have different labels; {twice!r} stands twice. Rename one")
        self._require_on_scale(readings)
        seen = np.isfinite(readings)
        if not seen.any(axis=1).all():
            who = self.subjects[int(np.argmin(seen.any(axis=1)))]
            raise InputError(f"every subject needs a measured trial; {who!r} has none. Leave the subject out")
        if np.ptp(readings[seen]) == 0:
            raise InputError(
                f"readings must differ; all are {readings[seen][0]:g}, from which nothing can be learned"
            )
        readings.flags.writeable = False
        object.__setattr__(self, "readings", readings)

    @property
    def trials(self) -> int:
        """How many trials there are."""
        return int(self.readings.shape[1])

    def _require_on_scale(self, readings: NDArray[np.float64]) -> None:
        off = np.isinf(readings)
        if self.scale.has_ends:
            off |= (readings < 0) | (readings > self.scale.top)
        if off.any():
            s, t = (int(i) for i in np.argwhere(off)[0])
            raise InputError(
                f"{off_scale(self.scale, float(readings[s, t]))} (subject {self.subjects[s]!r}, trial {t + 1})"
            )


def off_scale(scale: Scale, given: float) -> str:
    """Why a reading is refused, and what to do."""
    if not scale.has_ends or math.isinf(given):
        return f"a reading must be a finite number, or NaN where not measured; given {given:g}"
    other = ", or use the scale suds or expectancy_100 for readings of 0 to 100" if scale.top == 1 else ""
    return f"a reading of {scale.value} must lie between 0 and {scale.top:g}; given {given:g}. Correct it{other}"


def read_responses(
    path: Path, *, scale: Scale = Scale.FREEZING, column: str = "fear", trials: int | None = None
) -> Responses:
    """Read a CSV file with the columns ``subject``, ``trial`` (from 1) and the reading.

    An empty cell, ``NA``, or a trial that is left out was not measured. A first line with semicolons means decimal
    commas.

    Parameters
    ----------
    path
        The file.
    scale
        The instrument.
    column
        Column of the readings.
    trials
        How many trials the design has; the highest of the file when absent.

    Raises
    ------
    TableError
        Naming the line and what is wrong with it.
    """
    found: dict[tuple[str, int], tuple[int, float]] = {}
    for line, subject, trial, reading in _rows(path, column):
        where = f"{path}, line {line}"
        if not subject:
            raise TableError(f"{where}: every row needs a subject; the cell is empty")
        number = _trial(trial, where, trials)
        if (subject, number) in found:
            before = found[subject, number][0]
            raise TableError(
                f"{where}: subject {subject!r} has trial {number} already in line {before}; a trial stands once"
            )
        found[subject, number] = line, _reading(reading, where, column, scale)
    if not found:
        raise TableError(f"{path} has no rows; it needs one per subject and trial")
    subjects = tuple(dict.fromkeys(subject for subject, _ in found))
    readings = np.full((len(subjects), trials or max(trial for _, trial in found)), np.nan)
    for (subject, trial_number), (_, value) in found.items():
        readings[subjects.index(subject), trial_number - 1] = value
    try:
        return Responses(subjects, readings, scale)
    except InputError as error:
        raise TableError(f"{path}: {error}") from None


def _rows(path: Path, column: str) -> Iterator[tuple[int, str, str, str]]:
    """Line number, subject, trial and reading of every row as they are written."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise TableError(f"{path} cannot be read ({error.strerror})") from None
    lines = text.splitlines()
    separator = ";" if lines and ";" in lines[0] else ","
    reader = csv.reader(lines, delimiter=separator)
    names = [name.strip() for name in next(reader, [])]
    require_distinct(names, str(path))
    places = [_place(names, name, path) for name in ("subject", "trial", column)]
    for cells in reader:
        if not "".join(cells).strip():
            continue
        if len(cells) != len(names):
            raise TableError(
                f"{path}, line {reader.line_num}: a row must have {len(names)} cells, as many as there are columns; "
                f"it has {len(cells)}"
            )
        subject, trial, reading = (cells[place].strip() for place in places)
        yield reader.line_num, subject, trial, reading.replace(",", ".") if separator == ";" else reading


def _place(names: Sequence[str], name: str, path: Path) -> int:
    if name not in names:
        raise TableError(f"{path} needs a column {name!r}; it has {', '.join(filter(None, names)) or 'none'}")
    return names.index(name)


def _trial(text: str, where: str, most: int | None) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise TableError(f"{where}: a trial must be a whole number from 1; given {text!r}")
    if most is not None and int(text) > most:
        raise TableError(f"{where}: the design has {most} presentations; given trial {text}")
    return int(text)


def _reading(text: str, where: str, column: str, scale: Scale) -> float:
    if text.casefold() in _EMPTY:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        raise TableError(f"{where}: {column} must be a number, or empty where not measured; given {text!r}") from None
    if math.isinf(value) or (scale.has_ends and not 0 <= value <= scale.top):
        raise TableError(f"{where}: {off_scale(scale, value)}")
    return value
