"""Qualitative observations on plasticity with D-cycloserine, and whether the model shows them.

The validation page prints this list; tests assert that what the page calls met is met.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dualtrace.mechanism.calcium_control import control_rule
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.mechanism.plasticity import RuleSet, calcium_rule
from dualtrace.mechanism.receptor import GlycineSite, Ligand, cycloserine, default_site, endogenous_load, gain
from dualtrace.mechanism.slice import high_frequency, low_frequency, slice_experiment, theta_burst

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_GAIN = 1.25
"""Receptor gain taken for the slices: the default model at about 5 uM; no slice concentration was read."""

_SAME = 0.05
"""Largest change of strength that counts as none: about the standard error of a slice experiment."""


class Target(NamedTuple):
    """One observation, what the model shows without and with the drug, and the verdict."""

    name: str
    observed: str
    source: str
    setting: str
    without: float
    with_drug: float
    met: bool


def _pair(
    rule_set: RuleSet | None, times: NDArray[np.float64], firing: float, gain: float = _GAIN
) -> tuple[float, float]:
    lookup = load_parameters().number
    rule = control_rule(lookup) if rule_set is None else calcium_rule(rule_set, lookup)
    plain, drugged = (
        float(slice_experiment(rule, times, gain=level, firing=firing, lookup=lookup)) for level in (1.0, gain)
    )
    return plain, drugged


def _tissue(rule_set: RuleSet | None) -> str:
    return "no tissue in particular" if rule_set is None else rule_set.replace("_", " ")


def slice_targets() -> tuple[Target, ...]:
    """Every qualitative target on plasticity, in the order of the design."""
    return (
        _submaximal_bursts(RuleSet.HIPPOCAMPAL_SLICES, "default set"),
        _submaximal_bursts(None, "calcium-control rule"),
        _saturated(RuleSet.HIPPOCAMPAL_SLICES, "default set"),
        _saturated(None, "calcium-control rule"),
        _depression(RuleSet.HIPPOCAMPAL_SLICES, 0.0, "default set"),
        _depression(RuleSet.HIPPOCAMPAL_CULTURES, 1.0, "culture set"),
        _depression(None, 0.0, "calcium-control rule"),
        _larger_depression(),
        _lower_threshold(),
        _depotentiation(),
        _human_cortex(),
        _aged(),
    )


def _submaximal_bursts(rule_set: RuleSet | None, label: str) -> Target:
    plain, drugged = _pair(rule_set, theta_burst(5), 0.0)
    return Target(
        f"submaximal potentiation grows, {label}",
        "five theta bursts: more potentiation with the drug",
        "PMC4184572",
        f"{_tissue(rule_set)}, no postsynaptic spikes",
        plain,
        drugged,
        plain > 1 and drugged > plain + _SAME,
    )


def _saturated(rule_set: RuleSet | None, label: str) -> Target:
    plain, drugged = _pair(rule_set, high_frequency(), 0.0)
    return Target(
        f"strong tetanus unchanged, {label}",
        "100 Hz for 1 s: no change",
        "10.1371/journal.pbio.2005326",
        f"{_tissue(rule_set)}, no postsynaptic spikes",
        plain,
        drugged,
        plain > 1 and abs(drugged - plain) < _SAME,
    )


def _depression(rule_set: RuleSet | None, firing: float, label: str) -> Target:
    plain, drugged = _pair(rule_set, low_frequency(), firing)
    return Target(
        f"low-frequency depression unchanged, {label}",
        "1 Hz for 15 min: depression, no change with the drug",
        "10.1371/journal.pbio.2005326",
        f"{_tissue(rule_set)}, {firing:.0%} of pulses fire the cell",
        plain,
        drugged,
        plain < 1 - _SAME and abs(drugged - plain) < _SAME,
    )


def _larger_depression() -> Target:
    plain, drugged = _pair(RuleSet.HIPPOCAMPAL_CULTURES, low_frequency(), 0.3)
    return Target(
        "depression grows where it is not saturated",
        "rat CA1: magnitude of depression up",
        "PMC1574127",
        "hippocampal cultures, 30% of pulses fire the cell",
        plain,
        drugged,
        drugged < plain - _SAME,
    )


def _lower_threshold() -> Target:
    def crossing(level: float) -> float:
        lookup = load_parameters().number
        rule = calcium_rule(RuleSet.CORTICAL_SLICES, lookup)
        for hertz in range(10, 101, 2):
            times = low_frequency(hertz=float(hertz), pulses=900)
            if float(slice_experiment(rule, times, gain=level, firing=0.3, lookup=lookup)) > 1:
                return float(hertz)
        return float("inf")

    plain, drugged = crossing(1.0), crossing(_GAIN)
    return Target(
        "potentiation threshold falls",
        "rat CA1: threshold frequency for potentiation down (Hz)",
        "PMC1574127",
        "cortical slices, 900 pulses, 30% of pulses fire the cell",
        plain,
        drugged,
        drugged < plain,
    )


def _depotentiation() -> Target:
    plain, drugged = _pair(RuleSet.HIPPOCAMPAL_CULTURES, low_frequency(), 0.0)
    return Target(
        "weak stimulation depotentiates only with the drug",
        "lateral amygdala: low-frequency stimulation does nothing alone, depotentiates with the drug",
        "10.1523/JNEUROSCI.0365-06.2006",
        "hippocampal cultures, no postsynaptic spikes",
        plain,
        drugged,
        1 - plain < _SAME < 1 - drugged,
    )


def _human_cortex() -> Target:
    lookup = load_parameters().number
    levels = [float(gain(default_site(lookup), level, cycloserine(lookup))) for level in (5.0, 15.0)]
    return Target(
        "gain above one at 5 to 15 uM",
        "human motor cortex, 100 mg: larger response to intermittent theta burst",
        "10.1038/s41386-023-01575-7",
        "receptor gain at 5 uM and at 15 uM",
        levels[0],
        levels[1],
        min(levels) > 1,
    )


def _aged() -> Target:
    import jax.numpy as jnp

    drug = Ligand(jnp.asarray([2.1]), jnp.asarray([1.0]))
    gains = [
        float(gain(GlycineSite(endogenous_load(jnp.asarray([share])), jnp.ones(1)), 7.0, drug))
        for share in (0.67, 0.4)
    ]
    return Target(
        "fewer endogenous co-agonists, larger gain",
        "aged rats: D-serine restores potentiation",
        "PMC2874399",
        "full agonist at 67% and at 40% endogenous occupancy",
        gains[0],
        gains[1],
        gains[1] > gains[0],
    )
