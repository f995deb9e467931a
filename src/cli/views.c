#include "cli/views.h"

#include <stddef.h>

/* "topk_iou(0.05)": the name with the values of its parameters. */
#define METRIC_LABEL \
    "me.name || ifnull('(' || (SELECT group_concat(value, ',') FROM json_each(me.params) WHERE value IS NOT NULL) || ')', '')"
/* "lime", "lime #1" for another draw, "lime @50" for another budget. */
#define CELL_LABEL(method, cell) \
    method ".name || CASE WHEN " cell ".repeat > 0 THEN ' #' || " cell ".repeat ELSE '' END || ifnull(' @' || " cell ".budget, '')"
#define PLAIN_CELL(cell) cell ".repeat = 0 AND " cell ".budget IS NULL AND " cell ".prefix_of IS NULL AND " cell ".transform = ''"
/* printf() alone would show an undefined value as 0. */
#define NUMBER(format, x) "iif(" x " IS NULL, '-', printf('" format "', " x "))"
/* A mean as `shown`, with the mark when it is the best in window w that is no control's. */
#define MARKED_MEAN(shown) \
    "CASE WHEN mean IS NULL THEN '-' ELSE CASE WHEN NOT control AND ((better = 'high' AND mean = max(iif(control, NULL, mean)) OVER w)" \
    " OR (better = 'low' AND mean = min(iif(control, NULL, mean)) OVER w)) THEN '*' ELSE '' END || " shown " END"
#define ARROW "CASE better WHEN 'high' THEN ' \u2191' WHEN 'low' THEN ' \u2193' ELSE '' END"

/* Medians of the pairs, when they are asked for; a = image<<16 | cell. */
#define MEDIANS \
    "median(ca, cb, metric_id, value) AS MATERIALIZED (SELECT ca, cb, metric_id, avg(value) FROM (SELECT a & 65535 ca, b & 65535 cb," \
    "  metric_id, value, row_number() OVER w r, count(*) OVER (PARTITION BY a & 65535, b & 65535, metric_id) n FROM pair"             \
    "  WHERE value IS NOT NULL AND (SELECT statistic FROM shown) = 'median'" \
    "  WINDOW w AS (PARTITION BY a & 65535, b & 65535, metric_id ORDER BY value)) WHERE r IN ((n + 1) / 2, n / 2 + 1) GROUP BY 1, 2, 3)"

static const char agreement_sql[] =
    ", " MEDIANS ", p AS (SELECT mo.name model, a.target, " METRIC_LABEL " metric, me.policy, me.grid, statistic, a.model_id, me.id"
    " metric_id,"
    "  iif(statistic IN ('mean', 'median'), me.better, 'none') better, iif(statistic IN ('valid', 'undefined'), '%d', '%.4f') format,"
    "  CASE statistic WHEN 'mean' THEN s.mean WHEN 'sd' THEN s.sd WHEN 'median' THEN md.value WHEN 'valid' THEN s.n ELSE s.n_null END mean,"
    "  ma.id ia, mb.id ib, ma.name na, mb.name nb, s.n + s.n_null n, (ma.explainer IN control OR mb.explainer IN control) control"
    "  FROM shown JOIN summary s JOIN metric me ON me.id = s.metric_id JOIN cell a ON a.id = s.cell_a JOIN cell b ON b.id = s.cell_b"
    "  JOIN model mo ON mo.id = a.model_id JOIN method ma ON ma.id = a.method_id JOIN method mb ON mb.id = b.method_id"
    "  LEFT JOIN median md ON md.ca = a.id AND md.cb = b.id AND md.metric_id = s.metric_id"
    "  WHERE s.stratum = 'all' AND a.model_id = b.model_id AND a.target = b.target AND ma.id <> mb.id"
    "  AND " PLAIN_CELL("a") " AND " PLAIN_CELL("b") "),"
    " q AS (SELECT *, max(n) OVER w images, " MARKED_MEAN("printf(format, mean)") " text FROM p"
    "  WINDOW w AS (PARTITION BY model_id, target, metric_id)),"
    " k AS (SELECT model_id, metric_id, model, target, metric, policy, grid, images, statistic, ia, ib, na, nb, text FROM q),"
    " m(model_id, metric_id, model, target, metric, policy, grid, images, statistic, r, c, x, y, text) AS (SELECT * FROM k UNION ALL"
    "  SELECT model_id, metric_id, model, target, metric, policy, grid, images, statistic, ib, ia, nb, na, text FROM k UNION"
    "  SELECT model_id, metric_id, model, target, metric, policy, grid, images, statistic, ia, ia, na, na, '-' FROM k UNION"
    "  SELECT model_id, metric_id, model, target, metric, policy, grid, images, statistic, ib, ib, nb, nb, '-' FROM k)"
    "SELECT metric, model, target, policy, grid, images, statistic, x method, y \"with\", text value FROM m"
    " ORDER BY model_id, target, metric_id, r, c";

