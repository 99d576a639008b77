"""Multilevel and multivariate models: one call for every structure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from scipy import special

from dualtrace.pooling.contract import require_choice, require_level
from dualtrace.pooling.inference import wald
from dualtrace.pooling.multilevel.components import components, estimated, held, undetermined
from dualtrace.pooling.multilevel.contract import Method, Multilevel, Test
from dualtrace.pooling.multilevel.likelihood import Solved, solve
from dualtrace.pooling.multilevel.source import Source, source
from dualtrace.pooling.multilevel.starts import best_peak

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualtrace.pooling.likelihood import Array
    from dualtrace.pooling.multilevel.layout import Term
    from dualtrace.pooling.multilevel.search import Peak
    from dualtrace.pooling.multilevel.terms import RandomTerm

NOTHING = 1e-9
"""A variance below this share of a typical sampling variance, where the likelihood is level, is 0; a correlation
this close to its limit is the limit."""


def fit(
    yi: Any,  # noqa: ANN401
    V: Any,  # noqa: ANN401
    *,
    X: Any | None = None,  # noqa: ANN401
    names: Sequence[str] | None = None,
    random: Sequence[RandomTerm] = (),
    slab: Sequence[Any] | None = None,
    method: Method = "REML",
    test: Test = "z",
    level: float = 0.95,
    fixed: Mapping[str, float] | None = None,
) -> Multilevel:
    """Fit y ~ N(Xβ, V + ZΨZ').

    Parameters
    ----------
    yi
        Effects.
    V
        Known covariances of their sampling errors: variances, a matrix, blocks, or the result of ``assumed``.
    X, names
        Complete design matrix, intercept column included, and names of its columns; absent: an intercept.
    random
        Random terms: ``Level``, ``Structured``, or several of ``nested``. None: weighted least squares with V.
    slab
        Labels of the rows.
    method
        REML or ML.
    test
        ``z``, or ``t`` with k - p degrees of freedom.
    level
        Confidence level.
    fixed
        Variances and correlations that are known, by label: ``{"rho[study]": 0.5}``.

    Raises
    ------
    FitError
        If the rows given determine no answer.
    InputError
        If method, test, level or a label is not one there is, or a fixed value is impossible.

    Examples
    --------
    >>> study = ["a", "a", "b", "b", "c", "c"]
    >>> found = fit([0.1, 0.3, 0.5, 0.9, 0.2, 0.0], [0.02] * 6, random=[Level("study", study)])
    >>> print(found.sigma2.round(3))
    [0.087]
    """
    require_choice("method", method, get_args(Method))
    require_choice("test", test, get_args(Test))
    require_level(level)
    start = source(yi, V, X=X, names=names, random=random, slab=slab)
    start = replace(start, held=held(start, fixed or {}))
    model = start.model(restricted=method == "REML")
    peak = best_peak(model, start.sets)
    found = settled(start, model.entries(peak.theta)[0], peak, restricted=method == "REML")
    return result(found, peak, method=method, test=test, level=level)


def settled(start: Source, entries: Array, peak: Peak, *, restricted: bool) -> Source:
    """The data set with Ψ at the maximum, put exactly on a boundary it has reached."""
    tidy = with_entries(start, entries, tidy=True)
    value = solve(tidy.where, tidy.sets, tidy.entries).value(restricted=restricted)
    return tidy if value[0] >= peak.value[0] - NOTHING else with_entries(start, entries, tidy=False)


def with_entries(start: Source, entries: Array, *, tidy: bool) -> Source:
    """The data set with Ψ of every term from its entries, (A,)."""
    psi, first = [], 0
    for term in start.coded.terms:
        own = term.shape.matrix(entries[first : first + term.shape.entries])
        psi.append(_on_boundary(own, term) if tidy else own)
        first += term.shape.entries
    return replace(start, psi=tuple(psi))


def _on_boundary(psi: Array, term: Term) -> Array:
    """Ψ with variances that are nothing set to 0 and correlations at their limits set to these."""
    variance = np.where(np.diag(psi) < NOTHING, 0.0, np.diag(psi))
    sd = np.sqrt(variance)
    product = np.outer(sd, sd)
    rho = np.where(product > 0.0, psi / np.where(product > 0.0, product, 1.0), 0.0)
    for limit in (term.shape.low, term.shape.high):
        rho = np.where(np.abs(rho - limit) < NOTHING, limit, rho)
    tidy: Array = rho * product
    np.fill_diagonal(tidy, variance)
    return tidy


def result(found: Source, peak: Peak, *, method: Method, test: Test, level: float) -> Multilevel:
    """Coefficients, tests and everything else at the settled Ψ."""
    k, p = found.X.shape
    now = solve(found.where, found.sets, found.entries)
    parts = components(found)
    count = k - p if method == "REML" else k
    ll = float(now.value(restricted=method == "REML")[0]) - count * float(np.log(found.unit))
    parms = p + estimated(found)
    q, share = _heterogeneity(found)
    return Multilevel(
        names=found.names,
        **_coefficients(found, now, df=np.inf if test == "z" else float(k - p), level=level),
        components=parts,
        psi=tuple(part * found.unit**2 for part in found.psi),
        I2=share,
        QE=q,
        QE_df=k - p,
        QEp=float(special.chdtrc(k - p, q)),
        QM_df=len(found.tested),
        ll=ll,
        parms=parms,
        **criteria(ll, parms, count),
        k=k,
        p=p,
        dfs=k - p,
        method=method,
        test=test,
        level=level,
        slab=found.slab,
        converged=bool(peak.converged[0]),
        status=_status(peak),
        gain=float(peak.gain[0]),
        steps=int(peak.steps[0]),
        notes=undetermined(parts),
        source=found,
    )


def _coefficients(found: Source, now: Solved, *, df: float, level: float) -> dict[str, Any]:
    """Coefficients of the design with tests and intervals; normal where df is infinite."""
    beta = found.T @ (now.coef[0] + found.offset) * found.unit
    vb = found.T @ now.cov[0] @ found.T.T * found.unit**2
    vb = 0.5 * (vb + vb.T)
    se = np.sqrt(np.diag(vb))
    half = special.stdtrit(df, 0.5 * (1.0 + level)) * se
    tested = found.tested
    joint = wald(beta[None, tested], vb[None][:, tested][:, :, tested], np.array([df]))
    return {
        "beta": beta,
        "se": se,
        "zval": beta / se,
        "pval": 2.0 * special.stdtr(df, -np.abs(beta / se)),
        "ci_lb": beta - half,
        "ci_ub": beta + half,
        "vb": vb,
        "QM": float(joint.QM[0]),
        "QMp": float(joint.QMp[0]),
    }


def criteria(ll: float, parms: int, count: int) -> dict[str, Any]:
    """AIC = -2ℓ + 2m, BIC = -2ℓ + m log n, AICc = -2ℓ + 2mn/(n - m - 1), n at least m + 2; n = k - p under REML.

    Source: Hurvich & Tsai 1989, doi:10.1093/biomet/76.2.297.
    """
    n = max(count, parms + 2)
    return {
        "AIC": -2.0 * ll + 2.0 * parms,
        "BIC": -2.0 * ll + parms * float(np.log(count)),
        "AICc": -2.0 * ll + 2.0 * parms * n / (n - parms - 1.0),
    }


def _heterogeneity(found: Source) -> tuple[float, Array]:
    """QE, y'Py with all variances 0, and I² of each level.

    I²_l = 100 σ²_l/(Σσ² + v̄),  v̄ = (k-p)/tr P at variances 0.

    Source: Nakagawa & Santos 2012, doi:10.1007/s10682-012-9555-5.
    """
    now = solve(found.where, found.sets, np.zeros_like(found.entries))
    q = float(now.rss[0])
    if any(found.coded.structs) or not found.psi:
        return q, np.full(len(found.psi), np.nan)
    trace = sum(float(np.einsum("nbmm->", W)) for W in now.weights)
    UU = sum(
        np.einsum("nbmi,nbmj->ij", U[..., : found.where.p], U[..., : found.where.p], optimize=True) for U in now.U
    )
    trace -= float(np.einsum("ij,ij->", now.cov[0], UU))
    sigma2 = np.array([psi[0, 0] for psi in found.psi])
    k, p = found.X.shape
    return q, 100.0 * sigma2 / (sigma2.sum() + (k - p) / trace)


def _status(peak: Peak) -> str:
    if peak.converged[0]:
        return f"Converged in {peak.steps[0]} steps."
    return (
        f"Not converged: after {peak.steps[0]} steps one more would still gain {peak.gain[0]:.1e} in log-likelihood; "
        "treat the estimates as a lower bound of the likelihood, or simplify the random effects."
    )
