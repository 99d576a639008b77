"""How many participants stand behind each side of a comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dualtrace.evidence.record import Contrast, Design, Trial


@dataclass(frozen=True, slots=True)
class Sizes:
    """Participants of the two sides, with how they are known."""

    treatment: float
    reference: float
    step: str
    assumption: str | None = None

    @property
    def total(self) -> float:
        """Both sides together."""
        return self.treatment + self.reference

    @property
    def df(self) -> float:
        """Degrees of freedom of a two-group comparison."""
        return self.total - 2


def arm_sizes(trial: Trial, contrast: Contrast) -> Sizes | None:
    """Return the sizes from the record: arms as analysed, else as randomised, else the total shared out.

    Returns
    -------
    Sizes or None
        None when no number of participants was reported, or a side would have fewer than two.
    """
    n1, n2 = _known(trial, contrast.treatment), _known(trial, contrast.reference)
    if n1 is not None and n2 is not None:
        sizes = Sizes(n1, n2, f"n = {n1:g} v {n2:g} (arm sizes in the record)")
    else:
        shared = _shared_out(trial.design, contrast)
        if shared is None:
            return None
        sizes = shared
    return sizes if min(sizes.treatment, sizes.reference) >= 2 else None


def _known(trial: Trial, arm_ids: tuple[str, ...]) -> float | None:
    counts = [trial.arm(arm_id).n for arm_id in arm_ids]
    return None if any(count is None for count in counts) else float(sum(c for c in counts if c is not None))


def _shared_out(design: Design, contrast: Contrast) -> Sizes | None:
    total = design.n_analyzed if design.n_analyzed is not None else design.n_randomized
    if total is None or not design.arms:
        return None
    known = [arm.n for arm in design.arms if arm.n is not None]
    unknown = [arm.id for arm in design.arms if arm.n is None]
    rest = total - sum(known)
    if rest <= 0 or not unknown:
        return None
    share = rest / len(unknown)

    def side(arm_ids: tuple[str, ...]) -> float:
        counts = {arm.id: arm.n for arm in design.arms}
        return sum(share if counts[arm_id] is None else float(counts[arm_id] or 0) for arm_id in arm_ids)

    n1, n2 = side(contrast.treatment), side(contrast.reference)
    text = f"arm sizes were not reported: the {rest:g} participants were shared equally over {len(unknown)} arms"
    return Sizes(n1, n2, f"n = {n1:g} v {n2:g} (total of {total:g} shared out)", text)
