"""Certificates for tests: an authority, and what it signs, as files."""

from pathlib import Path
from typing import Any

import trustme


class Authority:
    """One authority; ``file`` is what its friends believe."""

    def __init__(self, directory: Path, name: str = "authority") -> None:
        self._authority = trustme.CA()
        self._directory = directory
        self.file = directory / f"{name}.pem"
        self._authority.cert_pem.write_to_path(str(self.file))

    def sign(self, name: str, *names: str, **words: Any) -> Path:
        """A certificate for these names with its key behind it, in one file."""
        file = self._directory / f"{name}.pem"
        certificate = self._authority.issue_cert(*names, **words)
        file.write_bytes(certificate.private_key_and_cert_chain_pem.bytes())
        return file
