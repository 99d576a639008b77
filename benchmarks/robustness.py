"""Univariate fits, permutation, GOSH and influence against metafor and PyMARE: ratios of CPU time, as a table.

    python benchmarks/robustness.py [--runs 7] [--pymare PYTHON] [--peers PYTHON]

metafor is timed by Rscript when that is on the path; PyMARE by the interpreter named, or by this one. A peer that is
not there is left out with a sentence. All times are warm: the first call of each is not counted.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np

from dualtrace.pooling.inference import answer
from dualtrace.pooling.likelihood import data, wls
from dualtrace.pooling.location_scale import fit_location_scale
from dualtrace.pooling.robustness.gosh import gosh
from dualtrace.pooling.robustness.influence import influence
from dualtrace.pooling.robustness.leave_out import leave_one_out
from dualtrace.pooling.robustness.permutation import permutation_test
from dualtrace.pooling.tau2 import maximum_likelihood
from dualtrace.pooling.univariate import fit

if TYPE_CHECKING:
    from collections.abc import Callable

K, SETS = 20, 1000
BCG_Y = [
    -0.8893,
    -1.5854,
    -1.3481,
    -1.4416,
    -0.2175,
    -0.7861,
    -1.6209,
    0.0120,
    -0.4694,
    -1.3713,
    -0.3394,
    0.4459,
    -0.0173,
]
BCG_V = [0.3256, 0.1946, 0.4154, 0.0200, 0.0512, 0.0069, 0.2230, 0.0040, 0.0564, 0.0730, 0.0124, 0.5325, 0.0714]

R_CODE = """
suppressMessages(library(metafor))
set.seed(1)
v <- matrix(runif(20 * 1000, .02, .2), 20); y <- matrix(rnorm(20 * 1000, .3, sqrt(v + .16)), 20); x <- rnorm(20)
by <- c(%s); bv <- c(%s)
ct <- list(maxiter = 1000, stepadj = .5)
cpu <- function(f, n = 1) { f(); t <- system.time(for (i in seq_len(n)) f()); (t[1] + t[2]) / n }
out <- list(
  single = cpu(function() for (i in 1:100) rma(y[, i], v[, i], control = ct)) / 100,
  batch = cpu(function() for (i in 1:200) rma(y[, i], v[, i], control = ct)) * 5,
  permutation = cpu(function() permutest(rma(y[, 1], v[, 1]), iter = 200, progbar = FALSE)) * 5,
  influence = cpu(function() influence(rma(by, bv)), 3), leave_out = cpu(function() leave1out(rma(by, bv)), 3),
  scale = cpu(function() try(rma(y[, 3], v[, 3], scale = ~ x), silent = TRUE), 5),
  gosh = cpu(function() for (i in 1:200) {
    rows <- 1:(3 + i %%%% 11); rma(by[rows], bv[rows], control = ct) }) * 8191 / 200,
  gosh_dl = cpu(function() gosh(rma(by, bv, method = "DL"), progbar = FALSE)))
