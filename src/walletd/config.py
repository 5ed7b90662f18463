"""The configuration: one struct of plain values, filled in layers: defaults, a TOML file, the environment, flags.

    settings = load_settings(Path("config/walletd.toml"), {"port": 8000})

Only the command line and ``daemon.py`` read it; everyone else is handed plain values.
"""

import os
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import msgspec

ENVIRONMENT_PREFIX = "WALLETD_"
"""``WALLETD_PORT=8000`` sets ``port``."""

CLIENT_VARIABLES = {"WALLETD_URL", "WALLETD_TOKEN", "WALLETD_TOKEN_FILE", "WALLETD_CONFIG"}
"""Read by the command line, not by the daemon."""

Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class ConfigurationError(Exception):
    """The configuration is wrong; the message is one line that says where and what to do."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set.  ``config/walletd.toml`` explains each line."""

    data: Path = Path("var")
    host: str = "127.0.0.1"
    port: Port = 7878
    admin_host: str = "127.0.0.1"
    admin_port: Port | None = None
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    log_level: Annotated[str, msgspec.Meta(pattern="^(debug|info|warning|error)$")] = "info"

    max_connections: Positive = 10_000
    max_connections_per_address: Positive = 5_000
    max_frame_bytes: Annotated[int, msgspec.Meta(ge=4096, le=16 * 1024 * 1024)] = 256 * 1024
    max_in_flight: Positive = 4096
    max_subscriptions: Positive = 100
    max_event_bytes: Positive = 256 * 1024
    handshake_seconds: Seconds = 10
    authentication_seconds: Seconds = 10
    write_stall_seconds: Seconds = 30
    heartbeat_seconds: Seconds = 10

    max_warm_wallets: Positive = 20_000
    max_mailbox: Positive = 10_000
    idle_wallet_seconds: Seconds = 300
    max_queued_entries: Positive = 16_384
    max_unprojected_entries: Positive = 20_000
    space_floor_mebibytes: Positive = 64
    drain_seconds: Seconds = 20

    compact_keep_entries: Positive = 100_000
    compact_when_mebibytes: Annotated[int, msgspec.Meta(ge=0)] = 1024
    compact_when_days: Annotated[int, msgspec.Meta(ge=0)] = 0
    compact_at: Annotated[str, msgspec.Meta(pattern="^(([01][0-9]|2[0-3]):[0-5][0-9])?$")] = ""

    @property
    def admin_listen_port(self) -> int:
        """The port for operators: the one behind ``port`` where none is given, and any where that is any."""
        if self.admin_port is not None:
            return self.admin_port
        return self.port + 1 if 0 < self.port < 65535 else 0

    @property
    def token_file(self) -> Path:
        """Where the operator's token is kept, readable by its owner alone."""
        return self.data / "operator.token"


def load_settings(
    file: Path | None = None, flags: Mapping[str, Any] = {}, environment: Mapping[str, str] = os.environ
) -> Settings:
    """The settings of all layers.  Raises ConfigurationError with one line that says what to do."""
    values: dict[str, Any] = {}
    if file is not None:
        values.update(_checked(_read(file), str(file)))
    values.update(_checked(_from_environment(environment), "the environment", strict=False))
    values.update(_checked({name: value for name, value in flags.items() if value is not None}, "the command line"))
    return _convert(values, "the configuration", strict=False)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except OSError as error:
        raise ConfigurationError(f"cannot read {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} is not valid TOML: {error}") from error


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    return {
        name.removeprefix(ENVIRONMENT_PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(ENVIRONMENT_PREFIX) and name not in CLIENT_VARIABLES
    }


def _checked(values: dict[str, Any], origin: str, *, strict: bool = True) -> dict[str, Any]:
    """The values, each known and of its type; so that a complaint can say where it stands."""
    known = Settings.__struct_fields__
    for name in values:
        if name not in known:
            nearest = get_close_matches(name, known, n=1)
            advice = f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(known)}"
            raise ConfigurationError(f"{origin}: there is no setting {name!r}; {advice}")
    _convert(values, origin, strict=strict)
    return values


def _convert(values: dict[str, Any], origin: str, *, strict: bool) -> Settings:
    try:
        return msgspec.convert(values, Settings, strict=strict, dec_hook=_decode_path)
    except msgspec.ValidationError as error:
        complaint, _, path = str(error).partition(" - at `$.")
        raise ConfigurationError(f"{origin}: {path.rstrip('`') or 'settings'}: {complaint}") from error


def _decode_path(wanted: type, value: Any) -> Any:
    if wanted is Path and isinstance(value, str | Path):
        return Path(value)
    raise TypeError(f"no setting is a {wanted.__name__}")
