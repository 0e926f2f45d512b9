#!/bin/sh
# As dhclient-script.sh, for the client of BusyBox: what has happened is its argument, what the lease holds are variables
# that have names of their own.
set -u
event=$1

case "$event" in
bound | renew) ;;
*) echo "lease: $event"; exit 0 ;;
esac

ip address flush dev "$interface" scope global
ip address add "$ip/${mask:-32}" dev "$interface"
[ -z "${mtu:-}" ] || ip link set "$interface" mtu "$mtu"
{
    echo "search ${domain:-.}"
    for server in ${dns:-}; do echo "nameserver $server"; done
} >"$RESOLV_CONF"
# RFC 3442: with classless routes, the routers option is not used.
if [ -n "${staticroutes:-}" ]; then
    set -- $staticroutes
    while [ $# -ge 2 ]; do
        via="via $2 onlink"
        # RFC 3442: a router of 0.0.0.0 means that the destination is on the link.
        [ "$2" != 0.0.0.0 ] || via=""
        ip route replace "$1" $via dev "$interface"
        shift 2
    done
else
    for gateway in ${router:-}; do ip route replace default via "$gateway" dev "$interface" onlink; done
fi
set | sed -n "s/^\([a-z0-9]*\)='\(.*\)'\$/\1=\2/p" >"$LEASE_OPTIONS"
echo "lease: $event $ip"
