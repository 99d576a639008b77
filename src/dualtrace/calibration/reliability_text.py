"""How often the verdict is right, in words and rows: said alike in the report and in the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualtrace.calibration.compare import BASELINE, MECHANISM
from dualtrace.calibration.reliability import COMMAND, MOSTLY, RIVAL, Reading, in_percent, wilson

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualtrace.calibration.reliability import Cell, Reliability

HEAD = ("made up from", "drug", "sets", *(one.value for one in Reading))
_SELDOM = 0.5
"""Upper end of the interval of a frequency below which something is said to be found seldom."""

MEANING = (
    "To be ahead of plain meta-regression speaks for a mechanism in which it matters how exposure went; extinction "
    "only can bring it about too. Only the difference from extinction only speaks for the threat trace."
)


def frequencies(found: Reliability) -> Iterator[str]:
    """How often the dual trace is found when it is true, and when false; what follows, where it may be quoted."""
    for truth, it, means in (
        (MECHANISM, "it", "how often the dual trace is found when it is true"),
        (RIVAL, "the dual trace", "how often it is found when it is false"),
    ):
        sets = found.sets(truth)
        plain, only = (in_percent(found.count(truth, other, Reading.BETTER), sets) for other in (BASELINE, RIVAL))
        yield (
            f"On trials made up from {_named(truth)}, {it} was better than plain meta-regression in {plain} "
            f"and better than extinction only in {only} of {sets} sets: {means}."
        )
    most = wilson(found.count(MECHANISM, RIVAL, Reading.BETTER), found.sets(MECHANISM))[1]
    if found.may_be_quoted and most < _SELDOM:
        yield (
            "On trials like these a threat trace that is there would seldom be found: that the dual trace is not "
            "ahead of extinction only says little against it."
        )


def caveats(found: Reliability) -> Iterator[str]:
    """What speaks against quoting the frequencies."""
    converged, sets = found.converged, found.all_sets
    if not found.is_current:
        yield (
            "How often the verdict is right was measured before the model's equations or constants were last "
            f"changed; run {COMMAND} before quoting it."
        )
    if converged < MOSTLY * sets:
        yield f"In only {converged} of {sets} sets had all chains converged: these frequencies must not be quoted."
    else:
        yield (
            f"In {converged} of {sets} sets all chains had converged in what accounts are compared by, in "
            f"{found.mixed} in every constant; the others are counted with them."
        )
    rows = {name: sum(cell.unreliable[name] for cell in found.cells) for name in found.cells[0].unreliable}
    words = ", ".join(f"{100 * count / sets:.0f} % of the fits of {_named(name)}" for name, count in rows.items())
    yield f"At least one trial had unreliable weights in {words}; it was not refitted, as a real one would be."


def row_of(cell: Cell, other: str) -> tuple[str, ...]:
    """A cell against another account, by :data:`HEAD`."""
    return (
        _named(cell.truth),
        drug_of(cell),
        str(cell.sets),
        *(in_percent(cell.against[other].count(one), cell.sets) for one in Reading),
    )


def drug_of(cell: Cell) -> str:
    """How strongly the drug acts on these data sets."""
    return "as fitted" if cell.strength is None else f"strong (factor {cell.strength:g})"


def _named(account: str) -> str:
    return {MECHANISM: "the dual trace", RIVAL: "extinction only", BASELINE: "one effect per disorder"}[account]
