"""Maximum likelihood of mixed models of counts: fixed coefficients, a level per row where asked for, variances.

With standard deviations held fixed the log-likelihood is concave in everything else (Prékopa 1973), so Newton's
method with halving finds its maximum; over one variance the profile is searched globally, 0 included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dualtrace.errors import FitError
from dualtrace.pooling.likelihood import Ints, Slope
from dualtrace.pooling.search import maximise
from dualtrace.pooling.sparse.families import Poisson
from dualtrace.pooling.sparse.quadrature import Effects, Marginal, marginal

if TYPE_CHECKING:
    from dualtrace.pooling.likelihood import Array
    from dualtrace.pooling.sparse.families import Family

COARSE = 15
"""Nodes per random effect while searching."""

EVEN = 124
"""Nodes from which wide integrands are summed evenly (see ``quadrature.MANY``)."""

BROAD = 2.5
"""Standard deviation of a random effect beyond which that is done from the start."""

FINEST = 960
"""Nodes per random effect at most."""

STABLE = 1e-9
"""Change of any parameter, in standard errors, that a doubling of the nodes may still bring."""

ROUGH = 1e-12
"""Gain at which a climb stops while τ² is searched; the answer is polished afterwards."""

NOISE = 1e-10
"""Gain (squared distance in standard errors) below which a Newton step that gains no more has met rounding error."""

FURTHEST = 20.0
"""A linear predictor so far from the usual is on its way to infinity: e^20 are no odds of counts."""

SCANNED = 16.0
"""Variances up to this are always searched for the global maximum, more while the likelihood still rises."""

WIDEST = 256.0
"""Variances on the logit or log scale beyond this (odds from e^-30 to e^30) say that none is large enough."""


SEPARATED = (
    "These counts are perfectly separated: some arm (or some value of the moderators) has no events, or nothing but "
    "events, so the maximum likelihood estimate is infinite. Report the counts, or use Peto's method or inverse "
    "variance with a continuity correction."
)


class Model(NamedTuple):
    """A mixed model of k rows of J arms.

    Attributes
    ----------
    family
        Log-likelihood of counts given predictors.
    X
        Design of every arm, (k, J, p).
    offset
        Known part of every arm's predictor, (k, J).
    loads
        Loading of each arm on each random effect, (J, R).
    free_level
        Whether every row has a level of its own, the same for all its arms, (k,) parameters.
    """

    family: Family
    X: Array
    offset: Array
    loads: Array
    free_level: bool


class State(NamedTuple):
    """m points of the parameter space: β (m, p), levels (m, k), σ (m, R), with modes of the integrands."""

    beta: Array
    level: Array
    sigma: Array
    mode: Array


class Peak(NamedTuple):
    """A point, its log-likelihood (m,), and the observed information of (β, σ) with levels profiled, (m, q, q).

    ``rise`` is the derivative in the variances, (m, R).
    """

    state: State
    value: Array
    information: Array
    rise: Array


class Found(NamedTuple):
    """The global maximum: a peak with one point, and the nodes that made it stable."""

    peak: Peak
    nodes: int


def origin(model: Model, sigma: Array) -> State:
    """All coefficients 0, levels 0, at the standard deviations given, (m, R)."""
    k, _, p = model.X.shape
    m, R = sigma.shape
    return State(np.zeros((m, p)), np.zeros((m, k)), sigma, np.zeros((m, k, R)))


def predictors(model: Model, state: State) -> Array:
    """Fixed part of every arm's predictor, (m, k, J)."""
    k, J, p = model.X.shape
    fixed_part = (state.beta @ model.X.reshape(k * J, p).T).reshape(-1, k, J)
    return np.asarray(model.offset + fixed_part + state.level[:, :, None])


def evaluate(model: Model, state: State, nodes: int) -> Marginal:
    """Marginal log-likelihoods of all rows."""
    eta = predictors(model, state)
    n = nodes if state.sigma.any() else 1
    return marginal(model.family, Effects(eta, state.sigma, model.loads), nodes=n, start=state.mode)


class _Step(NamedTuple):
    """Gradient and information of (β, σ) after elimination of the levels, and what gives the levels' step back."""

    gradient: Array  # (m, q)
    information: Array  # (m, q, q)
    level_gradient: Array  # (m, k)
    level_information: Array  # (m, k)
    cross: Array  # (m, k, q)


