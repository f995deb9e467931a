-- Queries for a whypix database: sqlite3 results.db < analysis/queries.sql, or copy one. Each has its title in front.
-- Views: images, explanations (one row per image and cell), agreement (one row per pair of maps and metric), scores (one row per
-- map and metric). A cell with prefix_of is an intermediate budget of another cell; repeat > 0 is a new draw of the same method.

-- Agreement: mean per pair of methods, model and metric (the labelled class, positive part, pixel by pixel)
SELECT model, method_a, method_b, metric, count(*) n, count(value) valid, round(avg(value), 4) mean
FROM agreement
WHERE role = 'methods' AND target = 'label' AND policy = 'positive' AND grid = 'pixel' AND prefix_a IS NULL AND prefix_b IS NULL
  AND repeat_a = 0 AND repeat_b = 0 AND metric IN('pearson', 'soft_iou_mean')
GROUP BY 1, 2, 3, 4;

-- Agreement matrix: every ordered pair of methods, for a pivot table
SELECT model, target, metric, row, col, round(mean, 4) mean FROM (
  SELECT model, target, metric, method_a row, method_b col, avg(value) mean FROM agreement
  WHERE role = 'methods' AND policy = 'positive' AND grid = 'pixel' AND prefix_a IS NULL AND prefix_b IS NULL
    AND repeat_a = 0 AND repeat_b = 0 GROUP BY 1, 2, 3, 4, 5
  UNION ALL
  SELECT model, target, metric, method_b, method_a, avg(value) FROM agreement
  WHERE role = 'methods' AND policy = 'positive' AND grid = 'pixel' AND prefix_a IS NULL AND prefix_b IS NULL
    AND repeat_a = 0 AND repeat_b = 0 GROUP BY 1, 2, 3, 4, 5)
ORDER BY model, target, metric, row, col;

-- Agreement from the reductions: the same means without touching the rows (any number of images, in milliseconds)
SELECT mo.name model, a.target, ma.name method_a, mb.name method_b, me.name metric, me.policy, me.grid, s.stratum, s.n, s.n_null,
  round(s.mean, 4) mean, round(s.sd, 4) sd, round(s.lo, 4) lo, round(s.hi, 4) hi
FROM summary s JOIN metric me ON me.id = s.metric_id JOIN cell a ON a.id = s.cell_a JOIN cell b ON b.id = s.cell_b
  JOIN model mo ON mo.id = a.model_id JOIN method ma ON ma.id = a.method_id JOIN method mb ON mb.id = b.method_id
WHERE a.prefix_of IS NULL AND b.prefix_of IS NULL AND a.repeat = 0 AND b.repeat = 0
ORDER BY 1, 2, 5, 6, 7, 3, 4, 8;

-- Agreement where the model is right and where it is wrong
SELECT model, target, method_a, method_b, metric, sum(correct) n_right, sum(NOT correct) n_wrong,
  round(avg(CASE WHEN correct THEN value END), 4) mean_right, round(avg(CASE WHEN NOT correct THEN value END), 4) mean_wrong
FROM agreement
WHERE role = 'methods' AND policy = 'positive' AND grid = 'pixel' AND correct IS NOT NULL AND prefix_a IS NULL AND prefix_b IS NULL
  AND repeat_a = 0 AND repeat_b = 0
GROUP BY 1, 2, 3, 4, 5;

-- Agreement per group of images (patients, sources): means of group means, so that no group counts for its size
SELECT model, target, method_a, method_b, metric, count(*) groups, round(avg(mean), 4) mean_of_groups FROM (
  SELECT model, target, method_a, method_b, metric, grp, avg(value) mean FROM agreement
  WHERE role = 'methods' AND policy = 'positive' AND grid = 'pixel' AND prefix_a IS NULL AND prefix_b IS NULL
    AND repeat_a = 0 AND repeat_b = 0 AND value IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6)
GROUP BY 1, 2, 3, 4, 5;

-- Self-agreement: a stochastic method against itself under new draws
SELECT model, target, method_a method, metric, policy, grid, count(value) n, round(avg(value), 4) mean
FROM agreement WHERE role = 'reliability' AND prefix_a IS NULL AND prefix_b IS NULL GROUP BY 1, 2, 3, 4, 5, 6;

-- Convergence: a smaller budget against the full one
SELECT model, target, method_a method, metric, policy, grid, coalesce(budget_b, budget_a) budget, count(value) n, round(avg(value), 4) mean
FROM agreement WHERE role = 'budget' GROUP BY 1, 2, 3, 4, 5, 6, 7;

-- Right and sure, yet the methods disagree most
SELECT path, model, target, method_a, method_b, round(value, 3) value
FROM agreement
WHERE role = 'methods' AND metric = 'pearson' AND policy = 'positive' AND grid = 'pixel' AND correct AND p_top > .9
  AND repeat_a = 0 AND repeat_b = 0 AND value IS NOT NULL
ORDER BY agreement.value LIMIT 20;

