"""The documents are true: the made parts are what the code says, and the README's tour works as printed."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.witness import judge_noted, noting
from tests.daemon.forked import ran
from tests.daemon.process import Daemon

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md")), *sorted((ROOT / "src").rglob("DESIGN.md"))]
SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\((?!http)([^)#]*)(?:#([^)]*))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
FILE = re.compile(r"`(\w+\.(?:jsonl|csv))`:\n\n```(?:json|csv)\n(.*?)```", re.DOTALL)
COMMAND = ".venv/bin/walletd "
SCRIPT = ".venv/bin/python "


def test_the_made_parts_of_the_pages_are_what_the_code_says() -> None:
    command = [sys.executable, str(DOCS / "build.py"), "--check"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, heading in LINK.findall(page.read_text()):
        found = page.parent / target if target else page
        assert found.exists(), target
        assert not heading or heading in anchors_of(found), f"{target}#{heading}"


def anchors_of(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(page.read_text()))
    return {heading.replace(" ", "-") for heading in words}


def tour(page: Path) -> list[tuple[str, bool]]:
    """Each command of the page's tour, with whether its comment says that it is refused."""
    lines = [line for block in SHELL.findall(page.read_text()) for line in block.splitlines()]
    return [(line, "# refused" in line) for line in lines if line.startswith((COMMAND, SCRIPT + "examples/"))]


PAGES_WITH_A_TOUR = ("reads", "batches", "holds", "limits", "payments", "from-postgresql")
TOURS = [ROOT / "README.md", DOCS / "learn/tour.md", *(DOCS / "do" / f"{name}.md" for name in PAGES_WITH_A_TOUR)]


def program(line: str) -> list[str]:
    """What a line of a tour runs, as it is pasted on a new daemon: a script and its words, or words of walletd."""
    if line.startswith(SCRIPT):
        script, *arguments = shlex.split(line.removeprefix(SCRIPT), comments=True)
        return [str(ROOT / script), *arguments]
    words = shlex.split(line.removeprefix(COMMAND), comments=True)
    if words[0] == "demo":
        words += ["--operations", "500", "--wallets", "20"]
    return words


def run(command: list[str], environment: dict[str, str], directory: Path) -> subprocess.CompletedProcess[str]:
    """Run words of walletd, or a script, to the end."""
    program, words = (command[:1], command[1:]) if command[0].endswith(".py") else ([], command)
    return ran(words, program=program, environment=environment, directory=directory)


@pytest.mark.parametrize("page", TOURS, ids=lambda page: page.name)
def test_the_tour_of_a_page_works_as_printed(tmp_path: Path, page: Path) -> None:
    for name, text in FILE.findall(page.read_text()):
        (tmp_path / name).write_text(text)
    with Daemon(tmp_path / "var") as daemon:
        environment = {
            **os.environ,
            "WALLETD_URL": daemon.url,
            "WALLETD_TOKEN": daemon.token,
            **noting(tmp_path / "frames"),
        }
        ran = 0
        for line, is_refused in tour(page):
            command = program(line)
            if command[0] in ("watch", "verify"):
                continue
            given = {**environment}
            if "--token-file" in command:
                del given["WALLETD_TOKEN"]
            done = run(command, given, tmp_path)
            assert done.returncode == (1 if is_refused else 0), f"{line}\n{done.stdout}\n{done.stderr}"
            assert "Traceback" not in done.stderr
            ran += 1
        assert ran >= 4
        assert judge_noted(tmp_path / "frames") >= 8
        for text in PYTHON.findall(page.read_text()) if page.name != "README.md" else ():
            text = text.replace("ws://127.0.0.1:7878", daemon.url)
            subprocess.run([sys.executable, "-c", text], cwd=tmp_path, check=True)


@pytest.mark.parametrize("page", ["access.md", "scopes.md"])
def test_the_examples_of_the_pages_on_access_work_as_printed(tmp_path: Path, page: str) -> None:
    lines = [line for block in SHELL.findall((DOCS / "do" / page).read_text()) for line in block.splitlines()]
    assert len(lines) >= 15
    with Daemon(tmp_path / "data") as daemon:
        environment = {
            **os.environ,
            "WALLETD_URL": daemon.url,
            "WALLETD_TOKEN": daemon.token,
            **noting(tmp_path / "frames"),
        }
        for line in lines:
            done = run(shlex.split(line.removeprefix(COMMAND), comments=True), environment, tmp_path)
            expected = 77 if "# forbidden" in line else 1 if "# refused" in line else 0
            assert done.returncode == expected, f"{line}\n{done.stdout}\n{done.stderr}"
            missing = re.search(r"it needs (\S+)", line.partition("#")[2])
            assert missing is None or missing.group(1) in done.stderr
        assert judge_noted(tmp_path / "frames") >= 20
        assert all(file.stat().st_mode & 0o777 == 0o600 for file in tmp_path.glob("*.token"))


