"""The comparative analysis from trials to files on disk."""

from __future__ import annotations

import csv
import tempfile
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from dualtrace.effects.table import effect_rows, to_csv
from dualtrace.errors import InputError
from dualtrace.evidence.load import published_poolings, references
from dualtrace.report import page
from dualtrace.report.analysis import analyse
from dualtrace.report.document import Document, Entry, Section, Table, cited, pictures, plain, tables
from dualtrace.report.sections import summary
from dualtrace.report.sections.dual_effect import dual_effect
from dualtrace.report.sections.elsewhere import elsewhere
from dualtrace.report.sections.gaps import gaps
from dualtrace.report.sections.others import others
from dualtrace.report.sections.protocols import protocols
from dualtrace.report.sections.records import records
from dualtrace.report.sections.results import disorders, results
from dualtrace.report.sections.robustness import robustness_chapter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualtrace.evidence.record import Trial

TITLE = "D-cycloserine with exposure therapy: what the trials found"
SUBTITLE = "A comparative analysis across social anxiety disorder, panic disorder, OCD, PTSD and specific phobia"


def document(
    trials: Sequence[Trial], *, with_mechanism: bool = False, progress: Callable[[str], None] = lambda _: None
) -> Document:
    """Return the report as data.

    Parameters
    ----------
    trials
        The evidence base.
    with_mechanism
        Whether the chapters on the mechanism, memory and virtual trials are added; they cost several seconds, some
        more the first time.
    progress
        Called with the name of each stage as it starts.
    """
    progress("pooling")
    analysis = analyse(trials)
    if not analysis.syntheses:
        raise InputError("no trial in scope reports anything that can be pooled; `dualtrace trials list` says why")
    parts: list[Section] = []
    chapters: tuple[tuple[str, Callable[[], tuple[Section, ...]]], ...] = (
        ("summary", lambda: (summary.summary(analysis), summary.reading(analysis))),
        ("forest plots", lambda: results(analysis)),
        ("disorders", lambda: disorders(analysis)),
        ("robustness", lambda: robustness_chapter(analysis)),
        ("everything else", lambda: (elsewhere(analysis),)),
        ("protocols", lambda: protocols(analysis)),
        ("moderators", lambda: (dual_effect(analysis.trials, analysis.poolings),)),
        ("analyses by others", lambda: (others(analysis),)),
        *((("mechanism", _mechanism), ("virtual trials", lambda: _virtual(trials))) if with_mechanism else ()),
        ("calibration", lambda: _why(trials)),
        ("conflicts and gaps", lambda: (gaps(analysis.trials),)),
        ("records", lambda: (records(analysis.trials),)),
    )
    for name, build in chapters:
        progress(name)
        parts.extend(build())
    sections = tuple(parts)
    colophon = f"Made by dualtrace {version('dualtrace')} from {len(analysis.trials)} records."
    return Document(TITLE, SUBTITLE, sections, _entries(sections, trials), colophon)


def _mechanism() -> tuple[Section, ...]:
    from dualtrace.report.sections.mechanism import mechanism  # loads SALib
    from dualtrace.report.sections.memory import memory

    return (mechanism(), memory())


def _virtual(trials: Sequence[Trial]) -> tuple[Section, ...]:
    from dualtrace.report.sections.virtual import virtual  # loads JAX

    return (virtual(trials),)


def _why(trials: Sequence[Trial]) -> tuple[Section, ...]:
    from dualtrace.report.sections.why import why  # reads protocols of all trials

    return (why(trials),)


def write(
    content: Document,
    trials: Sequence[Trial],
    folder: Path,
    *,
    with_pdf: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Path, ...]:
    """Write page, tables and figures; each file appears whole or not at all.

    Returns
    -------
    tuple of Path
        The page first, then the PDF when asked for.

    Raises
    ------
    InputError
        When the folder cannot be written.
    """
    try:
        progress("tables")
        for table in tables(content):
            _put(folder / "tables" / f"{table.key}.csv", _csv(table).encode())
        _put(folder / "tables" / "effects.csv", to_csv(effect_rows(trials)).encode())
        progress("figures")
        for figure in pictures(content):
            _put(folder / "figures" / f"{figure.key}.svg", figure.wide)
            _put(folder / "figures" / f"{figure.key}.png", figure.png)
        progress("page")
        _put(folder / "index.html", page.render(content).encode())
        if not with_pdf:
            return (folder / "index.html",)
        progress("PDF")
        from dualtrace.report import pdf

        _put(folder / "report.pdf", pdf.render(content))
    except OSError as error:
        raise InputError(
            f"the report cannot be written to {folder} ({error.strerror}); choose another --output"
        ) from None
    return folder / "index.html", folder / "report.pdf"


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as scratch:
        scratch.write(data)
    Path(scratch.name).chmod(0o644)
    Path(scratch.name).replace(path)


def _csv(table: Table) -> str:
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.headers)
    writer.writerows([plain(cell).strip() for cell in row] for row in table.rows)
    return out.getvalue()


def _entries(sections: tuple[Section, ...], trials: Sequence[Trial]) -> tuple[Entry, ...]:
    by_trial = {trial.id: trial for trial in trials}
    by_pooling = {pooling.id: pooling for pooling in published_poolings()}
    entries: list[Entry] = []
    for key in cited(sections):
        if key in by_trial:
            trial = by_trial[key]
            first = next((source.url for source in trial.sources.values() if source.url), "")
            entries.append(Entry(key, trial.citation, _link(trial.doi, trial.pmid) or first))
        elif key in by_pooling:
            pooling = by_pooling[key]
            link = _link(pooling.doi, pooling.pmid) or (references()[key].link if key in references() else "")
            entries.append(Entry(key, pooling.citation, link))
        else:
            entries.append(Entry(key, references()[key].citation, references()[key].link))
    return tuple(entries)


def _link(doi: str | None, pmid: str | None) -> str:
    if doi:
        return f"https://doi.org/{doi}"
    return f"https://pubmed.ncbi.nlm.nih.gov/{pmid}/" if pmid else ""
