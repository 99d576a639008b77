"""Small-study methods side by side with metafor: CPU time per call, warm, and the ratio; prints a table.

python benchmarks/small_study.py [--runs 20]

metafor is timed live where Rscript and the package are there; otherwise the times stored below are used, which were
measured on another machine and say so.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import numpy as np

from dualtrace.pooling.small_study.asymmetry import rank_test, regression_test
from dualtrace.pooling.small_study.fail_safe import fail_safe_n
from dualtrace.pooling.small_study.selection import selection_model
from dualtrace.pooling.small_study.selection_fit import Bounds, bind, plain_fit, search
from dualtrace.pooling.small_study.selection_function import limits, step_model
from dualtrace.pooling.small_study.significance import excess_significance
from dualtrace.pooling.small_study.trim_and_fill import trim_and_fill

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualtrace.pooling.likelihood import Array

K, BATCH = 30, 1000
GOALS = {"step selection model": 0.020, "beta selection model": 0.1}

R_CALLS = {
    "step selection model": ("selmodel(r, type='stepfun', steps=.025)", 5),
    "beta selection model": ("selmodel(r, type='beta')", 1),
    "negative-exponential selection model": ("selmodel(r, type='negexp')", 1),
    "Egger's test (lm)": ("regtest(y, v, model='lm')", 20),
    "regression test (rma)": ("regtest(y, v)", 20),
    "rank test": ("ranktest(y, v)", 20),
    "trim and fill": ("trimfill(r0)", 10),
    "excess significance (chi2)": ("tes(y, v, test='chi2')", 10),
    "fail-safe N": ("fsn(y, v)", 20),
}
STORED_SECONDS = {"step selection model": 0.091, "beta selection model": 4.119, "trim and fill": 0.032}
"""CPU seconds of metafor 3.8-1, R 4.2.2, reference BLAS, k = 30 (trim and fill: k = 13)."""


def rows(sets: int) -> tuple[Array, Array]:
    """Return meta-analyses of k = 30 rows in which results without significance are reported half as often."""
    rng = np.random.default_rng(4)
    y, v = np.empty((sets, K)), np.empty((sets, K))
    for i in range(sets):
        spread = rng.uniform(0.02, 0.2, 10 * K)
        effects = rng.normal(0.3, np.sqrt(spread + 0.04))
        kept = np.flatnonzero((effects > 1.96 * np.sqrt(spread)) | (rng.random(10 * K) < 0.5))[:K]
        y[i], v[i] = effects[kept], spread[kept]
    return y, v


def ours(y: Array, v: Array) -> dict[str, Callable[[], object]]:
    """Return the calls by name."""
    return {
        "step selection model": lambda: selection_model(y, v),
        "beta selection model": lambda: selection_model(y, v, kind="beta"),
        "negative-exponential selection model": lambda: selection_model(y, v, kind="negexp"),
        "Egger's test (lm)": lambda: regression_test(y, v, model="lm"),
        "regression test (rma)": lambda: regression_test(y, v),
        "rank test": lambda: rank_test(y, v),
        "trim and fill": lambda: trim_and_fill(y, v),
        "excess significance (chi2)": lambda: excess_significance(y, v, test="chi2"),
        "fail-safe N": lambda: fail_safe_n(y, v),
    }


def batch(y: Array, v: Array) -> int:
    """Fit the step selection model to all data sets at once; return how many have a maximum."""
    ones = np.ones((K, 1))
    model = step_model(y / np.sqrt(v), (0.025,), delta=None, two_sided=False)
    plain = plain_fit(y, v, ones, random=True)
    found = search(bind(y, v, ones, model.weighting), [plain], model.starts, Bounds(*limits(model)))[0]
    return int(found.converged.sum())


def cpu(call: Callable[[], object], runs: int) -> float:
    """Return CPU seconds per call after one warm-up."""
    call()
    start = time.process_time()
    for _ in range(runs):
        call()
    return (time.process_time() - start) / runs


def metafor(y: Array, v: Array) -> dict[str, float]:
    """Return metafor's CPU seconds per call; empty where R or the package is missing."""
    program = shutil.which("Rscript")
    if program is None:
        return {}
    numbers = (", ".join(f"{value:.12g}" for value in values) for values in (y, v))
    lines = [
        "suppressMessages(library(metafor))",
        *(f"{name} <- c({values})" for name, values in zip("yv", numbers, strict=True)),
        "r <- rma(y, v, method='ML'); r0 <- rma(y, v)",
        "t <- function(f, n) { f(); b <- proc.time(); for (i in 1:n) f(); e <- proc.time() - b; (e[1] + e[2]) / n }",
        *(f"cat(t(function() suppressWarnings({call}), {n}), '\\n')" for call, n in R_CALLS.values()),
    ]
    done = subprocess.run([program, "-e", "\n".join(lines)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return {}
    return dict(zip(R_CALLS, (float(line) for line in done.stdout.split()), strict=True))


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=20)
    runs: int = parser.parse_args().runs
    y, v = rows(BATCH)
    theirs = metafor(y[0], v[0])
    if not theirs:
        print("Rscript with metafor is not here: ratios are against times measured elsewhere.\n")
        theirs = STORED_SECONDS
    print(f"| method, k = {K} | CPU ms | metafor CPU ms | metafor / ours | goal, ms |")
    print("|---|---|---|---|---|")
    for name, call in ours(y[0], v[0]).items():
        mine, other, goal = cpu(call, runs), theirs.get(name), GOALS.get(name)
        ratio = ("", "") if other is None else (f"{1e3 * other:.1f}", f"{other / mine:.0f}×")
        print(
            f"| {name} | {1e3 * mine:.2f} | {ratio[0]} | {ratio[1]} | {'' if goal is None else f'{1e3 * goal:g}'} |"
        )
    each, step = cpu(lambda: batch(y, v), 1) / BATCH, theirs["step selection model"]
    name = f"step selection model, each of {BATCH} at once"
    print(f"| {name} | {1e3 * each:.3f} | {1e3 * step:.1f} | {step / each:.0f}× | |")
    print(f"\n{batch(y, v)} of {BATCH} data sets have a maximum.")


if __name__ == "__main__":
    main()
