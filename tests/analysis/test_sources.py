"""Variance components, recovered from made maps whose components are known."""
import unittest
from itertools import combinations

import common
import numpy as np

from whypix_stats.bootstrap import Plan
from whypix_stats.place import correlations, standardise
from whypix_stats.sources import Pairs, _kinds, combined, components, difference, reml, separable, varied

# Two stochastic methods with segments and fills, one without; every setting twice: 2 x 2 x 2 x 2 + 2 maps.
LEVELS = [{"method": m, "segmentation": s, "fill": f, "seed": (m, s, f, d)} for m in ("a", "b") for s in "xy" for f in "uv" for d in (0, 1)]
LEVELS += [{"method": "c", "layer": layer} for layer in (1, 2)]
TRUTH = {"method": 0.25, "segmentation": 0.15, "fill": 0.10, "layer": 0.15, "seed": 0.05}


def parts_of(x):
    """The independent parts of a map with their variances. What a method lacks goes to its own part, so that all variances are 1."""
    own = {f: TRUTH[f] for f in TRUTH if f in x and f != "method"}
    names = {f: (f, x[f]) if f in ("segmentation", "fill") else (f, x["method"], x[f]) for f in own}
    rest = 1 - 0.45 - sum(own.values())
    return [(("common",), 0.45), (("method", x["method"]), rest)] + [(names[f], own[f]) for f in own]


def made_maps(r, images, places=196, levels=LEVELS):
    """images x maps x places."""
    out = np.zeros((images, len(levels), places))
    for i in range(images):
        drawn = {}
        for j, x in enumerate(levels):
            for name, variance in parts_of(x):
                out[i, j] += np.sqrt(variance) * drawn.setdefault(name, r.normal(size=places))
    return out


def pairs_of(maps, levels, factors):
    kinds, rows = _kinds(levels), []
    for i, j in combinations(range(len(levels)), 2):
        r = correlations(standardise(maps[:, i]), standardise(maps[:, j]))
        x = [difference(levels[i], levels[j], f) for f in factors if f != "method"]
        rows += [(1 - v, u, x, kinds[i, j]) for u, v in enumerate(r)]
    d, unit, x, methods = zip(*rows)
    return Pairs(np.array(d), np.array(unit), np.array(x, dtype=float), np.array(methods))


class Components(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.maps = made_maps(np.random.default_rng(1), 60)
        cls.levels = combined(LEVELS)
        cls.factors = varied(cls.levels)
        cls.parts, cls.total = components(pairs_of(cls.maps, cls.levels, cls.factors), cls.factors, 60, Plan(draws=400), "test")
        cls.by = {p.factor: p for p in cls.parts}

    def test_finds_the_factors(self):
        self.assertEqual(self.factors, ("method", "segmentation", "fill", "layer", "combination", "seed"))

    def test_recovers_the_components_with_intervals_around_them(self):
        for factor in ("segmentation", "fill", "layer", "seed"):
            v = self.by[factor].variance
            self.assertAlmostEqual(v.estimate, TRUTH[factor], delta=0.02, msg=factor)
            self.assertTrue(v.low < TRUTH[factor] < v.high, (factor, v))
            self.assertLess(v.high - v.low, 0.08)

    def test_a_part_without_effect_is_about_nothing(self):
        v = self.by["combination"].variance
        self.assertTrue(v.low < 0 < v.high, v)
        self.assertAlmostEqual(v.estimate, 0, delta=0.02)

    def test_the_method_is_what_is_left(self):
        """Own variance of a and b: 1 − .45 − .3 = .25; of c: .4; the mean over the three pairs is (.25 + .325 + .325) / 3."""
        self.assertAlmostEqual(self.by["method"].variance.estimate, 0.3, delta=0.02)

    def test_shares_make_up_the_disagreement(self):
        self.assertAlmostEqual(sum(p.share.estimate for p in self.parts), 1, places=10)
        apart = np.mean([1 - 0.45 - 0.15 / 2 - 0.10 / 2, 0.55, 0.55])
        self.assertAlmostEqual(self.total.estimate, apart, delta=0.02)

    def test_restricted_likelihood_finds_the_same(self):
        """An independent estimator of the same model (statsmodels), on the maps themselves."""
        levels = [x for x in LEVELS if x["method"] == "a"]
        maps = made_maps(np.random.default_rng(2), 3, 80, levels)
        got = reml(maps.transpose(0, 2, 1).reshape(-1, len(levels)), levels, ("segmentation", "fill", "seed"))
        for factor in ("segmentation", "fill", "seed"):
            self.assertAlmostEqual(got[factor], TRUTH[factor], delta=0.04, msg=factor)

    def test_interaction_of_settings_is_told_from_their_sum(self):
        """A part for every (segmentation, fill): .12 of it must not be called segmentation or fill."""
        r, levels = np.random.default_rng(3), combined(LEVELS[:8])
        maps = np.sqrt(0.88) * made_maps(r, 60, levels=levels)
        for i in range(60):
            drawn = {}
            for j, x in enumerate(levels):
                maps[i, j] += np.sqrt(0.12) * drawn.setdefault(x["combination"], r.normal(size=196))
        factors = varied(levels)
        parts, _ = components(pairs_of(maps, levels, factors), factors, 60, Plan(draws=100), "interaction")
        by = {p.factor: p.variance.estimate for p in parts}
        self.assertEqual(factors, ("segmentation", "fill", "combination", "seed"))
        self.assertAlmostEqual(by["combination"], 0.12, delta=0.025)
        self.assertAlmostEqual(by["segmentation"], 0.88 * 0.15, delta=0.025)

    def test_what_always_changes_together_is_not_told_apart(self):
        levels = [{"method": "a", "segmentation": s, "fill": s, "seed": (s, d)} for s in "xy" for d in (0, 1)]
        factors = varied(combined(levels))
        pairs = pairs_of(made_maps(np.random.default_rng(4), 10, levels=levels), levels, factors)
        parts, _ = components(pairs, factors, 10, Plan(draws=50), "together")
        known = {p.factor: np.isfinite(p.variance.estimate) for p in parts}
        self.assertEqual(known, {"segmentation": False, "fill": False, "seed": True})


class Rules(unittest.TestCase):
    def test_difference(self):
        a, b = {"method": "l", "fill": "m", "budget": 1, "seed": 1}, {"method": "k", "fill": "m", "budget": 1, "seed": 1}
        self.assertEqual([difference(a, b, f) for f in ("method", "fill", "budget", "seed", "layer", "rest")], [1, 0, 1, 1, 0, 1])
        self.assertEqual(difference(a, {"method": "g"}, "fill"), 0.5)
        self.assertEqual(difference(a, {**a, "fill": "z"}, "fill"), 1)

    def test_separable(self):
        np.testing.assert_array_equal(separable(np.array([[1.0, 1, 0], [2, 2, 1]])), [False, False, True])

    def test_class_varies_when_targets_chose_other_classes(self):
        levels = [{"method": "a"}, {"method": "a"}]
        self.assertEqual(varied(levels, np.array([[3, 3], [-1, 4]])), ())
        self.assertEqual(varied(levels, np.array([[3, 3], [5, 4]])), ("class",))

    def test_rest_needs_maps_that_share_a_part_and_differ(self):
        """Budgets of one draw do; without them the draw is all that tells two maps of a setting apart."""
        drawn = [{"method": "a", "seed": s} for s in (0, 1, 2)]
        self.assertEqual(varied(drawn), ("seed",))
        self.assertEqual(varied([{**x, "budget": b} for x in drawn for b in (1, 2)]), ("budget", "seed", "rest"))


if __name__ == "__main__":
    common.main()
