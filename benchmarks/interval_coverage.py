"""How often intervals hold the truth, by simulation at k = 3, 5, 10 and 30; writes a page or prints it.

    python benchmarks/interval_coverage.py [--sets 4000] [--seed 1] [--write docs/coverage.md]

Trials have unequal variances (a balanced two-arm trial of 10 to 80 participants, standardised mean differences), a
mean effect of 0.3 and normal true effects with I² near 0, 50 and 90 %.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dualtrace.pooling import quadform
from dualtrace.pooling import tau2 as variance
from dualtrace.pooling.inference import answer
from dualtrace.pooling.likelihood import Data, data
from dualtrace.pooling.tau2_interval import profile_likelihood

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualtrace.pooling.contract import Tau2Method, TestName
    from dualtrace.pooling.likelihood import Array

MEAN = 0.3
SIZES = (3, 5, 10, 30)
SPREADS = {"0": 0.0, "0.1": 0.1, "1": 1.0}
LEVEL = 0.95
MEANS: tuple[tuple[str, Tau2Method, TestName], ...] = (
    ("mean, equal effects", "EE", "z"),
    ("mean, DL, Wald z", "DL", "z"),
    ("mean, ML, Wald z", "ML", "z"),
    ("mean, REML, Wald z", "REML", "z"),
    ("mean, REML, Wald t", "REML", "t"),
    ("mean, DL, Knapp-Hartung", "DL", "knha"),
    ("mean, PM, Knapp-Hartung", "PM", "knha"),
    ("mean, REML, Knapp-Hartung", "REML", "knha"),
    ("mean, REML, ad hoc", "REML", "adhoc"),
    ("new trial, REML, z", "REML", "z"),
    ("new trial, REML, Knapp-Hartung", "REML", "knha"),
)
VARIANCES: dict[str, Callable[[Data], tuple[Array, Array]]] = {
    "τ², Q-profile": lambda sets: variance.q_profile(sets, LEVEL),
    "τ², profile likelihood, ML": lambda sets: _profile(sets, restricted=False),
    "τ², profile likelihood, REML": lambda sets: _profile(sets, restricted=True),
    "τ², generalised Q, weights 1/v": lambda sets: _generalised(sets),
}


def _profile(sets: Data, *, restricted: bool) -> tuple[Array, Array]:
    found = variance.maximum_likelihood(sets, restricted=restricted)
    return profile_likelihood(sets, found, level=LEVEL, restricted=restricted)


def _generalised(sets: Data) -> tuple[Array, Array]:
    tail = 0.5 * (1.0 - LEVEL)
    weights = 1.0 / sets.v[0]
    return quadform.solve(sets, weights, 1.0 - tail), quadform.solve(sets, weights, tail)


def simulate(rng: np.random.Generator, n: int, k: int, tau2: float) -> Data:
    """Return n meta-analyses of k trials; all have the same sampling variances."""
    v = np.broadcast_to(2.0 / np.linspace(5.0, 40.0, k), (n, k))
    y = rng.normal(MEAN, np.sqrt(v + tau2))
    return data(y, v, np.full((k, 1), k**-0.5))


def cover(sets: Data, truth: Array, name: str, method: Tau2Method, test: TestName) -> float:
    """Share of intervals of a mean, or of a new trial's effect, that hold the truth."""
    found = answer(sets, sets.basis[:1], method=method, test=test, level=LEVEL, profile=False)
    c = found.coefficients
    if name.startswith("mean"):
        return float(((c.ci_lb[:, 0] <= MEAN) & (c.ci_ub[:, 0] >= MEAN)).mean())
    critical = (c.ci_ub[:, 0] - c.beta[:, 0]) / c.se[:, 0]
    half = critical * np.sqrt(c.vb[:, 0, 0] + found.heterogeneity.tau2)
    return float((np.abs(c.beta[:, 0] - truth) <= half).mean())


def page(n: int, seed: int) -> str:
    """Return the whole table as a page of Markdown."""
    rng = np.random.default_rng(seed)
    cells: dict[str, list[str]] = {name: [] for name in [*(name for name, _, _ in MEANS), *VARIANCES]}
    for tau2 in SPREADS.values():
        for k in SIZES:
            sets = simulate(rng, n, k, tau2)
            truth = rng.normal(MEAN, tau2**0.5, n)
            for name, method, test in MEANS:
                cells[name].append(f"{100.0 * cover(sets, truth, name, method, test):.1f}")
            for name, interval in VARIANCES.items():
                low, high = interval(sets)
                cells[name].append(f"{100.0 * float(((low <= tau2) & (tau2 <= high)).mean()):.1f}")
    head = " | ".join(f"τ²={spread}, k={k}" for spread in SPREADS for k in SIZES)
    lines = [
        "# How often intervals hold the truth",
        "",
        f"Coverage in percent of 95 % intervals in {n} simulated meta-analyses per column (seed {seed}; Monte Carlo",
        f"error {100.0 * (0.95 * 0.05 / n) ** 0.5:.1f} near 95 %). Trials have 5 to 40 participants per arm, evenly",
        "spread, a mean effect of 0.3 and normal true effects. I² is about 0, 50 and 90 % in the three blocks.",
        "Written by `python benchmarks/interval_coverage.py --write docs/coverage.md`.",
        "",
        f"| interval | {head} |",
        "|---" * (1 + len(SPREADS) * len(SIZES)) + "|",
        *(f"| {name} | {' | '.join(row)} |" for name, row in cells.items()),
        "",
        *READING,
    ]
    return "\n".join(lines) + "\n"


READING = (
    "What the table says:",
    "",
    "- Wald z intervals of the mean are too short when trials are few and differ, whatever the estimator.",
    "- Knapp-Hartung intervals cover about 93 to 96 % throughout; the estimator of τ² makes next to no difference.",
    "- The ad hoc floor changes nothing where there is much heterogeneity; with few trials and none its intervals,",
    "  like those of Wald's t, cover nearly 100 %: they are far longer than needed.",
    "- The Q-profile and the generalised-Q interval of τ² are exact: away from 0 they cover 95 %. At τ² = 0 only the",
    "  lower end can miss, so they cover 97.5 %.",
    "- Profile-likelihood intervals of τ² are approximate with few trials; the restricted likelihood does better.",
    "- Intervals for a new trial's effect are too short with few trials: τ² is not known, and often estimated as 0.",
    "  Knapp-Hartung's t distribution mends part of it.",
)
"""Sentences under the table; read them against the table when it is written anew."""


def main() -> None:
    """Simulate and print or write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sets", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    start = time.process_time()
    text = page(options.sets, options.seed)
    if options.write is None:
        print(text)
    else:
        options.write.write_text(text, encoding="utf-8")
    print(f"{time.process_time() - start:.0f} s CPU")


if __name__ == "__main__":
    main()
