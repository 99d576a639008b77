"""Why do the trials disagree? The mechanism and its rivals set against the trials: findings of a calibration."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dualtrace.calibration.compare import BASELINE, MECHANISM, verdict
from dualtrace.calibration.findings import COMMAND, load_findings
from dualtrace.calibration.provenance import contents_of, digest, model_digest
from dualtrace.calibration.reliability import RIVAL, load_reliability
from dualtrace.calibration.reliability_text import MEANING, caveats, frequencies
from dualtrace.calibration.rivals import RIVALS, rival
from dualtrace.calibration.targets import subjects_of
from dualtrace.errors import InputError
from dualtrace.report.document import Block, Bullets, Callout, Folded, Paragraph, Section, Strong
from dualtrace.report.figures.banded import banded
from dualtrace.report.figures.panels import panels
from dualtrace.report.figures.why import (
    against_spec,
    alt_of_panels,
    alt_of_rows,
    curve_specs,
    newest_spec,
    traces_spec,
)
from dualtrace.report.picture import picture
from dualtrace.report.sections.why_tables import (
    accounts_table,
    checks_table,
    combinations_table,
    influence_table,
    kinds_table,
    moderators_table,
    parameters_table,
    reliability_table,
    said_nothing,
)
from dualtrace.report.words import count, listing, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dualtrace.calibration.findings import Findings
    from dualtrace.calibration.identifiability import Identified
    from dualtrace.calibration.reliability import Reliability
    from dualtrace.evidence.record import Trial
    from dualtrace.report.document import Picture

TITLE = "Why do the trials disagree?"
QUESTION = (
    "If the drug strengthens whichever memory a session leaves open, it should help after good sessions, harm after "
    "poor ones and do little in between; trials would then disagree because their sessions differed. That account is "
    "set against plainer ones on the same data. Each is judged by what it says of trials that it has not seen: every "
    "trial is left out in turn, and the newest are predicted from the older."
)
PLAINEST = (
    "The mark to beat is one effect per disorder, plain meta-regression of numbers, intervals and directions. A "
    "mechanism that does not predict unseen trials at least as well has earned no claim to account for them."
)
_CURVES = (
    "What a dose, a time or a number of sessions will do in a patient: the curves follow from the account, in "
    "courses that are themselves assumed, and no trial has tested most of their length."
)
_CONSTANTS = (
    "That constants are known: a few arm means per trial cannot identify a chain of steps; where the data say "
    "nothing the posterior is the prior."
)
_SMALL = (
    "That small differences between accounts mean anything: most trials report intervals only, and every account "
    "predicts a wide interval well."
)
NOT_CONCLUDED = (
    "That the brain works so: accounts that nobody has written down may predict as well or better.",
    _CURVES,
    _CONSTANTS,
    _SMALL,
    "That the newest trials are a fair test: those who built the account knew them.",
)
_NEAREST = 2


def why(trials: Sequence[Trial], findings: Findings | None = None, reliability: Reliability | None = None) -> Section:
    """Return the chapter.

    Parameters
    ----------
    trials
        The evidence of the report; the chapter says so where the findings come from other trials.
    findings
        What is shown; without them those of the package.
    reliability
        How often the verdict is right; without it what the package holds.

    Raises
    ------
    InputError
        The findings of the package, or how often the verdict is right, cannot be read.
    """
    shown = load_findings() if findings is None else findings
    measured = load_reliability() if reliability is None else reliability
    blocks: tuple[Block, ...] = (
        Paragraph((Strong(verdict(shown.comparison())),)),
        *(Paragraph((sentence,)) for sentence in _stale(shown, trials)),
        Paragraph((_how_often_right(measured),)),
        Paragraph((QUESTION,)),
        Paragraph((PLAINEST,)),
        Paragraph((_data(shown),)),
        Paragraph((_how(shown),)),
        *(Paragraph((sentence,)) for sentence in _absent(shown)),
        accounts_table(shown),
        *_measured(measured),
        *((moderators_table(shown),) if shown.count("moderator") else ()),
        *_pictures(shown),
        *_parameters(shown),
        *_influence(shown),
        checks_table(shown),
        Bullets(tuple((line,) for line in _checks(shown))),
        *_failures(shown),
        Callout("What may not be concluded", tuple((text,) for text in NOT_CONCLUDED)),
    )
    return Section("why", TITLE, blocks)


def _stale(shown: Findings, trials: Sequence[Trial]) -> Iterator[str]:
    """Sentences where the findings come from other trials or another model than those at hand."""
    try:
        now = digest(contents_of(subject.trial for subject in subjects_of(trials)))
    except InputError as error:
        yield f"These findings are not of the trials of this report, which cannot be calibrated: {error}."
        return
    other = [
        what
        for what, given, here in (
            ("another model", model_digest(), shown.provenance.model),
            ("other trials", now, shown.provenance.trials),
        )
        if given != here
    ]
    if other:
        yield (
            f"These findings come from {' and '.join(other)} than this report: what follows does not speak of "
            f"them. To make findings of your own, run {COMMAND} with the same --trials; it takes hours."
        )


def _data(shown: Findings) -> str:
    exact, intervals, directions = (shown.count(kind) for kind in ("number", "interval", "direction"))
    more = [
        count(shown.count(kind), *words)
        for kind, words in (
            ("moderator", ("moderator finding", "moderator findings")),
            ("placebo", ("change with placebo", "changes with placebo")),
        )
        if shown.count(kind)
    ]
    return (
        f"{count(len(shown.trials), 'trial')} report {count(exact + intervals + directions, 'effect')} of the drug: "
        f"{exact} as numbers, {intervals} as intervals, {directions} as directions"
        f"{'; and ' + listing(more) if more else ''}."
    )


def _how(shown: Findings) -> str:
    p = shown.provenance
    if p.method == "laplace":
        drawn = (
            f"An approximation of {p.chains * p.draws:,} weighed draws, made for a quick look: nothing of it may be "
            "quoted"
        )
    else:
        drawn = f"Sampled by NUTS, {p.chains} chains of {p.draws} draws after {p.warmup} to tune"
    return (
        f"{drawn}; {p.points} quasi-random patients, seed {p.seed}, dualtrace {p.dualtrace}. Fits take "
        f"long, so the report shows stored findings; {COMMAND} makes them anew."
    )


def _absent(shown: Findings) -> Iterator[str]:
    """A sentence that names the accounts of which this run says nothing."""
    fitted = {account.name for account in shown.accounts}
    absent = [one.title for one in RIVALS if one.name not in fitted]
    if absent:
        yield f"Not fitted in this run, and so not judged here: {listing(absent)}."


def _how_often_right(found: Reliability) -> str:
    """How often such a verdict is right, as far as it may be quoted."""
    if not found.may_be_quoted:
        return f"How often such a verdict is right is not known. {next(caveats(found))}"
    return " ".join((*frequencies(found), *caveats(found)))


def _measured(found: Reliability) -> Iterator[Block]:
    """Readings of the verdict on trials made up from a known account, where they may be quoted."""
    if found.may_be_quoted:
        tables = tuple(reliability_table(found, other) for other in (BASELINE, RIVAL))
        yield Folded("How often is the verdict right?", (*tables, Paragraph((MEANING,))))


def _pictures(shown: Findings) -> Iterator[Picture]:
    rows = (
        (
            "why_traces",
            traces_spec(shown),
            "What the data made of the drug's effect on each trace, beside the prior.",
        ),
        (
            "why_against",
            against_spec(shown),
            "Fitted to all trials: bands are of the expected effect, without the error of the report.",
        ),
        ("why_newest", newest_spec(shown), "Predicted by fits that had not seen these trials."),
    )
    for key, spec, caption in rows:
        yield picture(key, (caption,), alt_of_rows(spec), partial(banded, spec))
    for setting, curves in curve_specs(shown):
        caption = (
            f"{curves.title}: effect at the end of treatment in the usual course of each disorder, all else as "
            "usual. The account's consequences, not observations."
        )
        yield picture(f"why_{setting}", (caption,), alt_of_panels(curves), partial(panels, curves))


def _parameters(shown: Findings) -> Iterator[Block]:
    nothing = said_nothing(shown.account(MECHANISM))
    if nothing:
        yield Paragraph((f"Of these constants the data say next to nothing: {listing(nothing)}.",))
    found = shown.identified
    yield Paragraph((_told(found),))
    yield parameters_table(shown.account(MECHANISM), found.alone)
    if found.leading:
        yield Folded("What the trials tell of together", (combinations_table(found),), False)
    order = [one.account for one in shown.comparison().accounts if one.account not in (MECHANISM, BASELINE)]
    nearest = [name for name in order if rival(name).is_mechanism][:_NEAREST]
    for name in nearest:
        yield Folded(f"Constants of {rival(name).title.lower()}", (parameters_table(shown.account(name)),), False)


def _told(found: Identified) -> str:
    """How many combinations of constants the trials determine."""
    return (
        f"All constants and deviations of disorders together can be combined in {len(found.told)} independent ways. "
        f"Of {len(found.leading)} of them the trials tell more than the priors; of the others what was assumed tells "
        "more."
    )


def _influence(shown: Findings) -> Iterator[Block]:
    yield kinds_table(shown)
    yield Folded("Influence of each trial", (influence_table(shown),), on_paper=False)


def _checks(shown: Findings) -> Iterator[str]:
    own = next((one for one in shown.points if one.points == shown.provenance.points), None)
    if own is not None:
        yield (
            f"With twice as many quasi-random patients ({2 * own.points} for {own.points}) predicted effects change "
            f"by up to {number(own.largest, 3)}, at most {number(own.largest_in_se)} of a report's standard error."
        )
    yield (
        f"Records name no laboratory, so trials count as of one laboratory when they share their first author: "
        f"{len(shown.laboratories)} for {count(len(shown.trials), 'trial')}."
    )


def _failures(shown: Findings) -> Iterator[Block]:
    failed = [
        f"{one.name}: {failure}"
        for one in shown.accounts
        for failure in dict.fromkeys((*one.failures, *one.left_out_failures))
    ]
    failed += [
        f"{one.name}, before {shown.provenance.since}: {failure}"
        for one in shown.accounts
        for failure in one.newest_failures
    ]
    if failed:
        lines = Bullets(tuple((line,) for line in failed))
        yield Folded(f"Checks that failed ({len(failed)})", (lines,), on_paper=False)
