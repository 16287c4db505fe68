"""The suite that every `Store` passes: signs of life, runs whose processes are gone, and what runs print."""

import pytest

from slipstream.clock import now_ms
from slipstream.entities import RunStatus, RunTag
from slipstream.entities.liveness import (
    END_BY_TAG,
    END_LINES_TAG,
    END_REASON_TAG,
    ConsoleChunk,
    LostRun,
)
from slipstream.errors import InvalidParameterError, NotFoundError
from slipstream.store.base import Store


def lost(run_id: str, status: str = "FAILED", **tags: str) -> LostRun:
    return LostRun(run_id=run_id, status=status, end_time=5, tags={END_REASON_TAG: "gone", **tags})


class LivenessContract:
    def test_signs_of_life_are_taken_also_of_runs_that_are_not_there(self, store: Store) -> None:
        run_id = store.create_run("0").info.run_id

        store.beat([run_id, "f" * 32])

        assert store.get_run(run_id).info.status == RunStatus.RUNNING

    def test_the_last_sign_of_life_is_known(self, store: Store) -> None:
        run_id, silent = (store.create_run("0").info.run_id for _ in range(2))
        before = now_ms()

        store.beat([run_id])

        beat = store.find_beat(run_id)
        assert beat is not None
        assert before <= beat <= now_ms()
        assert store.find_beat(silent) is None
        with pytest.raises(NotFoundError):
            store.find_beat("e" * 32)

    def test_a_lost_run_ends_with_its_reason(self, store: Store) -> None:
        run_id = store.create_run("0").info.run_id

        assert store.report_lost(lost(run_id, "KILLED", **{"my.tag": "no"}))

        run = store.get_run(run_id)
        assert (run.info.status, run.info.end_time) == (RunStatus.KILLED, 5)
        assert run.data.tags[END_REASON_TAG] == "gone"
        assert "my.tag" not in run.data.tags

    def test_a_run_that_its_program_ended_is_not_lost(self, store: Store) -> None:
        run_id = store.create_run("0").info.run_id
        store.update_run(run_id, "FINISHED", 7)

        assert not store.report_lost(lost(run_id))

        run = store.get_run(run_id)
        assert (run.info.status, run.info.end_time) == (RunStatus.FINISHED, 7)
        assert END_REASON_TAG not in run.data.tags

    def test_who_was_beside_it_knows_better_than_the_server(self, store: Store) -> None:
        run_id = store.create_run("0").info.run_id
        store.report_lost(lost(run_id, **{END_BY_TAG: "server"}))

        assert store.report_lost(lost(run_id, "KILLED", **{END_BY_TAG: "watcher"}))
        assert not store.report_lost(lost(run_id, **{END_BY_TAG: "server"}))

        run = store.get_run(run_id)
        assert (run.info.status, run.data.tags[END_BY_TAG]) == (RunStatus.KILLED, "watcher")

    def test_an_end_by_its_own_program_wins(self, store: Store) -> None:
        run_id = store.create_run("0").info.run_id
        store.report_lost(lost(run_id))

        store.update_run(run_id, "FINISHED", 9)

        run = store.get_run(run_id)
        assert (run.info.status, run.info.end_time) == (RunStatus.FINISHED, 9)
        assert END_REASON_TAG not in run.data.tags

    def test_a_reason_that_its_own_program_gave_stays(self, store: Store) -> None:
        run_id = store.create_run("0").info.run_id
        store.beat([run_id])
        store.log_batch(run_id, tags=[RunTag(END_REASON_TAG, "ValueError: no")])

        store.update_run(run_id, "FAILED", 9)

        assert store.get_run(run_id).data.tags[END_REASON_TAG] == "ValueError: no"

    def test_the_last_lines_are_of_what_it_printed(self, store: Store) -> None:
        run_id = store.create_run("0").info.run_id
        text = "first\n" + "bar 1%\rbar 2%\n" + "last"
        store.append_console(run_id, [ConsoleChunk(first=0, next=len(text), text=text)])

        store.report_lost(lost(run_id))

        assert store.get_run(run_id).data.tags[END_LINES_TAG] == "first\nbar 2%\nlast"

    @pytest.mark.parametrize("status", ["FINISHED", "RUNNING", "x"])
    def test_a_lost_run_has_failed_or_was_killed(self, store: Store, status: str) -> None:
        run_id = store.create_run("0").info.run_id

        with pytest.raises(InvalidParameterError, match="use FAILED or KILLED"):
            store.report_lost(lost(run_id, status))

    def test_a_run_that_is_not_there_cannot_be_lost(self, store: Store) -> None:
        with pytest.raises(NotFoundError):
            store.report_lost(lost("e" * 32))

    def test_what_a_run_prints_is_kept_once_and_in_order(self, store: Store) -> None:
        run_id = store.create_run("0").info.run_id
        first, second = (
            ConsoleChunk(first=0, next=3, text="abc"),
            ConsoleChunk(first=3, next=5, text="d\0"),
        )

        store.append_console(run_id, [second, first])
        store.append_console(run_id, [first, second])

        assert [each.text for each in store.find_console(run_id)] == ["abc", "d\ufffd"]
        assert [each.first for each in store.find_console(run_id, 3)] == [3]
        assert store.find_console(run_id, 5) == []
        store.end_console(run_id)
        assert store.find_console(run_id) == []

    def test_only_the_latest_of_what_a_run_prints_is_kept(self, store: Store) -> None:
        run_id = store.create_run("0").info.run_id
        size = 60_000
        for number in range(8):
            chunk = ConsoleChunk(first=number * size, next=(number + 1) * size, text=str(number) * size)
            store.append_console(run_id, [chunk])

        kept = store.find_console(run_id)

        assert sum(each.next - each.first for each in kept) <= 256 * 1024 + size
        assert kept[-1].next == 8 * size
        assert kept[0].first > 0

    @pytest.mark.parametrize(("first", "next_"), [(-1, 2), (3, 3), (0, 10**6)])
    def test_chunks_that_are_none_are_refused(self, store: Store, first: int, next_: int) -> None:
        run_id = store.create_run("0").info.run_id

        with pytest.raises(InvalidParameterError, match="numbered from 0"):
            store.append_console(run_id, [ConsoleChunk(first=first, next=next_, text="x")])
