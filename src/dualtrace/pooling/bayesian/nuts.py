"""Sampling of the general models: moderators, groups partially pooled, three levels, t effects, interval rows.

Needs the extra ``bayes`` (NumPyro); it is imported when a model is sampled and not before.

Sources: Hoffman & Gelman 2014 (NUTS, no DOI); Papaspiliopoulos et al. 2007, doi:10.1214/088342307000000014
(non-centring); Vehtari et al. 2021, doi:10.1214/20-BA1221 (the gates).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dualtrace.errors import FitError, InputError, row_name
from dualtrace.pooling.bayesian.model import Layout, Priors, load, program
from dualtrace.pooling.bayesian.priors import MeanPrior, half_normal
from dualtrace.pooling.bayesian.sampled import Sampled, SampledSensitivity, summary_of
from dualtrace.pooling.contract import require_level
from dualtrace.pooling.partial import Rows, checked_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualtrace.pooling.bayesian.priors import TauPrior
    from dualtrace.pooling.likelihood import Array, Ints

RHAT = 1.01
ESS = 400.0


def sample(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    lo: Any | None = None,  # noqa: ANN401
    hi: Any | None = None,  # noqa: ANN401
    X: Any | None = None,  # noqa: ANN401
    names: Sequence[str] | None = None,
    groups: Sequence[Any] | None = None,
    clusters: Sequence[Any] | None = None,
    t_df: float = np.inf,
    mean_prior: MeanPrior | Sequence[MeanPrior] | None = None,
    tau_prior: TauPrior | None = None,
    omega_prior: TauPrior | None = None,
    sigma_prior: TauPrior | None = None,
    slab: Sequence[Any] | None = None,
    level: float = 0.95,
    chains: int = 4,
    warmup: int = 1000,
    draws: int = 1000,
    target_accept: float = 0.95,
    seed: int = 1,
) -> Sampled:
    """Sample the posterior of a model of effects.

    y_i ~ N(x_i'β + group + cluster, v_i + τ²), group effects ~ N(0, ω²), cluster effects ~ N(0, σ²); see ``model``.

    Parameters
    ----------
    yi, vi, lo, hi, X, names, slab
        As in ``partial.fit``.
    groups
        Group of each row (a disorder), partially pooled towards the common mean.
    clusters
        Cluster of each row (a trial with several rows): the middle level of three.
    t_df
        Degrees of freedom of the rows' true effects around their mean; infinite: normal; 4 is robust.
    mean_prior
        Prior of every coefficient, or one each; absent: normal(0, 2²).
    tau_prior, omega_prior, sigma_prior
        Priors of the three standard deviations; absent: half-normal(0.5).
    level
        Probability of the intervals.
    chains, warmup, draws, target_accept, seed
        Of the sampler.

    Raises
    ------
    InputError
        If NumPyro is not installed, or an option is not one there is.
    FitError
        If the rows cannot be used, or the sampler did not converge: the sentence says what failed.
    """
    require_level(level)
    rows = checked_rows(yi, vi, lo=lo, hi=hi, X=X, names=names, slab=slab)
    layout, labels = _layout(groups, clusters, rows, t_df)
    default = half_normal(0.5)
    priors = Priors(
        _each(mean_prior, rows.names), tau_prior or default, omega_prior or default, sigma_prior or default
    )
    _require_some_anchor(rows, priors)
    raw, diverging = _run(rows, layout, priors, (chains, warmup, draws), target_accept=target_accept, seed=seed)
    columns = _parameters(raw, rows, layout, labels, seed)
    found = np.stack(list(columns.values()), axis=-1)
    parameters = tuple(columns)
    ess, rhat = _diagnose(found)
    _require_convergence(parameters, ess, rhat, diverging)
    summary = summary_of(found, level)
    return Sampled(
        names=parameters,
        draws=found,
        **summary,
        ess=ess,
        rhat=rhat,
        mcse=summary["sd"] / np.sqrt(ess),
        priors=_in_words(priors, rows, layout),
        structure=_structure(rows, layout),
        k=len(rows.slab),
        level=level,
        slab=rows.slab,
        kind=rows.kind,
    )


def sensitivity(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    tau_priors: Sequence[TauPrior],
    **options: Any,  # noqa: ANN401
) -> SampledSensitivity:
    """Sample the same model under several priors of τ; options as in ``sample``.

    Raises
    ------
    InputError, FitError
        As ``sample``, and if no prior is given.
    """
    if not tau_priors:
        raise InputError("At least one prior of τ is needed to compare; given none.")
    return SampledSensitivity(tuple(sample(yi, vi, tau_prior=prior, **options) for prior in tau_priors))


def _run(
    rows: Rows, layout: Layout, priors: Priors, size: tuple[int, int, int], *, target_accept: float, seed: int
) -> tuple[dict[str, Array], int]:
    """Draws by site, (chains, draws, ...), and the number of divergent transitions."""
    jax, infer = load("jax"), load("numpyro.infer")
    chains, warmup, draws = size
    with jax.enable_x64(True):
        sampler = infer.MCMC(
            infer.NUTS(program, target_accept_prob=target_accept),
            num_warmup=warmup,
            num_samples=draws,
            num_chains=chains,
            chain_method="vectorized",
            progress_bar=False,
        )
        sampler.run(jax.random.PRNGKey(seed), rows, layout, priors, extra_fields=("diverging",))
        raw = {name: np.asarray(site, dtype=float) for name, site in sampler.get_samples(group_by_chain=True).items()}
        return raw, int(np.asarray(sampler.get_extra_fields()["diverging"]).sum())


def _parameters(
    raw: Mapping[str, Array], rows: Rows, layout: Layout, labels: tuple[str, ...], seed: int
) -> dict[str, Array]:
    """Named parameters, (chains, draws) each."""
    columns = {name: raw[f"beta_{j}"] for j, name in enumerate(rows.names)}
    columns |= {name: raw[name] for name in ("tau", "omega", "sigma") if name in raw}
    if rows.X.shape[1] > 1 or not (rows.X == 1.0).all():
        return columns
    mean = raw["beta_0"]
    for g, label in enumerate(labels):
        columns[f"mean[{label}]"] = mean + raw["omega"] * raw["group"][:, :, g]
    rng = np.random.default_rng(seed)
    unit = rng.standard_normal if np.isinf(layout.t_df) else lambda size: rng.standard_t(layout.t_df, size)
    theta = mean + raw["tau"] * unit(mean.shape)
    for name in ("omega", "sigma"):
        if name in raw:
            theta = theta + raw[name] * rng.standard_normal(mean.shape)
    columns["theta"] = theta
    return columns


def _diagnose(draws: Array) -> tuple[Array, Array]:
    """Effective draws and split R-hat of each parameter, (m,)."""
    diagnostics = load("numpyro.diagnostics")
    ess = np.asarray(diagnostics.effective_sample_size(draws), dtype=float)
    return ess, np.asarray(diagnostics.split_gelman_rubin(draws), dtype=float)


def _require_convergence(names: tuple[str, ...], ess: Array, rhat: Array, diverging: int) -> None:
    """Refuse draws that do not stand for the posterior.

    Raises
    ------
    FitError
        Naming every gate that was not passed and what to do.
    """
    failed = []
    if not (rhat < RHAT).all():
        worst = int(np.argmax(np.where(np.isnan(rhat), np.inf, rhat)))
        failed.append(f"R-hat of {names[worst]} is {rhat[worst]:.3f}, which must be below {RHAT:g}")
    if not (ess > ESS).all():
        worst = int(np.argmin(np.where(np.isnan(ess), -np.inf, ess)))
        failed.append(f"{names[worst]} has {ess[worst]:.0f} effective draws, which must be more than {ESS:g}")
    if diverging:
        failed.append(f"{diverging} transitions diverged, which must be none")
    if failed:
        raise FitError(
            f"The sampler did not converge: {'; '.join(failed)}. Take more draws and warm-up, raise target_accept "
            "towards 1, or use a prior with a lighter tail."
        )


def _layout(
    groups: Sequence[Any] | None, clusters: Sequence[Any] | None, rows: Rows, t_df: float
) -> tuple[Layout, tuple[str, ...]]:
    """Numbers of groups and clusters, and the labels of the groups."""
    if not t_df > 0.0:
        raise InputError(f"t_df must be positive (infinite for normal effects); given {t_df:g}.")
    group, labels = _code("groups", groups, rows)
    cluster, kinds = _code("clusters", clusters, rows)
    return Layout(group, cluster, len(labels), len(kinds), t_df), labels


def _code(name: str, given: Sequence[Any] | None, rows: Rows) -> tuple[Ints | None, tuple[str, ...]]:
    """Number of each row's group, and the groups in order of appearance."""
    if given is None:
        return None, ()
    if len(given) != len(rows.slab):
        raise FitError(f"{name} must name one for every row; given {len(given)} for {len(rows.slab)} rows.")
    for label, member in zip(rows.slab, given, strict=True):
        if member is None or member != member or str(member) == "":
            raise FitError(
                f"Every row needs one of the {name}; {row_name(str(label))} has none. Name it or leave the row out."
            )
    words = [str(member) for member in given]
    labels = tuple(dict.fromkeys(words))
    if len(labels) < 2:
        raise FitError(f"{name} must be at least two to vary; every row is in {labels[0]!r}.")
    return np.array([labels.index(word) for word in words]), labels


def _each(prior: MeanPrior | Sequence[MeanPrior] | None, names: tuple[str, ...]) -> tuple[MeanPrior, ...]:
    """One prior per coefficient."""
    if prior is None or isinstance(prior, MeanPrior):
        return (prior or MeanPrior(0.0, 2.0),) * len(names)
    if len(prior) != len(names):
        raise InputError(f"mean_prior must be one, or one for each of {', '.join(names)}; given {len(prior)}.")
    return tuple(prior)


def _require_some_anchor(rows: Rows, priors: Priors) -> None:
    """Refuse flat priors where only directions would hold the coefficients."""
    flat = [name for name, prior in zip(rows.names, priors.beta, strict=True) if prior.is_flat]
    if flat and np.linalg.matrix_rank(rows.X[rows.anchored]) < rows.X.shape[1]:
        raise FitError(
            f"The rows with an effect or two finite ends do not determine {', '.join(flat)}, whose prior is flat: "
            "there is no posterior. Give a normal prior of the coefficients."
        )


def _structure(rows: Rows, layout: Layout) -> str:
    """The model in words."""
    parts = ["Bayesian meta-regression" if rows.X.shape[1] > 1 else "Bayesian random-effects model"]
    if layout.group is not None:
        parts.append(f"{layout.groups} groups partially pooled")
    if layout.cluster is not None:
        parts.append(f"rows in {layout.clusters} clusters")
    if np.isfinite(layout.t_df):
        parts.append(f"effects of rows t with {layout.t_df:g} degrees of freedom")
    return ", ".join(parts)


def _in_words(priors: Priors, rows: Rows, layout: Layout) -> dict[str, str]:
    """Each prior, by parameter."""
    words = {name: str(prior) for name, prior in zip(rows.names, priors.beta, strict=True)}
    words["tau"] = str(priors.tau)
    if layout.group is not None:
        words["omega"] = str(priors.omega)
    if layout.cluster is not None:
        words["sigma"] = str(priors.sigma)
    return words
