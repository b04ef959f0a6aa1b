"""The Python twin reads and writes exactly the bytes that the Java function writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.attribution.sums import LONGEST, SUMS, decode, encode

GOLDEN = Path(__file__).parents[2] / "golden" / "attribution" / "sums.tsv"
"""Written by ``SumDeltaTest`` (``mvn test -Dgolden.write=true`` in udfs/attribution), and compared by it."""

LIMIT = 1 << (8 * LONGEST - 1)
any_sums = st.lists(
    st.one_of(st.just(0), st.integers(-LIMIT, LIMIT - 1), st.integers(-300, 300)),
    min_size=SUMS,
    max_size=SUMS,
)


def golden_vectors() -> list[tuple[tuple[int, ...], bytes]]:
    lines = (line.split("\t") for line in GOLDEN.read_text(encoding="ascii").splitlines())
    return [(tuple(map(int, numbers.split(","))), bytes.fromhex(form)) for numbers, form in lines]


def test_every_golden_vector_of_java_is_read_and_written_alike() -> None:
    vectors = golden_vectors()
    assert len(vectors) >= 30
    for sums, form in vectors:
        assert decode(form) == sums
        assert encode(sums) == form


@given(any_sums)
def test_what_is_encoded_is_decoded_again(sums: list[int]) -> None:
    assert decode(encode(sums)) == tuple(sums)


def test_fourteen_zeros_are_no_bytes() -> None:
    assert encode((0,) * SUMS) == b""
    assert decode(b"") == (0,) * SUMS


def test_a_sum_beyond_192_bits_is_an_error() -> None:
    with pytest.raises(OverflowError, match="sum 3 exceeds 192 bits"):
        encode((0, 0, 0, LIMIT) + (0,) * 10)


def test_thirteen_sums_are_an_error() -> None:
    with pytest.raises(ValueError, match="there are 13 sums, not 14"):
        encode((1,) * 13)


@pytest.mark.parametrize(
    "form",
    [
        b"\x01",
        b"\x00\x00",
        b"\x00\x40\x01\x01",
        b"\x01\x00\x19",
        b"\x01\x00\x02\x01",
        b"\x01\x00\x01\x01\x00",
    ],
)
def test_bytes_of_another_form_are_an_error(form: bytes) -> None:
    with pytest.raises(ValueError, match=r"unknown form|too early|left over"):
        decode(form)
