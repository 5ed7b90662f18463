"""The configuration file that ships is true: every setting is there, with its default."""

import re
import tomllib
from pathlib import Path

from walletd.logs.setup import COMPONENTS
from walletd.settings.layers import load_settings
from walletd.settings.settings import Settings

SHIPPED = Path(__file__).parents[2] / "config" / "walletd.toml"


def test_the_shipped_file_names_every_setting_with_its_default() -> None:
    shipped = tomllib.loads(SHIPPED.read_text())
    documented = re.findall(r"^(?:# )?(\w+) = ", SHIPPED.read_text(), re.MULTILINE)
    assert documented == list(Settings.__struct_fields__)
    assert [name for name in documented if name not in shipped] == [
        "operator_token_file",
        "admin_port",
        "admin_unix_socket",
        "tls_certificate",
        "tls_key",
        "tls_client_authority",
        "unix_socket",
    ]
    assert load_settings(SHIPPED, environment={}) == Settings()


def test_flags_go_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "walletd.toml"
    file.write_text("port = 1\nhost = 'file'\nlog_level = 'error'\n")
    environment = {"WALLETD_PORT": "2", "WALLETD_HOST": "environment", "OTHER": "x"}
    settings = load_settings(file, {"port": 3, "data": None}, environment)
    assert (settings.data, settings.host, settings.port) == (Path("var"), "environment", 3)
    assert settings.log_level == "error"


def test_the_shipped_file_names_every_component_that_logs() -> None:
    (named,) = re.findall(r"of single components, as .*?, for\n# (.*?)\.", SHIPPED.read_text())
    assert tuple(re.split(r", | and ", named)) == COMPONENTS
