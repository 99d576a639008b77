"""Multilevel models against metafor, CPU seconds of one call each, median of several; prints a table.

metafor is run when Rscript and its packages are there; otherwise only our own times are shown.

    python benchmarks/multilevel.py [--runs 5] [--slow]
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.pooling.multilevel import assumed, cluster_influence, fit, nested, profile_intervals, robust

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualtrace.pooling.multilevel import Multilevel
    from dualtrace.pooling.multilevel.known_v import KnownV

STORED = Path(__file__).parents[1] / "tests" / "reference" / "metafor" / "multilevel.json"

R_SCRIPT = """
suppressMessages({library(metafor); library(jsonlite)})
args <- commandArgs(TRUE); slow <- args[2] == "slow"
d <- lapply(fromJSON(args[1]), as.data.frame)
cpu <- function(expr, runs) { e <- substitute(expr); p <- parent.frame()
  median(sapply(seq_len(runs), function(i) sum(system.time(eval(e, p))[1:2]))) }
d1 <- d$small; d5 <- d$large; db <- d$bakdash
V1 <- vcalc(vi, cluster = study, obs = which, rho = .6, data = d1)
V5 <- vcalc(vi, cluster = study, obs = which, rho = .6, data = d5)
r <- rma.mv(yi, vi, random = ~ 1 | study/est, data = d1)
out <- list(
  k100_diagonal = cpu(rma.mv(yi, vi, random = ~ 1 | study/est, data = d1), 5),
  k100_blocks = cpu(rma.mv(yi, V1, random = ~ 1 | study/est, data = d1), 5),
  k500_diagonal = cpu(rma.mv(yi, vi, random = ~ 1 | study/est, data = d5, sparse = TRUE), 1),
  k500_blocks = cpu(rma.mv(yi, V5, random = ~ 1 | study/est, data = d5, sparse = TRUE), 1),
  profiles = cpu(confint(r), 1),
  robust = cpu(robust(r, cluster = d1$study, clubSandwich = TRUE), 5),
  influence = cpu(cooks.distance(r, cluster = d1$study), 1))
if (slow) out$bakdash <- cpu(rma.mv(yi, vi, random = ~ 1 | SampleID/est, data = db), 1)
cat(toJSON(out, auto_unbox = TRUE, digits = I(6)))
"""

GOALS = {"k100_diagonal": 0.02, "k100_blocks": 0.02, "k500_diagonal": 0.1, "k500_blocks": 0.1, "bakdash": 1.0}
"""CPU seconds."""


def simulated(studies: int, seed: int) -> dict[str, Any]:
    """Studies of four effects each."""
    rng = np.random.default_rng(seed)
    study = np.repeat(np.arange(studies), 4)
    k = study.size
    v = rng.uniform(0.02, 0.1, k)
    y = 0.3 + rng.normal(0.0, 0.3, studies)[study] + rng.normal(0.0, np.sqrt(v + 0.04))
    return {
        "yi": y.tolist(),
        "vi": v.tolist(),
        "study": study.tolist(),
        "est": list(range(k)),
        "which": [i % 4 + 1 for i in range(k)],
    }


def bakdash() -> dict[str, Any]:
    """678 effects of 79 samples, as stored for the tests."""
    stored = json.loads(STORED.read_text(encoding="utf-8"))["sets"]["bakdash2021"]
    return {"yi": stored["yi"], "vi": stored["vi"], **stored["columns"]}


def three_level(d: dict[str, Any], V: KnownV | None = None) -> Multilevel:
    """The three-level model."""
    return fit(d["yi"], d["vi"] if V is None else V, random=nested("study/est", d["study"], d["est"]))


def tasks() -> tuple[dict[str, Any], dict[str, Callable[[], Any]]]:
    """Data sets and what is timed on them."""
    data = {"small": simulated(25, 1), "large": simulated(125, 2), "bakdash": bakdash()}
    small, large, real = data.values()
    V1, V5 = (assumed(d["vi"], d["study"], obs=d["est"], rho=0.6) for d in (small, large))
    found = three_level(small)
    return data, {
        "k100_diagonal": lambda: three_level(small),
        "k100_blocks": lambda: three_level(small, V1),
        "k500_diagonal": lambda: three_level(large),
        "k500_blocks": lambda: three_level(large, V5),
        "profiles": lambda: profile_intervals(found),
        "robust": lambda: robust(found, small["study"]),
        "influence": lambda: cluster_influence(found, small["study"]),
        "bakdash": lambda: fit(real["yi"], real["vi"], random=nested("sample/row", real["SampleID"], real["est"])),
    }


def cpu(task: Callable[[], Any], runs: int) -> float:
    """Median CPU seconds of a call after one to warm up."""
    task()
    found = []
    for _ in range(runs):
        start = time.process_time()
        task()
        found.append(time.process_time() - start)
    return statistics.median(found)


def metafor(data: dict[str, Any], *, slow: bool) -> dict[str, float]:
    """CPU seconds of metafor on the same data; empty where R or a package is absent."""
    program = shutil.which("Rscript")
    if program is None:
        print("Rscript is not installed here, so metafor is not timed.")
        return {}
    with tempfile.TemporaryDirectory() as folder:
        path, script = Path(folder) / "data.json", Path(folder) / "time.R"
        path.write_text(json.dumps(data), encoding="utf-8")
        script.write_text(R_SCRIPT, encoding="utf-8")
        command = [program, str(script), str(path), "slow" if slow else "quick"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"metafor could not be timed: {done.stderr.strip()}")
        return {}
    times: dict[str, float] = json.loads(done.stdout)
    return times


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--slow", action="store_true", help="time metafor on the k = 678 data too (20 s)")
    options = parser.parse_args()
    data, work = tasks()
    theirs = metafor(data, slow=options.slow)
    print("| task | dualtrace, CPU s | goal | metafor, CPU s | ratio |")
    print("|---|---|---|---|---|")
    for name, task in work.items():
        mine = cpu(task, options.runs)
        other = theirs.get(name)
        beside = "| |" if other is None else f"{other:.3f} | {other / mine:.0f}× |"
        print(f"| {name} | {mine:.4f} | {GOALS.get(name, '')} | {beside}")


if __name__ == "__main__":
    main()