def _assemble(model: Model, found: Marginal) -> _Step:
    """Sum rows: each row's derivatives in (η_1..η_J, σ) become derivatives in (β, σ) and in its level."""
    k, J, p = model.X.shape
    R = model.loads.shape[1]
    Z = np.zeros((k, J + R, p + R))
    Z[:, :J, :p] = model.X
    Z[:, J:, p:] = np.eye(R)
    m, a, q = found.value.shape[0], J + R, p + R
    gradient = found.first.reshape(m, k * a) @ Z.reshape(k * a, q)
    mixed = -found.second @ Z
    information = mixed.reshape(m, k * a, q).swapaxes(1, 2) @ Z.reshape(k * a, q)
    g, h, cross = found.first[:, :, :J].sum(-1), np.ones(found.value.shape), np.zeros((*found.value.shape, p + R))
    if model.free_level:
        h = -found.second[:, :, :J, :J].sum((-1, -2))
        cross = mixed[:, :, :J].sum(2)
        gradient = gradient - np.einsum("mk,mkq->mq", g / h, cross)
        information = information - np.einsum("mkq,mkr->mqr", cross / h[:, :, None], cross)
    return _Step(gradient, information, g, h, cross)


def climb(model: Model, start: State, *, nodes: int, free: bool, tolerance: float = 1e-20) -> Peak:
    """Maximum over β and levels, and over σ too when ``free``, from each of m starting points.

    Newton's step on the information, its eigenvalues made positive where they are not (σ free only), halved until
    the log-likelihood does not fall or the gain that the next step promises has shrunk: with few nodes value and
    gradient are not of one function to the last digit, and the gradient decides.

    Raises
    ------
    FitError
        If a coefficient runs to infinity, or the maximum is not reached.
    """
    here = _stand(model, start, nodes, free=free)
    before, settled = np.full(here.value.size, np.inf), np.zeros(here.value.size, dtype=bool)
    for _ in range(200):
        stalled = (here.gain < NOISE) & (here.gain > 0.5 * before)
        settled |= (here.gain < tolerance * (1.0 + np.abs(here.value))) | stalled
        if settled.all():
            return Peak(here.state, here.value, here.step.information, here.found.rise.sum(1))
        size = np.ones(here.value.size)
        while True:
            ahead = _stand(model, _move(here, size), nodes, free=free)
            falls = ~(ahead.value >= here.value - 1e-12 * (1.0 + np.abs(here.value)))
            worse = falls & ~(ahead.gain < 0.5 * here.gain)
            if not worse.any() or size.min() < 1e-12:
                break
            size = np.where(worse, 0.5 * size, size)
        before, here = here.gain, ahead
        _require_finite(model, here.state)
    raise FitError("The likelihood of these counts has no maximum that Newton's method could reach; report the data.")


class _Stand(NamedTuple):
    """A point with everything the next step needs: moves in (β, σ) and levels, and twice the rise they promise."""

    state: State
    found: Marginal
    value: Array
    step: _Step
    moves: Array
    levels: Array
    gain: Array


def _stand(model: Model, state: State, nodes: int, *, free: bool) -> _Stand:
    """Evaluate a point and find the Newton step from it."""
    found = evaluate(model, state, nodes)
    step = _assemble(model, found)
    moves = _direction(step, state.beta.shape[1], free=free)
    gain = np.einsum("mq,mq->m", moves, step.gradient)
    levels = np.zeros_like(state.level)
    if model.free_level:
        levels = (step.level_gradient - np.einsum("mkq,mq->mk", step.cross, moves)) / step.level_information
        gain = gain + (step.level_gradient**2 / step.level_information).sum(-1)
    return _Stand(state, found, found.value.sum(-1), step, moves, levels, gain)


def _move(here: _Stand, size: Array) -> State:
    """Return the point a share of the step away; a standard deviation keeps to 0 or more by its symmetry."""
    p = here.state.beta.shape[1]
    moves = size[:, None] * here.moves
    return State(
        here.state.beta + moves[:, :p],
        here.state.level + size[:, None] * here.levels,
        np.abs(here.state.sigma + moves[:, p:]),
        here.found.mode,
    )


def _direction(step: _Step, p: int, *, free: bool) -> Array:
    """Newton's step in (β, σ), (m, q); 0 for σ unless ``free``."""
    moves = np.zeros_like(step.gradient)
    if not free:
        try:
            moves[:, :p] = np.linalg.solve(step.information[:, :p, :p], step.gradient[:, :p, None])[..., 0]
        except np.linalg.LinAlgError:  # the design has full rank, so the information of the counts has run out
            raise FitError(SEPARATED) from None
        return moves
    # a σ of exactly 0 has gradient 0 and stays; its row may be indefinite and must not spoil the others
    values, vectors = np.linalg.eigh(step.information)
    values = np.maximum(np.abs(values), 1e-10 * np.abs(values).max(-1, keepdims=True))
    return np.asarray(np.einsum("mqi,mi,mri,mr->mq", vectors, 1.0 / values, vectors, step.gradient))


