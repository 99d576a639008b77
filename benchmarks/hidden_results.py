"""What hiding non-significant numbers behind words does to three ways of pooling; prints a table.

Trials have a known mean effect of 0.3 and τ = 0.2. Estimates that are not significant are printed as "no significant
difference"; the others as numbers.

    python benchmarks/hidden_results.py [--sets 400] [--trials 20] [--seed 1]
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dualtrace.pooling import partial, univariate

if TYPE_CHECKING:
    from dualtrace.pooling.contract import Pooled
    from dualtrace.pooling.partial_contract import PartialPooled

MEAN, TAU = 0.3, 0.2
Z = 1.959963984540054


@dataclass(frozen=True)
class Way:
    """Estimate and interval of one way of pooling, per simulated meta-analysis."""

    name: str
    estimates: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]

    def row(self) -> str:
        """Bias with its Monte Carlo error, interval width and coverage, as a line of a Markdown table."""
        estimates, lows, highs = (np.array(x) for x in (self.estimates, self.lows, self.highs))
        bias, error = estimates.mean() - MEAN, estimates.std(ddof=1) / np.sqrt(len(estimates))
        coverage = np.mean((lows <= MEAN) & (highs >= MEAN))
        width = np.median(highs - lows)
        return f"| {self.name} | {bias:+.3f} ± {error:.3f} | {width:.2f} | {100 * coverage:.0f} % |"


def one_set(rng: np.random.Generator, k: int) -> dict[str, tuple[float, float, float]]:
    """Simulate one meta-analysis and pool it three ways."""
    v = 2 / rng.integers(10, 60, k)
    y = rng.normal(MEAN, np.sqrt(v + TAU**2))
    significant = np.abs(y) >= Z * np.sqrt(v)
    seen = np.where(significant, y, np.nan)
    lo, hi = np.where(significant, np.nan, -Z * np.sqrt(v)), np.where(significant, np.nan, Z * np.sqrt(v))
    full = univariate.fit(y, v, method="ML")
    dropped = univariate.fit(y[significant], v[significant], method="ML")
    words = partial.fit(seen, v, lo=lo, hi=hi)
    return {
        "every number known (not possible in practice)": triple(full),
        "trials that print a number only": triple(dropped),
        "numbers and words together": triple(words),
    }


def triple(fit: Pooled | PartialPooled) -> tuple[float, float, float]:
    """Return estimate and interval of the mean."""
    return float(fit.beta[0]), float(fit.ci_lb[0]), float(fit.ci_ub[0])


def main() -> None:
    """Run the simulation and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sets", type=int, default=400)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    found: dict[str, list[tuple[float, float, float]]] = {}
    for _ in range(options.sets):
        for name, answer in one_set(rng, options.trials).items():
            found.setdefault(name, []).append(answer)
    print("| what is pooled | bias of the mean | median width of the 95 % interval | coverage |")
    print("|---|---|---|---|")
    for name, answers in found.items():
        estimates, lows, highs = zip(*answers, strict=True)
        print(Way(name, estimates, lows, highs).row())


if __name__ == "__main__":
    main()
