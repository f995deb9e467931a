/* The metric room is being laid. */
typedef int why_metric_room;
