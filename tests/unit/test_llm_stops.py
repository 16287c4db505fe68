"""Stop strings: the same text comes out however it was cut into pieces."""

from hypothesis import given
from hypothesis import strategies as st

from slipstream.llm.stops import StopFilter

LETTERS = st.text("abc\n", max_size=12)


def run(pieces: list[str], stops: list[str]) -> tuple[list[str], bool]:
    stop_filter = StopFilter(stops)
    shown = [stop_filter.feed(piece) for piece in pieces]
    shown.append(stop_filter.flush())
    return shown, stop_filter.stopped


def test_a_stop_across_pieces_is_cut_off_with_all_that_follows() -> None:
    assert run(["one t", "w", "o three"], ["two"]) == (["one ", "", "", ""], True)


def test_what_only_began_like_a_stop_is_shown_later() -> None:
    assert run(["one t", "en"], ["two"]) == (["one ", "ten", ""], False)
    assert run(["one tw"], ["two"]) == (["one ", "tw"], False)


def test_the_earliest_stop_counts() -> None:
    assert run(["abcdef"], ["ef", "cd"]) == (["ab", ""], True)


def test_without_stops_text_passes_at_once() -> None:
    assert run(["a", "b"], []) == (["a", "b", ""], False)


@given(st.lists(LETTERS, max_size=8), st.lists(st.text("abc\n", min_size=1, max_size=4), max_size=3))
def test_pieces_make_no_difference(pieces: list[str], stops: list[str]) -> None:
    text = "".join(pieces)
    places = [place for stop in stops if (place := text.find(stop)) >= 0]
    shown, stopped = run(pieces, stops)

    assert "".join(shown) == (text[: min(places)] if places else text)
    assert stopped == bool(places)
