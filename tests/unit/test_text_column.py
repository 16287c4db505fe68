"""Columns of texts of the search index as they grow: a code is a byte until there are too many different texts."""

import pytest

from slipstream.store.run_index.columns import TextColumn


@pytest.mark.parametrize("texts", [255, 256, 257, 1000])
@pytest.mark.parametrize("before", range(4))
def test_appending_more_texts_than_a_byte_tells_apart(texts: int, before: int) -> None:
    expected = [None] * before + [f"text {number}" for number in range(texts)]
    column = TextColumn()
    for text in expected:
        column.append(text)
    assert [column[slot] for slot in range(len(expected))] == expected
    assert column.mask(lambda text: text == "text 3") == bytes(text == "text 3" for text in expected)


@pytest.mark.parametrize("count", [1000, 1001, 1002, 1003])
def test_setting_more_texts_than_a_byte_tells_apart(count: int) -> None:
    expected: list[str | None] = [None] * count
    column = TextColumn(expected)
    for slot in range(0, count, 3):
        expected[slot] = column[slot] = f"text {slot}"
    assert [column[slot] for slot in range(count)] == expected
    assert column.mask(lambda text: text is None) == bytes(text is None for text in expected)
