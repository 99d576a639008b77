"""Laws of the glycine site: no drug no change, the sign rule, monotone occupancy, limits, antagonists."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualtrace.errors import InputError
from dualtrace.mechanism import receptor
from dualtrace.mechanism.antagonist import KNOWN, surroundings
from dualtrace.mechanism.parameters import load_parameters
from dualtrace.mechanism.receptor import Antidepressant, GlycineSite, Ligand

TABLE = load_parameters()
LOOKUP = TABLE.number
SITE, DRUG = receptor.default_site(LOOKUP), receptor.cycloserine(LOOKUP)
DOSES = jnp.geomspace(0.01, 1e6, 61)

SHARE = st.floats(0.02, 0.98)
EFFICACY = st.floats(0.0, 4.0)
CONCENTRATION = st.floats(1e-3, 1e4)


def one_class(occupied: float, efficacy: float, k: float = 2.0) -> tuple[GlycineSite, Ligand]:
    load = receptor.endogenous_load(jnp.asarray([occupied]))
    return GlycineSite(load, jnp.ones(1)), Ligand(jnp.asarray([k]), jnp.asarray([efficacy]))


def test_law_gain_is_one_without_drug() -> None:
    assert float(receptor.gain(SITE, 0.0, DRUG)) == pytest.approx(1.0, abs=1e-15)
    assert float(receptor.occupancy(SITE, 0.0, DRUG)) == 0.0


@settings(max_examples=60, deadline=None)
@given(occupied=SHARE, efficacy=EFFICACY, dose=CONCENTRATION)
def test_law_sign_rule_holds_at_every_dose(occupied: float, efficacy: float, dose: float) -> None:
    """The drug strengthens a class exactly when its efficacy exceeds the occupied share."""
    site, drug = one_class(occupied, efficacy)
    change = float(receptor.gain_by_class(site, dose, drug)[0]) - 1
    margin = efficacy - occupied
    if abs(margin) > 1e-9:
        assert np.sign(change) == np.sign(margin)


@settings(max_examples=30, deadline=None)
@given(occupied=SHARE, efficacy=EFFICACY)
def test_law_single_pool_is_monotone_in_dose(occupied: float, efficacy: float) -> None:
    """With one pool and Hill 1 there is no inverted U."""
    site, drug = one_class(occupied, efficacy)
    steps = np.diff(np.asarray(receptor.gain(site, DOSES, drug)))
    assert np.all(steps >= -1e-12) or np.all(steps <= 1e-12)


def test_law_two_pools_can_give_an_inverted_u() -> None:
    """An unsaturated pool of high affinity gains first; a saturated pool of low affinity loses later."""
    site = GlycineSite(receptor.endogenous_load(jnp.asarray([0.3, 0.95])), jnp.asarray([0.3, 0.7]))
    drug = Ligand(jnp.asarray([0.5, 500.0]), jnp.asarray([1.5, 0.05]))
    curve = np.asarray(receptor.gain(site, DOSES, drug))
    top = int(np.argmax(curve))
    assert curve[top] > 1.2
    assert 0 < top < len(curve) - 1
    assert curve[-1] < 1


@settings(max_examples=30, deadline=None)
@given(occupied=SHARE, competitor=st.floats(0.0, 10.0))
def test_law_occupancy_rises_with_dose_and_falls_with_competitors(occupied: float, competitor: float) -> None:
    site, drug = one_class(occupied, 0.8)
    around = receptor.Surroundings(competitor=competitor)
    curve = np.asarray(receptor.occupancy(site, DOSES, drug, around))
    assert np.all(np.diff(curve) > 0)
    assert np.all((curve >= 0) & (curve < 1))
    assert np.all(curve <= np.asarray(receptor.occupancy(site, DOSES, drug)) + 1e-15)


@settings(max_examples=30, deadline=None)
@given(occupied=SHARE, efficacy=EFFICACY)
def test_law_infinite_dose_leaves_the_drugs_own_efficacy(occupied: float, efficacy: float) -> None:
    site, drug = one_class(occupied, efficacy)
    assert float(receptor.gain(site, 1e12, drug)) == pytest.approx(efficacy / occupied, rel=1e-9, abs=1e-9)


def test_law_lower_occupancy_gives_the_larger_gain() -> None:
    """Aged rats with little D-serine gain more (PMC2874399)."""
    gains = [float(receptor.gain(*_with(share))) for share in (0.4, 0.6, 0.8)]
    assert gains[0] > gains[1] > gains[2]


def _with(occupied: float) -> tuple[GlycineSite, float, Ligand]:
    site, drug = one_class(occupied, 0.9)
    return site, 7.0, drug


@pytest.mark.parametrize("name", KNOWN)
def test_law_every_antagonist_lowers_the_current_in_proportion(name: str) -> None:
    gains = [
        float(receptor.gain(SITE, 0.0, DRUG, surroundings({name: amount}, LOOKUP))) for amount in (0.0, 0.5, 5.0, 5e6)
    ]
    assert gains[0] == pytest.approx(1.0)
    assert gains[0] > gains[1] > gains[2] > gains[3] >= 0
    assert gains[3] < 1e-3


def test_law_drug_overcomes_a_site_antagonist_but_not_a_channel_blocker() -> None:
    site_blocked = receptor.gain(SITE, DOSES, DRUG, surroundings({"7cka": 10.0}, LOOKUP))
    channel_blocked = receptor.gain(SITE, DOSES, DRUG, surroundings({"mk801": 0.1}, LOOKUP))
    free = receptor.gain(SITE, DOSES, DRUG)
    assert float(site_blocked[-1] / free[-1]) == pytest.approx(1.0, abs=1e-3)
    assert channel_blocked / free == pytest.approx(1 / 11, rel=1e-12)


def test_law_arousal_weakens_a_partial_agonist_and_can_turn_its_sign() -> None:
    site, drug = one_class(0.67, 0.8)
    gains = [
        float(receptor.gain(receptor.with_arousal(site, arousal, 5.0), 7.0, drug)) for arousal in (0.0, 0.5, 1.0)
    ]
    assert gains[0] > 1 > gains[2]
    assert gains[0] > gains[1] > gains[2]


def test_law_added_coagonists_leave_less_for_the_drug() -> None:
    for ligand in (receptor.dserine(LOOKUP), receptor.glycine(LOOKUP), receptor.sarcosine(LOOKUP)):
        fuller = receptor.with_coagonist(SITE, jnp.asarray(2.0), ligand)
        assert np.all(receptor.occupied_share(fuller) > receptor.occupied_share(SITE))
        assert float(receptor.gain(fuller, 7.0, DRUG)) < float(receptor.gain(SITE, 7.0, DRUG))


def test_law_antidepressant_readings_differ() -> None:
    """(a) gains more than no antidepressant; (b) gains less than (a); without a shift all agree."""

    def gains(kappa: float) -> list[float]:
        both = [receptor.with_antidepressant(SITE, DRUG, reading=r, kappa=kappa) for r in Antidepressant]
        return [float(receptor.gain(site, 7.0, drug)) for site, drug in both]

    none, endogenous, whole = gains(1.5)
    assert endogenous > none
    assert endogenous > whole
    assert gains(1.0) == pytest.approx([none] * 3, rel=1e-14)


def test_law_magnesium_block_lifts_with_depolarisation() -> None:
    left = np.asarray(receptor.magnesium_unblocked(np.linspace(-90.0, 40.0, 20), 1.0, LOOKUP))
    assert np.all(np.diff(left) > 0)
    assert float(receptor.magnesium_unblocked(-60.0, 0.0, LOOKUP)) == 1.0


def test_law_gain_at_ten_to_twenty_micromolar_lies_in_the_stated_prior() -> None:
    """Effect size free, prior G - 1 in 0.05 to 0.5; above 1 at 5 to 15 uM (human M1, PMID 37041205)."""
    assert np.all(np.asarray(receptor.gain(SITE, np.array([5.0, 15.0]), DRUG)) > 1)
    for level in (10.0, 20.0):
        assert 0.05 <= float(receptor.gain(SITE, level, DRUG)) - 1 <= 0.5


def test_contract_unknown_or_negative_antagonist_is_refused() -> None:
    with pytest.raises(InputError, match="unknown antagonist 'aspirin'; known are 7cka"):
        surroundings({"aspirin": 1.0}, LOOKUP)
    with pytest.raises(InputError, match="the concentration of ap5 must be 0 uM or more; given -1"):
        surroundings({"ap5": -1.0}, LOOKUP)
