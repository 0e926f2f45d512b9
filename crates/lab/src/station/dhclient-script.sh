#!/bin/sh
# Applies a DHCP lease to the network namespace that dhclient runs in (dhclient-script(8)): addresses, routes and
# MTU. What the lease holds is written to $LEASE_OPTIONS, one `name=value` a line, and its name servers to $RESOLV_CONF
# (resolv.conf(5)); nothing else of the machine changes. What has happened is told as `lease: EVENT ADDRESS`.
set -u

apply_v4() {
    ip address flush dev "$interface" scope global
    ip address add "$new_ip_address/${new_subnet_mask:-255.255.255.255}" dev "$interface"
    [ -z "${new_interface_mtu:-}" ] || ip link set "$interface" mtu "$new_interface_mtu"
    {
        echo "search ${new_domain_name:-.}"
        for server in ${new_domain_name_servers:-}; do echo "nameserver $server"; done
    } >"$RESOLV_CONF"
    # RFC 3442: with classless routes, the routers option is not used.
    if [ -n "${new_rfc3442_classless_static_routes:-}" ]; then
        apply_classless_routes $new_rfc3442_classless_static_routes
    else
        for router in ${new_routers:-}; do ip route replace default via "$router" dev "$interface" onlink; done
    fi
}

# Takes "LENGTH a b c d ROUTER": of the destination, only the bytes that its length covers are there.
apply_classless_routes() {
    while [ $# -ge 5 ]; do
        length=$1 destination="" octet=0
        shift
        while [ $octet -lt 4 ]; do
            if [ $((octet * 8)) -lt "$length" ]; then byte=$1; shift; else byte=0; fi
            destination="$destination${destination:+.}$byte"
            octet=$((octet + 1))
        done
        via="via $1.$2.$3.$4 onlink"
        # RFC 3442: a router of 0.0.0.0 means that the destination is on the link.
        [ "$1.$2.$3.$4" != 0.0.0.0 ] || via=""
        shift 4
        ip route replace "$destination/$length" $via dev "$interface"
    done
}

case "${reason:-}" in
BOUND | RENEW | REBIND | REBOOT) apply_v4 ;;
BOUND6 | RENEW6 | REBIND6) ip address replace "$new_ip6_address/${new_ip6_prefixlen:-128}" dev "$interface" nodad ;;
PREINIT | PREINIT6) ip link set "$interface" up; exit 0 ;;
*) exit 0 ;;
esac
set | sed -n "s/^new_\([a-z0-9_]*\)='\(.*\)'\$/\1=\2/p" >"$LEASE_OPTIONS"
echo "lease: $(echo "$reason" | tr '[:upper:]' '[:lower:]') ${new_ip_address:-$new_ip6_address}"
