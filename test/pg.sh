#!/bin/sh
# A private PostgreSQL for the tests: a new cluster on a free loopback port, gone afterwards.
#   sh test/pg.sh start FOLDER    prints its address as the last line
#   sh test/pg.sh stop FOLDER
# FOLDER only remembers where it is. Run by root, the server belongs to the user postgres (it refuses
# root). It has a password, because other users of the machine reach the loopback too, and it syncs,
# because that is the time a commit takes. PG_PORT chooses the port.
set -eu
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
[ -n "$bin" ] || { echo "pg.sh: PostgreSQL is not installed" >&2; exit 1; }
here=${2:?folder}
as() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }

stop() {
    [ -f "$here/where" ] || return 0
    where=$(cat "$here/where")
    [ -f "$where/data/postmaster.pid" ] && (cd / && as "$bin/pg_ctl" -D "$where/data" -m immediate -w -s stop) || true
    rm -rf "$where" "$here"
}

start() {
    stop
    mkdir -p "$here"
    where=$(mktemp -d "${TMPDIR:-/tmp}/socle-pg-XXXXXX")
    echo "$where" > "$here/where"
    [ "$(id -u)" = 0 ] && chown postgres "$where"
    cd /
    password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    echo "$password" | as sh -c "umask 077; cat > '$where/password'"
    as "$bin/initdb" -D "$where/data" -U socle -A scram-sha-256 --pwfile="$where/password" -E UTF8 \
        --locale=C.UTF-8 -N >/dev/null
    for try in 1 2 3 4 5 6 7 8 9 10; do
        port=${PG_PORT:-$((20000 + ($$ * 7 + try * 131) % 2900))}
        as "$bin/pg_ctl" -D "$where/data" -w -t 60 -s -l "$where/log" -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$where -c fsync=on -c max_connections=400 -c shared_buffers=64MB" start && {
            echo "postgresql://socle:$password@127.0.0.1:$port/postgres"
            return 0
        }
    done
    cat "$where/log" >&2
    exit 1
}

case "${1:-}" in
start) start ;;
stop) stop ;;
*) echo "usage: pg.sh start|stop FOLDER" >&2; exit 2 ;;
esac
