"""Bayes by quadrature, and participants in one stage, against R packages and Python peers; prints CPU times.

python benchmarks/bayes.py [--runs 5]

R packages (metafor, bayesmeta, lme4) and Python ones (NumPyro, statsmodels) are timed where they are installed.
Each time is the median of several runs in one process after a warm-up; the start of R is not counted.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import time
import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from dualtrace.pooling import bayesian
from dualtrace.pooling.bayesian import exact, nuts
from dualtrace.pooling.participants.fit import one_stage

if TYPE_CHECKING:
    from collections.abc import Callable

R_SCRIPT = """
set.seed(1)
cpu <- function(f, n) { f(); sum(system.time(for (i in 1:n) f())[1:2]) / n }
has <- function(p) suppressWarnings(suppressMessages(requireNamespace(p, quietly = TRUE)))
v <- runif(20, .02, .2); y <- rnorm(20, .3, sqrt(v + .05))
say <- function(name, seconds) cat(name, seconds, sep = "\\t", "\\n")
if (has("metafor")) say("metafor", cpu(function() metafor::rma(y, v), 50))
if (has("bayesmeta")) say("bayesmeta", cpu(function() bayesmeta::bayesmeta(y, sqrt(v),
  tau.prior = function(t) bayesmeta::dhalfnormal(t, scale = .5)), 3))
trial <- factor(rep(1:10, each = 40)); h <- rep(c(-.5, .5), 200)
out <- rnorm(10)[trial] + rnorm(10, .5, .4)[trial] * h + rnorm(400)
event <- as.integer(out > .5)
if (has("lme4")) {
  say("lmer", cpu(function() lme4::lmer(out ~ 0 + trial + h + (0 + h | trial)), 5))
  say("glmer", cpu(function() lme4::glmer(event ~ 0 + trial + h + (0 + h | trial), family = binomial, nAGQ = 25), 2))
}
"""


def cpu(call: Callable[[], object], runs: int) -> float:
    """Median CPU seconds of a call after one warm-up."""
    times = []
    for i in range(runs + 1):
        start = time.process_time()
        call()
        if i:
            times.append(time.process_time() - start)
    return statistics.median(times)


def r_times() -> dict[str, float]:
    """CPU seconds of the R packages that are installed, by name."""
    program = shutil.which("Rscript")
    if program is None:
        print("R is not installed: its packages are left out.\n")
        return {}
    answer = subprocess.run([program, "-e", R_SCRIPT], check=True, capture_output=True, text=True).stdout
    return {name: float(seconds) for name, seconds in (line.split("\t")[:2] for line in answer.splitlines())}


def statsmodels_time(outcome: object, treatment: object, trial: object, runs: int) -> float | None:
    """CPU seconds of statsmodels' mixed model of the same participants; None where it is not installed."""
    if find_spec("statsmodels") is None:
        return None
    from importlib import import_module

    from pandas import DataFrame

    formulas = import_module("statsmodels.formula.api")
    data = DataFrame({"y": outcome, "h": treatment, "trial": trial})

    def call() -> None:
        formulas.mixedlm("y ~ 0 + C(trial) + h", data, groups="trial", re_formula="0 + h").fit()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cpu(call, runs)


def nuts_time(y: object, v: object) -> float | None:
    """CPU seconds of sampling the same posterior, compilation included; None where NumPyro is not installed."""
    if find_spec("numpyro") is None:
        return None
    start = time.process_time()
    nuts.sample(y, v, mean_prior=bayesian.MeanPrior(), tau_prior=bayesian.half_normal(0.5))
    return time.process_time() - start


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=5)
    runs: int = parser.parse_args().runs
    rng = np.random.default_rng(1)
    v = rng.uniform(0.02, 0.2, (1000, 20))
    y = rng.normal(0.3, np.sqrt(v + 0.05))
    prior, flat = bayesian.half_normal(0.5), bayesian.MeanPrior()
    hidden = np.where(np.arange(20) < 6, np.nan, y[0])
    lo, hi = np.where(np.isnan(hidden), -0.5, np.nan), np.where(np.isnan(hidden), 0.5, np.nan)
    trial, t = np.repeat(np.arange(10), 40), np.tile([0.0, 1.0], 200)
    outcome = rng.normal(size=10)[trial] + rng.normal(0.5, 0.4, 10)[trial] * t + rng.normal(size=400)
    event = (outcome > 0.5).astype(float)
    ours = {
        "posterior, k = 20": cpu(lambda: bayesian.fit(y[0], v[0], tau_prior=prior), runs),
        "1,000 posteriors at once, each": cpu(lambda: exact.moments(y, v, prior, flat), 1) / 1000.0,
        "posterior, 6 of 20 rows intervals": cpu(
            lambda: bayesian.fit(hidden, v[0], lo=lo, hi=hi, tau_prior=prior), 2
        ),
        "linear mixed model, 400 participants": cpu(lambda: one_stage(outcome, t, trial), runs),
        "logistic mixed model, 400 participants": cpu(lambda: one_stage(event, t, trial, family="binomial"), runs),
    }
    theirs = r_times()
    posterior, each, _, linear, logistic = ours.values()
    peers = [
        ("metafor REML (no posterior)", theirs.get("metafor"), posterior, "posterior"),
        ("metafor REML (no posterior)", theirs.get("metafor"), each, "posterior in a batch"),
        ("bayesmeta", theirs.get("bayesmeta"), posterior, "posterior"),
        ("NumPyro NUTS, compiled anew", nuts_time(y[0], v[0]), posterior, "posterior"),
        ("lme4 lmer", theirs.get("lmer"), linear, "linear mixed model"),
        ("statsmodels mixedlm", statsmodels_time(outcome, t - 0.5, trial, runs), linear, "linear mixed model"),
        ("lme4 glmer, 25 nodes", theirs.get("glmer"), logistic, "logistic mixed model"),
    ]
    print("| dualtrace | CPU ms |\n|---|---|")
    print("\n".join(f"| {name} | {1e3 * seconds:.2f} |" for name, seconds in ours.items()))
    print("\n| peer | CPU ms | against dualtrace's | ratio |\n|---|---|---|---|")
    for name, seconds, mine, task in peers:
        shown = "not installed" if seconds is None else f"{1e3 * seconds:.2f}"
        ratio = "" if seconds is None else f"{seconds / mine:.1f}×"
        print(f"| {name} | {shown} | {task} | {ratio} |")


if __name__ == "__main__":
    main()