def test_the_readmes_python_works_as_printed(tmp_path: Path) -> None:
    (program,) = PYTHON.findall((ROOT / "README.md").read_text())
    with Daemon(tmp_path / "var") as daemon, daemon.client() as client:
        client.call("asset.define", command_id="e", asset="EUR", scale=2)
        for wallet in ("alice", "bob"):
            client.call("wallet.open", command_id=wallet, wallet=wallet)
        program = program.replace("ws://127.0.0.1:7878", daemon.url)
        command = [sys.executable, "-c", program]
        refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert "insufficient_funds" in refused.stdout.lower()
        funds = {
            "command_id": "f",
            "postings": [{"from": "@external", "to": "alice", "asset": "EUR", "amount": "5000"}],
        }
        client.call("transfer.post", **funds)
        program = program.replace("invoice-7", "invoice-8")
        for is_replayed in ("False", "True"):
            paid = subprocess.run(
                [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
            )
            assert paid.stdout.split()[1] == is_replayed


def test_the_readmes_websocket_session_works_as_printed(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    (line,) = re.findall(r"```sh\n(.*-m websockets.*)\n```", readme)
    (requests,) = re.findall(r"```json\n(.*?)```", readme, re.DOTALL)
    with Daemon(tmp_path / "var") as daemon, daemon.client() as client:
        client.call("asset.define", command_id="e", asset="EUR", scale=2)
        for wallet in ("alice", "bob"):
            client.call("wallet.open", command_id=wallet, wallet=wallet)
        postings = [{"from": "@external", "to": "alice", "asset": "EUR", "amount": "5000"}]
        client.call("transfer.post", command_id="f", postings=postings)
        command = line.replace(".venv/bin/python", f"exec {sys.executable} -u").replace(
            "ws://127.0.0.1:7878", daemon.url
        )
        shell = subprocess.Popen(
            ["bash", "-c", command], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert shell.stdin is not None
        assert shell.stdout is not None
        shell.stdin.write(requests)
        shell.stdin.flush()
        awaited = {*(f'"id":{number},"result"' for number in (1, 2, 3, 4)), '"stream.event"'}
        while awaited and (text := shell.stdout.readline()):
            awaited = {words for words in awaited if words not in text}
        shell.communicate()
    assert not awaited


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_the_page_on_http_works_as_pasted(tmp_path: Path) -> None:
    script = "\n".join(SHELL.findall((DOCS / "do/http.md").read_text()))
    with Daemon(tmp_path / "var") as daemon:
        script = script.replace("http://127.0.0.1:7878", daemon.url.replace("ws:", "http:"))
        script = script.replace(".venv/bin/walletd", f"{sys.executable} -m walletd")
        environment = {**os.environ, "WALLETD_URL": daemon.url}
        pasted = subprocess.run(
            ["sh", "-euc", script],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    answers = [json.loads(line) for line in pasted.stdout.splitlines() if line.startswith('{"jsonrpc"')]
    assert [("result" in answer) for answer in answers] == [*[True] * 7, False]
    assert answers[6]["result"]["replayed"]
    assert "\n422\n" in pasted.stdout


OF_SYSTEMD = ("systemctl", "journalctl")
"""What only a machine with systemd has: tests/systemd boots one."""

RUN_ELSEWHERE = {
    "systemd.md": "as root, in a Debian with systemd: tests/systemd/boot.py",
    "access.md": "by a test of its own",
    "scopes.md": "by the same test",
    "http.md": "in one shell, by a test of its own",
    "javascript.md": "as one program under Node: tests/interop/test_javascript.py",
    "reliability.md": "make, for as long as they take",
    "README.md": "in docs and in the root: by tests of their own",
}
IN_ORDER = [("backup.md", 7), ("compaction.md", 3), ("operations.md", 3)]


@pytest.mark.parametrize(("page", "commands"), IN_ORDER)
def test_the_commands_of_a_page_work_in_their_order(tmp_path: Path, page: str, commands: int) -> None:
    blocks = SHELL.findall((DOCS / "do" / page).read_text())
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    lines = [words for words in lines if words[0] not in OF_SYSTEMD]
    assert len(lines) == commands
    with Daemon(tmp_path / "data") as daemon:
        environment = {**os.environ, "WALLETD_URL": daemon.url, "WALLETD_TOKEN": daemon.token}
        for words in [["walletd", "asset", "define", "EUR/2"], ["walletd", "wallet", "open", "alice"], *lines]:
            consent = ["--yes"] if words[1] == "restore" and "--yes" not in words else []
            assert words[0] == "walletd"
            done = run([*words[1:], *consent], environment, tmp_path)
            assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"


def test_every_page_with_a_command_or_a_program_is_run() -> None:
    pages = {page.name for page in PAGES if "```sh" in page.read_text() or "```python" in page.read_text()}
    run = {page.name for page in TOURS} | {name for name, _ in IN_ORDER} | set(RUN_ELSEWHERE)
    assert pages <= run


def test_the_page_on_systemd_installs_what_is_there() -> None:
    (block,) = SHELL.findall((DOCS / "do" / "systemd.md").read_text())
    assert "/opt/walletd/bin/walletd install-service\n" in block  # tests/documents/test_wheel.py has its files.
    assert "-r requirements.lock\n" in block
    assert (ROOT / "requirements.lock").is_file()


def test_prometheus_takes_the_configuration_of_its_page(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool here (Debian: prometheus)")
    (text,) = re.findall(r"```yaml\n(.*?)```", (DOCS / "do" / "prometheus.md").read_text(), re.DOTALL)
    shutil.copy(ROOT / "monitoring" / "walletd.rules.yml", tmp_path)
    (tmp_path / "prometheus.yml").write_text(text)
    done = subprocess.run(
        [promtool, "check", "config", str(tmp_path / "prometheus.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
