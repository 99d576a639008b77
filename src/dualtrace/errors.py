"""Every exception dualtrace raises on purpose.

::

    DualtraceError
    ├── InputError            what the user gave cannot be used (exit code 2)
    │   ├── EvidenceError     a record file: says file, line, field
    │   ├── FormulaError      a moderator formula
    │   └── TableError        a user's CSV table
    ├── FitError              the numbers given admit no answer (k = 0, singular design, ...)
    ├── RunError              a task of a long run failed; results that were finished are kept
    └── StoreError            a folder of stored results is foreign, damaged, full or cannot be written

A message says what must be, what was given, where, and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path


class DualtraceError(Exception):
    """Base of every error raised on purpose; its text is a sentence for the user."""


class InputError(DualtraceError):
    """Something the user gave cannot be used as it is."""


class FormulaError(InputError):
    """A moderator formula names something absent or cannot be parsed."""


class TableError(InputError):
    """A user's table lacks a column or holds a value that cannot be used."""


class FitError(DualtraceError):
    """The data given do not determine an answer."""


class RunError(DualtraceError):
    """A task of a long run failed.

    Attributes
    ----------
    details
        Traceback of the task's own code, for whoever wrote it; empty when there is none.
    """

    def __init__(self, message: str, details: str = "") -> None:
        self.details = details
        super().__init__(message)


class StoreError(DualtraceError):
    """A folder of stored results cannot be used, or a result in it cannot be read or written."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in one record file.

    Attributes
    ----------
    path
        The file.
    line
        Line number, from 1; 0 when the file as a whole is meant.
    field
        Dotted path of the field, for example ``outcomes[3].report.drug.n``.
    message
        What is wrong, with the value given.
    remedy
        What to do about it.
    severity
        ``error``: the record is wrong; ``warning``: it looks wrong; ``note``: worth knowing.
    check
        Name of the check that found it; empty when the file could not be read.
    """

    path: Path
    line: int
    field: str
    message: str
    remedy: str = ""
    severity: Literal["error", "warning", "note"] = "error"
    check: str = ""

    def __str__(self) -> str:
        """Return ``file:line: field: what is wrong. What to do.`` on one line."""
        where = f"{self.path}:{self.line}" if self.line else f"{self.path}"
        field = f" {self.field}:" if self.field else ""
        remedy = f" {self.remedy}" if self.remedy else ""
        return f"{where}:{field} {self.message}{remedy}"


class EvidenceError(InputError):
    """One or more record files cannot be read; holds every problem found."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


def row_name(label: str) -> str:
    """A row as messages name it; a label that says "line" or "row" itself stays as it is."""
    return label if label.startswith(("line ", "row ")) else f"row {label}"
