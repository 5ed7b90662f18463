"""Recordings: what a process wrote, synced and said, in order; and what a disk may hold after the power fails.

    recorder = build(tmp_path)                         # compiles recorder.c; needs a C compiler
    run([...], env=recorder.environment(data, log))
    for moment in moments(log): ...                    # the disk after each operation, and what had been said by then
        for image in moment.disk.after_power_loss(chance): ...

A disk keeps what was synced.  Of what was written since, it may keep nothing, a beginning, any part, a write torn at a
sector, or it may destroy the sector that it was writing.
"""

import random
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

SECTORS = (512, 4096)
_HEADER = struct.Struct("<cHqI")


class Recorder:
    """The compiled recorder."""

    def __init__(self, library: Path) -> None:
        self.library = library

    def environment(self, files: Path, log: Path | None = None, **more: str) -> dict[str, str]:
        """What a process needs in its environment to be recorded, or to meet a fault."""
        recorded = {"LD_PRELOAD": str(self.library), "RECORD_FILES": str(files)}
        return {**recorded, **({"RECORD_TO": str(log)} if log is not None else {}), **more}


def build(directory: Path) -> Recorder:
    """Compile the recorder into the directory."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler is not None, "the recorder is compiled when the tests run: install gcc"
    library = directory / "recorder.so"
    source = Path(__file__).with_name("recorder.c")
    subprocess.run(
        [compiler, "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-O1", "-o", library, source, "-lpthread"],
        check=True,
    )
    return Recorder(library)


class Operation(NamedTuple):
    """One call: Create, Write, Truncate, Unlink, Rename, Begin and end of a Sync, Answer, Failed."""

    kind: str
    path: str
    offset: int
    data: bytes


def operations(log: Path) -> Iterator[Operation]:
    """What was recorded, in order."""
    record = log.read_bytes()
    at = 0
    while at < len(record):
        kind, path_length, offset, length = _HEADER.unpack_from(record, at)
        at += _HEADER.size
        path = record[at : at + path_length].decode()
        at += path_length
        yield Operation(kind.decode(), path, offset, record[at : at + length])
        at += length


Image = dict[str, bytes]


@dataclass
class Disk:
    """Files as far as they are durable, and what was done since, in order."""

    files: dict[str, bytearray] = field(default_factory=dict)
    pending: list[Operation] = field(default_factory=list)
    _syncing: dict[tuple[str, int], int] = field(default_factory=dict)

    def take(self, operation: Operation) -> None:
        """One more operation."""
        match operation.kind:
            case "W" | "T" | "C" | "U" | "R":
                self.pending.append(operation)
            case "B":
                # What is pending now is durable once this sync has returned.
                self._syncing[operation.path, operation.offset] = len(self.pending)
            case "S":
                self._make_durable(operation.path, self._syncing.pop((operation.path, operation.offset)))

    def _make_durable(self, path: str, count: int) -> None:
        covered, rest = self.pending[:count], self.pending[count:]
        left = []
        for operation in covered:
            if _is_covered(operation, path):
                _apply(self.files, operation)
            else:
                left.append(operation)
        gone = count - len(left)
        self._syncing = {key: max(0, position - gone) for key, position in self._syncing.items()}
        self.pending = left + rest

    def with_pending(self, done: list[Operation]) -> Image:
        """What is on the disk if only these of the pending operations reached it."""
        files = {name: bytearray(content) for name, content in self.files.items()}
        for operation in done:
            _apply(files, operation)
        return {name: bytes(content) for name, content in files.items()}

    def after_power_loss(self, chance: random.Random, per_model: int = 1) -> Iterator[tuple[str, Image]]:
        """What may be left if the power fails now: the model, and the files."""
        pending = self.pending
        yield "none", self.with_pending([])
        if not pending:
            return
        yield "all", self.with_pending(pending)
        for _ in range(per_model):
            yield "prefix", self.with_pending(pending[: chance.randrange(len(pending) + 1)])
            yield "subset", self.with_pending([operation for operation in pending if chance.random() < 0.5])
            for size in SECTORS:
                if in_flight := [index for index, operation in enumerate(pending) if operation.kind == "W"]:
                    index = chance.choice(in_flight)
                    yield f"torn {size}", self.with_pending([*pending[:index], *_torn(pending[index], size, chance)])
                    yield f"garbage {size}", self._with_garbage(pending[:index], pending[index], size, chance)

    def _with_garbage(self, before: list[Operation], write: Operation, size: int, chance: random.Random) -> Image:
        """Everything before the write, and of the write so many whole sectors; the next sector is destroyed."""
        first, last = write.offset // size, (write.offset + len(write.data) - 1) // size
        hit = chance.randint(first, last)
        done = [part for part in _sectors(write, size) if part.offset // size < hit]
        image = self.with_pending([*before, *done])
        if write.path in image:
            content = bytearray(image[write.path])
            start = hit * size
            end = min(start + size, max(len(content), write.offset + len(write.data)))
            content.extend(bytes(max(0, end - len(content))))
            content[start:end] = chance.randbytes(end - start)
            image[write.path] = bytes(content)
        return image


class Moment(NamedTuple):
    """The disk as it was when so many operations had been done, and what had been said until then."""

    number: int
    operation: Operation
    disk: Disk


def moments(log: Path) -> Iterator[Moment]:
    """The disk after each operation.  It is one object that goes on changing."""
    disk = Disk()
    for number, operation in enumerate(operations(log)):
        disk.take(operation)
        yield Moment(number, operation, disk)


def memory_folder() -> str | None:
    """Where files are kept in memory, if there is such a folder."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def put_image(image: Image, directory: Path) -> None:
    """Make a folder that holds these files and nothing else."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for name, content in image.items():
        (directory / name).write_bytes(content)


def _is_covered(operation: Operation, synced: str) -> bool:
    """Whether a sync of this file, or of the folder, covers the operation."""
    if synced == ".":
        return operation.kind in "CUR"
    return operation.path == synced or (operation.kind == "R" and operation.data.decode() == synced)


def _apply(files: dict[str, bytearray], operation: Operation) -> None:
    match operation.kind:
        case "C":
            files.setdefault(operation.path, bytearray())
        case "U":
            files.pop(operation.path, None)
        case "R":
            if operation.path in files:
                files[operation.data.decode()] = files.pop(operation.path)
        case "T":
            if (content := files.get(operation.path)) is not None:
                del content[operation.offset :]
                content.extend(bytes(operation.offset - len(content)))
        case "W":
            # A write to a file whose name is not on the disk leaves nothing that can be found.
            if (content := files.get(operation.path)) is not None:
                content.extend(bytes(max(0, operation.offset - len(content))))
                content[operation.offset : operation.offset + len(operation.data)] = operation.data


def _sectors(write: Operation, size: int) -> Iterator[Operation]:
    at, end = write.offset, write.offset + len(write.data)
    while at < end:
        upto = min(end, (at // size + 1) * size)
        yield write._replace(offset=at, data=write.data[at - write.offset : upto - write.offset])
        at = upto


def _torn(write: Operation, size: int, chance: random.Random) -> list[Operation]:
    """Some of the write's sectors, in any order."""
    return [sector for sector in _sectors(write, size) if chance.random() < 0.5]
