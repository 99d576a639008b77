"""What ``dualtrace calibrate compare`` does: fit all accounts and say which predicts unseen trials, verdict first."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click

from dualtrace.calibration.compare import BASELINE, MECHANISM, verdict
from dualtrace.calibration.contest import contest
from dualtrace.calibration.rivals import RIVALS, rival
from dualtrace.cli.answer import aligned
from dualtrace.cli.calibrated import data_in_words, executed, how_in_words, plain, setup_of
from dualtrace.cli.options import print_json
from dualtrace.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dualtrace.calibration.contest import Contest
    from dualtrace.calibration.findings import Findings
    from dualtrace.calibration.gather import Effort
    from dualtrace.calibration.rivals import Rival

_HEAD = ("account", "elpd", f"less {BASELINE}", "SE", "weight", "k > 0.7", "rests on", "newest")


def compare_accounts(
    names: tuple[str, ...], since: int, as_json: bool, asked: Mapping[str, Any], *, refit: bool
) -> None:
    """Fit, compare, print. Raises as :func:`accounts_of`."""
    accounts = accounts_of(names)
    found = contest(setup_of(asked), accounts, executed(asked), refit=refit, since=since)
    if as_json:
        print_json(_for_json(found))
        return
    click.echo("\n".join(_lines(found)))


def write_findings(
    names: tuple[str, ...], since: int, out: Path, asked: Mapping[str, Any], *, refit: bool, effort: Effort
) -> None:
    """Fit and compare, work out curves and checks, and write it all.

    Raises
    ------
    InputError
        As :func:`accounts_of`, or the file cannot be written.
    """
    from rich.console import Console

    from dualtrace.calibration.gather import gather

    accounts = accounts_of(names)
    if not out.parent.is_dir():
        raise InputError(f"--out must be a file in a folder that exists; given {out}")
    setup, console = setup_of(asked), Console(stderr=True)
    found = contest(setup, accounts, executed(asked), refit=refit, since=since)
    with console.status("") if console.is_terminal else nullcontext() as status:

        def progress(stage: str) -> None:
            if status is not None:
                status.update(f"{stage} …")

        findings = gather(setup, found, effort, progress)
    findings.save(out)
    click.echo("\n".join([verdict(findings.comparison()), "", *_points(findings), f"wrote {out}"]))


def _points(findings: Findings) -> list[str]:
    """The check of the number of quasi-random patients, printed."""
    return [
        f"From {one.points} to {2 * one.points} quasi-random patients predicted effects change by up to "
        f"{one.largest:.3f} (median {one.median:.4f}), at most {one.largest_in_se:.2f} of a report's SE."
        for one in findings.points
    ]


def accounts_of(names: tuple[str, ...]) -> tuple[Rival, ...]:
    """Accounts by name; all when none is named.

    Raises
    ------
    InputError
        An account is unknown, or the two that the verdict speaks of are not both there.
    """
    accounts = tuple(rival(name) for name in dict.fromkeys(names)) or RIVALS
    given = [account.name for account in accounts]
    if missing := [name for name in (BASELINE, MECHANISM) if name not in given]:
        raise InputError(
            f"--account must name {BASELINE} and {MECHANISM} among others, since the verdict is about these two; "
            f"{' and '.join(missing)} is missing: add it, or leave --account out"
        )
    return accounts


def _lines(found: Contest) -> list[str]:
    newest = {one.account: one for one in found.held_out}
    failures = list(dict.fromkeys([*found.comparison.failures, *_of_newest(found)]))
    rows = []
    for one, difference, weight in zip(
        found.comparison.accounts, found.comparison.differences, found.comparison.weights, strict=True
    ):
        own = one.account == BASELINE
        rows.append(
            (
                one.account,
                f"{one.total:.1f}",
                "-" if own else f"{difference.difference:+.1f}",
                "-" if own else f"{difference.se:.1f}",
                f"{weight:.2f}",
                str(len(one.to_refit)),
                str(len(difference.rests_on)) if not own else "-",
                f"{newest[one.account].total:.1f}",
            )
        )
    return [
        verdict(found.comparison),
        "",
        data_in_words(found.problem),
        how_in_words(found.posteriors[0]),
        "",
        *aligned(_HEAD, rows),
        "",
        "elpd: log predictive density of the trials, each left out in turn. Weight: in the mixture predicting best.",
        "k > 0.7: trials whose weights are unreliable and that were not fitted without. Rests on: trials, each of",
        f"which alone decides the reading. Newest: {len(found.held_out[0].trials)} trials from {found.since} on.",
        *(["", "Checks that failed:", *(f"  {failure}" for failure in failures)] if failures else []),
    ]


def _of_newest(found: Contest) -> list[str]:
    return [f"{one.account}, before {found.since}: {failure}" for one in found.held_out for failure in one.failures]


def _for_json(found: Contest) -> dict[str, Any]:
    newest = {one.account: one for one in found.held_out}
    return {
        "verdict": verdict(found.comparison),
        "data": data_in_words(found.problem),
        "trials": list(found.comparison.accounts[0].trials),
        "failures": [*found.comparison.failures, *_of_newest(found)],
        "since": found.since,
        "newest": list(found.held_out[0].trials),
        "settings": dict(found.posteriors[0].settings),
        "accounts": [
            {
                "account": one.account,
                "elpd": one.total,
                "difference": difference.difference,
                "se": difference.se,
                "weight": weight,
                "rests_on": list(difference.rests_on),
                "by_trial": one.elpd.tolist(),
                "pareto_k": [plain(k) for k in one.pareto_k],
                "newest_elpd": newest[one.account].total,
                "newest_by_trial": newest[one.account].elpd.tolist(),
            }
            for one, difference, weight in zip(
                found.comparison.accounts, found.comparison.differences, found.comparison.weights, strict=True
            )
        ],
    }
