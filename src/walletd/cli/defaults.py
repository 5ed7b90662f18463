"""Where the daemon is and which token to show it, unless the command line says otherwise."""

from pathlib import Path

DEFAULT_URL = "ws://127.0.0.1:7878"
DEFAULT_TOKEN_FILE = Path("var/operator.token")

URL_VARIABLE = "WALLETD_URL"
TOKEN_VARIABLE = "WALLETD_TOKEN"
TOKEN_FILE_VARIABLE = "WALLETD_TOKEN_FILE"
