#!/bin/sh
# Builds build/socle_VERSION_ARCH.deb from the built program: `make deb`. Dependencies are read from
# the program itself, so that the package asks for what it is linked with and no more.
set -eu
program=${1:-build/socle}
version=$("$program" --version | sed 's/[^0-9.]//g')
arch=$(dpkg --print-architecture)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
install -D -m 755 "$program" "$root/usr/bin/socle"
strip --strip-unneeded "$root/usr/bin/socle"
for unit in socle.service socle-backup.service socle-backup.timer; do
    install -D -m 644 "packaging/systemd/$unit" "$root/lib/systemd/system/$unit"
done
mkdir -p "$root/etc/socle"
"$program" settings | sed 's|^# *data *=.*|data = /var/lib/socle|; s|^data *=.*|data = /var/lib/socle|' > "$root/etc/socle/socle.conf"
chmod 640 "$root/etc/socle/socle.conf"
install -D -m 644 LICENSE "$root/usr/share/doc/socle/copyright"
install -D -m 644 README.md "$root/usr/share/doc/socle/README.md"
mkdir -p "$root/DEBIAN" "$root/debian"
touch "$root/debian/control"
depends=$(cd "$root" && dpkg-shlibdeps -O usr/bin/socle 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
rm -rf "$root/debian"
cat > "$root/DEBIAN/control" <<CONTROL
Package: socle
Version: $version
Architecture: $arch
Maintainer: The maintainers of Socle <maintainers@socle.example>
Depends: $depends, adduser, ca-certificates
Recommends: nginx | haproxy
Suggests: postgresql
Section: net
Priority: optional
Description: common base of digital public services
 Identity (OpenID Connect), data exchange under contract and consent, a
 tamper-evident journal, procedures and the user's account, in one program.
CONTROL
echo /etc/socle/socle.conf > "$root/DEBIAN/conffiles"
cat > "$root/DEBIAN/postinst" <<'POST'
#!/bin/sh
set -e
if [ "$1" = configure ]; then
    getent passwd socle >/dev/null || adduser --system --group --home /var/lib/socle --no-create-home socle
    install -d -o socle -g socle -m 700 /var/lib/socle
    chgrp socle /etc/socle/socle.conf
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        systemctl enable socle.service >/dev/null 2>&1 || true
        systemctl try-restart socle.service || true
    fi
fi
POST
cat > "$root/DEBIAN/prerm" <<'PRE'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    systemctl disable --now socle.service socle-backup.timer >/dev/null 2>&1 || true
fi
PRE
cat > "$root/DEBIAN/postrm" <<'POSTRM'
#!/bin/sh
set -e
# Data and keys stay, even on purge: what was acknowledged is not deleted by a package.
if [ "$1" = purge ]; then rm -rf /etc/socle; fi
POSTRM
chmod 755 "$root/DEBIAN/postinst" "$root/DEBIAN/prerm" "$root/DEBIAN/postrm"
out=build/socle_${version}_${arch}.deb
dpkg-deb --root-owner-group --build "$root" "$out" >/dev/null
echo "$out"
