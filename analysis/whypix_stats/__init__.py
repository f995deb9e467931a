"""Statistics over a whypix database: where agreement stands, where disagreement comes from, what may be concluded.

Every module has plain functions of arrays, which the tests check against other implementations or against simulations with a
known truth, and one `report` that makes tables of a `database.Study`. `analysis/stats.py` prints them.
"""
