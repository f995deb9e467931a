"""Whole-number moments against the standard library."""
import statistics
import struct
import unittest

import common
import numpy as np

from whypix_stats.exact import LIMIT, UNIT, Moments, parse
from whypix_stats.tables import Table, as_csv, as_markdown, as_text


class Reductions(unittest.TestCase):
    def test_mean_and_deviation(self):
        values, m = np.random.default_rng(1).normal(5, 0.001, 500), Moments()
        for v in values:
            m.add(float(v), 0, 0)
        quantised = [round(float(v) * UNIT) / UNIT for v in values]
        self.assertAlmostEqual(m.mean(), statistics.fmean(quantised), places=14)
        self.assertAlmostEqual(m.sd(), statistics.stdev(quantised), places=14)
        self.assertEqual(sum(m.bins), 500)

    def test_equal_values_have_no_deviation_and_undefined_ones_no_value(self):
        m = Moments()
        for v in (0.1, 0.1, None, 0.1):
            m.add(v, 0, 1)
        self.assertEqual((m.n, m.undefined, m.sd()), (3, 1, 0.0))
        self.assertIsNone(Moments().mean())

    def test_order_is_nothing_and_bounds_hold(self):
        values = [1e300, -3.5, 0.25, -1e300]
        m, w = Moments(), Moments()
        for v in values:
            m.add(v, -1, 1)
        for v in reversed(values):
            w.add(v, -1, 1)
        self.assertEqual(m, w)
        self.assertEqual((m.low, m.high), (-int(LIMIT) * UNIT, int(LIMIT) * UNIT))

    def test_reads_two_complement_little_endian(self):
        words = [3, 1, (-5) & 2 ** 64 - 1, 2 ** 64 - 1, 7, 1, 0, 0, (-9) & 2 ** 64 - 1, 4, *([3] + 63 * [0])]
        m = parse(struct.pack("<74Q", *words))
        self.assertEqual((m.n, m.undefined, m.total, m.squares, m.low, m.high, m.bins[0]), (3, 1, -5, 7 + 2 ** 64, -9, 4, 3))


class Tables(unittest.TestCase):
    def setUp(self):
        self.table = Table("T", ["a|b", "x"], [["one", 0.123456], ["two", float("nan")]], ["n"])

    def test_formats(self):
        self.assertEqual(as_text(self.table), "T\na|b       x\n-----------\none  0.1235\ntwo       -\n  n\n")
        self.assertEqual(as_csv(self.table), "# T\na|b,x\none,0.123456\ntwo,\n# n\n")
        self.assertIn("| a\\|b | x |\n| --- | --- |\n| one | 0.1235 |", as_markdown(self.table))

    def test_a_row_of_another_length_is_refused(self):
        with self.assertRaisesRegex(ValueError, "got a row of 1, want 2"):
            self.table.add("three")


if __name__ == "__main__":
    common.main()
