"""The tables on a database that whypix made: equal to what it stored, complete, repeatable, and quick to see a lie."""
import contextlib
import io
import os
import shutil
import sqlite3
import subprocess
import tempfile
import unittest
from itertools import combinations
from pathlib import Path

import common
import numpy as np

import stats as command
from whypix_stats import exact
from whypix_stats.bootstrap import Plan
from whypix_stats.consensus import Frames, iou_at_area
from whypix_stats.database import STOCHASTIC, DatabaseError, open_study
from whypix_stats.place import Maps, place_of
from whypix_stats.reliability import complete
from whypix_stats.sources import design

DB = os.environ.get("WHYPIX_DB")
POOR = os.environ.get("WHYPIX_POOR_DB")
WHYPIX = os.environ.get("WHYPIX")


def run(*arguments):
    """Exit code, output, messages."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = command.main([str(a) for a in arguments])
        except SystemExit as e:
            code = e.code
    return code, out.getvalue(), err.getvalue()


@unittest.skipUnless(DB, "no $WHYPIX_DB")
class OnADatabase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.study = open_study(DB)

    def test_thumbs_correlate_as_the_program_stored_it(self):
        """Every signed pair on grid 14x14, both correlations; nan where it stored NULL."""
        for metric in ("pearson", "spearman"):
            maps, rows = Maps(self.study, metric, "signed"), self.study.pairs(metric, "signed", "14x14")
            self.assertGreater(len(rows), 500)
            for (a, b), own in rows.groupby(["a", "b"]):
                got = maps.agreement(a, b)[self.study.images.index.get_indexer(own.image)]
                np.testing.assert_allclose(got, own.value, atol=2e-6)

    def test_scores_of_stored_maps_are_the_stored_scores(self):
        """mask_iou_area in Python, from the map files and the mask's map."""
        frames, study = Frames.of(self.study), self.study
        self.assertTrue(frames.stored)
        (metric,) = study.score_ids("mask_iou_area")
        scores = study.scores(metric).set_index(["image", "cell"]).value
        cells = study.plain("shapes", "label")
        mask_cell = study.plain("shapes", "label", controls=True)["mask"]
        for image, row in study.row_of.iterrows():
            mask = frames.mask(int(row[mask_cell]))
            for cell in cells.values():
                self.assertAlmostEqual(iou_at_area(frames.read(int(row[cell])), mask), scores[image, cell], places=6)

    def test_place_agrees_with_its_definition(self):
        maps, cells = Maps(self.study, "pearson", "signed"), self.study.plain("shapes", "label")
        (a, b) = list(cells.values())[0], cells["kernel"]
        p = place_of(maps, a, b, Plan(draws=100))
        n = len(self.study.images)
        cross = np.mean([maps.of(a)[i] @ maps.of(b)[j] for i in range(n) for j in range(n) if i != j])
        ceiling = np.sqrt(np.mean(maps.reliability(a)) * np.mean(maps.reliability(b)))
        self.assertAlmostEqual(p.cross, cross)
        self.assertAlmostEqual(p.place.estimate, (np.mean(maps.agreement(a, b)) - cross) / (ceiling - cross))

    def test_a_method_is_at_its_ceiling_with_itself_and_at_the_floor_with_noise(self):
        maps, cells = Maps(self.study, "pearson", "signed"), self.study.plain("shapes", "label", controls=True)
        cell = cells["kernel"]
        again = maps.repeats(cell)[1]
        self.assertAlmostEqual(place_of(maps, cell, again, Plan(draws=50)).place.estimate, 1, places=9)
        self.assertAlmostEqual(place_of(maps, cells["gradcam"], cells["random"], Plan(draws=50)).agreement.estimate, 0, delta=0.1)

    def test_sources_sees_the_settings_of_the_job(self):
        d = design(self.study, "shapes", "pearson", "signed", "thumbs")
        self.assertEqual(d.factors, ("method", "segmentation", "fill", "combination", "seed"))
        self.assertEqual(len(d.cells), 4 * 2 + 2 + 3)
        self.assertEqual(len(d.pairs.d), len(list(combinations(d.cells, 2))) * len(self.study.images))

    def test_stochastic_explainers_are_those_that_the_program_lists(self):
        listed = subprocess.run([WHYPIX, "list", "explainers"], capture_output=True, text=True, check=True).stdout
        names, draws = [], []
        for line in listed.splitlines():
            if line and not line[0].isspace() and ":" in line:
                names.append(line.split(":")[0])
            elif "draws random samples" in line:
                draws.append(names[-1])
        self.assertGreater(len(draws), 4)
        self.assertEqual(set(draws) - set(STOCHASTIC), set())
        self.assertEqual(set(STOCHASTIC) & set(names) - set(draws), set())

    def test_every_table_has_rows_and_comes_out_the_same_again(self):
        asked = (DB, "--draws", 20, "--csv")
        code, out, err = run(*asked)
        self.assertEqual((code, err), (0, ""))
        tables = ("\n" + out).split("\n# Agreement between")
        self.assertEqual(len(tables), 2)
        self.assertNotIn("DIFFERENT", out)
        for name in command.NAMES:
            code, one, _err = run(*asked, "--table", name)
            self.assertEqual(code, 0)
            self.assertIn(one, out)
            self.assertGreater(len([x for x in one.splitlines() if x and not x.startswith("#")]), 2, name)

    def test_incomplete_images_are_left_out_and_counted(self):
        with tempfile.TemporaryDirectory() as work:
            study = open_study(self.broken(work, "DELETE FROM score WHERE rowid_of = 1"))
            (metric,) = study.score_ids("sparsity")
            whole, part = (complete(s, metric, "shapes", "label") for s in (self.study, study))
            self.assertEqual((len(whole.values), whole.undefined), (8, 0))
            self.assertEqual((len(part.values), part.undefined, part.dropped), (7, 1, 1))

    def test_a_changed_row_is_found_by_the_recount(self):
        with tempfile.TemporaryDirectory() as work:
            changed = self.broken(work, "UPDATE score SET value = value + 1e-6 WHERE rowid_of = 1")
            code, out, _err = run(changed, "--table", "exact")
            self.assertEqual(code, 1)
            self.assertEqual(out.count("DIFFERENT"), 2)
            self.assertFalse(exact.exact_table(open_study(changed))[1])

    def broken(self, work, sql):
        """A copy of the database in which one sparsity of the first image and method was tampered with."""
        path = Path(work) / "broken.db"
        shutil.copy(DB, path)
        metric, cell = self.study.score_ids("sparsity")[0], next(iter(self.study.plain("shapes", "label").values()))
        db = sqlite3.connect(path)
        db.execute(sql.replace("rowid_of = 1", f"metric_id = {metric} AND explanation_id = {self.study.images.index[0] << 16 | cell}"))
        db.commit()
        db.close()
        return path

    def test_images_that_are_listed_but_not_explained_change_nothing(self):
        names = ",".join(n for n in command.NAMES if n != "consensus")      # which reads the maps beside the database
        with tempfile.TemporaryDirectory() as work:
            path = Path(work) / Path(DB).name
            shutil.copy(DB, path)
            db = sqlite3.connect(path)
            db.execute("INSERT INTO image(id, uid, path, label, covars) VALUES(500, 'u', 'later.png', 1, '{\"area\": 0.5}')")
            db.commit()
            db.close()
            asked = ("--draws", 20, "--csv", "--table", names)
            self.assertEqual(run(path, *asked), run(DB, *asked))

    def test_two_databases_of_other_images_are_compared_unpaired(self):
        with tempfile.TemporaryDirectory() as work:
            path = Path(work) / "other.db"
            shutil.copy(DB, path)
            db = sqlite3.connect(path)
            db.execute("UPDATE image SET sha256 = 'other ' || id, path = 'other ' || path")
            db.commit()
            db.close()
            code, out, _err = run(DB, path, "--table", "populations", "--draws", 50, "--csv")
            self.assertEqual(code, 0)
            rows = [r.split(",") for r in out.splitlines() if r.startswith("analysis: shapes,other: shapes,")]
            self.assertGreater(len(rows), 10)
            self.assertTrue(all("unpaired" in r for r in rows))
            self.assertTrue(all(float(r[-5]) == 0 for r in rows), "a copy does not differ")

    def test_diagrams_are_drawn_and_the_same_again(self):
        with tempfile.TemporaryDirectory() as work:
            first, second = Path(work) / "a", Path(work) / "b"
            for folder in (first, second):
                self.assertEqual(run(DB, "--table", "friedman", "--score", "mask_iou_area", "--plots", folder)[0], 0)
            names = sorted(p.name for p in first.iterdir())
            self.assertEqual(len(names), 2)
            for name in names:
                self.assertEqual((first / name).read_bytes(), (second / name).read_bytes())
                self.assertIn("<svg", (first / name).read_text())


