"""``make sbom``: a bill of materials that names everything in the lock, and says the same each time."""

import json
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text()
TOOL = runpy.run_path(str(ROOT / "tools/sbom.py"))
document, pinned, Pinned = TOOL["document"], TOOL["pinned"], TOOL["Pinned"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    made: dict[str, Any] = document(LOCK, PROJECT)
    return made


def test_every_package_of_the_lock_is_named_with_its_version_and_its_digests(bill: dict[str, Any]) -> None:
    locked = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", LOCK, re.MULTILINE))
    assert {part["name"]: part["version"] for part in bill["components"]} == locked
    digests = [one["value"] for part in bill["components"] for one in part["properties"] if one["name"].endswith("256")]
    assert len(digests) == LOCK.count("--hash=sha256:")


def test_it_has_the_shape_of_cyclonedx(bill: dict[str, Any]) -> None:
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", bill["serialNumber"])
    own = bill["metadata"]["component"]
    assert (own["type"], own["name"], own["version"]) == ("application", "walletd", PROJECT["version"])
    references = [own["bom-ref"], *(part["bom-ref"] for part in bill["components"])]
    assert len(set(references)) == len(references)
    assert all(re.fullmatch(r"pkg:pypi/[a-z0-9-]+@[\w.]+", reference) for reference in references)
    assert [link["ref"] for link in bill["dependencies"]] == references
    assert all(set(link["dependsOn"]) <= set(references) for link in bill["dependencies"])
    for part in bill["components"]:
        assert part["type"] == "library"
        for licence in part.get("licenses", ()):
            assert licence.get("expression") or licence["license"]["name"]


def test_what_walletd_itself_needs_is_what_pyproject_says(bill: dict[str, Any]) -> None:
    named = {re.match(r"[\w-]+", line).group() for line in PROJECT["dependencies"]}  # type: ignore[union-attr]
    needed = {reference.partition("/")[2].partition("@")[0] for reference in bill["dependencies"][0]["dependsOn"]}
    assert needed == named
    by_name = {link["ref"].partition("/")[2].partition("@")[0]: link["dependsOn"] for link in bill["dependencies"]}
    assert any("outcome" in reference for reference in by_name["trio"])


def test_a_lock_with_markers_and_comments_is_read_and_a_line_of_another_kind_refused() -> None:
    digests = " \\\n".join(f"    --hash=sha256:{letter * 64}" for letter in "ab")
    lock = f"# a comment\ncffi==2.0 ; os_name == 'nt' \\\n{digests}\nx==1\n"
    assert pinned(lock) == [Pinned("cffi", "2.0", "os_name == 'nt'", ("a" * 64, "b" * 64)), Pinned("x", "1", "", ())]
    with pytest.raises(SystemExit, match="cannot read"):
        pinned("cffi>=2\n")


def test_the_same_lock_makes_the_same_file(tmp_path: Path) -> None:
    files = [tmp_path / "one" / "bill.json", tmp_path / "two.json"]
    for file in files:
        command = [sys.executable, str(ROOT / "tools/sbom.py"), str(file)]
        said = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"})
        assert "packages, CycloneDX 1.6" in said.stdout
    assert files[0].read_bytes() == files[1].read_bytes()
    assert json.loads(files[0].read_text())["bomFormat"] == "CycloneDX"
