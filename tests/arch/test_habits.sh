#!/bin/sh
# Habits of the code that a machine can check: below src/cli nothing ends the process or prints; there are no writable
# globals; functions fit on a screen; nothing is left for later; no path of somebody's machine.
set -u
cd "${WHYPIX_SOURCE:-$(dirname "$0")/../..}" || exit 1
status=0

fail() {
    echo "$1"
    status=1
}

# The sources without comments, as file:line:text. Strings are emptied, so that a text may speak of exit().
code() {
    find src include -name '*.[ch]' | sort | xargs awk '
        FNR == 1 { inside = 0 }
        {
            line = $0
            gsub(/\\./, "", line)
            gsub(/"[^"]*"/, "\"\"", line)
            text = ""
            while (line != "") {
                if (inside) {
                    at = index(line, "*/")
                    if (!at) break
                    line = substr(line, at + 2)
                    inside = 0
                } else {
                    at = index(line, "/*")
                    if (!at) { text = text line; break }
                    text = text substr(line, 1, at - 1)
                    line = substr(line, at + 2)
                    inside = 1
                }
            }
            sub(/\/\/.*$/, "", text)
            print FILENAME ":" FNR ":" text
        }'
}

found=$(code | grep -v '^src/cli/' | grep -E \
    '[^A-Za-z0-9_.>](exit|_exit|_Exit|quick_exit|abort|printf|vprintf|puts|putchar|perror)[[:space:]]*\(|\((stdout|stderr)|[ ,](stdout|stderr)[,)]')
[ -z "$found" ] || fail "ends the process or prints below src/cli:
$found"

found=$(find src include -name '*.[ch]' | sort | xargs grep -nE '\b(TODO|FIXME|XXX|HACK)\b')
[ -z "$found" ] || fail "left for later:
$found"

found=$(find src include -name '*.[ch]' | sort | xargs grep -nE '"/[a-z]+/[^"]*"' | grep -vE '"/(dev|proc|sys|tmp|etc)/')
[ -z "$found" ] || fail "a path of one machine:
$found"

find src include -name '*.[ch]' | sort | xargs awk '
    length($0) > 140 { long++ }
    END { print NR " lines, " long + 0 " over 140 columns" }'

# Functions: from a name with its parameters in column 1 to the closing brace in column 1.
lengths=$(find src -name '*.c' | sort | xargs awk '
    FNR == 1 { start = 0 }
    /^[A-Za-z_][^=;]*\(/ && !/;[ \t]*$/ {
        start = FNR
        name = $0
        sub(/\(.*$/, "", name)
        sub(/^.*[ *]/, "", name)
        if ($0 ~ /\}[ \t]*$/) { print 1, FILENAME ":" FNR, name; start = 0 }
    }
    /^\}/ && start { print FNR - start + 1, FILENAME ":" start, name; start = 0 }' | sort -n)
found=$(echo "$lengths" | awk '$1 > 100')
[ -z "$found" ] || fail "functions of more than 100 lines:
$found"
echo "$lengths" | awk '{ n[NR] = $1; over += $1 > 60 } END { print NR " functions, median " n[int((NR + 1) / 2)] " lines, longest " n[NR] ", " over " over 60" }'

# Writable data in the object files, where they are (sanitizers add their own, with leading underscores). A signal handler
# can speak only through a global: those end in _signals.
libraries=$(find "$(dirname "${WHYPIX:-/nowhere/whypix}")" -maxdepth 1 -name 'libwhypix_*.a' ! -name 'libwhypix_cli.a' 2>/dev/null)
if [ -n "$libraries" ] && command -v objdump >/dev/null; then
    # shellcheck disable=SC2086
    found=$(objdump -t $libraries | awk '
        /file format/ { file = $1 }
        NF > 4 && $(NF - 2) ~ /^\.(data|bss)$/ && $(NF - 3) == "O" && $NF !~ /^_/ && !/_signals$/ { print file " " $NF }')
    [ -z "$found" ] || fail "writable globals:
$found"
fi
exit $status
