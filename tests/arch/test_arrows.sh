#!/bin/sh
# Who may include whom. Rooms are folders of src; a public header belongs to a room as well. Below, "room: rooms it may
# use". Single libraries are fenced in to one room or one file. Every header must compile alone.
set -u
cd "${WHYPIX_SOURCE:-$(dirname "$0")/../..}" || exit 1
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT

# file:line:included path:q(uoted) or s(ystem), for every #include of the product
includes() {
    find src include -name '*.[ch]' -o -name '*.h.in' | sort | xargs awk '
        /^[ \t]*#[ \t]*include[ \t]*["<]/ {
            kind = index($0, "\"") ? "q" : "s"
            path = $0
            sub(/^[^"<]*["<]/, "", path)
            sub(/[">].*$/, "", path)
            print FILENAME ":" FNR ":" path ":" kind
        }'
}

includes | awk -F: '
    BEGIN {
        may["base"] = " base "
        may["nn"] = " nn base "
        may["image"] = " image base "
        may["store"] = " store base "
        may["explain"] = " explain nn image base "
        may["metric"] = " metric explain nn image base "
        may["run"] = " run store metric explain nn image base "
        may["cli"] = " cli run store metric explain nn image base "
        n = split("status tensor param pool rng version", names, " ")
        for (i = 1; i <= n; i++) public[names[i]] = "base"
        public["model"] = "nn"
        public["image"] = "image"
        public["evaluate"] = public["explain"] = "explain"
        public["metric"] = "metric"

        fence["mpi.h"] = " src/run/transport_mpi.c src/cli/main.c "
        fence["sqlite3.h"] = " src/store/ "
        fence["cblas.h"] = fence["lapacke.h"] = " src/nn/kernel/blas.c src/explain/wls.c src/explain/pca.c "
        fence["yaml.h"] = " src/run/ "
        fence["expat.h"] = " src/run/list_voc.c "
        fence["jansson.h"] = " src/run/list_labelme.c "
        fence["png.h"] = fence["jpeglib.h"] = " src/image/ "
    }
    function base_name(path) { sub(/^.*\//, "", path); sub(/\.h(\.in)?$/, "", path); return path }
    function room_of(path) {
        if (path ~ /^(include\/)?whypix\//) return public[base_name(path)]
        sub(/^src\//, "", path)
        sub(/\/.*$/, "", path)
        return path
    }
    function say(text) { print $1 ":" $2 ": " text; bad = 1 }
    function fenced(file, places,    i, n, place) {
        n = split(places, place, " ")
        for (i = 1; i <= n; i++)
            if (index(file, place[i]) == 1) return 0
        return 1
    }
    {
        from = room_of($1)
        if (!(from in may)) say("belongs to no room: add it to this test and to the design")
        if ($4 == "s") {
            library = $3
            sub(/^.*\//, "", library)
            if (library in fence && fenced($1, fence[library])) say("<" $3 "> is only for" fence[library])
            next
        }
        if ($3 !~ /\//) { say("\"" $3 "\": write it with its room, as \"" from "/" $3 "\""); next }
        to = room_of($3)
        if ($1 ~ /^include\// && $3 !~ /^whypix\//) say("a public header includes the private \"" $3 "\"")
        else if (!(to in may)) say("\"" $3 "\" belongs to no room")
        else if (!index(may[from], " " to " ")) say(from " may not use " to " (\"" $3 "\")")
    }
    END { print NR " includes looked at"; exit bad || NR < 20 }' >"$out"
status=$?
cat "$out"

# Headers compile alone; a public one with nothing but the public folder.
version=
[ -n "${WHYPIX:-}" ] && version="-I$(dirname "$WHYPIX")/include"
headers=0
for header in $(find include src -name '*.h' | sort); do
    headers=$((headers + 1))
    case $header in
    include/*) roots="-Iinclude" ;;
    *) roots="-Iinclude -Isrc" ;;
    esac
    # shellcheck disable=SC2086
    if ! echo "#include \"${header#*/}\"" | ${CC:-cc} -std=c17 -Wall -Wextra -Wpedantic -Werror -fsyntax-only \
        -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE $roots $version -x c - 2>"$out"; then
        echo "$header: does not compile alone"
        head -3 "$out"
        status=1
    fi
done
echo "$headers headers compiled alone"
exit $status