static const char pairs_sql[] =
    ", x AS (SELECT mo.name model, mb.name model_b, a.target, b.target target_b, " METRIC_LABEL " metric, me.policy, me.grid, "
    CELL_LABEL("xa", "a") " method_a, " CELL_LABEL("xb", "b") " method_b, s.*"
    "  FROM summary s JOIN metric me ON me.id = s.metric_id JOIN cell a ON a.id = s.cell_a JOIN cell b ON b.id = s.cell_b"
    "  JOIN model mo ON mo.id = a.model_id JOIN model mb ON mb.id = b.model_id JOIN method xa ON xa.id = a.method_id"
    "  JOIN method xb ON xb.id = b.method_id WHERE s.stratum = 'all')"
    "SELECT metric, policy, grid, iif(model = model_b, model, model || ' / ' || model_b) model,"
    " iif(target = target_b, target, target || ' / ' || target_b) target,"
    " method_a \"method a\", method_b \"method b\", n valid, n_null undefined, " NUMBER("%.4f", "mean") " mean, " NUMBER("%.4f", "sd") " sd"
    " FROM x ORDER BY metric_id, cell_a, cell_b";

/* Scores and localisation differ in one condition. */
#define SCORES_SQL(condition) \
    ", p AS (SELECT mo.name model, a.target, a.model_id, " METRIC_LABEL " metric, me.better, me.id metric_id, ma.id method_id,"     \
    "  ma.name method, s.n, s.n + s.n_null all_n, s.mean, ma.explainer IN control control" \
    "  FROM summary s JOIN metric me ON me.id = s.metric_id JOIN cell a ON a.id = s.cell_a JOIN model mo ON mo.id = a.model_id"  \
    "  JOIN method ma ON ma.id = a.method_id WHERE s.stratum = 'all' AND s.cell_b = 0 AND " PLAIN_CELL("a") " AND " condition "),"\
    " q AS (SELECT *, metric || " ARROW " label," \
    "  max(all_n) OVER v images, iif(min(n) OVER w = max(n) OVER w, '', min(n) OVER w || '-') || max(n) OVER w valid, " \
    MARKED_MEAN("printf('%.4f', mean)") " text" \
    "  FROM p WINDOW w AS (PARTITION BY model_id, target, metric_id), v AS (PARTITION BY model_id, target))," \
    " m AS (SELECT model_id, metric_id, model, target, images, label, method_id c, method, text FROM q UNION" \
    "  SELECT model_id, metric_id, model, target, images, label, 1 << 62, 'valid', valid FROM q)" \
    "SELECT model, target, images, label metric, method, text mean FROM m ORDER BY model_id, target, metric_id, c"

static const char scores_sql[] = SCORES_SQL("me.name NOT IN masked");
static const char localisation_sql[] = SCORES_SQL("me.name IN masked");

static const char predictions_sql[] =
    ", k AS (SELECT p.model_id, i.label, count(*) n, sum(p.class = i.label) hits, avg(p.prob) prob"
    "  FROM prediction p JOIN image i ON i.id = p.image_id WHERE p.rank = 0 AND i.label IS NOT NULL GROUP BY 1, 2)"
    "SELECT mo.name model, (SELECT count(*) FROM prediction p WHERE p.model_id = mo.id AND p.rank = 0) images, sum(n) labelled,"
    " " NUMBER("%.4f", "1.0 * sum(hits) / sum(n)") " accuracy, " NUMBER("%.4f", "1.0 * max(n) / sum(n)") " \"majority baseline\","
    " " NUMBER("%.4f", "sum(n * prob) / sum(n)") " \"mean top probability\" FROM model mo LEFT JOIN k ON k.model_id = mo.id GROUP BY mo.id";

