-- whypix database, version 1. One writer (rank 0), rollback journal, STRICT tables.
--
-- Dictionaries (job, image, model, method, metric, cell) get their ids from the expanded plan, never from arrival; uid is
-- the SHA-256 of an entry's canonical text, so that databases merge. Bulk rows are keyed by dictionary ids, so a re-run hits
-- the same keys, and state is rows that are missing (view todo). Everything volatile (times, ranks, hosts, attempts) lives in
-- run, shard, failure, timing and superseded: every other table is byte-identical under .dump whatever the ranks.

PRAGMA application_id = 2003335536; -- 0x77687970, 'whyp'
PRAGMA user_version = 1;

CREATE TABLE job(
  id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, name TEXT, yaml TEXT NOT NULL, plan_sha TEXT NOT NULL
) STRICT;

CREATE TABLE run(
  id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, job_id INTEGER REFERENCES job, started TEXT, ended TEXT, state TEXT,
  version TEXT, git TEXT, ranks INTEGER, threads INTEGER, cpu TEXT, kernel TEXT, precision TEXT, slurm TEXT, job_file TEXT
) STRICT;

CREATE TABLE image(
  id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, path TEXT NOT NULL, sha256 TEXT, label INTEGER, grp TEXT, split TEXT,
  mask TEXT, width INTEGER, height INTEGER, covars TEXT
) STRICT;

CREATE TABLE model(
  id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, name TEXT NOT NULL, sha256 TEXT NOT NULL, preprocess TEXT NOT NULL,
  classes INTEGER, params INTEGER, macs INTEGER, input TEXT
) STRICT;

-- params: canonical JSON, defaults filled in
CREATE TABLE method(
  id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, name TEXT NOT NULL, explainer TEXT NOT NULL, params TEXT NOT NULL
) STRICT;

-- lo, hi: what the 64 bins of summary.histogram span; lo = hi: unbounded, x / (1 + |x|) is binned over [-1, 1]
CREATE TABLE metric(
  id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, name TEXT NOT NULL, kind TEXT NOT NULL, policy TEXT, grid TEXT, params TEXT,
  better TEXT CHECK(better IN('high','low','none')), lo REAL NOT NULL DEFAULT 0, hi REAL NOT NULL DEFAULT 0
) STRICT;

-- budget_kind: what a cell with a budget of its own shares with the full one: its first evaluations, some of them, or none for
-- certain
CREATE TABLE cell(
  id INTEGER PRIMARY KEY CHECK(id BETWEEN 1 AND 65535), uid TEXT NOT NULL UNIQUE, model_id INTEGER NOT NULL REFERENCES model,
  method_id INTEGER NOT NULL REFERENCES method, target TEXT NOT NULL, repeat INTEGER NOT NULL DEFAULT 0, budget INTEGER,
  prefix_of INTEGER REFERENCES cell, transform TEXT NOT NULL DEFAULT '',
  budget_kind TEXT CHECK(budget_kind IN('prefix','nested','replanned')),
  UNIQUE(model_id, method_id, target, repeat, budget, transform)
) STRICT;

-- rank 0 = top, -1 = the label
CREATE TABLE prediction(
  image_id INTEGER NOT NULL REFERENCES image, model_id INTEGER NOT NULL REFERENCES model, rank INTEGER NOT NULL,
  class INTEGER NOT NULL, logit REAL, prob REAL,
  PRIMARY KEY(image_id, model_id, rank)
) STRICT, WITHOUT ROWID;

-- se_range: largest standard error over the range of the map; se_map: the standard errors as a map of their own; ess: effective
-- sample size of shared draws; stop: why an explanation with `until` ended
CREATE TABLE explanation(
  id INTEGER PRIMARY KEY CHECK(id = image_id<<16 | cell_id), image_id INTEGER NOT NULL REFERENCES image,
  cell_id INTEGER NOT NULL REFERENCES cell, class INTEGER, status TEXT NOT NULL CHECK(status IN('done','failed')),
  evaluations INTEGER, fit REAL, residual REAL, se_range REAL, ess REAL, stop TEXT CHECK(stop IN('se_range','budget')),
  vmin REAL, vmax REAL, map TEXT, map_sha256 TEXT, se_map TEXT, thumb BLOB, error TEXT
) STRICT;

CREATE TABLE timing(
  explanation_id INTEGER PRIMARY KEY, run_id INTEGER, shard_id INTEGER, attempt INTEGER, wall REAL, cpu REAL
) STRICT;

