"""RecordIO: written as dmlc writes it, and read back."""

from __future__ import annotations

import io
import struct

import pytest

from devkit.channels import recordio
from devkit.errors import ConfigError, DevkitError

MAGIC = struct.pack("<I", 0xCED7230A)
MIB = 1024 * 1024


def header(flag: int, length: int) -> bytes:
    return MAGIC + struct.pack("<I", flag << 29 | length)


def wrapped(content: bytes) -> bytes:
    return b"".join(recordio.wrap(io.BytesIO(content), len(content)))


def test_a_record_is_magic_length_content_and_padding_contract_1_6() -> None:
    assert wrapped(b"hello") == header(0, 5) + b"hello\0\0\0"
    assert wrapped(b"four") == header(0, 4) + b"four"
    assert wrapped(b"") == header(0, 0)


def test_a_magic_number_within_the_content_is_left_out_between_parts_contract_1_6() -> None:
    assert wrapped(b"abcd" + MAGIC + b"e") == header(1, 4) + b"abcd" + header(3, 1) + b"e\0\0\0"
    assert wrapped(MAGIC) == header(1, 0) + header(3, 0)
    assert wrapped(MAGIC + MAGIC + b"x") == (
        header(1, 0) + header(2, 0) + header(3, 1) + b"x\0\0\0"
    )


def test_a_magic_number_off_the_multiples_of_four_is_content_contract_1_6() -> None:
    content = b"a" + MAGIC + b"bcd"
    assert wrapped(content) == header(0, 8) + content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        MAGIC,
        MAGIC * 5 + b"ab",
        b"\x0a\x23\xd7" * 1000,
        b"." * (MIB - 4) + MAGIC + b"." * 7 + MAGIC + b"." * 5 + MAGIC,
        b"." * (MIB - 2) + MAGIC + b"." * MIB,
        b"." * (2 * MIB) + MAGIC,
    ],
)
def test_what_was_wrapped_is_read_back_contract_1_6(content: bytes) -> None:
    stream = io.BytesIO(wrapped(content) + wrapped(b"next"))
    assert list(recordio.read_records(stream)) == [content, b"next"]


@pytest.mark.parametrize(
    "data",
    [
        b"no record at all",
        MAGIC,
        header(0, 5) + b"hello",
        header(0, 5) + b"he",
        header(1, 4) + b"abcd",
        header(3, 4) + b"abcd",
        header(1, 0) + header(0, 0),
        header(1, 0) + header(1, 0),
        header(5, 0),
    ],
)
def test_what_is_no_recordio_is_refused(data: bytes) -> None:
    with pytest.raises(recordio.BadRecordIO):
        list(recordio.read_records(io.BytesIO(data)))


def test_an_object_too_big_for_a_record_is_refused_contract_1_6() -> None:
    recordio.check_size("fits", 2**29 - 1)
    with pytest.raises(ConfigError, match="'big' has 536870912 bytes"):
        recordio.check_size("big", 2**29)


def test_an_object_that_shrinks_while_it_is_wrapped_is_an_error() -> None:
    with pytest.raises(DevkitError, match="changed while it was read"):
        list(recordio.wrap(io.BytesIO(b"short"), 10))
