"""Stored JSON is written in one way only, and its seal shows every damage."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocket_assets.documents import canonical, digest, seal, unseal
from rocket_assets.errors import Damaged

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(st.text().filter(lambda key: key != "sha256"), VALUES, max_size=5)


def test_a_document_is_written_sorted_without_spaces_in_utf8_with_a_newline_at_its_end() -> None:
    assert canonical({"b": [1, 2.5, None], "a": "Péole ☄"}) == '{"a":"Péole ☄","b":[1,2.5,null]}\n'.encode()


def test_the_order_of_keys_makes_no_difference() -> None:
    assert seal({"a": {"x": 1, "y": 2}, "b": 3}) == seal({"b": 3, "a": {"y": 2, "x": 1}})
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_different_values_have_different_digests() -> None:
    assert len({digest(value) for value in (None, 0, "0", [], [0], {}, "", False)}) == 8


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")], ids=str)
def test_a_number_that_json_has_no_word_for_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        seal({"a": [number]})


@given(DOCUMENTS)
def test_what_is_sealed_can_be_unsealed_and_sealed_again_to_the_same_bytes(document: dict[str, Any]) -> None:
    opened = unseal(seal(document), "key")
    assert opened == document
    assert seal(opened) == seal(document)


@pytest.mark.parametrize("text", ["\ud800", "\udfff tail", "\U0001f680", "\x00\u2028", "é\u0301"], ids=ascii)
def test_any_text_survives_even_half_a_surrogate_pair(text: str) -> None:
    assert unseal(seal({text: text}), "key") == {text: text}
    assert json.loads(seal({text: text}).decode("utf-8"))[text] == text


@given(DOCUMENTS, st.data())
def test_a_single_flipped_bit_anywhere_is_found(document: dict[str, Any], data: st.DataObject) -> None:
    body = bytearray(seal(document))
    bit = data.draw(st.integers(0, 8 * len(body) - 1))
    body[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Damaged):
        unseal(bytes(body), "key")


def test_every_single_bit_of_a_typical_document_is_guarded() -> None:
    body = seal({"day": "2024-12-05", "count": 1, "results": [{"id": "a", "net": "2024-12-05T03:05:00Z", "x": 1.0}]})
    for bit in range(8 * len(body)):
        flipped = bytearray(body)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Damaged):
            unseal(bytes(flipped), "key")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00" * 40,
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b'{"a":1}\n',
        b"\xff\xfe\x00",
        b"[" * 200_000,
        seal({"a": 1})[:-1],
        seal({"a": 1}) + b"\n",
        json.dumps(json.loads(seal({"a": 1})), indent=1).encode(),
        seal({"a": 1}).replace(b'"a":1', b'"a":2'),
        seal({"a": 1}).replace(b'"a":1', b'"a":NaN'),
        seal({"a": 1}).replace(b'"a":1', b'"a":1,"a":1'),
    ],
    ids=[
        "empty",
        "zeros",
        "null",
        "list",
        "text",
        "no seal",
        "unsealed",
        "no utf-8",
        "too deep",
        "last byte missing",
        "longer",
        "other spacing",
        "other value",
        "NaN",
        "key twice",
    ],
)
def test_what_was_not_written_by_us_is_damaged_and_the_message_says_what_to_do(body: bytes) -> None:
    with pytest.raises(Damaged, match=r"launches/x\.json is not what was written.*Bring its day again"):
        unseal(body, "launches/x.json")
