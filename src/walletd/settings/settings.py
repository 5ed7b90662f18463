"""The configuration: one struct of plain values; ``config_layers`` fills it.

    settings = Settings(port=8000)

Only the command line, the composition root and its parts read it; all other modules get plain values.
"""

from pathlib import Path
from typing import Annotated

import msgspec

from walletd.vocabulary.budgets import Allowed, BudgetField
from walletd.vocabulary.sizes import MAX_REQUEST_BYTES

Positive = Annotated[int, msgspec.Meta(ge=1)]
CacheKibibytes = Annotated[int, msgspec.Meta(ge=64, le=64 * 1024 * 1024)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]
LogLevel = Annotated[str, msgspec.Meta(pattern="^(debug|info|warning|error)$")]
LogFormat = Annotated[str, msgspec.Meta(pattern="^(auto|console|json|journald)$")]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
CertificateName = Annotated[str, msgspec.Meta(pattern="^(cn|dns|email|uri|ip):.+$")]
CertifiedPrincipal = Annotated[str, msgspec.Meta(pattern="^[^@]")]
"""No certificate can make a client the daemon itself."""


class ConfigurationError(Exception):
    """The configuration is wrong; the message is one line that says where and what to do."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings.  ``config/walletd.toml`` explains each line."""

    data: Path = Path("var")
    operator_token_file: Path | None = None
    postgresql: str = ""
    ledger: Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9_-]{0,62}$")] = "main"
    allow_unreplicated: bool = False
    lease_seconds: Annotated[float, msgspec.Meta(ge=1, le=25)] = 10
    node_url: Annotated[str, msgspec.Meta(pattern="^(wss?://.+)?$")] = ""
    host: str = "127.0.0.1"
    port: Port = 7878
    admin_host: str = "127.0.0.1"
    admin_port: Port | None = None
    admin_unix_socket: Path | None = None
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    proxy_protocol_from: tuple[str, ...] = ()

    plain_text: bool = False
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_authority: Path | None = None
    certificate_principals: dict[CertificateName, CertifiedPrincipal] = {}
    unix_socket: Path | None = None
    unix_socket_mode: Annotated[str, msgspec.Meta(pattern="^0?[0-7]{3}$")] = "0600"

    log_level: LogLevel = "info"
    log_levels: dict[str, LogLevel] = {}
    log_format: LogFormat = "auto"

    max_connections: Positive = 10_000
    max_connections_per_address: Positive = 5_000
    max_connections_of_guests: Positive = 1_000
    connections_for_operators: Annotated[int, msgspec.Meta(ge=0)] = 32
    compression: bool = False
    max_frame_bytes: Annotated[int, msgspec.Meta(ge=4096, le=MAX_REQUEST_BYTES)] = 256 * 1024
    max_fragments: Positive = 128
    max_pings_per_second: Positive = 16
    max_requests_per_second: Positive = 50_000
    max_requests_per_second_of_principal: Positive = 100_000
    max_requests_per_second_of_guest: Positive = 20
    max_in_flight: Positive = 4096
    max_in_flight_bytes: Positive = 8 * 1024 * 1024
    max_subscriptions: Positive = 100
    max_event_bytes: Positive = 256 * 1024
    max_reply_bytes: Positive = 1024 * 1024
    max_buffered_mebibytes: Positive = 256
    handshake_seconds: Seconds = 10
    authentication_seconds: Seconds = 10
    write_stall_seconds: Seconds = 30
    ping_seconds: Seconds = 20
    heartbeat_seconds: Seconds = 10

    budget: dict[BudgetField, Allowed] = {}
    trusted_budget: dict[BudgetField, Allowed] = {}

    max_warm_wallets: Positive = 20_000
    max_mailbox: Positive = 10_000
    idle_wallet_seconds: Seconds = 300
    max_queued_entries: Positive = 16_384
    max_unprojected_entries: Positive = 20_000
    writer_cache_kibibytes: CacheKibibytes = 64 * 1024
    reader_cache_kibibytes: CacheKibibytes = 16 * 1024
    rebuild_cache_kibibytes: CacheKibibytes = 256 * 1024
    space_floor_mebibytes: Positive = 64
    drain_seconds: Seconds = 20
    max_clock_gap_days: Positive = 7

    compact_keep_entries: Positive = 10_000
    compact_when_mebibytes: Annotated[int, msgspec.Meta(ge=0)] = 1024
    compact_when_days: Annotated[int, msgspec.Meta(ge=0)] = 0
    compact_at: Annotated[str, msgspec.Meta(pattern="^(([01][0-9]|2[0-3]):[0-5][0-9])?$")] = ""

    @property
    def admin_listen_port(self) -> int:
        """The port for operators: by default the one after ``port``, or any free port if ``port`` is 0."""
        if self.admin_port is not None:
            return self.admin_port
        return self.port + 1 if 0 < self.port < 65535 else 0

    @property
    def has_admin_port(self) -> bool:
        """False if operators are served on a unix socket only: one is configured, and no port."""
        return self.admin_unix_socket is None or self.admin_port is not None

    @property
    def socket(self) -> Path:
        """The unix socket for clients: by default in the data folder, where only its owner can reach it."""
        return self.unix_socket or self.data / SOCKET_NAME

    @property
    def token_file(self) -> Path:
        """The file of the operator's token, readable by its owner only; created if it is missing."""
        return self.operator_token_file or self.data / "operator.token"

    def rooted(self, folder: Path) -> "Settings":
        """The same settings with relative paths of files below ``folder``, so that nothing depends on the directory in
        which the process was started.  A socket's path stays relative, because its length is limited.
        """
        paths = {name: path for name in FILES if isinstance(path := getattr(self, name), Path)}
        return msgspec.structs.replace(self, **{name: _below(folder, path) for name, path in paths.items()})


SOCKET_NAME = "walletd.sock"

FILES = ("data", "operator_token_file", "tls_certificate", "tls_key", "tls_client_authority")


def _below(folder: Path, path: Path) -> Path:
    """The path from the folder on; leading steps up are resolved now, because the folder may be removed later."""
    while path.parts[:1] == ("..",):
        folder, path = folder.parent, Path(*path.parts[1:])
    return folder / path


RELOADABLE = frozenset(
    {
        "allowed_hosts",
        "allowed_origins",
        "log_level",
        "log_levels",
        "max_connections",
        "max_connections_per_address",
        "max_connections_of_guests",
        "connections_for_operators",
        "handshake_seconds",
        "write_stall_seconds",
        "drain_seconds",
    }
)
"""The settings that a running daemon adopts at a reload; the others need a restart."""

assert set(Settings.__struct_fields__) >= RELOADABLE
