#!/bin/sh
# The real fuzzer, with clang's libFuzzer: tools/fuzz.sh NAME [SECONDS]. What it finds new stays in
# build/corpus/NAME; a crash is written beside and reported.
set -eu
name=${1:?usage: make fuzz NAME=http_request_fuzz SECONDS=60}
seconds=${2:-60}
source=$(find src -name "$name.c" | head -1)
[ -n "$source" ] || { echo "fuzz: no such fuzzer: $name" >&2; exit 2; }
seeds=test/corpus/${name%_fuzz}
out=build/fuzz-clang
mkdir -p "$out" "build/corpus/$name"
make --no-print-directory -s build/gen/assets.c build/gen/services.c
flags="-std=c11 -D_GNU_SOURCE -DSOCLE_DEBUG -DSOCLE_VERSION=\"fuzz\" -Isrc -I. -I/usr/include/libxml2 -I/usr/include/postgresql -include src/base/banned.h -O1 -g -fsanitize=address,undefined,fuzzer-no-link"
objects=
for f in $(ls src/*/*.c src/core/*/*.c src/commons/*/*.c build/gen/*.c | grep -vE '_(test|fuzz)\.c$'); do
    o=$out/$(echo "$f" | tr / _).o
    [ "$o" -nt "$f" ] || clang $flags -c -o "$o" "$f"
    objects="$objects $o"
done
rm -f "$out/lib.a"
# shellcheck disable=SC2086
ar rcs "$out/lib.a" $objects
# shellcheck disable=SC2086
clang $flags -fsanitize=fuzzer -o "$out/$name" "$source" "$out/lib.a" -lcurl -lssl -lcrypto -lsqlite3 -lpq -ljansson -lyaml -largon2 -lcares -lseccomp -lxml2 -loath -lqrencode -lpcre2-8 -lz -lpthread -lm
exec "$out/$name" -max_total_time="$seconds" -print_final_stats=1 -artifact_prefix="$out/" "build/corpus/$name" "$seeds"
