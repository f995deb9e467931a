#!/usr/bin/python3
"""Statistics of whypix databases: agreement between floor and ceiling, tests, variance components, reliability.

    analysis/stats.py demo-out/settings.db                       # every table
    analysis/stats.py demo-out/settings.db --table place,sources --policy positive
    analysis/stats.py a.db b.db --table populations --markdown   # the same methods on other images or models
    analysis/stats.py demo-out/settings.db --table friedman --plots demo-out/plots

Reads only; needs Debian's python3-numpy, python3-scipy, python3-pandas, and python3-matplotlib for --plots,
python3-statsmodels for --reml. Exit code 1: the program's reductions are not what the rows say; 2: wrong usage.
"""
from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Callable, Sequence

from whypix_stats import budgets, compare, consensus, exact, place, predict, reliability, sources
from whypix_stats.bootstrap import Plan
from whypix_stats.database import DatabaseError, Study, open_study
from whypix_stats.tables import FORMATS, Table

Report = Callable[[Study, argparse.Namespace, Plan], Sequence[Table]]

REPORTS: dict[str, tuple[str, Report]] = {
    "place": ("agreement between its floor and its ceiling",
              lambda s, o, p: [place.place_table(s, o.metric, o.policy, p)]),
    "ceilings": ("self-agreement under new draws, new segments, new fills",
                 lambda s, o, p: [place.ceiling_table(s, o.metric, o.policy, p)]),
    "controls": ("agreement of each method with maps that explain nothing, and with the mask",
                 lambda s, o, p: [place.control_table(s, o.metric, o.policy, p)]),
    "disattenuated": ("agreement if nothing were drawn at random, from stored rows",
                      lambda s, o, p: [place.disattenuated_table(s, o.metric, p)]),
    "sources": ("where disagreement comes from: method, segments, fill, output, class, layer, budget, draw",
                lambda s, o, p: [sources.sources_table(s, o.metric, o.policy, o.grid, p, o.with_budgets, o.reml)]),
    "paired": ("Wilcoxon with Holm on every two methods",
               lambda s, o, p: [compare.paired_table(s, o.score, p, o.with_controls)]),
    "friedman": ("mean ranks with Nemenyi's critical difference",
                 lambda s, o, p: [compare.friedman_table(s, o.score, p, o.with_controls, o.plots)]),
    "reliability": ("do images rank the methods alike? Krippendorff's alpha, split halves",
                    lambda s, o, p: [reliability.reliability_table(s, o.score, p)]),
    "stability": ("how many groups of images until the order of the methods stays",
                  lambda s, o, p: [reliability.stability_table(s, o.score, p)]),
    "consensus": ("the mean of all maps, scored as one of them",
                  lambda s, o, p: [consensus.consensus_table(s, o.policy, p)]),
    "predict": ("does agreement predict faithfulness and localisation?",
                lambda s, o, p: [predict.predict_table(s, o.metric, o.policy, o.score, p)]),
    "strata": ("means by correctness, confidence and object area",
               lambda s, o, p: [predict.strata_table(s, o.metric, o.policy, o.score, p)]),
    "budget": ("evaluations and seconds to a self-agreement of .95",
               lambda s, o, p: budgets.budget_tables(s, o.metric, o.policy, p)),
}
ACROSS = "populations"
EXACT = "exact"
NAMES = [*REPORTS, ACROSS, EXACT]


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    described = "\n".join(f"  {n:14} {REPORTS[n][0]}" for n in REPORTS)
    described += f"\n  {ACROSS:14} Mann-Whitney (or Wilcoxon, same images) across models and databases"
    described += f"\n  {EXACT:14} the program's exact reductions against a recount"
    parser = argparse.ArgumentParser(prog="stats.py", formatter_class=argparse.RawDescriptionHelpFormatter,
                                     description=__doc__.split("\n\n")[0], epilog=f"tables:\n{described}")
    parser.add_argument("db", nargs="+", type=Path, help="a database of whypix run or whypix merge")
    parser.add_argument("--table", default=",".join(NAMES), help="names, comma between (default: all)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", dest="form", action="store_const", const="csv", help="all digits")
    form.add_argument("--markdown", dest="form", action="store_const", const="markdown")
    parser.add_argument("--metric", choices=("pearson", "spearman"), default="pearson", help="of agreement (default: pearson)")
    parser.add_argument("--policy", choices=tuple(place.POLICIES), default="signed", help="(default: signed)")
    parser.add_argument("--grid", default="thumbs",
                        help="for `sources`: thumbs (every two maps), or a grid of stored rows (default: thumbs)")
    parser.add_argument("--score", help="only this one, e.g. insertion or 'pointing_game(15)' (default: all that have a better direction)")
    parser.add_argument("--with-controls", action="store_true", help="rank the controls, too")
    parser.add_argument("--with-budgets", action="store_true", help="`sources`: take smaller budgets as maps of their own, too")
    parser.add_argument("--plots", type=Path, help="folder for critical-difference diagrams (SVG)")
    parser.add_argument("--reml", action="store_true", help="`sources` also by restricted likelihood (minutes)")
    parser.add_argument("--seed", type=int, default=2026, help="of the bootstrap (default: 2026)")
    parser.add_argument("--draws", type=int, default=2000, help="of the bootstrap (default: 2000)")
    parser.add_argument("--level", type=float, default=0.95, help="of the intervals (default: 0.95)")
    options = parser.parse_args(arguments)
    options.tables = options.table.split(",")
    unknown = [n for n in options.tables if n not in NAMES]
    if unknown:
        parser.error(f"--table: got '{unknown[0]}', want one of {', '.join(NAMES)}")
    if options.draws < 1 or not 0 < options.level < 1:
        parser.error(f"--draws {options.draws} --level {options.level}: want at least 1, and a level between 0 and 1")
    return options


def report(studies: Sequence[Study], options: argparse.Namespace, out: Callable[[Table], None]) -> int:
    """Print what was asked for, database by database; 1 when a reduction is wrong."""
    plan, code = Plan(options.seed, options.draws, options.level), 0
    for study in studies:
        for name in options.tables:
            for table in REPORTS[name][1](study, options, plan) if name in REPORTS else ():
                out(table)
        if EXACT in options.tables:
            table, fine = exact.exact_table(study)
            out(table)
            code |= not fine
    if ACROSS in options.tables:
        out(compare.populations_table(studies, options.metric, options.policy, plan))
    return int(code)


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    written = FORMATS[options.form or "text"]
    try:
        studies = [open_study(path) for path in options.db]
        return report(studies, options, lambda table: print(written(table)))
    except DatabaseError as e:
        print(f"stats.py: {e}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