@unittest.skipUnless(POOR, "no $WHYPIX_POOR_DB")
class WithoutRepeatsControlsAndMaps(unittest.TestCase):
    def test_every_table_says_what_it_lacks(self):
        code, out, err = run(POOR, "--draws", 50)
        self.assertEqual((code, err), (0, ""))
        self.assertIn("shapes, label: no control `mask` to score against", out)
        self.assertEqual(out.count("deterministic\n"), 6)
        for line in out.splitlines():
            self.assertNotRegex(line, r"\b(nan|inf|None)\b")

    def test_the_class_is_a_source_where_two_targets_are_explained(self):
        study = open_study(POOR)
        self.assertEqual(design(study, "shapes", "pearson", "signed", "thumbs").factors, ("method", "class"))

    def test_without_scores_or_stored_pairs_the_rest_remains(self):
        with tempfile.TemporaryDirectory() as work:
            path = Path(work) / "bare.db"
            shutil.copy(POOR, path)
            db = sqlite3.connect(path)
            for table in ("score", "pair", "summary", "timing", "prediction"):
                db.execute(f"DELETE FROM {table}")
            db.execute("DELETE FROM metric")
            db.commit()
            db.close()
            code, out, err = run(path, "--draws", 50)
            self.assertEqual((code, err), (0, ""))
            self.assertIn("Agreement between floor and ceiling", out)


class Usage(unittest.TestCase):
    def test_what_is_no_database_is_refused_by_name(self):
        with tempfile.TemporaryDirectory() as work:
            text, empty = Path(work) / "a.txt", Path(work) / "empty.db"
            text.write_text("no database " * 100)
            sqlite3.connect(empty).execute("CREATE TABLE t(x)")
            for path in (Path(work) / "none.db", text, empty):
                code, _out, err = run(path)
                self.assertEqual(code, 2)
                self.assertIn(path.name, err)
            with self.assertRaises(DatabaseError):
                open_study(empty)

    def test_wrong_options(self):
        for arguments, message in ((["x.db", "--table", "plac"], "got 'plac', want one of place"), ([], "required: db"),
                                   (["x.db", "--draws", "0"], "--draws 0")):
            code, _out, err = run(*arguments)
            self.assertEqual(code, 2)
            self.assertIn(message, err)


if __name__ == "__main__":
    common.main()
