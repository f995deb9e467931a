"""Regression with robust errors against statsmodels; entropy, tertiles, consensus, budget curves against closed forms."""
import unittest

import common
import numpy as np
import pandas as pd
from scipy import stats

from whypix_stats.budgets import evaluations_needed
from whypix_stats.consensus import consensus, hit, iou_at_area, membership
from whypix_stats.predict import entropy, least_squares, tertile, within
from whypix_stats.reliability import spearman_brown


class Regression(unittest.TestCase):
    def test_equals_statsmodels_with_clusters(self):
        from statsmodels.regression.linear_model import OLS
        r = np.random.default_rng(1)
        unit = np.repeat(np.arange(20), 6)
        x = np.column_stack([r.normal(size=(120, 2)), np.ones(120)])
        y = x @ [0.5, -1, 2] + r.normal(size=20)[unit] + r.normal(size=120)
        theirs = OLS(y, x).fit(cov_type="cluster", cov_kwds={"groups": unit}, use_t=True)
        ours = least_squares(y, x, unit, 20)
        for got, want in ((ours.coefficient, theirs.params), (ours.error, theirs.bse), (ours.p, theirs.pvalues),
                          (np.stack([ours.low, ours.high], 1), theirs.conf_int())):
            np.testing.assert_allclose(got, want, rtol=1e-8)

    def test_taking_means_out_equals_a_dummy_for_each(self):
        """Coefficients of the within transformation are those with method dummies; so are the errors, as the means count as terms."""
        from statsmodels.regression.linear_model import OLS
        r = np.random.default_rng(2)
        f = pd.DataFrame({"method": np.tile(list("abc"), 30), "unit": np.repeat(np.arange(30), 3), "x": r.normal(size=90)})
        f["y"] = 0.7 * f.x + f.method.map({"a": 0, "b": 5, "c": -2}) + r.normal(size=90)
        z = within(f, ["x", "y"])
        ours = least_squares(z.y.to_numpy(), z[["x"]].to_numpy(), f.unit.to_numpy(), 30, absorbed=3)
        full = np.column_stack([f.x, pd.get_dummies(f.method).astype(float)])
        theirs = OLS(f.y, full).fit(cov_type="cluster", cov_kwds={"groups": f.unit}, use_t=True)
        scale = (f.x - f.groupby("method").x.transform("mean")).std(ddof=0) / (f.y - f.groupby("method").y.transform("mean")).std(ddof=0)
        self.assertAlmostEqual(ours.coefficient[0], theirs.params[0] * scale, places=10)
        self.assertAlmostEqual(ours.error[0], theirs.bse[0] * scale, places=10)

    def test_level_holds_when_groups_share_their_noise(self):
        r, low = np.random.default_rng(3), 0
        unit = np.repeat(np.arange(30), 5)
        for _i in range(400):
            x, y = (r.normal(size=30)[unit] + 0.3 * r.normal(size=150) for _j in range(2))
            low += least_squares(y - y.mean(), (x - x.mean())[:, None], unit, 30, 1).p[0] < 0.05
        self.assertLess(low / 400, 0.09)

    def test_entropy(self):
        flat, point = np.ones((1, 196)), np.eye(1, 196)
        got = entropy(np.vstack([flat, -2 * flat, point, np.zeros((1, 196))]))
        np.testing.assert_allclose(got, [np.log(196), np.log(196), 0, np.nan], atol=1e-12)

    def test_tertiles_are_thirds_and_keep_ties_together(self):
        self.assertEqual(list(tertile(pd.Series([1.0, 2, 3, 4, 5, 6, np.nan])).astype(object).fillna("-")),
                         ["low", "low", "middle", "middle", "high", "high", "-"])
        self.assertEqual(len(set(tertile(pd.Series([1.0, 1, 1, 2]))[:3])), 1)


class Consensus(unittest.TestCase):
    def test_does_not_depend_on_scale(self):
        r = np.random.default_rng(4)
        maps = r.normal(size=(3, 50))
        np.testing.assert_allclose(consensus(maps), consensus(np.array([10 * maps[0], np.exp(maps[1]), maps[2] - 7])))

    def test_finds_an_object_better_than_its_noisy_parts(self):
        r = np.random.default_rng(5)
        mask = np.zeros(400, dtype=bool)
        mask[:60] = True
        maps = mask + r.normal(0, 0.8, (8, 400))
        own = [iou_at_area(m, mask) for m in maps]
        self.assertGreater(iou_at_area(consensus(maps), mask), max(own))

    def test_scores_by_hand(self):
        mask = np.array([1, 1, 0, 0], dtype=bool)
        self.assertEqual(iou_at_area(np.array([3.0, 1, 2, 0]), mask), 1 / 3)
        np.testing.assert_allclose(membership(np.array([5.0, 1, 1, 1]), 2), [1, 1 / 3, 1 / 3, 1 / 3])
        self.assertAlmostEqual(iou_at_area(np.array([5.0, 1, 1, 1]), mask), (4 / 3) / (4 - 4 / 3))
        self.assertEqual(hit(np.array([2.0, 0, 2, 0]), mask), 0.5)


class Budgets(unittest.TestCase):
    def test_inverts_the_law_between_before_and_behind(self):
        """Self-agreement that follows Spearman-Brown from .02 at one evaluation reaches .95 where the law says."""
        need = 0.95 * (1 - 0.02) / (0.02 * (1 - 0.95))
        for runs in ([50, 100, 200], [500, 1500], [2000, 4000], [need]):
            r = np.array([spearman_brown(0.02, n) for n in runs])
            self.assertAlmostEqual(evaluations_needed(r, np.array(runs, dtype=float))[0] / need, 1, places=9)

    def test_takes_the_first_crossing_and_knows_when_there_is_none(self):
        n = np.array([10.0, 20, 40])
        self.assertTrue(10 < evaluations_needed(np.array([0.5, 0.96, 0.97]), n)[0] < 20)
        self.assertTrue(np.isnan(evaluations_needed(np.array([-0.1, 0.5, 0.97]), n)[0]))

    def test_of_simulated_means(self):
        """Maps = truth + noise / sqrt(n): the correlation of two runs is n / (n + noise²), a law of this kind."""
        r, n = np.random.default_rng(6), np.array([4.0, 16, 64])
        truth = r.normal(size=(200, 196))
        curve = [np.mean([stats.pearsonr(*(t + 2 * r.normal(size=196) / np.sqrt(k) for _ in range(2)))[0] for t in truth]) for k in n]
        self.assertAlmostEqual(evaluations_needed(np.array(curve), n)[0], 76, delta=4)


if __name__ == "__main__":
    common.main()
