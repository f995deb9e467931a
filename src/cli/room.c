/* The cli room is being laid. */
typedef int why_cli_room;
