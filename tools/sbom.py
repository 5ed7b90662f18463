"""The software bill of materials: what an installed walletd consists of, as CycloneDX 1.6 in JSON.

    python tools/sbom.py build/walletd.cdx.json

Everything comes from requirements.lock, and the licences and dependencies from the metadata of the packages that are
installed here: no network, and the same lock makes the same file.  The format is that of
https://cyclonedx.org/docs/1.6/json/.
"""

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
PROJECT = ROOT / "pyproject.toml"

SPECIFICATION = "1.6"

_PINNED = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)\s*(?:;\s*([^\\]+?))?\s*\\?$")
_HASH = re.compile(r"^\s+--hash=sha256:([0-9a-f]{64})")
_NAME = re.compile(r"^[A-Za-z0-9][\w.-]*")
_EXTRA = re.compile(r"\bextra\b")


class Pinned(NamedTuple):
    """A package of the lock: its version, the platforms that need it, and the digests of its files."""

    name: str
    version: str
    marker: str
    digests: tuple[str, ...]

    @property
    def reference(self) -> str:
        """The package as a URL (https://github.com/package-url/purl-spec)."""
        return f"pkg:pypi/{normal(self.name)}@{self.version}"


def normal(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(lock: str) -> list[Pinned]:
    """The packages of a lock file, in its order."""
    found: list[Pinned] = []
    for line in lock.splitlines():
        if head := _PINNED.match(line):
            found.append(Pinned(head[1], head[2], head[3] or "", ()))
        elif digest := _HASH.match(line):
            found[-1] = found[-1]._replace(digests=(*found[-1].digests, digest[1]))
        elif line.strip() and not line.startswith("#"):
            raise SystemExit(f"sbom: cannot read this line of the lock: {line}")
    return found


def document(lock: str, project: dict[str, Any]) -> dict[str, Any]:
    """The whole bill."""
    packages = pinned(lock)
    by_name = {normal(package.name): package for package in packages}
    name, version = project["name"], project["version"]
    own = f"pkg:pypi/{name}@{version}"
    links = [(own, sorted(by_name[name].reference for name in map(_named, project["dependencies"])))]
    links += [(package.reference, sorted(_needed(package, by_name))) for package in packages]
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPECIFICATION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, own + lock)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": name,
                "version": version,
                "description": project["description"],
                "licenses": [{"license": {"id": project["license"]}}],
                "purl": own,
            }
        },
        "components": [_component(package) for package in packages],
        "dependencies": [{"ref": reference, "dependsOn": needed} for reference, needed in links],
    }


def _component(package: Pinned) -> dict[str, Any]:
    properties = [{"name": "walletd:lock:sha256", "value": digest} for digest in package.digests]
    if package.marker:
        properties.append({"name": "walletd:lock:marker", "value": package.marker})
    return {
        "type": "library",
        "bom-ref": package.reference,
        "name": package.name,
        "version": package.version,
        **_licences(package),
        "purl": package.reference,
        "properties": properties,
    }


def _licences(package: Pinned) -> dict[str, Any]:
    """What the installed package declares; nothing if it is not installed here."""
    installed = _installed(package)
    if installed is None:
        return {}
    metadata = installed.metadata
    for expression in metadata.get_all("License-Expression") or ():
        return {"licenses": [{"expression": expression}]}
    classified = [value for value in metadata.get_all("Classifier") or () if value.startswith("License ::")]
    names = [value.rpartition(" :: ")[2] for value in classified] or metadata.get_all("License") or []
    return {"licenses": [{"license": {"name": name.splitlines()[0]}} for name in names if name.strip()]}


def _needed(package: Pinned, by_name: dict[str, Pinned]) -> Iterator[str]:
    """The packages of the lock that it needs, without those of its extras."""
    installed = _installed(package)
    for requirement in (installed.requires or ()) if installed is not None else ():
        if not _EXTRA.search(requirement.partition(";")[2]) and (found := by_name.get(_named(requirement))):
            yield found.reference


def _installed(package: Pinned) -> Distribution | None:
    try:
        found = distribution(package.name)
    except PackageNotFoundError:
        return None
    return found if found.version == package.version else None


def _named(requirement: str) -> str:
    name = _NAME.match(requirement)
    assert name is not None, requirement
    return normal(name.group())


def main(arguments: list[str]) -> None:
    """Write the bill to the named file, or to stdout."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    bill = document(LOCK.read_text(encoding="utf-8"), project)
    text = json.dumps(bill, indent=2, ensure_ascii=False) + "\n"
    if not arguments:
        sys.stdout.write(text)
        return
    file = Path(arguments[0])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    print(f"{file}: {len(bill['components'])} packages, CycloneDX {SPECIFICATION}")


if __name__ == "__main__":
    main(sys.argv[1:])
