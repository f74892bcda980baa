#!/bin/sh
# Debian 12's own Node 18, unpacked beside (build/node18) and not installed, so that the tests can run
# on it where the machine has another. Prints the path of a `node` that runs it.
set -eu
out=${1:-build/node18}
debian=$(node --version 2>/dev/null | grep -c '^v18\.' || true)
if [ "$debian" = 1 ] && [ "$(dpkg-query -W -f='${Version}' nodejs 2>/dev/null | grep -c deb12)" = 1 ]; then
    command -v node
    exit 0
fi
if [ ! -x "$out/node" ]; then
    mkdir -p "$out/deb" "$out/root"
    here=$(cd "$out" && pwd)
    version=$(apt-cache madison nodejs | awk -F'|' '$2 ~ /18\..*deb12/ {gsub(/ /, "", $2); print $2; exit}')
    [ -n "$version" ] || { echo "node18: Debian's nodejs 18 is not in the package lists (apt-get update)" >&2; exit 1; }
    (cd "$out/deb" && apt-get -o APT::Sandbox::User=root download -q "nodejs=$version" "libnode108=$version" \
        libuv1 libc-ares2 libicu72 node-acorn node-undici node-busboy node-cjs-module-lexer >/dev/null)
    for d in "$out"/deb/*.deb; do dpkg -x "$d" "$out/root"; done
    # It reads some of its modules by absolute paths of other packages: a mount namespace of its own
    # shows them under /usr/share to it alone.
    cat > "$out/node.tmp" <<SH
#!/bin/sh
[ "\$(id -u)" = 0 ] && as="unshare --mount" || as="unshare --map-current-user --keep-caps --mount"
LD_LIBRARY_PATH=$here/root/usr/lib/x86_64-linux-gnu\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
exec \$as sh -c 'mount -t overlay overlay -o "lowerdir=\$1/usr/share:/usr/share" /usr/share && shift && exec "\$@"' \\
    sh "$here/root" "$here/root/usr/bin/node" "\$@"
SH
    chmod +x "$out/node.tmp"
    mv "$out/node.tmp" "$out/node"
fi
"$out/node" -e 'if (!process.version.startsWith("v18.")) process.exit(1)'
echo "$out/node"
