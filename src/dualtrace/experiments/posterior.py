r"""The hierarchical model of a cohort: priors, likelihood and log density, as plain functions of JAX arrays.

For subject :math:`i` and free constant :math:`c` with the range :math:`[a, b]` of ``parameters.yaml``

.. math::
    c_i = a + (b - a)\,\mathrm{logit}^{-1}(\mu_c + \tau_c z_{ic}), \quad z_{ic} \sim N(0, 1), \quad
    \tau_c \sim N^{+}(0, 0.5^2)

(sampled as :math:`v_{ic} \sim N(\lambda\mu_c, \tau_c^{\lambda})` with :math:`\lambda_{ic}` between 0, non-centred,
and 1, centred, the more the trials of a subject tell; Papaspiliopoulos et al. 2007,
doi:10.1214/088342307000000014). The typical value, :math:`a + (b - a)\,\mathrm{logit}^{-1}(\mu_c)`, has the prior
of ``parameters.yaml``, cut to the range; it is carried as its normal score :math:`w_c \sim N(0, 1)`, and
:math:`1 - \mathrm{Var}(w_c)` is what the data have taken off the prior's variance. A reading is normal around fear
with the noise :math:`\sigma \sim N^{+}(0, 0.3^2)` (as a share of the scale), truncated to the ends of an instrument
that has ends.

Skin conductance, less its 10 % quantile and in standard deviations of all readings, is normal around
:math:`g_i f + o_i` with :math:`\log g_i \sim N(\mu_g, \tau_g)`, :math:`o_i \sim N(\mu_o, \tau_o)`,
:math:`\mu_g \sim N(1, 1)`, :math:`\mu_o \sim N(0, 1)`, :math:`\tau_g, \tau_o \sim N^{+}(0, 0.5^2)` and
:math:`\sigma \sim N^{+}(0, 1)`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dualtrace.errors import InputError
from dualtrace.extras import numpyro_module
from dualtrace.mechanism.memory.contract import Timeline, follow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dualtrace.experiments.design import Design
    from dualtrace.experiments.individuals import Responses
    from dualtrace.mechanism.memory.contract import Memory, Sizes
    from dualtrace.mechanism.parameters import ParameterTable
    from dualtrace.mechanism.prior import Prior

SPREAD_SCALE = 0.5
"""Scale of the half-normal prior of a spread over subjects, on the logit scale."""

NOISE_SCALE = 0.3
"""Scale of the half-normal prior of the noise, as a share of the instrument's scale."""

_SCORES = np.linspace(-8.0, 8.0, 4001)
"""Normal scores at which the quantiles of a prior are tabulated; between them they are interpolated."""

_EDGE = 1e-6
"""Closest that a typical value comes to an end of its range, as a share of it."""

_STEP = 0.01
"""Step of numerical derivatives, in spreads."""

Place = dict[str, Any]
"""A point of the posterior: arrays by the names of :func:`start`."""


class FreeConstant(NamedTuple):
    """A constant to estimate, its range, and the logit of its prior's quantile at each of the normal scores."""

    name: str
    low: float
    high: float
    logits: NDArray[np.float64]

    def logit(self, value: Any) -> Any:  # noqa: ANN401
        """Unconstrained scale."""
        share = (np.asarray(value) - self.low) / (self.high - self.low)
        return np.log(share) - np.log1p(-share)

    def value(self, logit: Any) -> Any:  # noqa: ANN401
        """From the unconstrained scale."""
        return self.low + (self.high - self.low) / (1 + np.exp(-np.asarray(logit)))


def load(name: str) -> Any:  # noqa: ANN401 - a module that may be absent has no type
    """Import a module of the extra ``bayes``; ``InputError`` says how to install it."""
    return numpyro_module(name, "maximum_posterior gives a quick look without it.")


