/* The store room is being laid. */
typedef int why_store_room;
