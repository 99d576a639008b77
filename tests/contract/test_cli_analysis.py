"""Contract of the analysis verbs: what they print is what the library answers, and bad input is one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from test_cli import answer, ok, refused, stored, write_csv

from dualtrace.effects.binary import TwoByTwo, log_odds_ratio
from dualtrace.pooling import bayesian, multilevel, univariate
from dualtrace.pooling.participants.fit import one_stage
from dualtrace.pooling.robustness.drapery import drapery
from dualtrace.pooling.robustness.gosh import gosh
from dualtrace.pooling.robustness.leave_out import leave_one_out
from dualtrace.pooling.small_study.selection import selection_model
from dualtrace.pooling.sparse.common import mantel_haenszel
from dualtrace.report.figures import drapery as drapery_figure
from dualtrace.report.figures import gosh as gosh_figure

if TYPE_CHECKING:
    from pathlib import Path

G = np.array([0.5, 0.3, -0.1, 0.2, 0.6, 0.05])
SE = np.array([0.2, 0.15, 0.25, 0.1, 0.3, 0.12])
DOSE = (50, 50, 250, 500, 50, 250)
LAB = ("u", "u", "v", "v", "w", "w")
STUDY = tuple("ABCDEF")
COUNTS = {"ai": [3, 0, 5, 2], "n1i": [20, 15, 30, 25], "ci": [1, 2, 4, 0], "n2i": [20, 16, 28, 24]}


@pytest.fixture
def effects(tmp_path: Path) -> str:
    lines = ["study,g,se,dose,lab,year"]
    lines += [
        f"{s},{g},{e},{d},{a},{2001 + i}"
        for i, (s, g, e, d, a) in enumerate(zip(STUDY, G, SE, DOSE, LAB, strict=True))
    ]
    path = tmp_path / "effects.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture
def counts(tmp_path: Path) -> str:
    rows = zip(*COUNTS.values(), strict=True)
    text = "\n".join([",".join(COUNTS), *(",".join(map(str, row)) for row in rows)])
    path = tmp_path / "counts.csv"
    path.write_text(text + "\n", encoding="utf-8")
    return str(path)


def table(path: str) -> tuple[str, ...]:
    return "--csv", path, "--yi", "g", "--sei", "se"


def test_pool_takes_standard_errors_every_estimator_and_an_interval_of_tau2(effects: str) -> None:
    for method in ("HE", "HS", "SJ", "PMM", "EB"):
        found = answer("pool", *table(effects), "--method", method)
        assert found["beta"] == pytest.approx(univariate.fit(G, SE**2, method=method).beta)
    found = answer("pool", *table(effects), "--tau2-interval", "PL")
    assert found["tau2_interval"]["ci_lb"] <= found["tau2"] <= found["tau2_interval"]["ci_ub"]


def test_pool_contrasts_compare_every_pair_of_levels(effects: str) -> None:
    found = answer("pool", *table(effects), "--contrast", "lab")
    assert found["contrasts"]["names"] == ["v - u", "w - u", "w - v"]


def test_pool_location_scale_models_tau2(effects: str) -> None:
    assert answer("pool", *table(effects), "--scale", "dose")["scale_names"] == ["intercept", "dose"]


def test_effects_are_those_of_the_measure(counts: str) -> None:
    lines = ok("effects", "--csv", counts, "--measure", "OR").splitlines()
    yi = [float(line.split(",")[-2]) for line in lines[1:]]
    full = TwoByTwo(*(np.array(COUNTS[key], dtype=float) for key in ("ai", "n1i", "ci", "n2i")))
    expected = log_odds_ratio(full.continuity_corrected())[0]
    assert yi[0] == pytest.approx(np.log(3 * 19 / (17 * 1)))
    assert yi == pytest.approx(expected)


def test_counts_are_mantel_haenszel_of_the_table(counts: str) -> None:
    expected = mantel_haenszel("OR", {key: np.array(value) for key, value in COUNTS.items()})
    assert answer("counts", "--csv", counts)["fit"]["beta"] == pytest.approx(expected.beta)
    assert "Peto method, k = 4" in ok("counts", "--csv", counts, "--method", "PETO")


def test_multilevel_is_the_three_level_model_with_robust_tests(effects: str) -> None:
    found = answer("multilevel", *table(effects), "--cluster", "lab", "--rho", "0.5")
    V = multilevel.assumed(SE**2, LAB, obs=list(range(6)), rho=0.5)
    expected = multilevel.fit(G, V, random=multilevel.nested("lab/row", LAB, STUDY), test="t")
    assert found["fit"]["beta"] == pytest.approx(expected.beta)
    assert found["robust"]["clusters"] == 3


def test_multilevel_uses_rows_known_only_by_bounds(tmp_path: Path) -> None:
    path = tmp_path / "bounds.csv"
    path.write_text(
        "yi,vi,lo,hi,trial\n0.5,0.04,,,a\n,0.05,-0.4,0.4,a\n0.3,0.03,,,b\n,0.04,0,,b\n0.2,0.05,,,c\n",
        encoding="utf-8",
    )
    found = answer("multilevel", "--csv", str(path), "--cluster", "trial")
    assert found["all_information"]["kind"] == ["exact", "interval", "exact", "one-sided", "exact"]
    assert found["fit"]["k"] == 3


def test_robustness_leaves_out_each_row_and_each_group(effects: str) -> None:
    found = answer("robustness", *table(effects), "--by", "lab", "--gosh", "0", "--permute", "50")
    expected = leave_one_out(G, SE**2, slab=list(STUDY))
    assert np.ravel(found["leave_one_out"]["beta"]) == pytest.approx(np.ravel(expected.beta))
    assert {"influence", "baujat", "cumulative", "leave_group_out", "decomposition", "gosh", "permutation"} <= set(
        found
    )


def test_robustness_and_bias_run_on_the_evidence() -> None:
    found = answer("robustness", "--outcome", "severity_mixed", "--by", "disorder")
    assert found["rows"]["title"].startswith("severity_mixed at post, SMD; positive favours the drug")
    assert found["cumulative"].get("refused", "").startswith("no year is known of") or "beta" in found["cumulative"]
    assert len(found["leave_one_out"]["slab"]) == len(found["rows"]["slab"])
    assert "p_uniform_star" in answer("bias", "--outcome", "severity_mixed")


def test_robustness_draws_what_was_asked_for(effects: str, tmp_path: Path) -> None:
    folder = tmp_path / "figures"
    printed = ok("robustness", *table(effects), "--gosh", "0", "--figures", str(folder))
    names = ["baujat", "cumulative", "drapery", "gosh", "influence", "leave_one_out"]
    assert sorted(path.stem for path in folder.iterdir()) == names
    ok("bias", *table(effects), "--figures", str(folder))
    ok("bayes", *table(effects), "--figures", str(folder))
    assert {"funnel.png", "posterior.png"} <= {path.name for path in folder.iterdir()}
    assert "leave out --moderators" in refused("bayes", *table(effects), "--groups", "lab", "--figures", str(folder))
    assert "Figures: " in printed
    (tmp_path / "taken").write_text("", encoding="utf-8")
    assert "is a file" in refused("robustness", *table(effects), "--figures", str(tmp_path / "taken"))
    assert "leave out --moderators" in refused(
        "robustness", *table(effects), "--moderators", "dose", "--figures", str(folder)
    )


def test_drapery_curves_and_gosh_cells_are_those_of_the_fits() -> None:
    found = drapery(G, SE**2, slab=list(STUDY))
    spec = drapery_figure.drapery_spec(found, title="six trials")
    fitted = univariate.fit(G, SE**2)
    ends = np.interp([fitted.ci_lb[0], fitted.ci_ub[0]], spec.effect, spec.pooled)
    assert ends == pytest.approx([0.05, 0.05], abs=0.01)
    assert f"{len(STUDY)} trials" in drapery_figure.drapery_alt(spec)
    fits = gosh(G, SE**2, slab=list(STUDY))
    cloud = gosh_figure.gosh_spec(fits, title="six trials", without="D")
    assert gosh_figure.counts(cloud).sum() == len(cloud.effects) == 2**6 - 1 - 6
    assert cloud.marked is not None
    assert cloud.marked.sum() == 2**5 - 1 - 5
    assert "Without D the median effect is" in gosh_figure.gosh_alt(cloud)
    with pytest.raises(ValueError, match="need one same length above 0"):
        gosh_figure.GoshSpec(title="none", effects=np.empty(0), i2=np.empty(0))


def test_bias_prints_every_method_and_warns_of_few_rows(effects: str) -> None:
    found = answer("bias", *table(effects))
    expected = selection_model(G, SE**2, kind="stepfun", steps=(0.025,))
    assert found["step_selection"]["beta"] == pytest.approx(expected.beta, abs=1e-6)
    assert {"egger", "rank", "trim_and_fill", "pet_peese", "limit", "p_curve", "fail_safe"} <= set(found)
    assert "With 6 rows these methods have next to no power" in found["warnings"][0]


def test_bayes_is_the_posterior_by_quadrature_with_the_prior_named(effects: str) -> None:
    found = answer("bayes", *table(effects), "--tau-prior", "half-cauchy(0.3)", "--mean-prior", "0,1")
    expected = bayesian.fit(
        G, SE**2, tau_prior=bayesian.half_cauchy(0.3), mean_prior=bayesian.MeanPrior(0.0, 1.0), slab=list(STUDY)
    )
    assert found["fit"]["mu"]["mean"] == pytest.approx(expected.mu_summary.mean)


def test_participants_are_analysed_in_one_stage(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    trial = np.repeat(["a", "b", "c"], 30)
    treatment = np.tile([0, 1], 45)
    y = np.round(50.0 - 4.0 * treatment + rng.normal(0, 8, 90), 2)
    path = tmp_path / "people.csv"
    rows = [f"{a},{b},{c}" for a, b, c in zip(y, treatment, trial, strict=True)]
    path.write_text("\n".join(["y,treatment,trial", *rows]) + "\n", encoding="utf-8")
    found = answer("participants", "--csv", str(path))
    expected = one_stage(y, treatment, trial.tolist())
    assert found["one_stage"]["beta"] == pytest.approx(expected.beta)


def test_bias_says_what_speaks_against_it_and_takes_sample_sizes(effects: str) -> None:
    found = answer("bias", *table(effects), "--ni", "dose")
    assert {"fit", "p_uniform", "regression_by_size"} <= set(found)
    assert found["fit"]["beta"] == univariate.fit(G, SE**2).to_dict()["beta"]
    assert "rows without an estimate take no part" in answer("bias", "--outcome", "severity_mixed")["warnings"][-1]


def test_a_method_that_cannot_be_used_says_why_and_the_others_answer(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "two.csv", {"yi": [0.01, 0.02], "vi": [0.04, 0.05]})
    text = ok("bias", "--csv", path)
    assert "Limit meta-analysis: not available. A limit meta-analysis needs at least 3 rows; given 2." in text
    assert "The largest standard error is only 1.1 times the smallest" in text
    found = answer("bias", "--csv", path)
    assert "none with p < .05" in found["p_curve"]["refused"]
    assert found["fit"]["k"] == 2


def test_bias_numbers_are_those_of_metafor(tmp_path: Path) -> None:
    kept = stored("small_study")
    rows = kept["sets"]["bcg"]
    found = answer("bias", "--csv", write_csv(tmp_path / "bcg.csv", {"yi": rows["yi"], "vi": rows["vi"]}))
    egger = next(a for a in kept["regtest"] if a["set"] == "bcg" and (a["model"], a["predictor"]) == ("lm", "sei"))
    assert found["egger"]["zval"] == pytest.approx(egger["zval"], rel=1e-8)
    rank = next(a for a in kept["ranktest"] if a["set"] == "bcg")
    assert found["rank"]["tau"] == pytest.approx(rank["tau"], rel=1e-8)
    fill = next(
        a
        for a in kept["trimfill"]
        if (a["set"], a["method"], a["estimator"], a["side"]) == ("bcg", "REML", "L0", "auto")
    )
    assert found["trim_and_fill"]["k0"] == fill["k0"]
    assert found["trim_and_fill"]["fit"]["beta"] == pytest.approx([fill["beta"]], rel=1e-6)


def test_multilevel_numbers_are_those_of_metafor_and_clubsandwich(tmp_path: Path) -> None:
    kept = stored("multilevel")
    rows = kept["sets"]["konstantopoulos2011"]
    columns = {"yi": rows["yi"], "vi": rows["vi"]} | {key: rows["columns"][key] for key in ("district", "school")}
    path = write_csv(tmp_path / "k.csv", columns)
    wanted = kept["fits"][0]
    assert (wanted["set"], wanted["method"], wanted["test"]) == ("konstantopoulos2011", "REML", "z")
    found = answer("multilevel", "--csv", path, "--nested", "district/row", "--cluster", "district", "--test", "z")
    assert found["fit"]["beta"] == pytest.approx(wanted["beta"], rel=1e-6)
    assert found["fit"]["se"] == pytest.approx(wanted["se"], rel=1e-5)
    assert list(found["fit"]["components"].values()) == pytest.approx(wanted["sigma2"], rel=1e-5)
    assert found["robust"]["clusters"] == 11


def test_permutation_gives_intervals_and_equals_metafor(tmp_path: Path) -> None:
    kept = stored("robustness")["permutation"][0]
    rows = stored("univariate")["sets"][kept["set"]]
    path = write_csv(tmp_path / "p.csv", {"yi": rows["yi"], "vi": rows["vi"]})
    found = answer("robustness", "--csv", path, "--permute", "1000", "--method", kept["method"])["permutation"]
    assert found["pval"] == pytest.approx([kept["pval"]])
    assert found["exact"]


def test_bayes_compares_with_the_empirical_prior_of_the_scale() -> None:
    smd = answer("bayes", "--disorder", "SAD", "--outcome", "severity_mixed", "--sensitivity")["sensitivity"]
    ratio = answer("bayes", "--outcome", "remission", "--sensitivity")["sensitivity"]
    assert "log-t(-2.99" in str(smd)
    assert "log-normal(-2.12" in str(ratio)


REFUSED = [
    (("pool", "--sei", "se"), "--sei is about a table; give the table with --csv FILE"),
    (("pool", "{t}", "--outcome", "severity"), "--outcome selects from the evidence, which --csv replaces"),
    (("pool", "{t}", "--weights", "nothing"), "--weights nothing: there is no such column"),
    (("pool", "{t}", "--weights", "lab"), "a number is needed; given 'u' in row A"),
    (("pool", "{t}", "--contrast", "lab", "--scale", "dose"), "ask for one of them"),
    (("pool", "{t}", "--columns", "m1i=x"), "say which with --measure NAME"),
    (("effects", "--csv", "{p}", "--measure", "SMD"), "needs the columns"),
    (("counts", "--csv", "{p}"), "needs the columns"),
    (("counts",), "counts needs --csv FILE"),
    (("multilevel", "{t}"), "say how rows depend on each other"),
    (("multilevel", "{t}", "--rho", "0.5", "--nested", "lab/row"), "needs --cluster COLUMN"),
    (("robustness", "{t}", "--gosh", "-1"), "--gosh must be 0 or more; given -1"),
    (("robustness", "{t}", "--order", "when"), "--order when: there is no such column"),
    (("bias", "{t}", "--steps", "a"), "--steps must be p values"),
    (("bayes", "{t}", "--tau-prior", "half(2)"), "--tau-prior must be one of half-normal"),
    (("bayes", "{t}", "--tau-prior", "half-t(2)"), "--tau-prior half-t takes 2 numbers in brackets"),
    (("bayes", "{t}", "--tau-prior", "half-normal(x)"), "a number is needed; given 'x'"),
    (("bayes", "{t}", "--tau-prior", "turner(weather)"), "outcome must be one of mortality"),
    (("bayes", "{t}", "--mean-prior", "1"), "--mean-prior must be a mean and a standard deviation"),
    (("bias", "{t}", "--ni", "lab"), "--ni lab: a number is needed; given 'u' in row A"),
    (("participants", "--csv", "{p}"), "has no column 'y' (--outcome)"),
]


@pytest.mark.parametrize(("arguments", "sentence"), REFUSED, ids=[" ".join(a)[:60] for a, _ in REFUSED])
def test_what_cannot_be_analysed_is_refused_in_a_sentence(
    effects: str, arguments: tuple[str, ...], sentence: str
) -> None:
    typed = [part for a in arguments for part in (table(effects) if a == "{t}" else (effects if a == "{p}" else a,))]
    found = refused(*typed)
    assert sentence in found.replace("\n", " ")
    assert "Traceback" not in found


def test_answers_end_with_the_publications_of_their_methods(effects: str) -> None:
    assert "Röver C, Knapp G, Friede T." in ok("pool", *table(effects), "--test", "adhoc").splitlines()[-3]
    found = answer("bias", *table(effects))
    assert {"egger1997", "begg1994", "duval2000", "vevea1995", "rosenthal1979"} <= set(found["methods"])
    assert found["methods"]["egger1997"].endswith("https://doi.org/10.1136/bmj.315.7109.629")


def test_p_uniform_star_is_refused_where_nothing_is_significant_on_its_side(tmp_path: Path) -> None:
    path = tmp_path / "null.csv"
    path.write_text("yi,vi\n" + "".join(f"{x},0.04\n" for x in (0.1, -0.2, 0.05, 0.3, -0.1)), encoding="utf-8")
    found = answer("bias", "--csv", str(path))
    assert "significant on the right; of 5 results none is" in found["p_uniform_star"]["refused"]
    assert "Every interval of the p value needs at least one result" in found["step_selection"]["refused"]