def free_constants(
    model: Memory[Any, Any], names: tuple[str, ...], table: ParameterTable
) -> tuple[FreeConstant, ...]:
    """Return the constants to estimate.

    Raises
    ------
    InputError
        One is not a constant of the model, has no prior, or stands twice.
    """
    can = [name for name in model.constants if table.parameter(name).is_uncertain]
    for name in names:
        if name not in model.constants:
            raise InputError(f"a free constant must be one of {model.name}: {', '.join(can)}; given {name!r}")
        if name not in can:
            raise InputError(
                f"{name} has no prior in parameters.yaml, so it cannot be free; choose from {', '.join(can)}"
            )
        if names.count(name) > 1:
            raise InputError(f"a free constant is named once; {name!r} stands {names.count(name)} times")
    return tuple(_free(name, table) for name in names)


def _free(name: str, table: ParameterTable) -> FreeConstant:
    entry = table.parameter(name)
    low, high = entry.range or (entry.value, entry.value)
    share = (np.clip(_quantiles(entry.prior, low, high), low, high) - low) / (high - low)
    share = np.clip(share, _EDGE, 1 - _EDGE)
    return FreeConstant(name, low, high, np.log(share) - np.log1p(-share))


def _quantiles(prior: Prior, low: float, high: float) -> NDArray[np.float64]:
    """Quantiles of a prior, cut to a range, at every normal score."""
    from scipy.special import ndtr

    whole = prior.quantile(np.clip(ndtr(_SCORES), 1e-15, 1 - 1e-15))
    floor, ceiling = ndtr(np.interp([low, high], whole, _SCORES, left=-np.inf, right=np.inf))
    return prior.quantile(np.clip(floor + ndtr(_SCORES) * (ceiling - floor), 1e-15, 1 - 1e-15))


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What the density is about; readings are shares of the scale, or standard deviations for skin conductance.

    ``unit`` is a reading of 1 in the units of the instrument, and ``middle`` the reading that stands at 0.
    """

    model: Memory[Any, Any]
    table: ParameterTable
    free: tuple[FreeConstant, ...]
    responses: Responses
    rows: tuple[int, ...]
    timeline: Timeline
    sizes: Sizes
    unit: float
    middle: float
    shares: NDArray[np.float64]
    seen: NDArray[np.bool_]
    centred: NDArray[np.float64]

    @property
    def has_ends(self) -> bool:
        """Whether the instrument has ends."""
        return self.responses.scale.has_ends


def problem_of(
    model: Memory[Any, Any], plan: Design, responses: Responses, names: tuple[str, ...], table: ParameterTable
) -> Problem:
    """Put a problem together.

    Raises
    ------
    InputError
        A constant cannot be free, none is, or the readings have not one trial for each presentation.
    """
    if not names:
        raise InputError(f"at least one constant must be free, such as {model.constants[0]}; given none")
    free = free_constants(model, names, table)
    if responses.trials != len(plan.rows):
        raise InputError(
            f"readings must have one trial for each of the {len(plan.rows)} presentations of {plan.says!r}; given "
            f"{responses.trials}. A trial that was not measured is NaN (in a CSV file: left out)"
        )
    timeline, sizes = plan.timeline(table.number, len(responses.subjects))
    readings, seen = responses.readings, np.isfinite(responses.readings)
    unit, middle = responses.scale.top, 0.0
    if not responses.scale.has_ends:
        unit, middle = float(np.std(readings[seen])), float(np.quantile(readings[seen], 0.1))
    shares = np.where(seen, (np.where(seen, readings, 0.0) - middle) / unit, 0.0)
    none = np.zeros((len(free), len(responses.subjects)))
    return Problem(model, table, free, responses, plan.rows, timeline, sizes, unit, middle, shares, seen, none)


def centred(problem: Problem) -> Problem:
    r"""The problem with each subject's constants centred as far as its trials inform them at the middle of the prior.

    With the information :math:`I = \sum_t (\partial f_t / \partial z)^2 / \sigma^2` of the trials that were measured,
    :math:`\lambda = I / (I + 1)`. The posterior of the constants is the same for every value.
    """
    place = start(problem, np.random.default_rng(0), 0.0)
    spread, noise = np.exp(place["spread"]), np.exp(place["noise"])
    gain = 1.0 if problem.has_ends else np.exp(place["instrument"][0])
    told = []
    for k in range(len(problem.free)):
        sides = [_fear_of_all(problem, k, sign * _STEP * spread[k]) for sign in (1, -1)]
        slopes = gain * (sides[0] - sides[1]) / (2 * _STEP) / noise
        told.append(np.sum(np.where(problem.seen, slopes, 0.0) ** 2, axis=1))
    share = np.stack(told) / (np.stack(told) + 1.0)
    return replace(problem, centred=np.where(np.isfinite(share), share, 0.0))


def _fear_of_all(problem: Problem, moved: int, by: float) -> NDArray[np.float64]:
    """Fear in the middle of the prior with the logit of one constant moved, by NumPy."""
    each = [c.value(c.logits[len(_SCORES) // 2] + by * (k == moved)) for k, c in enumerate(problem.free)]
    values = np.broadcast_to(np.array(each)[:, None], (len(each), len(problem.responses.subjects)))
    with np.errstate(all="ignore"):
        return np.asarray(_followed(problem, values, problem.timeline))


def start(problem: Problem, rng: np.random.Generator, jitter: float) -> Place:
    """A point near the middle of the prior, moved at random; spreads and noise are logarithms."""
    k, n = len(problem.free), len(problem.responses.subjects)
    place = {
        "typical": np.zeros(k),
        "spread": np.full(k, np.log(0.3)),
        "subject": np.zeros((k, n)),
        "noise": np.asarray(np.log(0.15)),
    }
    if not problem.has_ends:
        place |= {"instrument": np.array([1.0, 0.0]), "instrument_spread": np.full(2, np.log(0.3))}
        place["instrument_subject"] = np.zeros((2, n))
        place["noise"] = np.asarray(np.log(0.4))
    place = {name: value + jitter * rng.standard_normal(value.shape) for name, value in place.items()}
    share, log_spread = problem.centred, place["spread"][:, None]
    middle = np.array([np.interp(place["typical"][i], _SCORES, c.logits) for i, c in enumerate(problem.free)])
    place["subject"] = share * middle[:, None] + np.exp(share * log_spread) * place["subject"]
    return place


def typical_logits(problem: Problem, place: Place) -> Any:  # noqa: ANN401
    """Logit of the typical value of every free constant, shape ``(constants,)``."""
    import jax.numpy as jnp

    scores = jnp.asarray(_SCORES)
    return jnp.stack(
        [jnp.interp(place["typical"][k], scores, jnp.asarray(c.logits)) for k, c in enumerate(problem.free)]
    )


def constants_of(problem: Problem, place: Place) -> Any:  # noqa: ANN401
    """Constants of every subject, shape ``(constants, subjects)``."""
    import jax
    import jax.numpy as jnp

    typical, share = typical_logits(problem, place)[:, None], jnp.asarray(problem.centred)
    logits = typical + jnp.exp((1 - share) * place["spread"][:, None]) * (place["subject"] - share * typical)
    low, high = (jnp.asarray([c[i] for c in problem.free])[:, None] for i in (1, 2))
    return low + (high - low) * jax.nn.sigmoid(logits)


def fear_of(problem: Problem, place: Place) -> Any:  # noqa: ANN401
    """Fear of every subject at every trial, shape ``(subjects, trials)``.

    Its derivative is carried forwards: a subject's fear depends on its own few constants only, so one pass with a
    tangent for each constant costs less than a pass back through all trials.
    """
    import jax
    import jax.numpy as jnp

    fear = jax.custom_vjp(partial(_traced, problem))
    fear.defvjp(partial(_with_slopes, problem), lambda slopes, change: (jnp.einsum("kst,st->ks", slopes, change),))
    return fear(constants_of(problem, place))


def _with_slopes(problem: Problem, values: Any) -> tuple[Any, Any]:  # noqa: ANN401
    """Fear, and its derivative by each constant of the same subject, shape ``(constants, subjects, trials)``."""
    import jax
    import jax.numpy as jnp

    def slope(towards: Any) -> tuple[Any, Any]:  # noqa: ANN401
        return jax.jvp(partial(_traced, problem), (values,), (towards,))

    each = jnp.broadcast_to(jnp.eye(len(values))[:, :, None], (len(values), *values.shape))
    fear, slopes = jax.vmap(slope, out_axes=(None, 0))(each)
    return fear, slopes


def _traced(problem: Problem, values: Any) -> Any:  # noqa: ANN401
    import jax
    import jax.numpy as jnp

    return _followed(problem, values, jax.tree.map(jnp.asarray, problem.timeline))


def _followed(problem: Problem, values: Any, timeline: Timeline) -> Any:  # noqa: ANN401
    drawn = {c.name: values[k][None] for k, c in enumerate(problem.free)}
    info = follow(problem.model, problem.model.theta(problem.table.lookup_with(drawn)), timeline, problem.sizes)
    return info.fear[np.array(problem.rows), 0].T


def expected_of(problem: Problem, place: Place) -> Any:  # noqa: ANN401
    """Reading expected without noise, as a share of the scale, shape ``(subjects, trials)``."""
    import jax.numpy as jnp

    fear = fear_of(problem, place)
    if problem.has_ends:
        return fear
    own = place["instrument"][:, None] + jnp.exp(place["instrument_spread"])[:, None] * place["instrument_subject"]
    return jnp.exp(own[0])[:, None] * fear + own[1][:, None]


def pointwise(problem: Problem, place: Place) -> Any:  # noqa: ANN401
    """Log-likelihood of every reading, 0 where not measured, shape ``(subjects, trials)``."""
    import jax.numpy as jnp
    from jax.scipy.special import ndtr

    expected, noise = expected_of(problem, place), jnp.exp(place["noise"])
    off = (jnp.asarray(problem.shares) - expected) / noise
    each = -0.5 * off**2 - jnp.log(noise) - 0.5 * jnp.log(2 * jnp.pi)
    if problem.has_ends:
        each = each - jnp.log(ndtr((1 - expected) / noise) - ndtr(-expected / noise))
    return jnp.where(jnp.asarray(problem.seen), each, 0.0)


def log_prior(problem: Problem, place: Place) -> Any:  # noqa: ANN401
    """Log prior density of a point, up to a constant."""
    import jax.numpy as jnp

    def half_normal(log_sd: Any, scale: float) -> Any:  # noqa: ANN401
        return jnp.sum(log_sd - 0.5 * (jnp.exp(log_sd) / scale) ** 2)

    share, log_spread = jnp.asarray(problem.centred), place["spread"][:, None]
    subject = (place["subject"] - share * typical_logits(problem, place)[:, None]) * jnp.exp(-share * log_spread)
    normal = [place["typical"], subject]
    noise_scale, density = NOISE_SCALE, half_normal(place["spread"], SPREAD_SCALE)
    density = density - jnp.sum(share * log_spread)
    if not problem.has_ends:
        noise_scale = 1.0
        normal += [place["instrument"] - jnp.array([1.0, 0.0]), place["instrument_subject"]]
        density = density + half_normal(place["instrument_spread"], SPREAD_SCALE)
    density = density + half_normal(place["noise"], noise_scale)
    return density - 0.5 * sum(jnp.sum(value**2) for value in normal)


def potential(problem: Problem, place: Place) -> Any:  # noqa: ANN401
    """Negative log posterior density, up to a constant."""
    import jax.numpy as jnp

    return -(jnp.sum(pointwise(problem, place)) + log_prior(problem, place))
