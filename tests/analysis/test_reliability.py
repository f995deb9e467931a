"""Krippendorff's alpha against his own worked example and against its definition; split halves."""
import unittest

import common
import numpy as np
from scipy import stats

from whypix_stats.bootstrap import Plan
from whypix_stats.reliability import Scored, alpha, krippendorff, rankings_of_disjoint, spearman_brown

_ = np.nan
# Four observers and twelve units with missing values: Krippendorff 2011, "Computing Krippendorff's alpha-reliability", part C.
PRINTED = np.array([[1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
                    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
                    [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
                    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _]])


class Alpha(unittest.TestCase):
    def test_gives_the_printed_numbers(self):
        for level, printed in (("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)):
            self.assertAlmostEqual(krippendorff(PRINTED, level)[0], printed, delta=0.0005, msg=level)

    def test_by_hand(self):
        """Two raters, items (1, 1) and (2, 3): D_o = (0 + 0 + 1 + 1) / 4 = .5. All ordered pairs of {1, 1, 2, 3}: squared distances
        0, 1, 4, 1, 4, 1 twice, sum 22, over 12. α = 1 − .5 · 12 / 22 = 8 / 11."""
        self.assertAlmostEqual(krippendorff(np.array([[1.0, 2], [1, 3]]))[0], 8 / 11)

    def test_of_ranks_is_the_mean_correlation_of_raters(self):
        """Complete ranks without ties: α = 1 − (1 − mean Spearman) (N − 1) / N, N = raters · items."""
        ranks = np.array([np.random.default_rng(i).permutation(6) + 1.0 for i in range(9)])
        rho = [stats.spearmanr(ranks[i], ranks[j])[0] for i in range(9) for j in range(i)]
        self.assertAlmostEqual(krippendorff(ranks)[0], 1 - (1 - np.mean(rho)) * (54 - 1) / 54)

    def test_two_copies_of_a_rater_are_not_compared(self):
        """Weights, brute force: pairs of different raters within items, pairs of different values overall."""
        r = np.random.default_rng(1)
        values, w = r.integers(1, 5, (5, 4)).astype(float), np.array([2.0, 0, 1, 3, 1])
        observed = np.mean([sum(w[i] * w[j] * (c[i] - c[j]) ** 2 for i in range(5) for j in range(5) if i != j)
                            / sum(w[i] * w[j] for i in range(5) for j in range(5) if i != j) for c in values.T])
        flat = [(i, u) for i in range(5) for u in range(4)]
        weight = [(w[a[0]] * w[b[0]], (values[a] - values[b]) ** 2) for a in flat for b in flat if a != b]
        expected = sum(x * d for x, d in weight) / sum(x for x, _ in weight)
        self.assertAlmostEqual(krippendorff(values, counts=w[None])[0], 1 - observed / expected)

    def test_raters_without_a_view_have_none_and_the_interval_says_so(self):
        r = np.random.default_rng(2)
        i = alpha(Scored(list("abcde"), r.normal(size=(60, 5)), list(range(60)), 0, 0), True, Plan(draws=300))
        self.assertTrue(i.low < 0 < i.high, i)
        self.assertLess(i.high - i.low, 0.2)

    def test_covers_what_a_larger_sample_says(self):
        """Raters that see the same order through noise: intervals of 40 raters against α of 4000."""
        def raters(r, n):
            return np.arange(5.0) + r.normal(0, 2, (n, 5))

        truth = krippendorff(stats.rankdata(raters(np.random.default_rng(3), 4000), axis=1))[0]
        held = 0
        for t in range(100):
            i = alpha(Scored(list("abcde"), raters(np.random.default_rng(100 + t), 40), list(range(40)), 0, 0), True, Plan(draws=300), t)
            held += i.low <= truth <= i.high
        self.assertGreaterEqual(held, 89)


class Halves(unittest.TestCase):
    def test_clear_order_is_stable_and_no_order_is_not(self):
        r = np.random.default_rng(4)
        clear, none = np.arange(6) + 0.5 * r.normal(size=(60, 6)), r.normal(size=(60, 6))
        self.assertGreater(rankings_of_disjoint(clear, 30, 50, r).mean(), 0.95)
        self.assertLess(abs(rankings_of_disjoint(none, 30, 200, r).mean()), 0.6)

    def test_more_images_make_the_order_more_stable(self):
        r = np.random.default_rng(5)
        values = 0.4 * np.arange(5) + r.normal(size=(200, 5))
        means = [rankings_of_disjoint(values, n, 200, r).mean() for n in (2, 10, 50)]
        self.assertEqual(means, sorted(means))

    def test_spearman_brown(self):
        self.assertAlmostEqual(spearman_brown(0.5), 2 / 3)
        self.assertAlmostEqual(spearman_brown(spearman_brown(0.3, 4), 0.25), 0.3)


if __name__ == "__main__":
    common.main()
