#!/bin/bash
# On the client: every network manager that Debian has, one after the other, leaves the card alone
# that the root hangs on, gets an address for the other card, and leaves DNS as the server says.
boot=$1 second=$2 dns=$3
fail() {
    echo "NETWORKS ""FAIL: $*"
    exit 1
}
card() {
    for card in /sys/class/net/*; do
        [ "$(cat "$card/address")" = "$1" ] && basename "$card"
    done
}
address() { ip -4 -o address show dev "$1" | awk '{print $4}' | paste -sd ' '; }
boot=$(card "$boot") second=$(card "$second")
before=$(address "$boot") routes=$(ip route show dev "$boot")

unchanged() {
    [ "$(address "$boot")" = "$before" ] || fail "$1: $boot has $(address "$boot"), and had $before"
    [ "$(ip route show dev "$boot")" = "$routes" ] || fail "$1: routes: $(ip route)"
    [ "$(grep ^nameserver /etc/resolv.conf)" = "nameserver $dns" ] ||
        fail "$1: /etc/resolv.conf: $(cat /etc/resolv.conf)"
    getent hosts nas.lab.internal | grep -q 192.168.67.5 || fail "$1: nas.lab.internal is not found"
}
second_works() {
    for _ in $(seq 60); do
        case $(address "$second") in
        192.168.99.*) echo "$1: $second has $(address "$second"), $boot still $before" && return ;;
        esac
        sleep 1
    done
    fail "$1: $second got no address: $(ip address show dev "$second")"
}
away() {
    ip address flush dev "$second"
    ip link set "$second" down
}

name=NetworkManager
second_works $name
nmcli -t -f DEVICE,STATE device | grep -q "^$boot:unmanaged" || fail "$name: $(nmcli device)"
unchanged $name
systemctl stop NetworkManager
away

name=networkd
printf '[Match]\nName=e*\n\n[Network]\nDHCP=yes\n' > /etc/systemd/network/50-all.network
systemctl start systemd-networkd
second_works $name
# udev, too, has to have looked at the card.
for _ in $(seq 30); do
    networkctl --no-legend list "$boot" | grep -q unmanaged && break
    sleep 1
done
networkctl --no-legend list "$boot" | grep -q unmanaged || fail "$name: $(networkctl)"
unchanged $name
resolvectl query nas.lab.internal | grep -q 192.168.67.5 || fail "$name: $(resolvectl status)"
systemctl stop systemd-networkd.socket systemd-networkd
away

name=netplan
rm /etc/systemd/network/50-all.network
printf 'network: {version: 2, ethernets: {all: {match: {name: "e*"}, dhcp4: true}}}\n' > /etc/netplan/all.yaml
chmod 600 /etc/netplan/all.yaml
netplan apply || fail "$name: netplan apply"
second_works $name
networkctl --no-legend list "$boot" | grep -q unmanaged || fail "$name: $(networkctl)"
unchanged $name
rm /etc/netplan/all.yaml
systemctl stop systemd-networkd.socket systemd-networkd
away

name=ifupdown
printf 'iface %s inet dhcp\n' "$boot" "$second" > /etc/network/interfaces.d/both
ifup "$second" || fail "$name: ifup $second"
second_works $name
ifup "$boot" 2>&1 | grep "left as it is" || fail "$name: ifup $boot was not refused"
unchanged $name
# dhclient runs on: it has port 68, and the lease of the other card is kept beside it.
pidof dhclient > /dev/null || fail "$name: no dhclient"
systemctl stop systemd-resolved
unchanged "without systemd-resolved"
echo "NETWORKS ""PASS"