def _require_finite(model: Model, state: State) -> None:
    """Refuse a coefficient on its way to infinity.

    Raises
    ------
    FitError
        When a fixed predictor leaves every plausible range.
    """
    k, J, p = model.X.shape
    arms = (state.beta @ model.X.reshape(k * J, p).T).reshape(-1, k, J)
    usual = model.family.centre if isinstance(model.family, Poisson) else 0.0
    reach = np.ptp(arms, axis=-1).max(axis=-1, initial=0.0)
    if not model.free_level:
        reach = np.maximum(reach, np.abs(arms - usual).max(axis=(1, 2), initial=0.0))
    if np.any(reach > FURTHEST * (1.0 + state.sigma.max(axis=-1))):  # a wide normal moves its mean with its width
        raise FitError(SEPARATED)


def fixed(model: Model) -> Peak:
    """Maximum likelihood with all variances 0."""
    return climb(model, origin(model, np.zeros((1, model.loads.shape[1]))), nodes=1, free=False)


def profile(model: Model, equal: Peak) -> Array:
    """τ² at the global maximum of the profile likelihood of a model with one random effect.

    Parameters
    ----------
    model
        With loads (J, 1).
    equal
        Its fit at τ² = 0.

    Raises
    ------
    FitError
        If the likelihood keeps rising as τ² grows.
    """
    state = equal.state
    curvature = -model.family(predictors(model, state)).second
    scale = 1.0 / (curvature @ model.loads**2).max()

    def objective(index: Ints, tau2: Array) -> Slope:
        if tau2.max() > 1.01 * WIDEST:
            raise FitError(
                "The likelihood of these counts keeps rising as tau² grows: most rows have all events or none. "
                "There is no finite estimate; use the equal-effects model or report the counts."
            )
        sigma, parts = np.sqrt(tau2)[:, None], np.zeros((3, index.size))
        enough = np.select([sigma[:, 0] < BROAD, sigma[:, 0] < 3.0 * BROAD], [COARSE, EVEN], 4 * EVEN)
        for nodes in np.unique(enough):
            chosen = enough == nodes
            start = State(*(np.repeat(part, chosen.sum(), axis=0) for part in state))
            peak = climb(model, start._replace(sigma=sigma[chosen]), nodes=int(nodes), free=False, tolerance=ROUGH)
            parts[:, chosen] = _slope(peak)
        return Slope(*parts)

    best: Array = maximise(objective, scale=np.array([min(scale, 1.0)]), high=np.array([SCANNED]))
    return best


def _slope(peak: Peak) -> Slope:
    """Derivatives of the profile in τ² from those in σ: ℓ' = rise, ℓ'' = (ℓ_σσ − ℓ_σ/σ)/(4σ²)."""
    sigma = peak.state.sigma[:, 0]
    p = peak.information.shape[-1] - 1
    within = peak.information
    across = np.linalg.solve(within[:, :p, :p], within[:, :p, p:])
    bend = -(within[:, p, p] - np.einsum("mq,mq->m", within[:, p, :p], across[:, :, 0]))
    rise = peak.rise[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        second = (bend - 2.0 * rise) / (4.0 * sigma**2)
    return Slope(peak.value, rise, np.where(sigma > 0.0, second, 0.0))


def polish(model: Model, start: State, *, nodes: int) -> Found:
    """Joint maximum from a point near it, with nodes doubled until no parameter moves.

    Raises
    ------
    FitError
        If ``FINEST`` nodes are not enough.
    """
    peak = climb(model, start, nodes=nodes, free=True)
    while nodes < FINEST:
        finer = climb(model, peak.state, nodes=2 * nodes, free=True)
        moved = np.concatenate([finer.state.beta - peak.state.beta, finer.state.sigma - peak.state.sigma], axis=1)[0]
        se = np.sqrt(1.0 / np.abs(np.diag(finer.information[0])))
        if np.abs(moved / se).max() < STABLE:
            return Found(peak, nodes)
        nodes, peak = 2 * nodes, finer
    raise FitError(
        f"The integrals of this model need more than {nodes} quadrature nodes: its variances are very large. "
        f"Most rows have all events or none; use the equal-effects model or report the counts."
    )


def random(model: Model, equal: Peak) -> Found:
    """Global maximum of a model with one random effect; at τ² = 0 it is the fit given."""
    tau2 = profile(model, equal)
    if tau2[0] == 0.0:
        return Found(equal, 1)
    nodes = 2 * COARSE + 1 if tau2[0] < BROAD**2 else EVEN
    near = climb(model, equal.state._replace(sigma=np.sqrt(tau2)[:, None]), nodes=nodes, free=False)
    return polish(model, near.state, nodes=nodes)
