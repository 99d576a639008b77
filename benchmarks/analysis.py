"""Patient-level analyses: CPU time against statsmodels and R, all measured in this run; prints a table of ratios.

python benchmarks/analysis.py [--runs 5]

Trials have two arms and 200 patients. statsmodels is timed where it is installed, R (lm, nlme, lme4 with lmerTest)
where Rscript is on the path; a peer that is not there is left out.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import tempfile
import time
import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.analysis import ancova, mmrm, moderation, proportions, session_moderation

if TYPE_CHECKING:
    from collections.abc import Callable

R_SCRIPT = """
suppressMessages({library(nlme); library(lme4); library(lmerTest); library(jsonlite)})
d <- fromJSON(commandArgs(TRUE)[1])
cpu <- function(times, f) { f(); gc(FALSE); 1000 * sum(system.time(for (i in seq_len(times)) f())[1:2]) / times }
one <- data.frame(y = d$post, b = d$baseline, a = d$arm, m = d$moderator)
n <- length(d$arm); m <- ncol(d$scores)
long <- data.frame(id = rep(seq_len(n), m), v = rep(seq_len(m), each = n), a = factor(rep(d$arm, m)),
                   b = rep(d$baseline, m), y = as.vector(d$scores))
long <- long[order(long$id, long$v), ]; long <- long[!is.na(long$y), ]; long$visit <- factor(long$v)
s <- data.frame(y = d$next_fear, a = d$drug, f = d$end, p = factor(d$patient))
cat(toJSON(list(
  "one ANCOVA" = cpu(50, function() summary(lm(y ~ a + b, one))),
  "one moderator regression" = cpu(50, function() summary(lm(y ~ a * m, one))),
  "one mixed model, 4 visits, unstructured" = cpu(1, function() gls(y ~ 0 + visit:a + visit:b, long,
    correlation = corSymm(form = ~ v | id), weights = varIdent(form = ~ 1 | visit))),
  "one mixed model, 4 visits, AR(1)" = cpu(1, function() gls(y ~ 0 + visit:a + visit:b, long,
    correlation = corAR1(form = ~ v | id))),
  "one session moderation, 600 sessions" = cpu(3, function() coef(summary(lmer(y ~ a * f + (1 | p), s))))
), auto_unbox = TRUE, digits = I(8)))
"""


def simulated() -> dict[str, Any]:
    """Return one trial, its scores over visits, its sessions, and a thousand trials at once."""
    rng = np.random.default_rng(1)
    arm, baseline, moderator = np.arange(200) % 2, rng.normal(60.0, 12.0, (1000, 200)), rng.uniform(5.0, 85.0, 200)
    post = 0.6 * baseline - 3.0 * arm + rng.normal(0.0, 8.0, (1000, 200))
    post[rng.random(post.shape) < 0.1] = np.nan
    scores = 0.6 * baseline[0][:, None] - arm[:, None] * np.arange(4.0) + rng.normal(0.0, 6.0, (200, 1))
    scores = scores + rng.normal(0.0, 5.0, (200, 4))
    scores[np.cumsum(rng.random((200, 4)) < 0.08, axis=1) > 0] = np.nan
    patient = np.repeat(np.arange(200), 3)
    end = rng.uniform(5.0, 85.0, 600)
    drug = patient % 2
    next_fear = 0.4 * end + drug * (0.2 * end - 8.0) + rng.normal(0.0, 7.0, 200)[patient] + rng.normal(0.0, 8.0, 600)
    return {
        "many": post, "baselines": baseline, "post": post[0], "baseline": baseline[0], "arm": arm,
        "moderator": moderator, "scores": scores, "patient": patient, "drug": drug, "end": end,
        "next_fear": next_fear,
    }  # fmt: skip


def ours(d: dict[str, Any]) -> dict[str, tuple[int, Callable[[], Any]]]:
    """Return the tasks by name, each with how often to repeat it."""
    events = (d["many"] > 40.0).astype(float)
    scores = (d["scores"], d["baseline"], d["arm"])
    return {
        "one ANCOVA": (200, lambda: ancova(d["post"], d["baseline"], d["arm"])),
        "1,000 ANCOVAs": (3, lambda: ancova(d["many"], d["baselines"], d["arm"])),
        "1,000 ANCOVAs, HC3": (3, lambda: ancova(d["many"], d["baselines"], d["arm"], heteroscedastic="HC3")),
        "one moderator regression": (100, lambda: moderation(d["post"], d["arm"], d["moderator"])),
        "1,000 moderator regressions": (3, lambda: moderation(d["many"], d["arm"], d["moderator"])),
        "1,000 comparisons of proportions": (3, lambda: proportions(events, d["arm"])),
        "one mixed model, 4 visits, unstructured": (10, lambda: mmrm(*scores)),
        "one mixed model, 4 visits, Kenward-Roger": (10, lambda: mmrm(*scores, df="kenward-roger")),
        "one mixed model, 4 visits, AR(1)": (10, lambda: mmrm(*scores, covariance="ar1")),
        "one mixed model, 4 visits, compound": (10, lambda: mmrm(*scores, covariance="compound")),
        "one session moderation, 600 sessions": (
            10, lambda: session_moderation(d["next_fear"], d["drug"], d["end"], d["patient"])
        ),
    }  # fmt: skip


def statsmodels(d: dict[str, Any]) -> dict[str, tuple[int, Callable[[], Any]]]:
    """Return the same tasks for statsmodels; none where it is not installed."""
    if find_spec("statsmodels") is None:
        return {}
    api = import_module("statsmodels.api")
    one, arm = np.ones(200), d["arm"]

    def regress(post: Any, columns: list[Any], kind: str = "nonrobust") -> Any:
        there = ~np.isnan(post)
        fit = api.OLS(post[there], np.column_stack(columns)[there]).fit(cov_type=kind, use_t=True)
        return fit.params, fit.bse, fit.pvalues, fit.conf_int()

    def all_trials(kind: str) -> None:
        for post, baseline in zip(d["many"], d["baselines"], strict=True):
            regress(post, [one, arm, baseline], kind)

    m, drug, end = d["moderator"], d["drug"], d["end"]
    sessions = np.column_stack([np.ones(600), drug, end, drug * end])
    there = ~np.isnan(d["scores"])
    at = np.broadcast_to(np.eye(4), (200, 4, 4))
    visits = np.concatenate([at, at * arm[:, None, None], at * (d["baseline"] - 60.0)[:, None, None]], axis=-1)[there]
    who = np.repeat(np.arange(200), 4).reshape(200, 4)[there]
    return {
        "one ANCOVA": (50, lambda: regress(d["post"], [one, arm, d["baseline"]])),
        "1,000 ANCOVAs": (1, lambda: all_trials("nonrobust")),
        "1,000 ANCOVAs, HC3": (1, lambda: all_trials("HC3")),
        "one moderator regression": (50, lambda: regress(d["post"], [one, arm, m, arm * m])),
        "one mixed model, 4 visits, compound": (1, lambda: api.MixedLM(d["scores"][there], visits, who).fit()),
        "one session moderation, 600 sessions": (
            1, lambda: api.MixedLM(d["next_fear"], sessions, d["patient"]).fit()
        ),
    }  # fmt: skip


def r_times(d: dict[str, Any]) -> dict[str, float]:
    """Return CPU milliseconds by task in R; none where Rscript is not installed."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        return {}
    names = ("post", "baseline", "arm", "moderator", "scores", "patient", "drug", "end", "next_fear")
    data = {name: d[name].tolist() for name in names}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trial.json"
        path.write_text(json.dumps(data).replace("NaN", "null"), encoding="utf-8")
        done = subprocess.run([rscript, "-e", R_SCRIPT, str(path)], check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def cpu(times: int, task: Callable[[], Any], runs: int) -> float:
    """Return the median over runs of CPU milliseconds per repetition, after one warm-up."""
    task()
    found = []
    for _ in range(runs):
        start = time.process_time()
        for _ in range(times):
            task()
        found.append(1e3 * (time.process_time() - start) / times)
    return statistics.median(found)


def ratio(other: float | None, mine: float) -> str:
    """Time of a peer with its ratio to ours, or nothing."""
    return "" if other is None else f"{other:.3g} ({other / mine:.3g}×)"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=5)
    runs: int = parser.parse_args().runs
    data = simulated()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # statsmodels warns of its own optimiser
        theirs = {name: cpu(times, task, 3) for name, (times, task) in statsmodels(data).items()}
    in_r = r_times(data)
    print("| task | ours, CPU ms | statsmodels | R |")
    print("|---|---|---|---|")
    for name, (times, task) in ours(data).items():
        mine = cpu(times, task, runs)
        print(f"| {name} | {mine:.3g} | {ratio(theirs.get(name), mine)} | {ratio(in_r.get(name), mine)} |")


if __name__ == "__main__":
    main()
