"""When the drug helps: what the trials found for and against the dual effect."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from dualtrace.evidence.scope import scope
from dualtrace.report.document import Block, Bullets, Cite, Line, Link, Paragraph, Section, Table
from dualtrace.report.words import DISORDER_NAMES, count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.evidence.pooled import PublishedPooling
    from dualtrace.evidence.record import Moderator, Trial

VERDICTS = {
    "supports": "For: the drug helped after good sessions, or harmed after bad ones",
    "against": "Against: a test of that pattern came out null or opposite",
    "mixed": "Mixed: both within one trial",
    "silent": "Not informative about the dual effect",
}


INTRODUCTION = (
    "The dual-effect account predicts that D-cycloserine strengthens whatever is being stored: safety after a "
    "session that ended well, threat after one that ended badly. Below is every moderator finding in the evidence "
    "base, sorted by whether it bears on that prediction. The sorting is our reading of each finding; most are "
    "secondary or exploratory analyses, several come from the same participants, and counting them is no test."
)


def dual_effect(trials: Sequence[Trial], poolings: Sequence[PublishedPooling]) -> Section:
    """Return the chapter on moderators."""
    found = [(trial, moderator) for trial in trials for moderator in trial.moderators]
    counts: Counter[str] = Counter(moderator.dual_effect for _, moderator in found)
    trials_of = {kind: len({t.id for t, m in found if m.dual_effect == kind}) for kind in VERDICTS}
    blocks: tuple[Block, ...] = (
        Paragraph((INTRODUCTION,)),
        Bullets(tuple(_tally(kind, counts[kind], trials_of[kind]) for kind in VERDICTS if counts[kind])),
        *(_table(kind, found) for kind in VERDICTS if counts[kind]),
        _others(poolings),
    )
    return Section("dual-effect", "When did it help? Findings for and against the dual effect", blocks)


def _tally(kind: str, findings: int, trials: int) -> Line:
    verdict = VERDICTS[kind][0].lower() + VERDICTS[kind][1:]
    return (f"{count(findings, 'finding')} from {count(trials, 'trial')}: {verdict}.",)


def _table(kind: str, found: Sequence[tuple[Trial, Moderator]]) -> Table:
    rows = tuple(_row(trial, m) for trial, m in found if m.dual_effect == kind)
    headers = ("Trial", "Disorder", "Moderator", "Finding", "Source")
    return Table(f"moderators_{kind}", VERDICTS[kind], headers, rows)


def _row(trial: Trial, moderator: Moderator) -> tuple[Line, ...]:
    source = trial.sources[moderator.source]
    marked = "" if scope(trial).included else " (not pooled)"
    link: Line = (Link(moderator.where, source.url),) if source.url else (moderator.where,)
    return (
        (trial.label, marked, " ", Cite(trial.id)),
        (DISORDER_NAMES[trial.disorder],),
        (moderator.moderator.replace("_", " "),),
        (moderator.finding,),
        link,
    )


def _others(poolings: Sequence[PublishedPooling]) -> Table:
    rows = tuple(
        ((pooling.label, " ", Cite(pooling.id)), (m.moderator.replace("_", " "),), (m.finding,))
        for pooling in poolings
        for m in pooling.moderators
    )
    return Table(
        "moderators_published", "What pooled analyses by others found", ("Analysis", "Moderator", "Finding"), rows
    )
