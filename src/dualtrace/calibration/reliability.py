"""How often the verdict is right, as measured on trials made up from a known account; the record of a benchmark.

``benchmarks/calibration_verdict.py`` makes it; report and documentation show it.
"""

from __future__ import annotations

import json
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, final

from pydantic import ValidationError, model_validator

from dualtrace.calibration.provenance import model_digest
from dualtrace.errors import InputError
from dualtrace.frozen import Frozen, Text

if TYPE_CHECKING:
    from dualtrace.calibration.compare import Difference

SHIPPED = Path(str(resources.files("dualtrace"))) / "data" / "calibration" / "reliability.json"
COMMAND = "python benchmarks/calibration_verdict.py --write"
"""What makes it."""

RIVAL = "extinction_only"
"""The account that differs from the dual trace by the threat trace alone."""


MOSTLY = 0.9
"""Share of the data sets in which all chains must have converged before a frequency may be quoted."""


class Reading(StrEnum):
    """What the verdict says of the dual trace against another account."""

    WORSE = "worse"  # predicts unseen trials worse: nothing may be said
    NO_WORSE = "no worse"  # predicts them better, by less than two standard errors
    BETTER = "better"  # by more


def reading(found: Difference) -> Reading:
    """Read a difference as :func:`dualtrace.calibration.compare.verdict` does."""
    if found.difference < 0:
        return Reading.WORSE
    return Reading.BETTER if found.decides else Reading.NO_WORSE


@final
class Against(Frozen):
    """The dual trace against another account over the data sets of a cell.

    Attributes
    ----------
    readings
        In how many sets the verdict reads so.
    differences, se
        Difference in log predictive density of each set, with its standard error.
    """

    readings: dict[Reading, int]
    differences: tuple[float, ...]
    se: tuple[float, ...]

    def count(self, read: Reading) -> int:
        """In how many sets the verdict reads so."""
        return self.readings.get(read, 0)


@final
class Cell(Frozen):
    """Data sets made up in one way.

    Attributes
    ----------
    truth, strength
        Account they were made up from, and factor on the drug's boost; none: as fitted to the real trials.
    sets
        How many.
    converged, mixed
        In how many every fit passed :data:`dualtrace.calibration.operating.CONVERGED`, and every constant of every
        fit :data:`dualtrace.calibration.operating.MIXED`.
    against
        By name of the other account.
    unreliable, divergences
        By account that was fitted: sets with a trial of unreliable weights; divergent transitions in all.
    inside_90
        By constant of the true account: sets in which the central 90 % held the truth.
    """

    truth: Text
    strength: float | None
    sets: int
    converged: int
    mixed: int
    against: dict[Text, Against]
    unreliable: dict[Text, int]
    divergences: dict[Text, int]
    inside_90: dict[Text, int]

    @model_validator(mode="after")
    def _every_set_is_read_once(self) -> Cell:
        for other, one in self.against.items():
            if not sum(one.readings.values()) == len(one.differences) == len(one.se) == self.sets:
                raise ValueError(f"the sets of {self.truth} against {other} must be {self.sets}, each read once")
        return self


@final
class Reliability(Frozen):
    """What was measured, on which trials, with how long chains."""

    dualtrace: Text
    model: Text
    trials: int
    trials_digest: Text
    points: int
    warmup: int
    draws: int
    cells: tuple[Cell, ...]

    @property
    def is_current(self) -> bool:
        """Whether it was measured with this version of the model and its constants."""
        return self.model == model_digest()

    @property
    def converged(self) -> int:
        """In how many data sets all chains had converged."""
        return sum(cell.converged for cell in self.cells)

    @property
    def mixed(self) -> int:
        """In how many data sets all chains had mixed in every constant."""
        return sum(cell.mixed for cell in self.cells)

    @property
    def all_sets(self) -> int:
        """Data sets of all cells."""
        return sum(cell.sets for cell in self.cells)

    @property
    def may_be_quoted(self) -> bool:
        """Whether it is of this version of the model, and most chains had converged."""
        return self.is_current and self.converged >= MOSTLY * self.all_sets

    def sets(self, truth: str) -> int:
        """Data sets made up from an account."""
        return sum(cell.sets for cell in self.cells if cell.truth == truth)

    def count(self, truth: str, other: str, read: Reading) -> int:
        """In how many of these the verdict on the dual trace against another account reads so."""
        return sum(cell.against[other].count(read) for cell in self.cells if cell.truth == truth)

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(self.model_dump(mode="json"), indent=1) + "\n", encoding="utf-8")


def load_reliability(path: Path | None = None) -> Reliability:
    """Read what was measured: that of the package, or of a file of the benchmark.

    Raises
    ------
    InputError
        The file cannot be read, or lacks something.
    """
    where = path or SHIPPED
    try:
        return Reliability.model_validate_json(where.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        why = f"{place}: {first['msg']}" if place else str(first["msg"])
    except (OSError, ValueError) as error:
        why = str(error)
    raise InputError(f"{where} must hold how often the verdict is right; {why}; make it anew: {COMMAND}")


def wilson(count: int, of: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927, doi 10.1080/01621459.1927.10502953)."""
    from scipy import stats

    found = stats.binomtest(count, of).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)


def in_percent(count: int, of: int) -> str:
    """A share of sets with its interval, as in ``40 % [22, 61]``."""
    low, high = wilson(count, of)
    return f"{100 * count / of:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"
