"""Operating characteristics of the verdict: how often it is right on trials made up from a known account.

    python benchmarks/calibration_verdict.py [--sets 40] [--workers 1] [--store FOLDER] [--write]

Trials with the designs, sizes and forms of report of the real ones are made up from the dual trace and from
extinction only: with all constants drawn from their priors, and with a drug that acts strongly (factor 3 on its
boost, SD between trials 0.1, all else from the priors). The dual trace, extinction only and one effect per disorder
are fitted to each and compared by trials left out. One short chain of NUTS and 4 quasi-random patients stand for each
fit, in the making as in the fitting; trials whose weights are unreliable are counted, not refitted. A command that
was stopped goes on where it was; ``--write`` puts the result into ``benchmarks/results``, from where ``docs/make.py``
makes the page.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.calibration.fit import Sampler
from dualtrace.calibration.operating import Reading, verdict_task
from dualtrace.calibration.provenance import contents_of, digest, model_digest
from dualtrace.calibration.rivals import rival
from dualtrace.calibration.targets import subjects_of
from dualtrace.evidence.load import load
from dualtrace.runner.execute import run_tasks
from dualtrace.runner.store import Store
from dualtrace.runner.task import package_version
from dualtrace.runner.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RESULT = Path(__file__).parent / "results" / "calibration_verdict.json"
POINTS, STRONG = 4, 3.0
SAMPLER = Sampler(chains=1, warmup=100, draws=150, target_accept=0.8, max_tree_depth=6, dense=False)
CELLS = tuple((truth, strength) for truth in ("dual_trace", "extinction_only") for strength in (None, STRONG))
"""What trials are made up from: account, and strength of the drug where it is not drawn."""


def cell(truth: str, strength: float | None, tables: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What came of the data sets of one cell, as plain content."""
    found: dict[str, Any] = {"truth": truth, "strength": strength, "sets": len(tables), "against": {}}
    for place, other in enumerate(str(name) for name in tables[0]["differences"]["other"]):
        rows = [table["differences"] for table in tables]
        found["against"][other] = {
            "readings": {one.value: sum(str(row["reading"][place]) == one for row in rows) for one in Reading},
            "other_better": sum(float(row["difference"][place]) < -2 * float(row["se"][place]) for row in rows),
            "differences": [round(float(row["difference"][place]), 2) for row in rows],
            "se": [round(float(row["se"][place]), 2) for row in rows],
        }
    fits = [table["fits"] for table in tables]
    for n, account in enumerate(str(name) for name in fits[0]["account"]):
        found.setdefault("unreliable", {})[account] = sum(int(fit["unreliable"][n] > 0) for fit in fits)
        found.setdefault("unreliable_trials", {})[account] = sum(int(fit["unreliable"][n]) for fit in fits)
        found.setdefault("divergences", {})[account] = sum(int(fit["divergences"][n]) for fit in fits)
    inside = np.array(
        [
            (t["recovery"]["low"] < t["recovery"]["truth"]) & (t["recovery"]["truth"] < t["recovery"]["high"])
            for t in tables
        ]
    )
    names = [str(name) for name in tables[0]["recovery"]["quantity"]]
    found["inside_90"] = {name: int(inside[:, i].sum()) for i, name in enumerate(names)}
    return found


def main() -> None:
    """Run, print the frequencies and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sets", type=int, default=40)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--store", type=Path, default=Path("dualtrace-results"))
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    trials = tuple(subject.trial for subject in subjects_of(load()))
    tasks = [
        verdict_task(trials, rival(truth), SAMPLER, points=POINTS, strength=strength, seed=seed)
        for seed in range(options.sets)
        for truth, strength in CELLS
    ]
    run = run_tasks(tasks, Store.open(options.store), workers=Workers(processes=options.workers))
    tables = list(run)
    cells = [cell(*CELLS[n], tables[n :: len(CELLS)]) for n in range(len(CELLS))]
    found = {
        "dualtrace": package_version(),
        "model": model_digest(),
        "trials": len(trials),
        "trials_digest": digest(contents_of(trials)),
        "points": POINTS,
        "warmup": SAMPLER.warmup,
        "draws": SAMPLER.draws,
        "cells": cells,
    }
    for one in cells:
        print(one["truth"], one["strength"], {other: row["readings"] for other, row in one["against"].items()})
    if options.write:
        RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
