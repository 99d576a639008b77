"""Operating characteristics of the verdict: how often it is right on trials made up from a known account.

    python benchmarks/calibration_verdict.py [--sets 40] [--workers 1] [--store FOLDER] [--write]

Trials with the designs, sizes and forms of report of the real ones are made up from the dual trace and from
extinction only: with constants as fitted to the real trials, one draw of the posterior for each data set, and the
same with a drug that acts strongly (factor 3 on its boost). So both ways of making them up are as near to the real
trials as the account allows. The dual trace, extinction only and one effect per disorder are fitted to each and
compared by trials left out. One chain of NUTS and 8 quasi-random patients stand for each fit, in the making as in the
fitting; trials whose weights are unreliable are counted, not refitted. The two accounts are fitted to the real trials
first, with the defaults of ``dualtrace calibrate``, and taken from the store where it holds them. A command that was
stopped goes on where it was; ``--write`` puts the result into the package, whose report shows it beside the verdict;
``docs/make.py`` makes the page.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.calibration.compare import MECHANISM
from dualtrace.calibration.contest import Setup
from dualtrace.calibration.fit import Sampler
from dualtrace.calibration.operating import CONVERGED, MIXED, acting, drawn, verdict_task
from dualtrace.calibration.provenance import contents_of, digest, model_digest
from dualtrace.calibration.reliability import RIVAL, SHIPPED, Against, Cell, Reading, Reliability
from dualtrace.calibration.rivals import rival
from dualtrace.calibration.targets import subjects_of
from dualtrace.evidence.load import load
from dualtrace.runner.execute import run_tasks
from dualtrace.runner.store import Store
from dualtrace.runner.task import package_version
from dualtrace.runner.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualtrace.calibration.posterior import Posterior
    from dualtrace.calibration.simulate import Place
    from dualtrace.calibration.tasks import Execute

POINTS, STRONG = 8, 3.0
SAMPLER = Sampler(chains=1, warmup=200, draws=400, target_accept=0.9, max_tree_depth=6, dense=False)
CELLS = tuple((truth, strength) for truth in (MECHANISM, RIVAL) for strength in (None, STRONG))
"""What trials are made up from: account, and strength of the drug where it is not as fitted."""


def as_fitted(execute: Execute) -> dict[str, Posterior]:
    """Posteriors of the accounts that trials are made up from, given the real trials."""
    setup = Setup(tuple(load()))
    found = setup.fits(setup.problem(), [(rival(name), ()) for name in (MECHANISM, RIVAL)], execute)
    if failed := [f"{one.account}: {failure}" for one in found for failure in one.failures]:
        raise SystemExit(f"no trials are made up from fits that did not pass their checks: {'; '.join(failed)}")
    return dict(zip((MECHANISM, RIVAL), found, strict=True))


def place(posterior: Posterior, strength: float | None, seed: int) -> Place:
    """Where an account stands when it makes up a data set."""
    at = drawn(posterior, seed)
    return at if strength is None else acting(at, rival(posterior.account), strength)


def cell(truth: str, strength: float | None, tables: Sequence[Mapping[str, Any]]) -> Cell:
    """What came of the data sets of one cell."""
    fits = [table["fits"] for table in tables]
    accounts = [str(name) for name in fits[0]["account"]]
    recovered = [table["recovery"] for table in tables]
    inside = np.array([(r["low"] < r["truth"]) & (r["truth"] < r["high"]) for r in recovered])
    return Cell(
        truth=truth,
        strength=strength,
        sets=len(tables),
        converged=sum(bool((np.asarray(fit["rhat"]) <= CONVERGED).all()) for fit in fits),
        mixed=sum(bool((np.asarray(fit["largest_rhat"]) <= MIXED).all()) for fit in fits),
        against={
            str(other): _against(place, tables) for place, other in enumerate(tables[0]["differences"]["other"])
        },
        unreliable={name: sum(int(fit["unreliable"][n] > 0) for fit in fits) for n, name in enumerate(accounts)},
        divergences={name: sum(int(fit["divergences"][n]) for fit in fits) for n, name in enumerate(accounts)},
        inside_90={str(name): int(inside[:, i].sum()) for i, name in enumerate(recovered[0]["quantity"])},
    )


def _against(place: int, tables: Sequence[Mapping[str, Any]]) -> Against:
    rows = [table["differences"] for table in tables]
    read = [Reading(str(row["reading"][place])) for row in rows]
    return Against(
        readings={one: read.count(one) for one in Reading},
        differences=tuple(round(float(row["difference"][place]), 2) for row in rows),
        se=tuple(round(float(row["se"][place]), 2) for row in rows),
    )


def main() -> None:
    """Run, print the frequencies and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sets", type=int, default=40)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--store", type=Path, default=Path("dualtrace-results"))
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    trials = tuple(subject.trial for subject in subjects_of(load()))
    store, workers = Store.open(options.store), Workers(processes=options.workers)
    fitted = as_fitted(lambda tasks: run_tasks(tasks, store, workers=workers))
    tasks = [
        verdict_task(
            trials, rival(truth), SAMPLER, points=POINTS, place=place(fitted[truth], strength, seed), seed=seed
        )
        for seed in range(options.sets)
        for truth, strength in CELLS
    ]
    tables = list(run_tasks(tasks, store, workers=workers))
    cells = [cell(*CELLS[n], tables[n :: len(CELLS)]) for n in range(len(CELLS))]
    found = Reliability(
        dualtrace=package_version(),
        model=model_digest(),
        trials=len(trials),
        trials_digest=digest(contents_of(trials)),
        points=POINTS,
        warmup=SAMPLER.warmup,
        draws=SAMPLER.draws,
        cells=tuple(cells),
    )
    for one in cells:
        read = {other: dict(row.readings) for other, row in one.against.items()}
        print(one.truth, one.strength, f"{one.converged} of {one.sets} converged, {one.mixed} mixed", read)
    if options.write:
        found.save(SHIPPED)


if __name__ == "__main__":
    main()
