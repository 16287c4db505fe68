"""Which IP addresses are on the public internet, whatever they are wrapped in.

A server that sends requests where its users say must not be a way into the network that it stands in: its own
machine, the machines beside it, or the address at which clouds hand out credentials (169.254.169.254).
"""

import ipaddress

_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LOW_32_BITS = 0xFFFFFFFF


def is_public(address: str) -> bool:
    """Tell whether an address, in numbers, is one of the public internet.

    IPv6 addresses that stand for an IPv4 one (mapped, 6to4, NAT64) are judged by that one.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:  # "fe80::1%eth0" is parsed; what is not, is no address
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & _LOW_32_BITS)
        if inner is not None:
            return inner.is_global and not inner.is_multicast
        if ip not in _GLOBAL_V6 or ip.scope_id is not None:
            return False
    return ip.is_global and not ip.is_multicast