-- evaluations: perturbed copies that the metric asked for, whatever the cache saved
CREATE TABLE score(
  explanation_id INTEGER NOT NULL REFERENCES explanation ON DELETE CASCADE, metric_id INTEGER NOT NULL REFERENCES metric,
  value REAL, why TEXT, evaluations INTEGER,
  PRIMARY KEY(explanation_id, metric_id), CHECK((value IS NULL) = (why IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- logit: of the class whose probability is y
CREATE TABLE curve(
  explanation_id INTEGER NOT NULL REFERENCES explanation ON DELETE CASCADE, metric_id INTEGER NOT NULL REFERENCES metric,
  step INTEGER NOT NULL, x REAL NOT NULL, y REAL, logit REAL,
  PRIMARY KEY(explanation_id, metric_id, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE pair(
  a INTEGER NOT NULL REFERENCES explanation ON DELETE CASCADE, b INTEGER NOT NULL REFERENCES explanation ON DELETE CASCADE,
  metric_id INTEGER NOT NULL REFERENCES metric, value REAL, why TEXT,
  PRIMARY KEY(a, b, metric_id), CHECK(a < b), CHECK((value IS NULL) = (why IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- images: ranges of image ids ("3-7,12"), first: the first of them
CREATE TABLE shard(
  id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES run, first INTEGER, n INTEGER, state TEXT, attempts INTEGER,
  rank INTEGER, pid INTEGER, host TEXT, t0 REAL, t1 REAL, error TEXT, images TEXT
) STRICT;

-- cell_id NULL: the whole image
CREATE TABLE failure(
  image_id INTEGER NOT NULL, cell_id INTEGER, attempt INTEGER NOT NULL, run_id INTEGER, reason TEXT NOT NULL, at TEXT
) STRICT;

-- What a re-run replaced: row is the explanation as a JSON object, with its timings, scores, curves and pairs; attempt counts the
-- replaced rows of one explanation, run_id is the run that made it.
CREATE TABLE superseded(
  explanation_id INTEGER NOT NULL, attempt INTEGER NOT NULL, run_id INTEGER, replaced_by INTEGER, row TEXT NOT NULL,
  PRIMARY KEY(explanation_id, attempt)
) STRICT;

-- The reductions: exact = wide integer moments (mean, sd, lo, hi follow from them), histogram = 64 little-endian int64.
-- cell_b = 0: a score. stratum: all, and correct or wrong by the top prediction of cell_a's model.
CREATE TABLE summary(
  cell_a INTEGER NOT NULL REFERENCES cell, cell_b INTEGER NOT NULL DEFAULT 0, metric_id INTEGER NOT NULL REFERENCES metric,
  stratum TEXT NOT NULL DEFAULT 'all', n INTEGER, n_null INTEGER, mean REAL, sd REAL, lo REAL, hi REAL, histogram BLOB, exact BLOB,
  PRIMARY KEY(cell_a, cell_b, metric_id, stratum)
) STRICT, WITHOUT ROWID;

CREATE INDEX image_path ON image(path);
CREATE INDEX explanation_cell ON explanation(cell_id, status);
CREATE INDEX pair_b ON pair(b);
CREATE UNIQUE INDEX failure_key ON failure(image_id, ifnull(cell_id, 0), attempt, ifnull(run_id, 0), reason); -- a repeated record adds none

CREATE VIEW images AS SELECT * FROM image;

-- An image's explanations are a range of ids, which spares an index over image_id.
CREATE VIEW explanations AS
SELECT e.*, i.path, i.label, i.grp, mo.name model, me.name method, me.explainer, me.params, c.target, c.repeat, c.budget,
  c.budget_kind, c.prefix_of, c.transform, p.class = i.label correct, p.prob p_top
FROM explanation e JOIN image i ON i.id = e.image_id AND e.id BETWEEN i.id<<16 AND (i.id<<16)+65535
  JOIN cell c ON c.id = e.cell_id JOIN model mo ON mo.id = c.model_id
  JOIN method me ON me.id = c.method_id
  LEFT JOIN prediction p ON p.image_id = e.image_id AND p.model_id = c.model_id AND p.rank = 0;

CREATE VIEW scores AS
SELECT s.explanation_id, m.name metric, m.policy, m.grid, m.better, s.value, s.why, s.metric_id, s.evaluations
FROM score s JOIN metric m ON m.id = s.metric_id;

-- aopc between the worst (0) and the best (1) of the same image, model, class, fill and steps, over all methods, controls and both
-- ends of their orders: models become comparable (Edin et al. 2024, whose ends are searched for).
CREATE VIEW naopc AS
SELECT s.explanation_id, s.metric_id, s.value aopc,
  (s.value - min(s.value) OVER w) / nullif(max(s.value) OVER w - min(s.value) OVER w, 0) value, count(*) OVER w curves
FROM score s JOIN metric m ON m.id = s.metric_id AND m.name = 'aopc' JOIN explanation e ON e.id = s.explanation_id
  JOIN cell c ON c.id = e.cell_id
WHERE s.value IS NOT NULL
WINDOW w AS (PARTITION BY e.image_id, c.model_id, e.class, json_remove(m.params, '$.first'));

CREATE VIEW agreement AS
SELECT p.a, p.b, x.image_id, x.path, x.grp, x.model, y.model model_b, x.method method_a, y.method method_b,
  x.explainer explainer_a, y.explainer explainer_b, x.target, y.target target_b, x.repeat repeat_a, y.repeat repeat_b,
  x.budget budget_a, y.budget budget_b, x.prefix_of prefix_a, y.prefix_of prefix_b, x.correct, x.p_top,
  m.name metric, m.policy, m.grid, p.value, p.why,
  CASE WHEN x.model <> y.model THEN 'models' WHEN x.target <> y.target THEN 'classes' WHEN x.transform <> y.transform THEN 'transform'
    WHEN x.method = y.method AND x.budget IS y.budget THEN 'reliability' WHEN x.method = y.method THEN 'budget' ELSE 'methods' END role
FROM pair p JOIN metric m ON m.id = p.metric_id JOIN explanations x ON x.id = p.a JOIN explanations y ON y.id = p.b;

CREATE VIEW todo AS
SELECT i.id image_id, i.path, c.id cell_id
FROM image i CROSS JOIN cell c LEFT JOIN explanation e ON e.id = (i.id<<16 | c.id) WHERE e.id IS NULL;
