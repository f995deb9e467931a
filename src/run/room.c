/* The run room is being laid. */
typedef int why_run_room;
