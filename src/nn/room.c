/* The nn room is being laid. */
typedef int why_nn_room;
