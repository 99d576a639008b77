"""Multilevel and multivariate models: one call for every structure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from scipy import special

from dualtrace.pooling.contract import require_choice, require_level
from dualtrace.pooling.inference import wald
from dualtrace.pooling.multilevel.contract import ComponentName, Method, Multilevel, Test, VarianceComponent
from dualtrace.pooling.multilevel.likelihood import Solved, solve
from dualtrace.pooling.multilevel.search import Peak, maximise, scan
from dualtrace.pooling.multilevel.source import Source, source
from dualtrace.pooling.multilevel.terms import RandomTerm, determined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.pooling.likelihood import Array
    from dualtrace.pooling.multilevel.layout import Term
    from dualtrace.pooling.multilevel.structures import Component

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

    Raises
    ------
    FitError
        If the rows given determine no answer.
    InputError
        If method, test or level is not one there is.

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
    model = start.model(restricted=method == "REML")
    peak = maximise(model, start.sets, scan(model, start.sets) if model.n else np.zeros((1, 0)))
    found = settled(start, model.entries(peak.theta)[0], peak, restricted=method == "REML")
    return result(found, peak, method=method, test=test, level=level)


def settled(start: Source, entries: Array, peak: Peak, *, restricted: bool) -> Source:
    """The data set with Ψ at the maximum, put exactly on a boundary it has reached."""
    psi, first = [], 0
    for term in start.coded.terms:
        psi.append(term.shape.matrix(entries[first : first + term.shape.entries]))
        first += term.shape.entries
    as_found = replace(start, psi=tuple(psi))
    tidy = replace(start, psi=tuple(_on_boundary(p, t) for p, t in zip(psi, start.coded.terms, strict=True)))
    value = solve(tidy.where, tidy.sets, tidy.entries).value(restricted=restricted)
    return tidy if value[0] >= peak.value[0] - NOTHING else as_found


def _on_boundary(psi: Array, term: Term) -> Array:
    """Ψ with variances that are nothing set to 0 and correlations at their limits set to these."""
    variance = np.where(np.diag(psi) < NOTHING, 0.0, np.diag(psi))
    sd = np.sqrt(variance)
    product = np.outer(sd, sd)
    rho = np.where(product > 0.0, psi / np.where(product > 0.0, product, 1.0), 0.0)
    for limit in (term.shape.low, term.shape.high):
        rho = np.where(np.abs(rho - limit) < NOTHING, limit, rho)
    tidy = rho * product
    np.fill_diagonal(tidy, variance)
    return tidy


def result(found: Source, peak: Peak, *, method: Method, test: Test, level: float) -> Multilevel:
    """Coefficients, tests and everything else at the settled Ψ."""
    k, p = found.X.shape
    now = solve(found.where, found.sets, found.entries)
    unit = found.unit
    beta = found.T @ (now.coef[0] + found.offset) * unit
    vb = found.T @ now.cov[0] @ found.T.T * unit**2
    vb = 0.5 * (vb + vb.T)
    se = np.sqrt(np.diag(vb))
    df = np.inf if test == "z" else float(k - p)
    half = special.stdtrit(df, 0.5 * (1.0 + level)) * se
    joint = wald(beta[None, found.tested], vb[None][:, found.tested][:, :, found.tested], np.array([df]))
    parts = components(found)
    count = k - p if method == "REML" else k
    ll = float(now.value(restricted=method == "REML")[0]) - count * np.log(unit)
    parms = p + sum(np.isfinite(c.value) and not c.fixed for c in parts)
    q, share = _heterogeneity(found)
    converged = bool(peak.converged[0])
    status = _status(peak)
    return Multilevel(
        names=found.names,
        beta=beta,
        se=se,
        zval=beta / se,
        pval=2.0 * special.stdtr(df, -np.abs(beta / se)),
        ci_lb=beta - half,
        ci_ub=beta + half,
        vb=vb,
        components=parts,
        psi=tuple(part * unit**2 for part in found.psi),
        I2=share,
        QE=q,
        QE_df=k - p,
        QEp=float(special.chdtrc(k - p, q)),
        QM=float(joint.QM[0]),
        QM_df=len(found.tested),
        QMp=float(joint.QMp[0]),
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
        converged=converged,
        status=status,
        gain=float(peak.gain[0]),
        steps=int(peak.steps[0]),
        notes=_notes(parts),
        source=found,
    )


def criteria(ll: float, parms: int, count: int) -> dict[str, float]:
    """AIC = -2ℓ + 2m, BIC = -2ℓ + m log n, AICc = -2ℓ + 2mn/(n - m - 1), n at least m + 2; n = k - p under REML.

    Source: Hurvich & Tsai 1989, doi:10.1093/biomet/76.2.297.
    """
    n = max(count, parms + 2)
    return {
        "AIC": -2.0 * ll + 2.0 * parms,
        "BIC": -2.0 * ll + parms * float(np.log(count)),
        "AICc": -2.0 * ll + 2.0 * parms * n / (n - parms - 1.0),
    }


def components(found: Source) -> tuple[VarianceComponent, ...]:
    """Variances and correlations of every term in the units of the effects."""
    parts: list[VarianceComponent] = []
    structured = 0
    for t, (term, psi) in enumerate(zip(found.coded.terms, found.psi, strict=True)):
        level = not found.coded.structs[t]
        structured += not level
        held = {h.component for at, h in found.held if at == t}
        for c, component in enumerate(term.shape.components):
            variance = component.kind == "variance"
            name: ComponentName = "sigma2" if level else "tau2" if variance else "rho"
            if not level and structured > 1:
                name = "gamma2" if variance else "phi"
            value = _component_value(psi, term, component) * (found.unit**2 if variance else 1.0)
            parts.append(
                VarianceComponent(
                    name, found.coded.names[t], _levels(found, t, component), value, term.groups, fixed=c in held
                )
            )
    return tuple(parts)


def _levels(found: Source, t: int, component: Component) -> tuple[str, ...]:
    """Inner levels a component belongs to; none where it belongs to all."""
    struct, labels = found.coded.structs[t], found.coded.inner[t]
    if component.kind == "variance":
        return (labels[component.row],) if struct in {"DIAG", "UN", "HCS", "HAR"} else ()
    return (labels[component.row], labels[component.column]) if struct == "UN" else ()


def _component_value(psi: Array, term: Term, component: Component) -> float:
    """A variance or correlation from Ψ; NaN where the rows do not determine it."""
    if component.kind == "variance":
        return float(psi[component.row, component.row])
    i, j = component.row, component.column
    if term.shape.struct != "UN":  # any pair with variance tells the common correlation
        sd = np.sqrt(np.diag(psi))
        pairs = [(a, b) for a, b in zip(term.shape.row, term.shape.column, strict=True) if a != b and sd[a] * sd[b] > 0]
        if not pairs:
            return float("nan")
        i, j = min(pairs, key=lambda pair: term.shape.distance[term.shape.code[pair]])
    product = psi[i, i] * psi[j, j]
    if not product > 0.0 or not determined(term, component):
        return float("nan")
    rho = float(psi[i, j] / np.sqrt(product))
    power = term.shape.distance[term.shape.code[i, j]] if term.shape.struct != "UN" else 1.0
    return float(np.sign(rho) * abs(rho) ** (1.0 / power))


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


def _notes(parts: tuple[VarianceComponent, ...]) -> tuple[str, ...]:
    """Sentences on components that the rows do not determine."""
    return tuple(
        f"{part.label} is not determined by these rows." for part in parts if not np.isfinite(part.value)
    )
