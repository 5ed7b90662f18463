"""The defaults for the daemon's address and for the token."""

from pathlib import Path

DEFAULT_URL = "ws://127.0.0.1:7878"
DEFAULT_TOKEN_FILE = Path("var/operator.token")
SERVICE_TOKEN_FILE = Path("/var/lib/walletd/operator.token")
"""The token file when systemd runs the daemon with ``StateDirectory=walletd``."""

DEFAULT_SOCKET = Path("var/walletd.sock")
SERVICE_SOCKET = Path("/run/walletd/walletd.sock")
"""The sockets of a daemon started here, and of the systemd service."""

SERVICE_USER = "walletd"
"""The user that the systemd service runs as."""

CREDENTIAL_NAME = "walletd.token"
"""The token's name among a unit's credentials, as in ``ImportCredential=walletd.*``."""

CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
"""The variable in which systemd names the directory of a service's credentials."""

URL_VARIABLE = "WALLETD_URL"
CA_VARIABLE = "WALLETD_CA"
TOKEN_VARIABLE = "WALLETD_TOKEN"
TOKEN_FILE_VARIABLE = "WALLETD_TOKEN_FILE"
PLAIN_TEXT_VARIABLE = "WALLETD_PLAIN_TEXT"
