#!/bin/sh
# Runs every test: those of the parts, and those in network namespaces among real peers, which need
# root or a system that lets everybody have user namespaces. Arguments go to the test programs,
# behind `cargo test --`; for instance a part of a test's name.
set -eu
cd "$(dirname "$0")/.."

tests/install-peers.sh

# Most of the laboratory's time is waiting for timers of the protocols: more tests at once than cores.
: "${RUST_TEST_THREADS:=8}"
export RUST_TEST_THREADS
# One failure says little about the others.
set -- cargo test --no-fail-fast -- "$@"

if [ "$(id -u)" -eq 0 ]; then
    exec "$@"
fi
if ! unshare -Urnm true; then
    echo "all.sh: no user namespaces here; run it as root: sudo -E tests/all.sh" >&2
    exit 1
fi
# What needs the true root is left out, by name: tun devices, and dhcpcd, networkd and PostgreSQL,
# which change their user, and Debian's packages, which are installed in a system made for that.
echo "all.sh: in a user namespace; left out are tests with tun devices, dhcpcd, networkd, PostgreSQL or Debian packages (sudo -E tests/all.sh runs them)"
exec unshare -Urnm sh -c 'mount -t tmpfs tmpfs /run && exec "$@"' sh "$@" --skip tun_ --skip dhcpcd --skip networkd --skip postgresql --skip debian_package
