#!/usr/bin/env bash
# Makes packages for Debian and for systems with RPM:
#
#   contrib/package.sh [--profile NAME] [--target TRIPLE] [--no-build] [deb] [rpm]
#
# Without a kind it makes both, of the release profile, in target/package, and prints their names.
# What belongs where is written here once, for both; the program that is packed writes the manual's
# pages and the completions itself. It needs:
#
#   cargo install --locked cargo-deb@3.8.0 cargo-generate-rpm@0.21.1
#
# For arm64 on another machine: --target aarch64-unknown-linux-gnu. That needs also Debian's
# gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user-static, in which the program writes its
# pages, and Rust's library for that target: rustup target add aarch64-unknown-linux-gnu, or Debian's
# libstd-rust-web-dev:arm64 beside its rustc-web and cargo-web.
set -euo pipefail
cd "$(dirname "$0")/.."

PATH=$PATH:${CARGO_HOME:-${HOME:-}/.cargo}/bin
profile=release build=yes target='' kinds=()
while [ $# -gt 0 ]; do
    case $1 in
    --profile) profile=$2 && shift ;;
    --target) target=$2 && shift ;;
    --no-build) build=no ;;
    deb | rpm) kinds+=("$1") ;;
    *) echo "package: unknown: $1" >&2 && exit 2 ;;
    esac
    shift
done
[ ${#kinds[@]} -gt 0 ] || kinds=(deb rpm)
for kind in "${kinds[@]}"; do
    tool=cargo-deb
    [ "$kind" = deb ] || tool=cargo-generate-rpm
    command -v $tool >/dev/null || { echo "package: install $tool: see the head of this script" >&2 && exit 1; }
done

# What another processor needs besides: a linker, and what runs the program here.
strip=strip run=() cross=()
case $target in
'') ;;
aarch64-unknown-linux-gnu)
    cross=(--target "$target")
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
    strip=aarch64-linux-gnu-strip run=(qemu-aarch64-static -L /usr/aarch64-linux-gnu)
    ;;
*) echo "package: unknown target: $target" >&2 && exit 2 ;;
esac

[ $build = no ] || cargo build --locked --profile "$profile" "${cross[@]}" --bin renumberd
folder=$profile
[ "$profile" != dev ] || folder=debug
[ -z "$target" ] || folder=$target/$folder
program=${CARGO_TARGET_DIR:-target}/$folder/renumberd
[ -x "$program" ] || { echo "package: there is no $program" >&2 && exit 1; }

out=target/package
# Below it one folder for each kind of file: programs, other files, configuration files.
tree=$out/tree

# put FOLDER MODE DESTINATION SOURCE... copies into a directory; put_as names a single file.
put() {
    local folder=$1 mode=$2 destination=$3
    shift 3
    install -D -m "$mode" -t "$tree/$folder/$destination" "$@"
}
put_as() { install -D -m "$2" "$4" "$tree/$1/$3"; }

stage() {
    local zsh=vendor-completions scratch=$out/made
    [ "$1" != rpm ] || zsh=site-functions
    rm -rf "$tree" "$scratch"
    mkdir -p "$scratch"
    put exec 755 usr/sbin "$program"
    $strip --strip-unneeded "$tree/exec/usr/sbin/renumberd"
    # An RPM's upgrade leaves a file alone that was edited. dpkg would ask whose to take whenever ours
    # has changed, or give up where nobody answers: there it is copied by the first installation.
    case $1 in
    rpm) put_as conf 644 etc/renumberd.toml contrib/renumberd.toml ;;
    *) put_as data 644 usr/share/renumberd/renumberd.toml contrib/renumberd.toml ;;
    esac

    put data 644 usr/lib/systemd/system contrib/systemd/*.service
    put_as data 644 usr/lib/sysusers.d/renumberd.conf contrib/systemd/sysusers.conf
    put_as data 644 usr/lib/tmpfiles.d/renumberd.conf contrib/systemd/tmpfiles.conf

    "${run[@]}" "$program" man "$scratch" >/dev/null
    # Without a date, so that the same sources make the same package.
    gzip -9n "$scratch"/*
    put data 644 usr/share/man/man5 "$scratch"/*.5.gz
    put data 644 usr/share/man/man8 "$scratch"/*.8.gz
    for shell in bash zsh fish; do "${run[@]}" "$program" completions $shell >"$scratch/$shell"; done
    put_as data 644 usr/share/bash-completion/completions/renumberd "$scratch/bash"
    put_as data 644 usr/share/zsh/$zsh/_renumberd "$scratch/zsh"
    put_as data 644 usr/share/fish/vendor_completions.d/renumberd.fish "$scratch/fish"

    # Its links lead to where the package has these files.
    sed -e 's#contrib/doc/##g' -e 's#contrib/examples#/usr/share/doc/renumberd/examples#g' \
        -e 's#contrib/grafana#/usr/share/renumberd/grafana.json#g' README.md >"$scratch/README.md"
    put data 644 usr/share/doc/renumberd "$scratch/README.md" contrib/doc/*
    put data 644 usr/share/doc/renumberd/examples contrib/examples/*.toml
    # Hooks of other programs: each says in its head where a link to it belongs.
    put_as exec 755 usr/share/renumberd/dhcpcd-hook contrib/dhcpcd/renumberd
    put_as exec 755 usr/share/renumberd/dhcp6c-script contrib/dhcp6c/renumberd-script
    put_as exec 755 usr/share/renumberd/ppp-ipv6-up contrib/ppp/ipv6-up.d/renumberd
    put exec 755 usr/share/renumberd/networkd contrib/networkd/renumberd-networkd
    put data 644 usr/share/renumberd/networkd contrib/networkd/*.service
    put_as data 644 usr/share/renumberd/grafana.json contrib/grafana/renumberd.json
}

for kind in "${kinds[@]}"; do
    stage "$kind"
    rm -f "$out"/*."$kind"
    case $kind in
    deb)
        # A package to be tried is made in little time; one to be given away is small.
        fast=--fast
        [ "$profile" != release ] || fast=--quiet
        cargo deb $fast "${cross[@]}" --no-build --no-strip --output "$out/" >/dev/null
        ;;
    rpm) cargo generate-rpm "${cross[@]}" --output "$out/" ;;
    esac
done
for kind in "${kinds[@]}"; do ls "$out"/*."$kind"; done
