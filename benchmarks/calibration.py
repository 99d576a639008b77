"""Calibration: the sampler against Stan on the statistical account, and what gradients, fits and memory cost.

    python benchmarks/calibration.py [--stan] [--cost] [--points 16 32 64] [--write]

``--stan``: the account ``disorder`` (numbers, intervals and directions, random effects of disorders and trials) by
NUTS here and by Stan (rstan, where R has it), same priors, same data, 4 chains of 1,000 warm-up and 2,000 kept draws
each; effective draws a second of sampling by one estimator, warm-up counted, compiling not. Stan has what the rows of
a trial share as a parameter per trial, this program integrates it out. ``--cost``: seconds per gradient of the dual
trace on all trials, and CPU time and peak memory of its default fit, compiling counted, in a process of its own.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.calibration.fit import Sampler, chain_program, compiled, fit, joined
from dualtrace.calibration.model import problem_of
from dualtrace.calibration.moderation import INTERACTION
from dualtrace.calibration.place import middle, potential
from dualtrace.calibration.posterior import columns_of
from dualtrace.calibration.rivals import rival
from dualtrace.calibration.targets import DISORDERS, subjects_of
from dualtrace.evidence.load import load
from dualtrace.extras import arviz_module
from dualtrace.mechanism.parameters import load_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualtrace.calibration.model import Problem

HERE = Path(__file__).parent
RESULT = HERE / "results" / "calibration_stan.json"
SAMPLER = Sampler(chains=4, warmup=1000, draws=2000, target_accept=0.9, seed=1)
NAMES = (
    "heterogeneity",
    "mean_effect",
    "disorder_effect_sd",
    *(f"effect[{disorder.value}]" for disorder in DISORDERS),
)
_INFINITE = 1e3
"""What stands for infinity in the table that Stan reads; the kind of the row says that it is not used."""


def data_for_stan(problem: Problem) -> list[dict[str, float]]:
    """Effects of the drug and findings on when it helps, row by row, as Stan is given them.

    Of changes with placebo the account says nothing.
    """
    rows = {name: np.asarray(value) for name, value in problem.rows._asdict().items()}
    kept = rows["standard"] >= 0
    ratio = (rows["standard"] == 2) | (rows["standard"] == 3)
    rho = load_parameters().number("calibration.shared_error", "1")
    return [
        {
            "y": float(rows["y"][r]),
            "v": float(rows["v"][r]),
            "lower": float(np.clip(rows["lower"][r], -_INFINITE, _INFINITE)),
            "upper": float(np.clip(rows["upper"][r], -_INFINITE, _INFINITE)),
            "factor": float(np.pi / np.sqrt(3)) if ratio[r] else 1.0,
            "patients": float(rows["patients"][r]) if rows["standard"][r] == INTERACTION else 0.0,
            "kind": _kind(bool(rows["exact"][r]), float(rows["lower"][r]), float(rows["upper"][r])),
            "trial": int(rows["trial"][r]) + 1,
            "disorder": int(rows["disorder"][r]) + 1,
            "disorders": len(DISORDERS),
            "rho": float(rho),
        }
        for r in np.flatnonzero(kept)
    ]


def _kind(exact: bool, lower: float, upper: float) -> int:
    if exact:
        return 0
    if np.isfinite(lower) and np.isfinite(upper):
        return 1
    return 2 if np.isfinite(upper) else 3


def by_stan(data: list[dict[str, float]]) -> dict[str, Any] | None:
    """Draws by Stan, ``(chains, draws, parameters)``, with version and CPU seconds; None where there is none."""
    program = shutil.which("Rscript")
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        table, out, model = Path(folder) / "data.csv", Path(folder) / "draws.csv", Path(folder) / "model.stan"
        shutil.copy(HERE / "calibration_disorder.stan", model)
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, data[0])
            writer.writeheader()
            writer.writerows(data)
        numbers = (SAMPLER.chains, SAMPLER.warmup, SAMPLER.draws, SAMPLER.seed)
        words = [program, str(HERE / "calibration_stan.R"), str(model), str(table), str(out), *map(str, numbers)]
        answer = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
        draws = np.loadtxt(out, delimiter=",", skiprows=1)
    kept = draws[:, 1:].reshape(SAMPLER.chains, SAMPLER.draws, -1)
    return {"draws": kept, "version": answer[-3], "seconds": float(answer[-2]), "divergences": int(answer[-1])}


def by_us(problem: Problem) -> dict[str, Any]:
    """Draws of the same here."""
    account = rival("disorder")
    run = chain_program(problem, account, SAMPLER, program=compiled(problem, account, SAMPLER))
    start = time.process_time()
    posterior = joined(problem, account, SAMPLER, [run(n) for n in range(SAMPLER.chains)])
    seconds = time.process_time() - start
    named = {name.removeprefix("calibration."): value for name, value in posterior.values.items()}
    named |= dict(columns_of("disorder", posterior.scores))
    draws = np.stack([np.asarray(named[name]) for name in NAMES], axis=-1)
    return {"draws": draws, "seconds": seconds, "divergences": posterior.divergences}


def summary(found: Mapping[str, Any]) -> dict[str, Any]:
    """Mean, SD, effective draws and Monte Carlo error by parameter; effective draws a second."""
    stats = arviz_module("arviz_stats.base", "").array_stats
    draws = found["draws"]
    bulk = [float(stats.ess(draws[..., i])) for i in range(len(NAMES))]
    of_mean = [float(stats.ess(draws[..., i], method="mean")) for i in range(len(NAMES))]
    sd = draws.std(axis=(0, 1))
    return {
        "mean": {name: round(float(draws[..., i].mean()), 4) for i, name in enumerate(NAMES)},
        "mcse": {name: round(float(sd[i] / np.sqrt(of_mean[i])), 4) for i, name in enumerate(NAMES)},
        "least_effective": round(min(bulk)),
        "seconds": round(found["seconds"], 1),
        "effective_per_second": round(min(bulk) / found["seconds"], 1),
        "divergences": found["divergences"],
    }


def against_stan(*, write: bool) -> None:
    """Print means and effective draws a second of both."""
    problem = problem_of(subjects_of(load()), points=4)
    data = data_for_stan(problem)
    theirs = by_stan(data)
    found = {"dualtrace": summary(by_us(problem))}
    if theirs is None:
        print("R is not installed: Stan is left out.")
    else:
        found["stan"] = summary(theirs)
        print("| parameter | here | Stan | difference in Monte Carlo errors |\n|---|---|---|---|")
        for name in NAMES:
            (a, b), (ea, eb) = ([found[who][what][name] for who in found] for what in ("mean", "mcse"))
            print(f"| {name} | {a:.3f} | {b:.3f} | {(a - b) / np.hypot(ea, eb):+.1f} |")
    for who, one in found.items():
        print(who, {key: value for key, value in one.items() if key not in ("mean", "mcse")})
    if write and theirs is not None:
        trials = [subject.trial.id for subject in problem.subjects]
        origin = {"rstan": theirs["version"], "warmup": SAMPLER.warmup, "draws": SAMPLER.draws}
        text = json.dumps({**origin, **found, "trials": trials, "data": data}, indent=1)
        RESULT.write_text(text + "\n", encoding="utf-8")


def gradient_seconds(points: int) -> float:
    """CPU seconds of one value and gradient of the dual trace on all trials, the median of 15."""
    import jax

    account = rival("dual_trace")
    problem = problem_of(subjects_of(load()), points=points)
    slope: Any = jax.jit(jax.value_and_grad(lambda place: potential(problem, account, place)))
    place = middle(account)
    slope(place)[0].block_until_ready()
    times = []
    for _ in range(15):
        start = time.process_time()
        slope(place)[0].block_until_ready()
        times.append(time.process_time() - start)
    return float(np.median(times))


def whole_fit() -> None:
    """One default fit in this process; prints CPU and wall seconds, peak memory and the gates that failed."""
    wall, cpu = time.perf_counter(), time.process_time()
    posterior = fit(problem_of(subjects_of(load()), points=32), rival("dual_trace"))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"default fit, 32 points: {wall:.0f} s wall, {cpu:.0f} s CPU, {peak:.2f} GiB, "
        f"{posterior.gradients} gradients after warm-up, {len(posterior.failures)} gates failed"
    )


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--stan", action="store_true")
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--fit-only", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--points", type=int, nargs="*", default=[16, 32, 64])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.fit_only:
        whole_fit()
        return
    if options.stan:
        against_stan(write=options.write)
    if options.cost:
        for points in options.points:
            print(f"one gradient, {points} points: {1e3 * gradient_seconds(points):.1f} ms CPU")
        subprocess.run([sys.executable, __file__, "--fit-only"], check=True)


if __name__ == "__main__":
    main()
