#!/bin/sh
# Prints the software bill of materials (CycloneDX 1.5, JSON): the program, and every shared library
# the built program is linked with, by Debian package and version.
set -eu
program=${1:-build/socle}
[ -x "$program" ] || { echo "sbom: build the program first (make)" >&2; exit 1; }
version=$("$program" --version 2>/dev/null | sed 's/[^0-9.]//g')
package_of() { # a library's file -> "name version licence-file"
    real=$(readlink -f "$1")
    for p in "$1" "$real" "${1#/usr}" "${real#/usr}"; do
        name=$(dpkg-query -S "$p" 2>/dev/null | head -1 | cut -d: -f1) && [ -n "$name" ] && break
    done
    [ -n "${name:-}" ] && dpkg-query -W -f='${Package} ${Version}\n' "$name" 2>/dev/null | head -1
}
list=$(ldd "$program" | awk '/=> \//{print $3}' | while read -r lib; do package_of "$lib" || true; done | sort -u)
printf '{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,\n'
printf ' "metadata":{"timestamp":"%s","component":{"type":"application","bom-ref":"socle","name":"socle","version":"%s","licenses":[{"license":{"id":"Apache-2.0"}}]}},\n' \
    "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "${version:-0}"
printf ' "components":[\n'
first=1
echo "$list" | while read -r name version; do
    [ -n "$name" ] || continue
    [ $first = 1 ] || printf ',\n'
    first=0
    printf '  {"type":"library","bom-ref":"pkg:deb/debian/%s@%s","name":"%s","version":"%s","purl":"pkg:deb/debian/%s@%s?distro=debian-12"}' \
        "$name" "$version" "$name" "$version" "$name" "$version"
done
printf '\n ]}\n'
