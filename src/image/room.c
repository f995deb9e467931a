/* The image room is being laid. */
typedef int why_image_room;
