#!/bin/sh
# A provider, a router with renumberd and a client, each in a network namespace of this machine.
# The provider changes its prefixes twice; the client and `renumberd status` are shown each time.
#
#     cargo build --release && sudo contrib/demo/demo.sh
#
# Needs radvd and dhcp6s (tests/install-peers.sh installs them). RENUMBERD names another binary.
set -eu

agent=$(realpath -m "${RENUMBERD:-$(dirname "$0")/../../target/release/renumberd}")
[ "$(id -u)" -eq 0 ] || { echo "demo.sh: needs root: sudo $0" >&2; exit 1; }
[ -x "$agent" ] || { echo "demo.sh: no $agent: cargo build --release" >&2; exit 1; }
for peer in radvd dhcp6s; do
    command -v $peer >/dev/null || { echo "demo.sh: no $peer: tests/install-peers.sh" >&2; exit 1; }
done
duid=00:04:a4:79:42:d1:2e:ab:81:de:33:7a:00:e0:a1:f4:42:51
isp=demo$$-isp router=demo$$-router client=demo$$-client
dir=$(mktemp -d)

clean_up() {
    for ns in $isp $router $client; do
        for pid in $(ip netns pids $ns 2>/dev/null); do kill "$pid" 2>/dev/null || true; done
        ip netns del $ns 2>/dev/null || true
    done
    rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

# isp [isp0] -- [wan0] router [lan0] -- [eth0] client
build_site() {
    for ns in $isp $router $client; do
        ip netns add $ns
        ip -n $ns link set lo up
    done
    ip netns exec $isp sysctl -qw net.ipv6.conf.all.forwarding=1
    ip netns exec $router sysctl -qw net.ipv6.conf.all.forwarding=1
    ip -n $isp link add isp0 type veth peer name wan0 netns $router
    ip -n $router link add lan0 type veth peer name eth0 netns $client
    ip -n $isp link set isp0 addrgenmode none up
    ip -n $isp addr add fe80::1/64 dev isp0 nodad
    ip -n $router link set wan0 up
    ip -n $router link set lan0 up
    ip -n $client link set eth0 up
}

# provider NUMBER: advertises 2001:db8:NUMBER::/64 and delegates 2001:db8:NUMBER:100::/56
provider() {
    cat >"$dir/radvd.conf" <<EOF
interface isp0 { AdvSendAdvert on; prefix 2001:db8:$1::/64 { }; };
EOF
    cat >"$dir/dhcp6s.conf" <<EOF
host router { duid $duid; prefix 2001:db8:$1:100::/56 1800 3600; };
EOF
    [ ! -e "$dir/dhcp6s.pid" ] || kill "$(cat "$dir/dhcp6s.pid")"
    # dhcp6s keeps its own DUID at a fixed path.
    mkdir -p "$dir/lib"
    ip netns exec $isp unshare --mount sh -c "mount --bind $dir/lib /var/lib/dhcpv6 &&
        exec dhcp6s -c $dir/dhcp6s.conf -P $dir/dhcp6s.pid -k $dir/no-control isp0"
    if [ -e "$dir/radvd.pid" ]; then
        kill -HUP "$(cat "$dir/radvd.pid")"
    else
        ip netns exec $isp radvd --config "$dir/radvd.conf" --pidfile "$dir/radvd.pid" --logmethod none
    fi
}

start_agent() {
    cat >"$dir/renumberd.toml" <<EOF
duid = "$duid"

[uplink.wan0]
address = "::2"

[downlink.lan0]
address = "::1"
EOF
    mkdir "$dir/state" "$dir/run"
    ip netns exec $router "$agent" run --config "$dir/renumberd.toml" \
        --state-dir "$dir/state" --runtime-dir "$dir/run" 2>"$dir/log" &
}

# show NUMBER: what has become of it, once the client has its address or 25 s are over
show() {
    for _ in $(seq 250); do
        ip -n $client -6 addr show dev eth0 scope global -deprecated | grep -q "2001:db8:$1:" && break
        sleep 0.1
    done
    say "the client's addresses"
    ip -n $client -6 addr show dev eth0 scope global
    say "renumberd status"
    "$agent" status --runtime-dir "$dir/run"
}

build_site
say "the provider gives 2001:db8:1::/64 and delegates 2001:db8:1:100::/56"
provider 1
start_agent
show 1
for number in 2 3; do
    sleep 4
    say "a redial: 2001:db8:$number::/64 and 2001:db8:$number:100::/56, and not a word about the old ones"
    provider $number
    show $number
done
say "what the agent said"
cat "$dir/log"
