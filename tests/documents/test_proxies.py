"""The page on reverse proxies: a websocket and a request over HTTP, through each proxy as the page configures it."""

import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.daemon.process import Daemon, free_port
from tests.interop.programs import program
from walletd.client import connect_sync

PAGE = (Path(__file__).parents[2] / "docs/do/reverse-proxy.md").read_text()
NAME = "money.example"
PATIENCE_SECONDS = 20

Proxy = Callable[[Path, str], list[str]]


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def nginx(folder: Path, configuration: str) -> list[str]:
    places = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))
    http = f"access_log off; client_body_temp_path {folder}/body; {places}\n{configuration}"
    whole = f"daemon off; pid {folder}/pid; error_log {folder}/log; events {{}} http {{ {http} }}"
    (folder / "nginx.conf").write_text(whole.replace("daemon off;", "daemon off; master_process off;"))
    return [
        program(("nginx",), "on Debian, apt-get install nginx-light"),
        "-e",
        f"{folder}/log",
        "-c",
        f"{folder}/nginx.conf",
    ]


def haproxy(folder: Path, configuration: str) -> list[str]:
    (folder / "haproxy.cfg").write_text(configuration)
    return [program(("haproxy",), "on Debian, apt-get install haproxy"), "-f", f"{folder}/haproxy.cfg", "-db"]


def caddy(folder: Path, configuration: str) -> list[str]:
    (folder / "Caddyfile").write_text(f"{{\n admin off\n}}\n{configuration}")
    run = [program(("caddy",), "on Debian, apt-get install caddy"), "run", "--adapter", "caddyfile", "--config"]
    homes = [f"{name}={folder}" for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")]
    return ["env", *homes, *run, f"{folder}/Caddyfile"]


@contextmanager
def running(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not answers(port):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
        yield
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=PATIENCE_SECONDS) as page:
            return bool(page.status == 200)
    except OSError:
        return False


@pytest.mark.parametrize("proxy", [nginx, haproxy, caddy])
def test_the_configuration_of_the_page_passes_everything_on(tmp_path: Path, proxy: Proxy) -> None:
    port = free_port()
    with Daemon(tmp_path / "data", environment={"WALLETD_ALLOWED_HOSTS": NAME}) as daemon:
        there = daemon.url.removeprefix("ws://")
        listening = re.sub(
            r"(?<=listen )8080|(?<=127\.0\.0\.1:)8080|(?<=http://:)8080", str(port), block(proxy.__name__)
        )
        command = proxy(tmp_path, listening.replace("listen ", "listen 127.0.0.1:").replace("127.0.0.1:7878", there))
        with running(command, port):
            with connect_sync(f"ws://127.0.0.1:{port}", token=daemon.token) as client:
                client.define_asset("EUR", 2)
                client.open_wallet("alice")
                with client.subscribe(wallets=["alice"]) as stream:
                    client.pay("@external", "alice", 500, "EUR")
                    assert next(iter(stream)).entry.command is not None
            body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "balance.get", "params": {"wallet": "alice"}})
            headers = {"Authorization": f"Bearer {daemon.token}", "Host": NAME}
            request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/rpc", body.encode(), headers)
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
                (balance,) = json.loads(answer.read())["result"]["balances"]
            assert balance["posted"] == "500"
            foreign = urllib.request.Request(
                f"http://127.0.0.1:{port}/v1/rpc", body.encode(), {**headers, "Host": "evil"}
            )
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(foreign, timeout=PATIENCE_SECONDS)
            assert refused.value.code == 403
