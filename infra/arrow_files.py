"""A stream of Arrow batches as a file that is there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import IOBase
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv, parquet

WRITERS = {".parquet": parquet.ParquetWriter, ".csv": csv.CSVWriter}
"""How files of these names are written."""


class CutOffError(Exception):
    """The stream ended before its end."""


def write(stream: IOBase, file: Path) -> int:
    """Write every batch and return the number of rows; never more than a batch is in memory.

    Raises:
        CutOffError: The stream is no Arrow stream, or breaks off; ``file`` is as it was.
        OSError: The file cannot be written; it is as it was.
    """
    rows = 0
    with _cut_off_told():
        batches = pa.ipc.open_stream(stream)
    with _whole(file) as draft, WRITERS[file.suffix](draft, batches.schema) as writer:
        for batch in _read(batches):
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def _read(batches: Any) -> Iterator[Any]:
    while True:
        with _cut_off_told():
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


@contextmanager
def _cut_off_told() -> Iterator[None]:
    """Reading fails in Arrow's ways, one of which is that of a file that cannot be written."""
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        raise CutOffError(" ".join(str(error).split())) from error


@contextmanager
def _whole(file: Path) -> Iterator[Path]:
    """A file beside the one that is meant, which takes its place at the end; gone if there is no end."""
    draft = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        yield draft
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
