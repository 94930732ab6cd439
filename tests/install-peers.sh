#!/bin/sh
# Installs the programs that the laboratory needs as peers, where they are missing (Debian, Ubuntu).
# None of them is started: a policy that forbids it is put in place for the time of the installation.
set -eu

policy=/usr/sbin/policy-rc.d

# command and the package that brings it
peers='
dhcpcd       dhcpcd-base
dhcp6s       wide-dhcpv6-server
dhcp6ctl     wide-dhcpv6-client
dhcp6c       wide-dhcpv6-client
dhcp6relay   wide-dhcpv6-relay
dhclient     isc-dhcp-client
networkctl   systemd
dbus-daemon  dbus-daemon
radvd        radvd
kea-dhcp6    kea-dhcp6-server
kea-admin    kea-admin
initdb       postgresql
psql         postgresql-client
rdisc6       ndisc6
tcpdump      tcpdump
tshark       tshark
nft          nftables
ip           iproute2
ethtool      ethtool
ping         iputils-ping
shellcheck   shellcheck
atk6-flood_router26 thc-ipv6
strip        binutils
lintian      lintian
mmdebstrap   mmdebstrap
systemd-analyze systemd
'

# What makes packages, of these versions, from source: built without optimization, as it has little
# to do.
tools='
cargo-deb 3.8.0
'
install_tools() {
    echo "$tools" | while read -r tool version; do
        [ -z "$tool" ] || command -v "$tool" >/dev/null ||
            cargo install --quiet --debug --locked "$tool@$version" </dev/null
    done
}


PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:${CARGO_HOME:-${HOME:-}/.cargo}/bin
! command -v cargo >/dev/null || install_tools
# Debian has the server of PostgreSQL below a directory for each version.
find_postgresql() {
    for bin in /usr/lib/postgresql/*/bin; do
        [ ! -d "$bin" ] || PATH=$PATH:$bin
    done
}
find_postgresql
missing=$(echo "$peers" | while read -r command package; do
    [ -z "$command" ] || command -v "$command" >/dev/null || echo "$package"
done | sort -u)
if [ -z "$missing" ]; then
    echo "peers: all there"
    exit 0
fi
echo "peers: missing" $missing

if ! command -v apt-get >/dev/null; then
    echo "peers: no apt-get here; install them by hand" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "peers: run this as root" >&2; exit 1; }
    exec sudo "$0" "$@"
fi

if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update
# shellcheck disable=SC2086 # a list of words
apt-get install --yes --no-install-recommends $missing
find_postgresql

echo "$peers" | while read -r command package; do
    [ -z "$command" ] || command -v "$command" >/dev/null ||
        { echo "peers: $package is installed, but there is no $command" >&2; exit 1; }
done
echo "peers: all there"
