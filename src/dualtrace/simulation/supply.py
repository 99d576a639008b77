"""What an arm's capsules do to its sessions: nothing with placebo, else the boost of the chain."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, final

import numpy as np

from dualtrace.mechanism.arrays import xp
from dualtrace.simulation import capsule

if TYPE_CHECKING:
    from dualtrace.mechanism.arrays import Array
    from dualtrace.mechanism.chain import Chain
    from dualtrace.mechanism.consolidation import Kernel
    from dualtrace.simulation.plan import ArmPlan, Plan

_MINUTES = 60.0
_LAST_H = 168.0
"""After the last session nothing is asked of the body any more; any time does."""


class Supply(ABC):
    """The capsules of one arm, session by session (abstract)."""

    @abstractmethod
    def rows(self) -> dict[str, Array]:
        """What differs between sessions, each ``(sessions,)``; handed back to the methods below row by row."""

    @abstractmethod
    def start(self) -> Any:  # noqa: ANN401
        """Return the body before treatment."""

    @abstractmethod
    def boost(self, body: Any, row: dict[str, Array], dose_mg: Array) -> Array:  # noqa: ANN401
        """``M`` of a session with that much swallowed, shape ``(n,)``."""

    @abstractmethod
    def swallow(self, body: Any, row: dict[str, Array], dose_mg: Array) -> Any:  # noqa: ANN401
        """Return the body as the next session finds it."""


@final
class Placebo(Supply):
    """Capsules without drug.

    Parameters
    ----------
    resting
        ``M`` of every session without a capsule, ``(n,)``: 0 unless another drug is at the receptor.
    """

    def __init__(self, resting: Array) -> None:
        self.resting = resting

    def rows(self) -> dict[str, Array]:
        """Nothing differs."""
        return {}

    def start(self) -> Any:  # noqa: ANN401
        """Nothing to know of the body."""
        return ()

    def boost(self, body: Any, row: dict[str, Array], dose_mg: Array) -> Array:  # noqa: ANN401, ARG002
        """The same for every session."""
        return self.resting + xp.zeros_like(dose_mg)

    def swallow(self, body: Any, row: dict[str, Array], dose_mg: Array) -> Any:  # noqa: ANN401, ARG002
        """Nothing changes."""
        return body


@final
class Capsules(Supply):
    """Capsules with a drug: tables for every kind of session and gap, made once.

    Parameters
    ----------
    plan, arm
        When sessions end and capsules are swallowed.
    chain, kernel
        The mechanism of every patient.
    like
        An array of the patients' shape and precision.
    """

    def __init__(self, plan: Plan, arm: ArmPlan, chain: Chain, kernel: Kernel, like: Array) -> None:
        self.chain, self.like = chain, like
        swallowed = np.array([arm.swallowed_h(minutes) for minutes in plan.minutes])
        ends = plan.minutes / _MINUTES
        reference = np.minimum(swallowed, ends)
        hours = np.diff(plan.start_h + reference, append=plan.start_h[-1] + reference[-1] + _LAST_H)
        sessions, self.window_of = np.unique(np.stack([ends, swallowed], axis=1), axis=0, return_inverse=True)
        gaps, self.carry_of = np.unique(np.stack([hours, swallowed, reference], axis=1), axis=0, return_inverse=True)
        most = max(capsule.corners_of(end, swallowed) for end, swallowed in sessions)
        self.windows = self._stacked(
            [
                capsule.window(chain, end_h=e, swallowed_h=s, kernel=kernel, like=like, most_corners=most)
                for e, s in sessions
            ]
        )
        self.carries = self._stacked(
            [capsule.carry(chain, h, swallowed_h=s, reference_h=r, like=like) for h, s, r in gaps]
        )

    def _stacked(self, tables: list[Any]) -> Any:  # noqa: ANN401
        import jax

        return jax.tree.map(lambda *leaves: xp.stack([xp.asarray(leaf, self.like.dtype) for leaf in leaves]), *tables)

    def rows(self) -> dict[str, Array]:
        """Which table each session uses."""
        return {"window": xp.asarray(self.window_of.ravel()), "carry": xp.asarray(self.carry_of.ravel())}

    def start(self) -> Any:  # noqa: ANN401
        """Return the body before any capsule."""
        return capsule.fresh_body(self.chain, self.like)

    def boost(self, body: Any, row: dict[str, Array], dose_mg: Array) -> Array:  # noqa: ANN401
        """``M`` by the chain."""
        return capsule.boost(self.chain, _row(self.windows, row["window"]), body, dose_mg)

    def swallow(self, body: Any, row: dict[str, Array], dose_mg: Array) -> Any:  # noqa: ANN401
        """Carry what is left, and tolerance, to the next session."""
        return capsule.swallow(self.chain, _row(self.carries, row["carry"]), body, dose_mg)


def _row(tables: Any, index: Array) -> Any:  # noqa: ANN401
    import jax

    return jax.tree.map(lambda leaf: leaf[index], tables)
