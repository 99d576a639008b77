"""Simulation-based calibration of the sampler: ranks of every constant in fits to made-up data; stores the result.

    python benchmarks/calibration_sbc.py [--account dual_trace] [--fits 200] [--workers 1] [--store FOLDER] [--write]

Constants are drawn from their priors, the trials below are made up with their designs, sizes and forms of report, and
NUTS is run on each. A command that was stopped goes on where it was. ``--write`` puts the ranks into
``benchmarks/results``, from where ``docs/make.py`` makes the page.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.calibration.checks_page import p_values
from dualtrace.calibration.fit import Sampler
from dualtrace.calibration.provenance import contents_of, digest, model_digest
from dualtrace.calibration.ranks import rank_tasks
from dualtrace.calibration.rivals import rival
from dualtrace.evidence.load import load
from dualtrace.runner.execute import run_tasks
from dualtrace.runner.store import Store
from dualtrace.runner.task import package_version
from dualtrace.runner.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dualtrace.evidence.record import Trial

RESULTS = Path(__file__).parent / "results"
TRIALS = ("difede2014", "guastella2008", "leyfer2019", "otto2010", "ressler2004")
"""Four disorders; numbers and intervals, scores and responders, one to five sessions: small enough for many fits."""

POINTS, THIN = 8, 4
SAMPLER = Sampler(chains=1, warmup=200, draws=396, target_accept=0.9, max_tree_depth=7, dense=False)


def chosen() -> tuple[Trial, ...]:
    """Return the trials that are made up."""
    return tuple(trial for trial in load() if trial.id in TRIALS)


def result(account: str, runs: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Ranks of all fits as plain content."""
    tables = list(runs)
    names = [str(name) for name in tables[0]["ranks"]["quantity"]]
    ranks = np.array([table["ranks"]["rank"] for table in tables])
    inside = np.array(
        [(t["ranks"]["low"] < t["ranks"]["truth"]) & (t["ranks"]["truth"] < t["ranks"]["high"]) for t in tables]
    )
    trials = chosen()
    return {
        "account": account,
        "dualtrace": package_version(),
        "model": model_digest(),
        "trials": [trial.id for trial in trials],
        "trials_digest": digest(contents_of(trials)),
        "points": POINTS,
        "thin": THIN,
        "warmup": SAMPLER.warmup,
        "draws": SAMPLER.draws,
        "fits": len(tables),
        "levels": SAMPLER.draws // THIN + 1,
        "divergences": int(sum(int(table["sampling"]["divergences"][0]) for table in tables)),
        "fits_with_divergences": int(sum(bool(table["sampling"]["divergences"][0]) for table in tables)),
        "ranks": {name: [int(rank) for rank in ranks[:, i]] for i, name in enumerate(names)},
        "inside_90": {name: int(inside[:, i].sum()) for i, name in enumerate(names)},
    }


def as_text(found: Mapping[str, Any]) -> str:
    """Result as JSON with one line per quantity, so that a change is readable."""
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in found.items() if key != "ranks"]
    ranks = ",\n".join(f"    {json.dumps(name)}: {json.dumps(row)}" for name, row in found["ranks"].items())
    return "{\n" + ",\n".join(lines) + ',\n  "ranks": {\n' + ranks + "\n  }\n}\n"


def main() -> None:
    """Run, print a table and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--account", default="dual_trace")
    parser.add_argument("--fits", type=int, default=200)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--store", type=Path, default=Path("dualtrace-results"))
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    tasks = rank_tasks(chosen(), rival(options.account), SAMPLER, points=POINTS, fits=options.fits, thin=THIN)
    run = run_tasks(tasks, Store.open(options.store), workers=Workers(processes=options.workers))
    found = result(options.account, run)
    print("| quantity | chi-square p | band p | in 90 % |\n|---|---|---|---|")
    for name, (chi, largest) in p_values(found).items():
        print(f"| {name} | {chi:.3f} | {largest:.3f} | {found['inside_90'][name] / found['fits']:.2f} |")
    if options.write:
        path = RESULTS / f"calibration_sbc_{options.account}.json"
        path.write_text(as_text(found), encoding="utf-8")


if __name__ == "__main__":
    main()