-- Values that are undefined, and why
SELECT 'pair' kind, metric, why, count(*) n FROM agreement WHERE value IS NULL GROUP BY 2, 3
UNION ALL SELECT 'score', metric, why, count(*) FROM scores WHERE value IS NULL GROUP BY 2, 3;

-- Localisation: how well each method finds the object of the ground-truth mask
SELECT e.model, e.target, e.method, s.metric, count(*) n, count(s.value) valid, round(avg(s.value), 4) mean
FROM scores s JOIN explanations e ON e.id = s.explanation_id
WHERE s.metric IN('mask_iou_area', 'pointing_game') AND e.repeat = 0 AND e.prefix_of IS NULL
GROUP BY 1, 2, 3, s.metric_id ORDER BY 1, 2, 4, avg(s.value) DESC;

-- Scores: every metric of one map, per model and method
SELECT e.model, e.target, e.method, s.metric, m.params, s.better, count(*) n, count(s.value) valid, round(avg(s.value), 4) mean
FROM scores s JOIN metric m ON m.id = s.metric_id JOIN explanations e ON e.id = s.explanation_id
WHERE e.repeat = 0 AND e.prefix_of IS NULL
GROUP BY 1, 2, 3, s.metric_id ORDER BY 1, 2, 4, 5, 3;

-- Deletion and insertion curves: the mean score at each step, per method
SELECT e.model, e.target, e.method, m.name metric, m.params, c.step, round(avg(c.x), 4) x, count(c.y) n, round(avg(c.y), 4) y
FROM curve c JOIN metric m ON m.id = c.metric_id JOIN explanations e ON e.id = c.explanation_id
WHERE e.repeat = 0 AND e.prefix_of IS NULL
GROUP BY 1, 2, 3, c.metric_id, c.step ORDER BY 1, 2, 4, 5, 3, 6;

-- Predictions: accuracy beside the share of the commonest label, which any useful model must beat
SELECT mo.name model, count(*) n, round(avg(p.class = i.label), 4) accuracy,
  (SELECT round(max(n) * 1.0 / sum(n), 4) FROM (SELECT count(*) n FROM image x JOIN prediction y ON y.image_id = x.id
     WHERE y.model_id = p.model_id AND y.rank = 0 AND x.label IS NOT NULL GROUP BY x.label)) majority
FROM prediction p JOIN image i ON i.id = p.image_id JOIN model mo ON mo.id = p.model_id
WHERE p.rank = 0 AND i.label IS NOT NULL GROUP BY p.model_id;

-- Predictions: precision, recall and support of each class
SELECT mo.name model, k.label class, count(CASE WHEN i.label = k.label THEN 1 END) support,
  round(avg(CASE WHEN p.class = k.label THEN i.label = k.label END), 4) "precision",
  round(avg(CASE WHEN i.label = k.label THEN p.class = k.label END), 4) recall
FROM (SELECT DISTINCT label FROM image WHERE label IS NOT NULL) k JOIN prediction p ON p.rank = 0
  JOIN image i ON i.id = p.image_id AND i.label IS NOT NULL JOIN model mo ON mo.id = p.model_id
GROUP BY p.model_id, k.label;

-- Effort: forward passes and seconds of each method
SELECT e.model, e.target, e.method, e.repeat, e.budget, count(*) n, round(avg(e.evaluations), 1) evaluations, round(avg(t.wall), 4) seconds,
  round(sum(t.wall) / 3600, 3) hours
FROM explanations e LEFT JOIN timing t ON t.explanation_id = e.id
WHERE e.status = 'done' GROUP BY e.cell_id ORDER BY 1, 2, 3, 4, 5;

-- Slowest images
SELECT e.path, round(sum(t.wall), 3) seconds, count(*) explanations
FROM timing t JOIN explanations e ON e.id = t.explanation_id GROUP BY e.image_id ORDER BY sum(t.wall) DESC, e.path LIMIT 20;

-- Failures, with the picture
SELECT i.path, f.cell_id, f.reason, f.attempt, f.at FROM failure f JOIN image i ON i.id = f.image_id ORDER BY i.id, f.cell_id, f.attempt;

-- What is done, what failed, what is missing
SELECT status, count(*) n FROM explanation GROUP BY 1 UNION ALL SELECT 'missing', count(*) FROM todo;

-- What is missing, per method
SELECT mo.name model, me.name method, c.target, c.repeat, c.budget, count(*) missing
FROM todo t JOIN cell c ON c.id = t.cell_id JOIN model mo ON mo.id = c.model_id JOIN method me ON me.id = c.method_id
GROUP BY c.id;

-- Provenance: which run, version, processor and models made this database
SELECT r.id, r.started, r.ended, r.state, r.version, r.git, r.ranks, r.threads, r.cpu, r.kernel, r.precision, j.name job, j.plan_sha,
  (SELECT group_concat(name || ' ' || substr(sha256, 1, 12), ', ') FROM model) models
FROM run r LEFT JOIN job j ON j.id = r.job_id ORDER BY r.id;
