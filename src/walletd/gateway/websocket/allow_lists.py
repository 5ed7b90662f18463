"""Host and Origin: how a client writes them, how the configuration may, and when the two are the same.

    host_name("[0:0::1]:7878") == "::1"
    canonical_origin("HTTPS://Shop.Example:443/") == "https://shop.example"

What is not of the form that RFC 9110 (Host) and RFC 6454 (Origin) give is nothing, and nothing is on no list.
"""

import ipaddress
import re
from typing import Final

DEFAULT_PORTS: Final = {"http": "80", "https": "443", "ws": "80", "wss": "443"}

_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._~-]+))(?::([0-9]{0,5}))?", re.ASCII)
_ORIGIN: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#@\s]+)/?", re.ASCII)


def host_name(host: str) -> str | None:
    """The name in a Host, in lower case, without port, brackets and the root's dot; None if it is none."""
    found = _HOST.fullmatch(host)
    if found is None:
        return None
    bracketed, plain, _ = found.groups()
    if bracketed is None:
        return plain.lower().removesuffix(".") or None
    return _address(bracketed)


def configured_host(host: str) -> str:
    """A name as the configuration has it: as in a Host, or a bare address of IPv6."""
    return _address(host) or host_name(host) or host.lower()


def canonical_origin(origin: str) -> str:
    """An origin as a browser sends it; what is none of the kind, as ``null``, stays as it is."""
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
