"""Restricted maximum likelihood for units that share a few patterns, with exact first and second derivatives.

    y_i ~ N(X_i β, V_g(θ)) for every unit i of pattern g

Only sums over the units of a pattern enter, S_g[a, b] = Σ_i [X y]_ia [X y]_ib', so the cost of an evaluation does not
grow with the number of units. With W = V⁻¹, Φ = (X'WX)⁻¹, r = y - Xβ, V_a = ∂V/∂θ_a and
P_a = X'WV_aWX, Q_ab = X'WV_aWV_bWX:

    ℓ = -½ [log|V| + log|X'WX| + r'Wr + (N - p) log 2π]
    ∂ℓ/∂θ_a = -½ [tr WV_a - tr ΦP_a - r'WV_aWr]
    expected information_ab = ½ [tr WV_aWV_b - 2 tr ΦQ_ab + tr ΦP_aΦP_b]
    observed information_ab = r'WV_aWV_bWr - (r'WV_aWX) Φ (X'WV_bWr) - expected_ab
                              + ½ [tr WV_ab - tr ΦX'WV_abWX - r'WV_abWr]

Degrees of freedom of a contrast l'β are 2 v²/(g'Ag) with v = l'Φl, g_a = l'ΦP_aΦl and A the inverse of the observed
information (Satterthwaite) or of the expected one (Kenward and Roger, whose standard error comes from
Φ + 2Φ[Σ A_ab (Q_ab - P_aΦP_b)]Φ where V is linear in θ).

Sources: Harville 1977, doi:10.1080/01621459.1977.10480998; Giesbrecht & Burns 1985, doi:10.2307/2530872;
Kenward & Roger 1997, doi:10.2307/2533558.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from dualtrace.errors import FitError

if TYPE_CHECKING:
    from dualtrace.analysis.result import Array

ROUNDS = 200
"""Newton steps after which the search is given up."""

SETTLED = 1e-9
"""Gain in log-likelihood that the next step promises (relative to 1 + |ℓ|) below which that step is the last one."""

LOG_2PI = float(np.log(2.0 * np.pi))


class Sums(NamedTuple):
    """What the data are to the likelihood.

    Attributes
    ----------
    cross
        Sums over the units of each pattern of products of [X y], the outcome last, (G, m, m, p + 1, p + 1);
        0 at positions that a pattern lacks.
    units
        How many units each pattern has, (G,).
    rows
        Outcomes N.
    """

    cross: Array
    units: Array
    rows: int

    @property
    def p(self) -> int:
        """Coefficients."""
        return int(self.cross.shape[-1]) - 1

    def weighed(self, M: Array) -> Array:
        """Sum over patterns and positions of M[g, a, b] S_g[a, b], for M (..., G, m, m): (..., p + 1, p + 1)."""
        q = self.p + 1
        flat = M.reshape(*M.shape[:-3], -1) @ self.cross.reshape(-1, q * q)
        return np.asarray(flat.reshape(*M.shape[:-3], q, q), dtype=np.float64)

    def seen(self, M: Array) -> Array:
        """Sum over coefficients of M[i, j] S_g[a, b][i, j], for symmetric M (p + 1, p + 1): (G, m, m)."""
        q = self.p + 1
        flat = self.cross.reshape(-1, q * q) @ M.ravel()
        return np.asarray(flat.reshape(self.cross.shape[:3]), dtype=np.float64)


class Covariances(NamedTuple):
    """V of each pattern and its derivatives in K parameters.

    Attributes
    ----------
    V
        (G, m, m); rows and columns that a pattern lacks are those of the identity.
    first
        (K, G, m, m).
    second
        (K, K, G, m, m); None where V is linear in the parameters.
    """

    V: Array
    first: Array
    second: Array | None


class Model(Protocol):
    """How V depends on the parameters."""

    def at(self, theta: Array) -> Covariances:
        """V and derivatives at parameters θ, (K,)."""
        ...


class Height(NamedTuple):
    """Generalised least squares at one θ: log-likelihood, coefficients, Φ, and V⁻¹ of each pattern."""

    ll: float
    beta: Array
    phi: Array
    W: Array


class Slopes(NamedTuple):
    """Derivatives at one θ.

    Attributes
    ----------
    gradient, expected, observed
        Score (K,), expected and observed information (K, K).
    P
        X'WV_aWX, (K, p, p).
    WV
        WV_a of each pattern, (K, G, m, m).
    """

    gradient: Array
    expected: Array
    observed: Array
    P: Array
    WV: Array


class Fitted(NamedTuple):
    """The maximum: parameters, what holds there, and the Newton steps it took."""

    theta: Array
    height: Height
    slopes: Slopes
    steps: int


def height(sums: Sums, V: Array) -> Height | None:
    """Log-likelihood and coefficients; None where a covariance matrix is not positive definite."""
    try:
        root = np.linalg.cholesky(V)
    except np.linalg.LinAlgError:
        return None
    W: Array = np.asarray(np.linalg.inv(V), dtype=np.float64)
    p = sums.p
    total = sums.weighed(W)
    phi: Array = np.asarray(np.linalg.inv(total[:p, :p]), dtype=np.float64)
    beta = phi @ total[:p, p]
    contrast = np.append(-beta, 1.0)
    log_det = 2.0 * float(sums.units @ np.log(np.diagonal(root, axis1=-2, axis2=-1)).sum(axis=-1))
    log_det += float(np.linalg.slogdet(total[:p, :p])[1])
    ll = -0.5 * (log_det + float(contrast @ total @ contrast) + (sums.rows - p) * LOG_2PI)
    return Height(ll, beta, phi, W) if np.isfinite(ll) else None


def slopes(sums: Sums, here: Height, given: Covariances) -> Slopes:
    """Score and both informations; everything is exact."""
    p, phi, W, V1 = sums.p, here.phi, here.W, given.first
    r = np.append(-here.beta, 1.0)
    WV = W @ V1
    first = sums.weighed(WV @ W)
    P = first[:, :p, :p]
    trace = np.einsum("g,kgii->k", sums.units, WV)
    gradient = -0.5 * (trace - np.einsum("ij,kji->k", phi, P) - np.einsum("i,kij,j->k", r, first, r))
    of_phi, of_r = sums.seen(np.pad(phi, (0, 1))), sums.seen(np.outer(r, r))
    phi_P = phi @ P
    identity = sums.units[:, None, None] * np.eye(W.shape[-1])
    expected = 0.5 * (_traces(WV, identity - 2.0 * W @ of_phi) + np.einsum("kij,lji->kl", phi_P, phi_P))
    rx = np.einsum("i,kij->kj", r, first[:, :, :p])
    observed = _traces(WV, W @ of_r) - rx @ phi @ rx.T - expected
    if given.second is not None:
        weight = sums.units[:, None, None] * W - W @ (of_phi + of_r) @ W
        observed += 0.5 * np.einsum("klgij,gji->kl", given.second, weight)
    return Slopes(gradient, 0.5 * (expected + expected.T), 0.5 * (observed + observed.T), P, WV)


def maximise(sums: Sums, model: Model, start: Array, *, advice: str) -> Fitted:
    """Climb to the maximum by Newton steps, on the expected information where the observed one bends upwards.

    Parameters
    ----------
    sums, model
        Data and covariance model.
    start
        Parameters to start from, (K,).
    advice
        What to do if the search fails, a sentence for the user.

    Raises
    ------
    FitError
        If no maximum is reached.
    """
    theta = np.array(start, dtype=np.float64)
    given = model.at(theta)
    here = height(sums, given.V)
    if here is None:
        raise FitError(f"REML cannot start: the covariance of the scores is not positive definite. {advice}")
    for steps in range(ROUNDS):
        local = slopes(sums, here, given)
        step = _step(local)
        if step is None:
            break
        promised = float(local.gradient @ step)
        if promised <= SETTLED * (1.0 + abs(here.ll)):
            found = _polished(sums, model, theta + step, steps)
            if found is None:
                break
            return found
        moved = _climbed(sums, model, theta, step, here, promised)
        if moved is None:
            break
        theta, given, here = moved
    raise FitError(
        "REML found no maximum: the likelihood is flat, or still rises where the covariance of the scores is all but "
        f"singular, so the data hold too little about that covariance. {advice}"
    )


def satterthwaite(found: Fitted, rows: Array, information: Array) -> Array:
    """Degrees of freedom 2 v²/(g'Ag) of contrasts (c, p), A the inverse of an information matrix."""
    phi, P = found.height.phi, found.slopes.P
    at = rows @ phi
    v = np.einsum("ci,ci->c", at, rows)
    g = np.einsum("ci,kij,cj->ck", at, P, at)
    return np.asarray(2.0 * v**2 / np.einsum("ck,kl,cl->c", g, np.linalg.inv(information), g), dtype=np.float64)


def kenward_roger(sums: Sums, found: Fitted) -> Array:
    """Covariance of the coefficients with Kenward and Roger's correction for small samples, (p, p); V linear in θ."""
    p, phi, P, WV = sums.p, found.height.phi, found.slopes.P, found.slopes.WV
    A = np.linalg.inv(found.slopes.expected)
    mixed = np.einsum("kl,lgij->kgij", A, WV)
    middle = sums.weighed((WV @ mixed).sum(axis=0) @ found.height.W)[:p, :p]
    middle = middle - (P @ phi @ np.einsum("kl,lij->kij", A, P)).sum(axis=0)
    return np.asarray(phi + phi @ (middle + middle.T) @ phi, dtype=np.float64)


def _polished(sums: Sums, model: Model, theta: Array, steps: int) -> Fitted | None:
    """What holds after the last step, whose gain is below rounding; None where that is no maximum."""
    given = model.at(theta)
    here = height(sums, given.V)
    if here is None:
        return None
    local = slopes(sums, here, given)
    return Fitted(theta, here, local, steps + 1) if _positive(local.observed) else None


def _traces(WV: Array, Z: Array) -> Array:
    """Σ over patterns of tr(WV_a WV_b Z), (K, K)."""
    K = len(WV)
    turned = np.swapaxes(WV @ Z, -1, -2)
    return np.asarray(WV.reshape(K, -1) @ turned.reshape(K, -1).T, dtype=np.float64)


def _step(local: Slopes) -> Array | None:
    for information in (local.observed, local.expected):
        if _positive(information):
            return np.asarray(np.linalg.solve(information, local.gradient), dtype=np.float64)
    return None


def _positive(information: Array) -> bool:
    """Whether an information matrix is positive definite beyond rounding."""
    scale = np.sqrt(np.abs(np.diag(information)))
    if not np.isfinite(information).all() or not scale.all():
        return False
    return bool(np.linalg.eigvalsh(information / np.outer(scale, scale))[0] > 1e-12)


def _climbed(
    sums: Sums, model: Model, theta: Array, step: Array, here: Height, promised: float
) -> tuple[Array, Covariances, Height] | None:
    """The first of ever shorter steps that raises the likelihood; None where none does."""
    for halving in range(50):
        share = 0.5**halving
        new = theta + share * step
        given = model.at(new)
        there = height(sums, given.V)
        if there is not None and there.ll >= here.ll + 1e-4 * share * promised:
            return new, given, there
    return None
