"""Rank tests against scipy, statsmodels, enumeration and printed tables."""
import itertools
import unittest

import common
import numpy as np
from scipy import stats

from whypix_stats.ranks import (alike, friedman, holm, nemenyi, rank_sum, rank_sum_effects, signed_rank, signed_rank_effect,
                                signed_rank_effects)


class SignedRank(unittest.TestCase):
    def test_equals_scipy_without_ties(self):
        for n in (3, 8, 25, 50):
            d = np.random.default_rng(n).normal(0.3, 1, n)
            self.assertAlmostEqual(signed_rank(d).p, stats.wilcoxon(d, mode="exact").pvalue, places=10)

    def test_with_ties_equals_the_enumeration_of_signs(self):
        d = np.array([1, 1, -1, 2, 2, -3, 3, 3, 5.0])
        ranks = stats.rankdata(np.abs(d))
        sums = np.array([sum(r for r, s in zip(ranks, signs) if s) for signs in itertools.product([0, 1], repeat=len(d))])
        at = ranks[d > 0].sum()
        self.assertAlmostEqual(signed_rank(d).p, min(1, 2 * min(np.mean(sums <= at), np.mean(sums >= at))), places=12)

    def test_normal_beyond(self):
        d = np.random.default_rng(0).normal(0.1, 1, 300)
        self.assertAlmostEqual(signed_rank(d).p, stats.wilcoxon(d, mode="approx").pvalue, places=12)

    def test_zeros_are_counted_and_left_out(self):
        t = signed_rank(np.array([0, 0, 1, 2, -3.0]))
        self.assertEqual((t.n, t.zeros), (5, 2))
        self.assertAlmostEqual(t.effect, 0.0)
        self.assertTrue(np.isnan(signed_rank(np.zeros(4)).p))

    def test_level_holds_under_the_null(self):
        r = np.random.default_rng(1)
        p = np.array([signed_rank(r.integers(-4, 5, 15).astype(float)).p for _ in range(1000)])
        self.assertLess(np.mean(p <= 0.05), 0.065)

    def test_effects_of_draws_are_those_of_the_repeated_rows(self):
        r = np.random.default_rng(2)
        d, x, y = r.integers(-3, 4, 12).astype(float), r.integers(0, 5, 7).astype(float), r.integers(0, 5, 9).astype(float)
        counts = r.integers(0, 3, (20, 16)).astype(int)
        for row in counts:
            again = np.repeat(d, row[:12])
            used = again[again != 0]
            ranks = stats.rankdata(np.abs(used))
            self.assertAlmostEqual(signed_rank_effects(d)(row[None, :12].astype(float))[0], np.sum(ranks * np.sign(used)) / ranks.sum())
            a, b = np.repeat(x, row[:7]), np.repeat(y, row[7:])
            sign = np.sign(a[:, None] - b[None, :]).mean()
            self.assertAlmostEqual(rank_sum_effects(x, y)(row[None].astype(float))[0], sign)
        self.assertEqual(signed_rank_effect(np.array([1, 2, 3.0])), 1.0)


class Families(unittest.TestCase):
    def test_holm_equals_statsmodels(self):
        from statsmodels.stats.multitest import multipletests
        p = np.random.default_rng(3).uniform(0, 0.2, 17)
        np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], rtol=1e-12)

    def test_holm_leaves_out_what_is_undefined(self):
        np.testing.assert_allclose(holm(np.array([0.01, np.nan, 0.04])), [0.02, np.nan, 0.04])

    def test_rank_sum(self):
        effect, p = rank_sum(np.array([3.0, 4, 5]), np.array([1.0, 2, 3]))
        self.assertAlmostEqual(effect, (8 - 0) / 9)
        self.assertAlmostEqual(p, stats.mannwhitneyu([3.0, 4, 5], [1.0, 2, 3]).pvalue)


class FriedmanNemenyi(unittest.TestCase):
    def test_equals_scipy_with_and_without_ties(self):
        r = np.random.default_rng(4)
        for table in (r.normal(size=(15, 4)), r.integers(0, 3, (20, 5)).astype(float)):
            theirs = stats.friedmanchisquare(*table.T)
            for high in (True, False):
                ours = friedman(table, high)
                self.assertAlmostEqual(ours.statistic, theirs.statistic, places=9)
                self.assertAlmostEqual(ours.p, theirs.pvalue, places=9)

    def test_direction(self):
        table = np.array([[1.0, 2, 3], [1, 2, 3]])
        np.testing.assert_array_equal(friedman(table, True).ranks, [3, 2, 1])
        np.testing.assert_array_equal(friedman(table, False).ranks, [1, 2, 3])

    def test_critical_differences_are_the_printed_ones(self):
        """Demsar 2006, Table 5 (a), α = .05: two to ten classifiers."""
        printed = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]
        for k, q in zip(range(2, 11), printed):
            n = 30
            got = friedman(np.random.default_rng(k).normal(size=(n, k)), True).critical
            self.assertAlmostEqual(got / np.sqrt(k * (k + 1) / (6 * n)), q, delta=0.0011)

    def test_nemenyi_is_at_the_level_at_the_critical_difference(self):
        result = friedman(np.random.default_rng(5).normal(size=(12, 5)), True)
        moved = result.__class__(12, np.array([1.0, 1 + result.critical, 3, 3, 3]), 0, 1, result.critical)
        self.assertAlmostEqual(nemenyi(moved, 0, 1), 0.05, places=6)
        self.assertEqual(nemenyi(moved, 2, 3), 1.0)

    def test_alike_gives_the_longest_runs(self):
        result = friedman(np.random.default_rng(6).normal(size=(12, 5)), True)
        moved = result.__class__(12, np.array([1.0, 1.5, 2.2, 4.0, 4.4]), 0, 1, 1.0)
        self.assertEqual(alike(moved), [(0, 1), (1, 2), (3, 4)])


if __name__ == "__main__":
    common.main()
