"""Intervals against scipy, closed forms and a simulation of their coverage."""
import unittest

import common
import numpy as np
from scipy import stats

from whypix_stats.bootstrap import Plan, acceleration, bca, codes, mean_interval, totals


def mean_of(sums):
    return lambda counts: (counts @ sums)[:, 0] / (counts @ sums)[:, 1]


class Bca(unittest.TestCase):
    def test_equals_scipy_on_the_same_draws(self):
        """Groups of one: scipy's BCa, with the same generator and so the same resamples."""
        x = np.random.default_rng(1).exponential(size=23)
        for level in (0.95, 0.8):
            theirs = stats.bootstrap((x,), np.mean, n_resamples=3000, confidence_level=level, method="BCa",
                                     random_state=np.random.default_rng(7))
            plan = Plan(draws=3000, level=level, expanded=False)
            ours = bca(mean_of(np.stack([x, np.ones(23)], 1)), [23], plan, np.random.default_rng(7))
            np.testing.assert_allclose([ours.low, ours.high], theirs.confidence_interval, rtol=1e-12)

    def test_equals_scipy_for_a_statistic_that_is_not_a_mean(self):
        x = np.random.default_rng(2).lognormal(size=31)
        theirs = stats.bootstrap((x,), np.std, n_resamples=2000, method="BCa", random_state=np.random.default_rng(9))
        sums = np.stack([x, x * x, np.ones(31)], 1)

        def sd(counts):
            t = counts @ sums
            return np.sqrt(t[:, 1] / t[:, 2] - (t[:, 0] / t[:, 2]) ** 2)

        ours = bca(sd, [31], Plan(draws=2000, expanded=False), np.random.default_rng(9))
        np.testing.assert_allclose([ours.low, ours.high], theirs.confidence_interval, rtol=1e-9)

    def test_acceleration_of_two_samples_is_that_of_their_influences(self):
        """A difference of means: the influence of x_i is (x_i − mean) / n, of y_j its negative."""
        r = np.random.default_rng(3)
        x, y = r.exponential(size=12), r.exponential(size=30)
        u = np.concatenate([(x - x.mean()) / 12, -(y - y.mean()) / 30])
        a = acceleration(lambda w: w[:, :12] @ x / w[:, :12].sum(1) - w[:, 12:] @ y / w[:, 12:].sum(1), [12, 30])
        self.assertAlmostEqual(a, np.sum(u ** 3) / (6 * np.sum(u ** 2) ** 1.5), places=12)

    def test_blocks_give_the_acceleration_of_single_groups_for_many(self):
        """4000 groups are left out by fours. The sum of cubes of the blocks is that of the groups but for products of chance."""
        x = np.random.default_rng(4).exponential(size=4000)
        a = acceleration(mean_of(np.stack([x, np.ones(4000)], 1)), [4000])
        u = x - x.mean()
        self.assertAlmostEqual(a, np.sum(u ** 3) / (6 * np.sum(u ** 2) ** 1.5), delta=0.3 * a)

    def test_covers_the_mean_of_groups(self):
        """40 groups of 1 to 8 values that share 80 % of their variance: 95 % must be about that; intervals that take every value
        as independent cover far less, and plain BCa no more than the expanded one."""
        r, plan, times = np.random.default_rng(5), Plan(draws=600), 400
        held = np.zeros(3)
        for t in range(times):
            group = np.repeat(np.arange(40), r.integers(1, 9, 40))
            x = np.sqrt(0.8) * r.normal(size=40)[group] + np.sqrt(0.2) * r.normal(size=len(group))
            ways = ((group, plan), (group, Plan(draws=600, expanded=False)), (np.arange(len(x)), plan))
            held += [i.low <= 0 <= i.high for i in (mean_interval(x, list(units), p, t) for units, p in ways)]
        covered, plain, naive = held / times
        self.assertGreater(covered, 0.92)
        self.assertLess(covered, 0.98)
        self.assertLessEqual(plain, covered)
        self.assertLess(naive, 0.75)

    def test_same_seed_same_bounds_whatever_else_is_asked(self):
        x, units = np.random.default_rng(6).normal(size=40), [i // 2 for i in range(40)]
        one = mean_interval(x, units, Plan(draws=200), "a")
        mean_interval(x, units, Plan(draws=200), "b")
        self.assertEqual(one, mean_interval(x, units, Plan(draws=200), "a"))
        self.assertNotEqual(one, mean_interval(x, units, Plan(draws=200), "b"))
        self.assertNotEqual(one, mean_interval(x, units, Plan(seed=1, draws=200), "a"))
        self.assertEqual(one.groups, 20)

    def test_undefined_values_are_left_out_and_hopeless_intervals_undefined(self):
        i = mean_interval(np.array([1.0, np.nan, 3.0]), ["a", "a", "b"], Plan(draws=50))
        self.assertEqual((i.estimate, i.groups), (2.0, 2))
        for values, units in (([1.0, 1.0, 1.0], [1, 2, 3]), ([1.0, 2.0], [1, 1]), ([np.nan], [1]), ([], [])):
            i = mean_interval(np.array(values), units, Plan(draws=50))
            self.assertTrue(np.isnan(i.low) and np.isnan(i.high), values)

    def test_totals(self):
        group, n = codes(["b", "a", "b"])
        np.testing.assert_array_equal(totals(group, n, np.array([1.0, 2, 4]), np.ones(3)), [[5, 2], [2, 1]])


if __name__ == "__main__":
    common.main()