cat(jsonlite::toJSON(out, auto_unbox = TRUE, digits = 10))
"""

PYMARE_CODE = """
import json, time, warnings, sys
warnings.simplefilter("ignore")
import numpy as np
from pymare import Dataset
from pymare.estimators import VarianceBasedLikelihoodEstimator as Estimator
rng = np.random.default_rng(1)
v = rng.uniform(.02, .2, (1000, 20)); y = rng.normal(.3, np.sqrt(v + .16))
def cpu(f, n):
    f(); times = []
    for _ in range(n):
        t = time.process_time(); f(); times.append(time.process_time() - t)
    return sorted(times)[n // 2]
n = int(sys.argv[1])
one = Dataset(y[0], v[0])
out = {
    "single": cpu(lambda: Estimator(method="REML").fit_dataset(one).summary().get_fe_stats(), n),
    "batch": cpu(lambda: Estimator(method="REML").fit(y=y.T, v=v.T, X=np.ones((20, 1))), n),
    "permutation": cpu(lambda: Estimator(method="REML").fit_dataset(one).summary().permutation_test(1000), n),
}
print(json.dumps(out))
"""


PEERS_CODE = """
import json, time, warnings, sys
warnings.simplefilter("ignore")
import numpy as np
rng = np.random.default_rng(1)
v = rng.uniform(.02, .2, (1000, 20)); y = rng.normal(.3, np.sqrt(v + .16))
def cpu(f, n):
    f(); times = []
    for _ in range(n):
        t = time.process_time(); f(); times.append(time.process_time() - t)
    return sorted(times)[n // 2]
n, out = int(sys.argv[1]), {}
try:
    from statsmodels.stats.meta_analysis import combine_effects
    pooled = lambda: combine_effects(y[0], v[0], method_re="iterated").summary_frame()
    out["statsmodels, Paule-Mandel"] = cpu(pooled, n)
except ImportError: pass
try:
    import meta_analyze
    one = dict(effect=y[0].tolist(), variance=v[0].tolist(), study=[str(i) for i in range(20)], model="random")
    out["PyMetaAnalysis, REML"] = cpu(lambda: meta_analyze.meta_analysis(**one, tau2_method="REML"), n)
except ImportError: pass
try:
    import pimeta
    out["pimeta, REML"] = cpu(lambda: pimeta.rma(y[0], v[0], method="REML"), n)
    fitted = pimeta.rma(y[0], v[0], method="REML")
    out["pimeta, 1,000 permutations"] = cpu(lambda: pimeta.permutest(fitted, iter=1000, seed=1), 1)
    out["pimeta, influence, k = 20"] = cpu(lambda: pimeta.influence(y[0], v[0]), n)
except ImportError: pass
print(json.dumps(out))
"""


def cpu(work: Callable[[], object], runs: int, repeat: int = 1) -> float:
    """Median CPU seconds of one call after a first that is not counted."""
    work()
    times = []
    for _ in range(runs):
        start = time.process_time()
        for _ in range(repeat):
            work()
        times.append((time.process_time() - start) / repeat)
    return sorted(times)[runs // 2]


def ours(runs: int) -> dict[str, float]:
    """CPU seconds of this package."""
    rng = np.random.default_rng(1)
    v = rng.uniform(0.02, 0.2, (SETS, K))
    y = rng.normal(0.3, np.sqrt(v + 0.16))
    x = rng.normal(size=K)
    basis = np.full((K, 1), K**-0.5)
    z = np.column_stack([np.ones(K), x])

    def batch() -> object:
        sets = data(y, v, basis)
        return wls(sets, maximum_likelihood(sets, restricted=True))  # τ², coefficients and their covariances

    def full() -> object:
        return answer(data(y, v, basis), basis[:1], method="REML", test="knha", level=0.95)

    return {
        "single": cpu(lambda: fit(y[0], v[0]), runs, 100),
        "batch": cpu(batch, runs),
        "batch_full": cpu(full, runs),
        "permutation": cpu(lambda: permutation_test(y[0], v[0]), runs),
        "influence": cpu(lambda: influence(BCG_Y, BCG_V), runs, 5),
        "leave_out": cpu(lambda: leave_one_out(BCG_Y, BCG_V), runs, 5),
        "scale": cpu(lambda: fit_location_scale(y[2], v[2], z), runs, 5),
        "gosh": cpu(lambda: gosh(BCG_Y, BCG_V), runs),
        "gosh_dl": cpu(lambda: gosh(BCG_Y, BCG_V, method="DL"), runs),
    }


def metafor() -> dict[str, float]:
    """CPU seconds of metafor, or nothing."""
    script = shutil.which("Rscript")
    if script is None:
        print("Rscript is not on the path, so metafor is left out.\n")
        return {}
    code = R_CODE % (", ".join(map(str, BCG_Y)), ", ".join(map(str, BCG_V)))
    done = subprocess.run([script, "-e", code], capture_output=True, text=True, check=False)
    return _parsed(done, "metafor")


def pymare(python: str, runs: int) -> dict[str, float]:
    """CPU seconds of PyMARE, or nothing."""
    done = subprocess.run([python, "-c", PYMARE_CODE, str(runs)], capture_output=True, text=True, check=False)
    return _parsed(done, "PyMARE")


def others(python: str, runs: int) -> dict[str, float]:
    """CPU seconds of the Python packages that the interpreter has, by task."""
    done = subprocess.run([python, "-c", PEERS_CODE, str(runs)], capture_output=True, text=True, check=False)
    return _parsed(done, "Other Python packages")


def beside_others(python: str, runs: int, mine: dict[str, float]) -> None:
    """Print the table of Python packages, each against our fit of the same kind."""
    found = others(python, runs)
    rng = np.random.default_rng(1)
    v = rng.uniform(0.02, 0.2, (SETS, K))
    y = rng.normal(0.3, np.sqrt(v + 0.16))
    own = {
        "Paule-Mandel": cpu(lambda: fit(y[0], v[0], method="PM"), runs, 100),
        "REML": mine["single"],
        "permutations": mine["permutation"],
        "influence": cpu(lambda: influence(y[0], v[0]), runs, 5),
    }
    print("\n| package and task | CPU ms | ours | ratio |\n|---|---|---|---|")
    for task, seconds in found.items():
        same = next(time for name, time in own.items() if name in task)
        print(f"| {task} | {1e3 * seconds:.3g} | {1e3 * same:.3g} | {seconds / same:.1f}× |")


def compiled_once(runs: int) -> None:
    """Print compile time and warm time of the fit that JAX compiles."""
    from typing import Any

    import jax

    from dualtrace.pooling import compiled

    rng = np.random.default_rng(1)
    v = rng.uniform(0.02, 0.2, (SETS, K))
    y = rng.normal(0.3, np.sqrt(v + 0.16))
    many = jax.jit(jax.vmap(compiled.fit))
    wait: Any = jax.block_until_ready
    start = time.process_time()
    wait(many(y, v))
    first = time.process_time() - start
    warm = cpu(lambda: wait(many(y, v)), runs)
    print(f"\n1,000 REML fits in JAX: {1e3 * warm:.3g} ms once compiled; compiling and the first run {first:.2g} s.")


def _parsed(done: subprocess.CompletedProcess[str], name: str) -> dict[str, float]:
    if done.returncode:
        print(f"{name} could not be run, so it is left out.\n")
        return {}
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


TITLES = {
    "single": "one REML fit, k = 20, all of its output",
    "batch": "1,000 REML fits, k = 20: τ², coefficients, covariances",
    "batch_full": "the same with tests, intervals, Q-profile",
    "permutation": "1,000 permutations of a REML fit, k = 20",
    "influence": "influence measures, REML, k = 13",
    "leave_out": "leave-one-out, REML, k = 13",
    "scale": "location-scale model, k = 20",
    "gosh": "GOSH, all 8,191 subsets of k = 13, REML",
    "gosh_dl": "the same, DL",
}
GOALS = {
    "single": "5× metafor",
    "batch": "5× PyMARE, 500× metafor",
    "permutation": "2× PyMARE",
    "gosh": "0.5 s",
}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument(
        "--peers", default=sys.executable, help="interpreter with statsmodels, pimeta, PyMetaAnalysis"
    )
    parser.add_argument("--pymare", default=sys.executable, help="interpreter that has PyMARE")
    options = parser.parse_args()
    peers = {"metafor": metafor(), "PyMARE": pymare(options.pymare, options.runs)}
    mine = ours(options.runs)
    peers["metafor"].setdefault("batch_full", peers["metafor"].get("batch", float("nan")))
    print("| task | CPU ms | metafor ms | ratio | PyMARE ms | ratio | goal |")
    print("|---|---|---|---|---|---|---|")
    for task, title in TITLES.items():
        cells = []
        for peer in peers.values():
            seconds = peer.get(task, float("nan"))
            known = np.isfinite(seconds)
            cells += [f"{1e3 * seconds:.4g}", f"{seconds / mine[task]:.1f}×"] if known else ["", ""]
        print(f"| {title} | {1e3 * mine[task]:.3g} | {' | '.join(cells)} | {GOALS.get(task, '')} |")
    print("\nmetafor's REML GOSH is 200 of its fits times 8,191/200; no compile time is involved on our side.")
    beside_others(options.peers, options.runs, mine)
    compiled_once(options.runs)


if __name__ == "__main__":
    main()
