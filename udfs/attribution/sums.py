"""The fourteen sums of a slot as bytes: the Python twin of the Java class ``SumDelta``, which tells the form.

Order of the sums: ``y,d,x,e,yy,yd,yx,ye,dd,dx,de,xx,xe,ee``; totals in micro-units, products in 10^-12.
"""

from __future__ import annotations

from collections.abc import Sequence

SUMS = 14
LONGEST = 24
"""Bytes of the longest sum: 192 bits with the sign."""


def decode(sums: bytes) -> tuple[int, ...]:
    """The fourteen sums in the bytes; no bytes at all are fourteen zeros.

    Raises:
        ValueError: The bytes are not in the form that ``SumDelta`` writes.
    """
    if not sums:
        return (0,) * SUMS
    present = int.from_bytes(sums[:2], "little")
    if len(sums) < 2 or present == 0 or present >> SUMS:
        raise ValueError(f"sums of an unknown form: {sums.hex()}")
    decoded = [0] * SUMS
    at = 2
    for index in range(SUMS):
        if not present >> index & 1:
            continue
        length = sums[at] if at < len(sums) else 0
        number = sums[at + 1 : at + 1 + length]
        if not 1 <= length <= LONGEST or len(number) < length:
            raise ValueError(f"sum {index} ends too early or has no valid length: {sums.hex()}")
        decoded[index] = int.from_bytes(number, "little", signed=True)
        at += 1 + length
    if at != len(sums):
        raise ValueError(f"bytes are left over after the sums: {sums.hex()}")
    return tuple(decoded)


def encode(sums: Sequence[int]) -> bytes:
    """The bytes of fourteen sums; equal sums have equal bytes.

    Raises:
        ValueError: There are not fourteen.
        OverflowError: One of them exceeds 192 bits.
    """
    if len(sums) != SUMS:
        raise ValueError(f"there are {len(sums)} sums, not {SUMS}")
    present = 0
    numbers = bytearray()
    for index, number in enumerate(sums):
        if number:
            length = (number if number > 0 else ~number).bit_length() // 8 + 1
            if length > LONGEST:
                raise OverflowError(f"sum {index} exceeds {8 * LONGEST} bits: {number}")
            present |= 1 << index
            numbers.append(length)
            numbers += number.to_bytes(length, "little", signed=True)
    return present.to_bytes(2, "little") + bytes(numbers) if present else b""
