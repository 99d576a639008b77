"""Counts: CPU time of our fits against metafor's, both measured in this run; prints a table of ratios.

python benchmarks/sparse.py [--runs 5]

Needs Rscript with metafor for the comparison; without it only our own times are printed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.effects.binary import TwoByTwo
from dualtrace.effects.measures import effect_sizes
from dualtrace.pooling.sparse import strata
from dualtrace.pooling.sparse.common import mantel_haenszel, peto
from dualtrace.pooling.sparse.glmm import glmm

if TYPE_CHECKING:
    from collections.abc import Callable

STORED = Path(__file__).parents[1] / "tests" / "reference" / "metafor" / "sparse.json"
R_SCRIPT = """
suppressMessages({library(metafor); library(jsonlite)})
quiet <- function(f) suppressWarnings(suppressMessages(f()))
cpu <- function(times, f) { gc(FALSE); sum(system.time(for (i in seq_len(times)) quiet(f))[1:2]) / times }
b <- transform(dat.bcg, ai = tpos, n1i = tpos + tneg, ci = cpos, n2i = cpos + cneg); n <- dat.nielweise2007
two <- function(d, ...) list(ai = d$ai, n1i = d$n1i, ci = d$ci, n2i = d$n2i, ...)
set.seed(1); m <- function() rnorm(10000); s <- function() runif(10000, 1, 2)
big <- list("SMD", m1i = m(), sd1i = s(), n1i = rep(20, 10000), m2i = m(), sd2i = s(), n2i = rep(30, 10000))
cat(toJSON(list(
  "effect sizes, SMD, 10,000 rows" = cpu(20, function() do.call(escalc, big)),
  "Mantel-Haenszel OR, bcg" = cpu(50, function() do.call(rma.mh, two(b, measure = "OR"))),
  "Peto, bcg" = cpu(50, function() do.call(rma.peto, two(b))),
  "UM.FS, bcg" = cpu(1, function() do.call(rma.glmm, two(b, measure = "OR", model = "UM.FS"))),
  "UM.FS, nielweise2007" = cpu(1, function() do.call(rma.glmm, two(n, measure = "OR", model = "UM.FS"))),
  "UM.RS, nielweise2007" = cpu(1, function() do.call(rma.glmm, two(n, measure = "OR", model = "UM.RS"))),
  "CM.AL, nielweise2007" = cpu(3, function() do.call(rma.glmm, two(n, measure = "OR", model = "CM.AL"))),
  "CM.EL, nielweise2007" = cpu(1, function() do.call(rma.glmm, two(n, measure = "OR", model = "CM.EL",
    control = list(dnchgcalc = "dnoncenhypergeom")))),
  "PLO, nielweise2007" = cpu(3, function() rma.glmm(measure = "PLO", xi = n$ci, ni = n$n2i))
), auto_unbox = TRUE, digits = I(8)))
"""


def ours() -> dict[str, tuple[int, Callable[[], Any]]]:
    """Return the tasks by name, each with how often to repeat it."""
    sets = json.loads(STORED.read_text(encoding="utf-8"))["sets"]
    bcg, infections = sets["bcg"], sets["nielweise2007"]
    rng = np.random.default_rng(1)
    rows = {name: rng.normal(size=10_000) for name in ("m1i", "m2i")}
    rows |= {name: rng.uniform(1.0, 2.0, 10_000) for name in ("sd1i", "sd2i")}
    rows |= {"n1i": np.full(10_000, 20.0), "n2i": np.full(10_000, 30.0)}
    single = {"xi": infections["ci"], "ni": infections["n2i"]}
    return {
        "effect sizes, SMD, 10,000 rows": (20, lambda: effect_sizes("SMD", rows)),
        "Mantel-Haenszel OR, bcg": (50, lambda: mantel_haenszel("OR", bcg)),
        "Peto, bcg": (50, lambda: peto(bcg)),
        "UM.FS, bcg": (3, lambda: glmm("OR", bcg, model="UM.FS")),
        "UM.FS, nielweise2007": (3, lambda: glmm("OR", infections, model="UM.FS")),
        "UM.RS, nielweise2007": (3, lambda: glmm("OR", infections, model="UM.RS")),
        "CM.AL, nielweise2007": (3, lambda: glmm("OR", infections, model="CM.AL")),
        "CM.EL, nielweise2007": (3, lambda: glmm("OR", infections, model="CM.EL")),
        "PLO, nielweise2007": (3, lambda: glmm("PLO", single)),
    }


def cpu(times: int, task: Callable[[], Any], runs: int) -> float:
    """Return the median over runs of CPU seconds per repetition, after one warm-up."""
    task()
    found = []
    for _ in range(runs):
        start = time.process_time()
        for _ in range(times):
            task()
        found.append((time.process_time() - start) / times)
    return statistics.median(found)


def batched(runs: int) -> float:
    """Return CPU seconds of 10,000 Mantel-Haenszel odds ratios of 13 tables each, in one call."""
    rng = np.random.default_rng(2)
    n = rng.integers(20, 200, (2, 10_000, 13)).astype(float)
    table = TwoByTwo(rng.binomial(n[0].astype(int), 0.1), n[0], rng.binomial(n[1].astype(int), 0.15), n[1])
    return cpu(1, lambda: strata.odds_ratio(table), runs)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=5)
    runs: int = parser.parse_args().runs
    theirs: dict[str, float] = {}
    rscript = shutil.which("Rscript")
    if rscript is None:
        print("Rscript is not installed: only our own times follow.\n")
    else:
        done = subprocess.run([rscript, "-e", R_SCRIPT], check=True, capture_output=True, text=True)
        theirs = json.loads(done.stdout)
    print("| task | ours, CPU ms | metafor, CPU ms | ratio |")
    print("|---|---|---|---|")
    for name, (times, task) in ours().items():
        mine = cpu(times, task, runs)
        other = theirs.get(name)
        print(f"| {name} | {1e3 * mine:.2f} | {'' if other is None else f'{1e3 * other:.1f}'} ", end="")
        print(f"| {'' if other is None else f'{other / mine:.0f}×'} |")
    print(f"\n10,000 Mantel-Haenszel odds ratios in one call: {1e3 * batched(runs):.0f} ms of CPU time")


if __name__ == "__main__":
    main()
