#include <signal.h>

#include "cli/cli.h"

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN); /* `whypix table ... | head` ends with a write error, not with a signal */
    return why_cli_main(argc, argv);
}
