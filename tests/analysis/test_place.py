"""Floors and ceilings against loops and against simulations whose truth is known."""
import unittest

import common
import numpy as np
from scipy import stats
from scipy.ndimage import gaussian_filter

from whypix_stats.bootstrap import Plan, bca
from whypix_stats.place import SIDE, between, correlations, disattenuated, flipped, shifted, standardise


def smooth(r, n):
    return np.array([gaussian_filter(r.normal(size=(SIDE, SIDE)), 2, mode="wrap").ravel() for _ in range(n)])


class Correlations(unittest.TestCase):
    def test_equal_scipy(self):
        r = np.random.default_rng(1)
        a, b = smooth(r, 5), np.maximum(smooth(r, 5), 0)
        for metric, theirs in (("pearson", stats.pearsonr), ("spearman", stats.spearmanr)):
            got = correlations(standardise(a, metric), standardise(b, metric))
            np.testing.assert_allclose(got, [theirs(x, y)[0] for x, y in zip(a, b)], atol=1e-12)

    def test_flat_and_missing_maps_are_undefined(self):
        maps = np.stack([np.zeros(196), np.full(196, 0.1), np.full(196, np.nan), np.arange(196.0)])
        for metric in ("pearson", "spearman"):
            np.testing.assert_array_equal(np.isfinite(standardise(maps, metric)[:, 0]), [False, False, False, True])


class Floors(unittest.TestCase):
    def test_cross_image_is_the_mean_over_pairs_of_other_units(self):
        r = np.random.default_rng(2)
        a, b = standardise(smooth(r, 9)), standardise(smooth(r, 9))
        unit = np.array([0, 0, 1, 2, 2, 2, 3, 4, 4])
        table = a @ b.T
        counts = r.integers(0, 3, (4, 5)).astype(float)
        got = between(a, b, unit, 5).mean(np.vstack([np.ones(5), counts]))
        for w, mean in zip([np.ones(5), *counts], got):
            weight = np.array([[0 if u == v else w[u] * w[v] for v in unit] for u in unit])
            self.assertAlmostEqual(mean, (table * weight).sum() / weight.sum())

    def test_shifts_and_flips_are_what_they_say(self):
        r = np.random.default_rng(3)
        a, b = standardise(smooth(r, 2)), standardise(smooth(r, 2))
        for i in range(2):
            grid = b[i].reshape(SIDE, SIDE)
            want = [a[i] @ np.roll(grid, (y, x), (0, 1)).ravel() for y in range(SIDE) for x in range(SIDE)][1:]
            np.testing.assert_allclose(shifted(a, b)[i], want, atol=1e-12)
            mirrored = [np.flipud(grid), np.fliplr(grid), np.flipud(np.fliplr(grid))]
            self.assertAlmostEqual(flipped(a, b)[i], np.mean([a[i] @ m.ravel() for m in mirrored]))

    def test_shifts_know_how_smooth_maps_are_and_a_permutation_does_not(self):
        """Independent smooth maps: about 5 % exceed 95 % of their shifts; nearly half exceed what permuted pixels give."""
        r = np.random.default_rng(4)
        a, b = standardise(smooth(r, 400)), standardise(smooth(r, 400))
        above = np.mean(correlations(a, b) > np.percentile(shifted(a, b), 95, axis=1))
        self.assertAlmostEqual(above, 0.05, delta=0.035)
        self.assertGreater(np.mean(correlations(a, b) > 1.645 / np.sqrt(SIDE * SIDE)), 0.2)


class Ceilings(unittest.TestCase):
    def test_disattenuation_recovers_what_noise_hid(self):
        """Two methods whose noiseless maps correlate by .6, seen through noise of other strengths, each drawn twice."""
        r, xy, xx, yy = np.random.default_rng(5), [], [], []
        for _ in range(300):
            true = r.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 196).T
            x, y = ([t + noise * r.normal(size=196) for _ in range(2)] for t, noise in zip(true, (0.5, 1.0)))
            z = standardise(np.array([*x, *y]))
            xy.append(z[0] @ z[2])
            xx.append(z[0] @ z[1])
            yy.append(z[2] @ z[3])
        got = disattenuated(np.array(xy), np.array(xx), np.array(yy), list(range(300)), Plan(draws=500))
        self.assertLess(np.mean(xy), 0.42)
        self.assertAlmostEqual(got.estimate, 0.6, delta=0.01)
        self.assertTrue(got.low < 0.6 < got.high)

    def test_disattenuation_is_not_clipped(self):
        got = disattenuated(np.full(4, 0.9), np.full(4, 0.5), np.full(4, 0.5), list(range(4)), Plan(draws=50))
        self.assertAlmostEqual(got.estimate, 1.8)

    def test_undefined_where_a_reliability_is_not_positive(self):
        self.assertTrue(np.isnan(disattenuated(np.ones(3), np.full(3, -0.1), np.ones(3), [1, 2, 3], Plan(draws=50)).estimate))

    def test_a_bootstrap_of_the_floor_moves_with_the_draw(self):
        r = np.random.default_rng(6)
        a = standardise(smooth(r, 30) + smooth(r, 1))
        floor = between(a, a, np.arange(30), 30)
        i = bca(floor.mean, [30], Plan(draws=400), r)
        self.assertTrue(0 < i.low < i.estimate < i.high)


if __name__ == "__main__":
    common.main()
