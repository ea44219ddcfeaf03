"""Which addresses belong to the public internet, and which to this machine or its neighbours.

Asked about resolved addresses only: of names and spellings (`2130706433`, `0x7f.1`, full-width
digits) nothing can be said before they are resolved. The standard library's `is_global` is not
enough: it is True for NAT64, 6to4, multicast and a cloud's metadata address (measured, 3.11.7).
"""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

_IPV6_INTERNET: Final = ip_network("2000::/3")  # all that was ever given out; nothing else is asked
_DENIED: Final = tuple(
    ip_network(text)
    for text in (
        "192.0.0.0/24",  # of protocols; holds a cloud's metadata
        "192.88.99.0/24",  # relays of 6to4
        "168.63.129.16/32",  # the host of a virtual machine at Azure
        "64:ff9b::/96",  # an IPv4 address inside, which a gateway would reach
        "64:ff9b:1::/48",
        "2002::/16",  # the same, 6to4
        "2001::/23",  # Teredo and other protocols
        "3fff::/20",  # of documentation
        "5f00::/16",
        "::/96",
    )
)


def is_public(text: str) -> bool:
    """True when this address is one machine on the internet; False for whatever is no address."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return _is_public(address.ipv4_mapped)
        if address not in _IPV6_INTERNET:
            return False
    return _is_public(address)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not any(address in network for network in _DENIED if network.version == address.version)