/* The same means the other way round: models side by side, a table per method. */
static const char models_sql[] =
    ", p AS (SELECT ma.name method, a.target, a.method_id, " METRIC_LABEL " metric, me.better, me.id metric_id, mo.id model_id,"
    "  mo.name model, s.n + s.n_null n, s.mean, 0 control FROM summary s JOIN metric me ON me.id = s.metric_id"
    "  JOIN cell a ON a.id = s.cell_a JOIN model mo ON mo.id = a.model_id JOIN method ma ON ma.id = a.method_id"
    "  WHERE s.stratum = 'all' AND s.cell_b = 0 AND " PLAIN_CELL("a") "),"
    " q AS (SELECT *, metric || " ARROW " label, max(n) OVER v images, " MARKED_MEAN("printf('%.4f', mean)") " text FROM p"
    "  WINDOW w AS (PARTITION BY method_id, target, metric_id), v AS (PARTITION BY method_id, target))"
    "SELECT method, target, images, label metric, model, text mean FROM q ORDER BY method_id, target, metric_id, model_id";

/* Every value, for few images. Explanations of one image are a range of ids: id = image<<16 | cell. */
static const char images_sql[] =
    ", v AS (SELECT a >> 16 image_id, a & 65535 ca, b & 65535 cb, metric_id, value FROM pair UNION ALL"
    "  SELECT explanation_id >> 16, explanation_id & 65535, 0, metric_id, value FROM score),"
    " x AS (SELECT v.*, i.path image, mo.id model_id, mo.name model, a.target, " METRIC_LABEL " metric, me.policy, me.grid,"
    "  ma.name || ifnull(' \u2013 ' || mb.name, '') method FROM v JOIN image i ON i.id = v.image_id JOIN metric me ON me.id = v.metric_id"
    "  JOIN cell a ON a.id = ca LEFT JOIN cell b ON b.id = cb JOIN model mo ON mo.id = a.model_id JOIN method ma ON ma.id = a.method_id"
    "  LEFT JOIN method mb ON mb.id = b.method_id WHERE " PLAIN_CELL("a") " AND (cb = 0 OR (" PLAIN_CELL("b")
    "  AND b.model_id = a.model_id AND b.target = a.target))),"
    " y AS (SELECT model_id, metric_id, image_id, ca, cb, metric, model, target, policy, grid, image, method, value FROM x UNION ALL"
    "  SELECT model_id, metric_id, 1 << 62, ca, cb, metric, model, target, policy, grid, 'mean', method, avg(value) FROM x"
    "  GROUP BY model_id, metric_id, ca, cb)"
    "SELECT metric, model, target, policy, grid, image, method, " NUMBER("%.4f", "value") " value FROM y"
    " ORDER BY model_id, target, metric_id, image_id, ca, cb";

static const char curves_sql[] =
    ", k AS (SELECT explanation_id & 65535 cell_id, metric_id, step, avg(x) x, avg(y) y, count(*) n FROM curve GROUP BY 1, 2, 3)"
    "SELECT " METRIC_LABEL " metric, mo.name model, a.target, max(n) OVER (PARTITION BY k.metric_id, a.model_id, a.target) images,"
    " printf('%.4g', k.x) x, ma.name method, " NUMBER("%.4f", "k.y") " y"
    " FROM k JOIN metric me ON me.id = k.metric_id JOIN cell a ON a.id = k.cell_id JOIN model mo ON mo.id = a.model_id"
    " JOIN method ma ON ma.id = a.method_id WHERE " PLAIN_CELL("a") " ORDER BY a.model_id, a.target, k.metric_id, k.step, a.method_id";

