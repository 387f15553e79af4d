"""Two models on the same rows, beside MLstatkit, statsmodels and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kairos.stats.auc import paired_auc
from kairos.stats.confusion import CONFUSION_METRICS, confusion_value
from kairos.stats.dependence import Dependence, spread
from kairos.stats.groups import group_difference
from kairos.stats.paired import paired_zero_one
from kairos.stats.reliability import calibrate, wilson
from kairos.stats.samplesize import rows_for_margin
from kairos.stats.tango import tango_z
from tests.oracles.oracle import ask

RNG = np.random.default_rng(1)
TRUTH = (RNG.uniform(size=400) < 0.3).astype(int)
SCORES = [np.round(skill * TRUTH + RNG.normal(size=400), 1) for skill in (1.0, 1.3)]


def test_delongs_test_is_that_of_mlstatkit() -> None:
    """Areas, z and two-sided p, with ties."""
    theirs = ask(
        """
        from MLstatkit import Delong_test
        z, p, *rest = Delong_test(np.array(y), np.array(a), np.array(b))
        answer = [z, p, rest[2], rest[3]]
        """,
        y=TRUTH,
        a=SCORES[0],
        b=SCORES[1],
    )
    mine = paired_auc(TRUTH, *SCORES, alpha=0.05)
    z = mine.difference / mine.se
    p = 2 * min(mine.p_above(0.0), mine.p_below(0.0))
    assert [abs(z), p, mine.champion, mine.challenger] == pytest.approx([abs(theirs[0]), *theirs[1:]], rel=1e-9)


def test_clusters_have_the_robust_error_of_statsmodels() -> None:
    """Of a mean; statsmodels multiplies by (n - 1) / (n - 1) x G / (G - 1), which is ours."""
    x, who = RNG.normal(size=300), RNG.integers(0, 25, 300)
    theirs = ask(
        """
        import statsmodels.api as sm
        fit = sm.OLS(np.array(x), np.ones(len(x))).fit(cov_type="cluster", cov_kwds={"groups": np.array(who)})
        answer = float(fit.bse[0])
        """,
        x=x,
        who=who,
    )
    mine = spread(x, Dependence(entities=who))
    assert max(theirs, spread(x).se) == pytest.approx(mine.se, rel=1e-9)


def test_chances_are_recalibrated_as_statsmodels_does() -> None:
    """Slope, intercept, and the robust error of the slope."""
    chance = 1 / (1 + np.exp(-(SCORES[1] - 0.9)))
    theirs = ask(
        """
        import statsmodels.api as sm
        p = np.array(p)
        fit = sm.Logit(np.array(y), sm.add_constant(np.log(p / (1 - p)))).fit(disp=0, cov_type="HC0", tol=1e-12)
        answer = [*fit.params, fit.bse[1]]
        """,
        y=TRUTH,
        p=chance,
    )
    mine = calibrate(TRUTH, chance, alpha=0.05, probability=True)
    se = (mine.slope_upper - mine.slope_lower) / 2 / 1.6487 * math.sqrt(399 / 400)
    assert [mine.intercept, mine.slope] == pytest.approx(theirs[:2], rel=1e-6)
    assert se == pytest.approx(theirs[2], rel=1e-3)


def test_shares_have_the_bounds_of_statsmodels() -> None:
    """Wilson, Clopper and Pearson, Newcombe."""
    theirs = ask(
        """
        from statsmodels.stats.proportion import confint_proportions_2indep as two, proportion_confint as one
        answer = [*one(9, 70, alpha=0.1, method="wilson"), *one(9, 70, alpha=0.1, method="beta"),
                  *two(9, 70, 20, 80, method="newcomb", alpha=0.1)]
        """
    )
    wrong = np.r_[np.ones(9), np.zeros(61)]
    rate = paired_zero_one(wrong, wrong, alpha=0.05)
    values = np.r_[wrong, np.ones(20), np.zeros(60)]
    groups = group_difference(values, np.arange(150) < 70, np.arange(150) >= 70, alpha=0.05, rate=True)
    mine = [*wilson(9, 70, 0.05), rate.own_lower, rate.own_upper, groups.lower, groups.upper]
    assert mine == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("classes", [2, 4])
def test_metrics_of_classes_are_those_of_scikit_learn(classes: int) -> None:
    """Of its newest version, which is not the one that we run with."""
    y = RNG.integers(0, classes, 300)
    p = np.where(RNG.uniform(size=300) < 0.7, y, RNG.integers(0, classes, 300))
    theirs = ask(
        """
        from sklearn import metrics as m
        how = {} if classes == 2 else {"average": "macro"}
        answer = {"accuracy": m.accuracy_score(y, p), "balanced_accuracy": m.balanced_accuracy_score(y, p),
                  "f1": m.f1_score(y, p, **how), "precision": m.precision_score(y, p, **how),
                  "recall": m.recall_score(y, p, **how), "mcc": m.matthews_corrcoef(y, p)}
        """,
        y=y,
        p=p,
        classes=classes,
    )
    table = np.zeros((classes, classes))
    np.add.at(table, (y, p), 1.0)
    assert {name: float(confusion_value(name, table)) for name in CONFUSION_METRICS} == pytest.approx(theirs)


def test_without_a_margin_the_score_is_mcnemars_and_rows_are_those_that_are_planned() -> None:
    """The square of the score is McNemar's statistic without correction; rows are for one side and a power of 0.8."""
    theirs = ask(
        """
        from statsmodels.stats.contingency_tables import mcnemar
        from statsmodels.stats.power import normal_sample_size_one_tail
        rows = [normal_sample_size_one_tail(margin, 0.8, 0.05, 0.05 ** 0.5) for margin in margins]
        answer = {"mcnemar": mcnemar([[60, 12], [5, 23]], exact=False, correction=False).statistic, "rows": rows}
        """,
        margins=[0.005, 0.01, 0.02],
    )
    assert tango_z(12, 5, 100, 0.0) ** 2 == pytest.approx(theirs["mcnemar"], rel=1e-9)
    mine = [rows_for_margin(0.05**0.5, margin, 0.05) for margin in (0.005, 0.01, 0.02)]
    assert mine == [math.ceil(n) for n in theirs["rows"]]
