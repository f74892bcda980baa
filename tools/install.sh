#!/bin/sh
# Installs what is missing for a purpose: build, test or bench. Debian packages only; asks nothing.
# Without root or sudo it says which packages to install and stops.
set -eu
build="gcc libssl-dev libsqlite3-dev libpq-dev libjansson-dev libyaml-dev libargon2-dev libc-ares-dev libseccomp-dev libcurl4-openssl-dev libxml2-dev liboath-dev libqrencode-dev libpcre2-dev zlib1g-dev ca-certificates"
test="libcmocka-dev postgresql-15 chromium python3 curl clang clang-format clang-tidy-14 libclang-rt-14-dev openssl procps nginx-light apache2 libapache2-mod-auth-openidc"
bench="nginx-light"
want=$build
case "${1:-build}" in
build) ;;
test) want="$build $test" ;;
bench) want="$build $bench" ;;
*) echo "usage: tools/install.sh build|test|bench" >&2; exit 2 ;;
esac
# node and npm: only where there are none, so that a newer one stays.
case "${1:-build}" in test|bench)
    command -v node >/dev/null || want="$want nodejs"
    command -v npm >/dev/null || want="$want npm" ;;
esac
missing=
for p in $want; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing="$missing $p"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ]; then as=; elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as="sudo -n"; else
    echo "socle: install these packages first (as root):" >&2
    echo "  apt-get install$missing" >&2
    exit 1
fi
echo "socle: installing$missing"
export DEBIAN_FRONTEND=noninteractive
# A cluster of PostgreSQL's packaging is not wanted: tests make their own and end it.
if [ ! -e /etc/postgresql-common/createcluster.conf ] && echo "$missing" | grep -q postgresql; then
    $as mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' | $as tee /etc/postgresql-common/createcluster.conf >/dev/null
fi
$as apt-get update -qq >/dev/null
# shellcheck disable=SC2086
$as apt-get install -y -qq --no-install-recommends $missing >/dev/null