/* Of the labelled images. A class that is never predicted has no precision; in the means it counts as 0, as in scikit-learn. */
static const char classes_sql[] =
    ", p AS (SELECT p.model_id, p.class guess, i.label truth FROM prediction p JOIN image i ON i.id = p.image_id"
    "  WHERE p.rank = 0 AND i.label IS NOT NULL),"
    " c AS (SELECT model_id, class, sum(tp) tp, sum(guessed) guessed, sum(support) support FROM ("
    "  SELECT model_id, truth class, guess = truth tp, 0 guessed, 1 support FROM p UNION ALL SELECT model_id, guess, 0, 1, 0 FROM p)"
    "  GROUP BY 1, 2),"
    " t AS (SELECT model_id, sum(support) n, 1.0 * sum(tp) / sum(support) accuracy, 1.0 * max(support) / sum(support) baseline FROM c"
    " GROUP BY 1),"
    " r AS (SELECT model_id, class, iif(guessed > 0, 1.0 * tp / guessed, NULL) precision, iif(support > 0, 1.0 * tp / support, NULL)"
    " recall,"
    "  2.0 * tp / (guessed + support) f1, support FROM c),"
    " a AS (SELECT model_id, class, ifnull((SELECT name FROM class_name n WHERE n.class = r.class), class) label, precision, recall, f1,"
    "  support FROM r UNION ALL"
    "  SELECT model_id, 1 << 61, 'mean', avg(ifnull(precision, 0)), avg(ifnull(recall, 0)), avg(f1), sum(support) FROM r GROUP BY 1"
    " UNION ALL"
    "  SELECT model_id, 1 << 62, 'mean by support', sum(support * ifnull(precision, 0)) / sum(support),"
    "  sum(support * ifnull(recall, 0)) / sum(support), sum(support * f1) / sum(support), sum(support) FROM r GROUP BY 1),"
    " m AS (SELECT model_id, class, label, 1 at, 'precision' measure, " NUMBER("%.4f", "precision") " value FROM a UNION ALL"
    "  SELECT model_id, class, label, 2, 'recall', " NUMBER("%.4f", "recall") " FROM a UNION ALL"
    "  SELECT model_id, class, label, 3, 'F1', printf('%.4f', f1) FROM a UNION ALL"
    "  SELECT model_id, class, label, 4, 'support', support FROM a)"
    "SELECT mo.name model, n labelled, printf('%.4f', accuracy) accuracy, printf('%.4f', baseline) \"majority baseline\", label class,"
    " measure,"
    " value FROM m JOIN t ON t.model_id = m.model_id JOIN model mo ON mo.id = m.model_id ORDER BY m.model_id, m.class, m.at";

static const char networks_sql[] =
    " SELECT name network, ifnull(input, '-') input, ifnull(classes, '-') classes, " NUMBER("%,d", "params") " parameters,"
    " " NUMBER("%,d", "macs") " \"multiply-adds\", preprocess, substr(sha256, 1, 12) sha256 FROM model ORDER BY id";

static const char failures_sql[] =
    " SELECT i.path image, iif(f.cell_id IS NULL, 'all', mo.name || ' ' || " CELL_LABEL("me", "c") ") cell, f.reason, f.attempt, f.at"
    " FROM failure f LEFT JOIN image i ON i.id = f.image_id LEFT JOIN cell c ON c.id = f.cell_id LEFT JOIN model mo ON mo.id = c.model_id"
    " LEFT JOIN method me ON me.id = c.method_id ORDER BY f.image_id, f.cell_id, f.attempt";

static const char timing_sql[] =
    ", x AS (SELECT e.cell_id, count(*) n, avg(e.evaluations) evaluations, avg(t.wall) wall, max(t.wall) worst, sum(t.wall) total,"
    "  sum(t.cpu) cpu FROM explanation e LEFT JOIN timing t ON t.explanation_id = e.id WHERE e.status = 'done' GROUP BY 1)"
    "SELECT mo.name model, c.target, " CELL_LABEL("me", "c") " method, x.n, " NUMBER("%.0f", "evaluations") " evaluations,"
    " " NUMBER("%.4f", "wall") " \"s each\","
    " " NUMBER("%.4f", "worst") " \"s worst\", " NUMBER("%.1f", "total") " \"s total\", " NUMBER("%.1f", "cpu") " \"cpu s\""
    " FROM x JOIN cell c ON c.id = x.cell_id JOIN model mo ON mo.id = c.model_id JOIN method me ON me.id = c.method_id"
    " ORDER BY c.model_id, c.target, c.id";

const why_view why_views[] = {
    {"agreement", "agreement of every two methods (--statistic), a matrix per metric, model and class", NULL, 7, agreement_sql},
    {"pairs", "every compared pair of cells: mean, SD, defined and undefined values", "lllllllrrrr", 0, pairs_sql},
    {"scores", "metrics of one map, per method; the arrow says which direction is better", NULL, 3, scores_sql},
    {"localisation", "does the map lie on the object? metrics against the ground-truth mask", NULL, 3, localisation_sql},
    {"models", "the same metrics of one map, models side by side, per method", NULL, 3, models_sql},
    {"images", "agreement and scores of every single image, and their means", NULL, 5, images_sql},
    {"curves", "mean curves, such as the probability left when more and more of the image is hidden", NULL, 4, curves_sql},
    {"predictions", "accuracy of each model beside always saying the commonest label", "lrrrrr", 0, predictions_sql},
    {"classes", "precision, recall and F1 of every class, per model", NULL, 4, classes_sql},
    {"networks", "size and cost of each network; 'whypix model' has its layers", "lrrrrll", 0, networks_sql},
    {"failures", "what could not be computed, and why", "lllrl", 0, failures_sql},
    {"timing", "evaluations and seconds of each method", "lllrrrrrr", 0, timing_sql},
    {0},
};
