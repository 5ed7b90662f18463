"""The reference of the Python client, made from its docstrings and signatures."""

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

from walletd import client
from walletd.client import commands, errors
from walletd.client.asyncio_client import connect_asyncio
from walletd.client.reads import Reads
from walletd.client.trio_client import Client
from walletd.client.writes import Writes

NOISE = re.compile(r"\b(?:walletd\.[a-z_.]+\.|collections\.abc\.|typing\.|datetime\.(?=datetime)|decimal\.|ssl\.)")
LINE = 120


def connecting() -> str:
    """How a connection is made, in each of the three ways."""
    return _functions([client.connect, connect_asyncio, client.connect_sync])


def writes() -> str:
    """The methods that change something."""
    return _functions(_methods_of(Writes))


def reads() -> str:
    """The methods that only ask, and those of streams."""
    streams = [Client.subscribe, Client.open_stream]
    return _functions([*(method for method in _methods_of(Reads) if method is not Reads.ask), *streams])


def command_functions() -> str:
    """The functions that make commands, and what each of them also takes."""
    made = (found for name, found in vars(commands).items() if inspect.isfunction(found) and not name.startswith("_"))
    own = [found for found in made if found.__module__ == commands.__name__]
    terms = [f"| `{name}` | `{_plain(kind)}` |" for name, kind in inspect.get_annotations(commands.Terms).items()]
    head = f"{_prose(commands.Terms)}\n\n| `**terms` | |\n|---|---|\n"
    return head + "\n".join(terms) + "\n\n" + _functions(own)


def exceptions() -> str:
    """The errors, each with what it means."""
    rows = ["| error | is a | meaning |", "|---|---|---|"]
    for name, found in vars(errors).items():
        if inspect.isclass(found) and issubclass(found, errors.ClientError) and found is not errors.ClientError:
            base = found.__bases__[0].__name__
            rows.append(f"| `{name}` | `{base}` | {_prose(found).partition(chr(10))[0]} |")
    return "\n".join(rows) + "\n"


def _methods_of(owner: type) -> list[Callable[..., Any]]:
    return [found for name, found in vars(owner).items() if inspect.isfunction(found) and not name.startswith("_")]


def _functions(found: list[Any]) -> str:
    return "\n".join(line for one in found for line in _function(one))


def _function(found: Any) -> Iterator[str]:
    yield from ("```py", *_signature(found), "```", "", _prose(found), "")


def _signature(found: Any) -> list[str]:
    """The signature as it is in the code, without ``self``: one line if it fits, else one for each parameter."""
    signature = inspect.signature(found)
    shown = [parameter for name, parameter in signature.parameters.items() if name != "self"]
    words: list[str] = []
    for parameter in shown:
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in words:
            words.append("*")
        words.append(_parameter(parameter))
    result = _plain(inspect.formatannotation(signature.return_annotation)).replace("'", "")
    if inspect.iscoroutinefunction(found):
        result = f"Awaitable[{result}]"
    if hasattr(found, "__wrapped__"):  # A context manager, which the code writes as a generator.
        result = result.replace("AsyncGenerator", "AsyncContextManager").replace("Iterator", "ContextManager")
    end = f") -> {result}"
    line = f"{found.__name__}({', '.join(words)}{end}"
    if len(line) <= LINE:
        return [line]
    return [f"{found.__name__}(", *(f"    {word}," for word in words), end]


def _parameter(parameter: inspect.Parameter) -> str:
    if parameter.kind is parameter.VAR_KEYWORD:
        return f"**{parameter.name}"
    if isinstance(parameter.default, type(_parameter)):
        return _plain(f"{parameter.replace(default=parameter.empty)} = {parameter.default.__name__}")
    return _plain(str(parameter))


def _plain(kind: Any) -> str:
    text = kind if isinstance(kind, str) else inspect.formatannotation(kind)
    text = re.sub(r"<(\w+\.\w+): [^>]*>", r"\1", text)
    return NOISE.sub("", text).replace("NoneType", "None")


def _prose(found: Any) -> str:
    """The docstring as Markdown."""
    return (inspect.getdoc(found) or "").replace("``", "`")


SECTIONS: dict[str, Callable[[], str]] = {
    "python_connecting": connecting,
    "python_writes": writes,
    "python_reads": reads,
    "python_commands": command_functions,
    "python_errors": exceptions,
}
