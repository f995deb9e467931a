/* The explain room is being laid. */
typedef int why_explain_room;
