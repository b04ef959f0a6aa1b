"""The wire form of the fourteen exact sums of a slot; the twin of ``SumDelta`` in Java.

No bytes at all stand for fourteen zeros. Else two bytes, little-endian, in which bit i says that sum i is
not 0; then for each such sum, in order, one byte with its length and that many bytes, two's complement,
little-endian, the fewest that hold it.
"""

from __future__ import annotations

from collections.abc import Sequence

SUMS = 14
NONE = (0,) * SUMS


def decode(data: bytes) -> tuple[int, ...]:
    """The fourteen sums, in the order of ``Moments.sums``.

    Raises:
        ValueError: The bytes are not in the wire form.
    """
    if not data:
        return NONE
    present = int.from_bytes(data[:2], "little")
    sums = [0] * SUMS
    position = 2
    for index in range(SUMS):
        if present >> index & 1:
            start = position + 1
            position = start + (data[start - 1] if start <= len(data) else 0)
            sums[index] = int.from_bytes(data[start:position], "little", signed=True)
    if position != len(data) or present >> SUMS:
        raise ValueError(f"{data.hex()} is not the wire form of {SUMS} sums")
    return tuple(sums)


def encode(sums: Sequence[int]) -> bytes:
    """The wire form; equal sums have equal bytes."""
    if not any(sums):
        return b""
    present = sum(1 << index for index, value in enumerate(sums) if value)
    parts = [present.to_bytes(2, "little")]
    for value in filter(None, sums):
        length = (value if value >= 0 else ~value).bit_length() // 8 + 1
        parts.append(bytes([length]) + value.to_bytes(length, "little", signed=True))
    return b"".join(parts)
