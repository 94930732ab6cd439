#!/bin/sh
# Runs every test: those of the parts, and those in network namespaces among real peers, which need
# root or a system that lets everybody have user namespaces. Arguments go to the test programs,
# behind `cargo test --`; for instance a part of a test's name.
set -eu
cd "$(dirname "$0")/.."

tests/install-peers.sh

if [ "$(id -u)" -ne 0 ]; then
    if ! unshare -Urnm true; then
        echo "all.sh: no user namespaces here; run it as root: sudo -E tests/all.sh" >&2
        exit 1
    fi
    # What needs the true root is left out, by name: tun devices, and dhcpcd, networkd and PostgreSQL,
    # which change their user, and Debian's packages, which are installed in a system made for that.
    echo "all.sh: in a user namespace; left out are tests with tun devices, dhcpcd, networkd, PostgreSQL or Debian packages (sudo -E tests/all.sh runs them)"
    # There it is root, and starts anew.
    exec unshare -Urnm sh -c 'mount -t tmpfs tmpfs /run && exec "$@"' sh tests/all.sh "$@" --skip tun_ --skip dhcpcd --skip networkd --skip postgresql --skip debian_package
fi

cargo test --no-run

# What only computes runs beside the laboratory, in the time of the processors that this leaves: it
# mostly waits for timers of the protocols, and has more tests at once than there are processors.
computing='architecture conformance core freebsd histories import readme tree'
# One failure says little about the others.
computes() {
    targets='--lib --bins'
    for name in $computing; do targets="$targets --test $name"; done
    # shellcheck disable=SC2086 # a list of words
    nice -n 19 cargo test --no-fail-fast $targets -- "$@" || failed=1
    nice -n 19 cargo test --doc -- "$@" || failed=1
    return "${failed:-0}"
}
waits() {
    targets=
    for file in tests/*.rs; do
        name=$(basename "$file" .rs)
        case " $computing " in *" $name "*) ;; *) targets="$targets --test $name" ;; esac
    done
    # shellcheck disable=SC2086
    RUST_TEST_THREADS=${RUST_TEST_THREADS:-8} cargo test --no-fail-fast $targets -- "$@"
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
computes "$@" >"$log" 2>&1 &
computing_process=$!
waits "$@" || failed=1
wait $computing_process || failed=1
cat "$log"
exit "${failed:-0}"
