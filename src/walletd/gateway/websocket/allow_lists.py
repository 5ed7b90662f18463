"""Host and Origin: the forms that clients and the configuration use, and their comparison.

    host_name("[0:0::1]:7878") == "::1"
    canonical_origin("HTTPS://Shop.Example:443/") == "https://shop.example"

A value without the form of RFC 9110 (Host) or RFC 6454 (Origin) is nothing, and nothing is on no list.
"""

import ipaddress
import re

DEFAULT_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443"}

_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._~-]+))(?::([0-9]{0,5}))?", re.ASCII)
_ORIGIN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#@\s]+)/?", re.ASCII)


def host_name(host: str) -> str | None:
    """The name in a Host, in lower case, without port, brackets and the root's dot; None if it is malformed."""
    found = _HOST.fullmatch(host)
    if found is None:
        return None
    bracketed, plain, _ = found.groups()
    if bracketed is None:
        return plain.lower().removesuffix(".") or None
    return _address(bracketed)


def configured_host(host: str) -> str:
    """A name from the configuration: as in a Host, or a bare IPv6 address."""
    return _address(host) or host_name(host) or host.lower()


def is_address(name: str) -> bool:
    """True if the name of a Host is a literal address, which no other site's page can have."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def canonical_origin(origin: str) -> str:
    """An origin as a browser sends it; other values, such as ``null``, stay unchanged."""
    found = _ORIGIN.fullmatch(origin)
    if found is None:
        return origin
    scheme = found.group(1).lower()
    authority = found.group(2).lower()
    return f"{scheme}://{authority.removesuffix(':' + DEFAULT_PORTS.get(scheme, 'none'))}"


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        return None
