"""Long batches: the params of ``batch.execute`` decoded one command after the other, as they are decoded in one piece.

    batch = yield from batch_in_steps(frame, request.params)     # raises msgspec.DecodeError, or Faulty with the path

A batch of a thousand commands takes some ten milliseconds of the event loop to decode, and belongs to one client: in
steps, others have the loop in between.
"""

from collections.abc import Generator
from typing import Annotated, Any, Final, Literal, cast, get_type_hints

import msgspec

from walletd.protocol.strict_json import has_each_name_once, lone_surrogate, repeated_name
from walletd.protocol.strict_types import CommandDecoder, with_types
from walletd.protocol.utc import in_utc
from walletd.vocabulary.commands import MAX_BATCH_COMMANDS, BatchedCommand, ExecuteBatch

LONG_FRAME_BYTES: Final = 16_384
"""The size of a frame from which on it is handled in steps."""

Raws = Annotated[tuple[msgspec.Raw, ...], msgspec.Meta(min_length=1, max_length=MAX_BATCH_COMMANDS)]

_Outline = with_types(ExecuteBatch, {**get_type_hints(ExecuteBatch, include_extras=True), "commands": Raws})
"""A batch whose commands are not decoded."""

_outline_decoder: CommandDecoder[Any] = CommandDecoder(_Outline)
_command_decoder: CommandDecoder[Any] = CommandDecoder(cast(Any, BatchedCommand))
_whole = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Faulty(Exception):
    """JSON that the protocol refuses, although its types are right."""

    def __init__(self, path: str, what: Literal["stands twice", "half a pair"]) -> None:
        super().__init__(path)
        self.path = path
        """As in a request: ``params.commands[3].postings[0].amount``."""
        self.what = what


def batch_in_steps(frame: bytes, params: msgspec.Raw) -> Generator[int, None, ExecuteBatch]:
    """The batch, with every time in UTC.  Each step costs so many bytes.

    Raises msgspec.DecodeError with the path of what is wrong, and Faulty for a name that appears twice.
    """
    outline = _outline_decoder.decode(params)
    yield len(params) // 8
    raws, commands = outline.commands, []
    for index, raw in enumerate(raws):
        commands.append(in_utc(_command(index, raw)))
        yield len(raw)
    yield from _names_in_steps(frame, params, raws, commands)
    fields = {name: getattr(outline, name) for name in ExecuteBatch.__struct_fields__}
    outer: ExecuteBatch = in_utc(ExecuteBatch(**{**fields, "commands": ()}))
    return msgspec.structs.replace(outer, commands=tuple(commands))


def _command(index: int, raw: msgspec.Raw) -> Any:
    try:
        return _command_decoder.decode(raw)
    except msgspec.DecodeError as error:
        found = lone_surrogate(bytes(raw))
        if found is not None:
            raise Faulty(_inside(index, found[0]), "half a pair") from error
        raise msgspec.DecodeError(_within(str(error), index)) from error


def _within(complaint: str, index: int) -> str:
    """What is wrong with a command, in the words in which msgspec says it of a batch."""
    what, at, place = complaint.rpartition(" - at ")
    if not at:
        return f"{complaint} - at `$.commands[{index}]`"
    return f"{what}{at}{place.replace('`$', f'`$.commands[{index}]', 1)}"


def _names_in_steps(
    frame: bytes, params: msgspec.Raw, raws: tuple[msgspec.Raw, ...], commands: list[Any]
) -> Generator[int, None, None]:
    """Find a name that appears twice: around the commands, and then in each of them."""
    around = frame.replace(bytes(_whole.decode(params)["commands"]), b"[]", 1)
    yield len(frame) // 8
    path = repeated_name(around)
    if path is not None:
        raise Faulty(path, "stands twice")
    for index, (raw, command) in enumerate(zip(raws, commands, strict=True)):
        if not has_each_name_once(bytes(raw), command):
            path = repeated_name(bytes(raw))
            if path is not None:
                raise Faulty(_inside(index, path), "stands twice")
            yield len(raw)
        yield len(raw) // 8


def _inside(index: int, path: str) -> str:
    return f"params.commands[{index}].{path}" if path else f"params.commands[{index}]"
