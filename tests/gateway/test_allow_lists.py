"""Host and Origin: the same name in another spelling is the same; what only looks alike is not."""

import pytest

from walletd.gateway.websocket.allow_lists import canonical_origin, configured_host, host_name


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost", "localhost"),
        ("LOCALHOST:7878", "localhost"),
        ("localhost:", "localhost"),
        ("localhost.", "localhost"),
        ("127.0.0.1:65535", "127.0.0.1"),
        ("[::1]:7878", "::1"),
        ("[::1]", "::1"),
        ("[0:0::0:1]", "::1"),
        ("[FE80::A]:1", "fe80::a"),
        ("[fe80::a%eth0]", None),
        ("::1", None),
        ("[localhost]", None),
        ("[::1]x", None),
        ("[::1", None),
        ("localhost:123456", None),
        ("localhost:x", None),
        ("local host", None),
        ("löcalhost", None),
        ("localhost\x00", None),
        ("localhost\n", None),
        (".", None),
        (":7878", None),
        ("", None),
    ],
)
def test_the_name_in_a_host(host: str, name: str | None) -> None:
    assert host_name(host) == name


@pytest.mark.parametrize(
    ("configured", "sent"),
    [("::1", "[::1]:7878"), ("[::1]:7878", "[::1]"), ("Wallets.Example:443", "wallets.example"), ("a.b", "A.b.:1")],
)
def test_the_configuration_may_spell_a_host_as_people_do(configured: str, sent: str) -> None:
    assert configured_host(configured) == host_name(sent)


@pytest.mark.parametrize(
    ("origin", "canonical"),
    [
        ("https://shop.example", "https://shop.example"),
        ("HTTPS://SHOP.example:443/", "https://shop.example"),
        ("http://shop.example:80", "http://shop.example"),
        ("http://shop.example:443", "http://shop.example:443"),
        ("https://shop.example:8443", "https://shop.example:8443"),
        ("https://[::1]:443", "https://[::1]"),
        ("null", "null"),
        ("https://shop.example/path", "https://shop.example/path"),
        ("https://a@shop.example", "https://a@shop.example"),
        ("chrome-extension://abcdef", "chrome-extension://abcdef"),
        ("", ""),
    ],
)
def test_an_origin_as_a_browser_sends_it(origin: str, canonical: str) -> None:
    assert canonical_origin(origin) == canonical
