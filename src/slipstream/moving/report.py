"""What an import did: what was taken, what was there, what was not taken and why."""

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from slipstream.errors import InvalidParameterError


class Problem(msgspec.Struct, frozen=True):
    """One thing, or a part of it, that was not taken."""

    kind: str
    name: str
    reason: str


class LeftOut(msgspec.Struct, frozen=True):
    """Things of a kind that has no place in slipstream."""

    kind: str
    count: int
    reason: str


class Mapping(msgspec.Struct, frozen=True):
    """An experiment that has another id here."""

    name: str
    there: str
    here: str


class Report(msgspec.Struct, kw_only=True):
    source: str = ""
    target: str = ""
    verb: str = "taken"
    dry_run: bool = False
    finished: bool = False
    """False while it runs, and in the report of one that broke off."""
    taken: Counter[str] = msgspec.field(default_factory=Counter[str])
    there_already: Counter[str] = msgspec.field(default_factory=Counter[str])
    left_out: list[LeftOut] = []
    problems: list[Problem] = []
    differences: list[Problem] = []
    """What is here and there, but not alike; it stayed as it is here."""
    experiment_ids: list[Mapping] = []
    deleted_versions: int = 0
    """Of model versions that were deleted there, only the numbers are kept."""
    notes: list[str] = []

    def fail(self, kind: str, name: str, reason: object) -> None:
        """Note that something could not be taken."""
        self.problems.append(Problem(kind, _printable(name), _one_line(str(reason))))

    def differ(self, kind: str, name: str, what: object) -> None:
        """Note that something is otherwise here, and stayed so."""
        self.differences.append(Problem(kind, _printable(name), _one_line(str(what))))

    def leave(self, kind: str, count: int, reason: str) -> None:
        """Note things of a kind that has no place here."""
        if count:
            self.left_out.append(LeftOut(kind, count, reason))

    @property
    def changed(self) -> bool:
        """Whether anything was taken."""
        return bool(sum(self.taken.values()))

    def document(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return msgspec.to_builtins(self)

    def save(self, path: Path) -> None:
        text = msgspec.json.format(msgspec.json.encode(self), indent=2)
        try:
            path.write_bytes(text + b"\n")
        except OSError as error:
            raise InvalidParameterError(f"Cannot write the report {path}: {error.strerror}.") from error

    def lines(self, most: int = 20) -> list[str]:
        """Return it for people; of what failed or differs, at most so many lines each."""
        kinds = list(dict.fromkeys([*_KINDS, *self.taken, *self.there_already]))
        would = f"would be {self.verb}" if self.dry_run else self.verb
        lines = [f"From {self.source}", f"into {self.target}"]
        for kind in kinds:
            taken, there = self.taken[kind], self.there_already[kind]
            if taken or there:
                lines.append(f"  {kind}: {taken:,} {would}" + (f", {there:,} there already" if there else ""))
        if not self.changed:
            lines.append(
                "  Nothing is new: all of it was there already."
                if self.there_already
                else "  Nothing to take."
            )
        if self.experiment_ids:
            lines.append("Experiments that have another id here:")
            lines += [f"  '{each.name}': {each.there} is {each.here}" for each in self.experiment_ids[:most]]
            lines += _more(len(self.experiment_ids), most)
        if self.left_out:
            lines.append("Not taken, since slipstream has no place for it:")
            lines += [f"  {each.kind}: {each.count:,} ({each.reason})" for each in self.left_out]
        for title, problems in (
            ("Not taken, since it could not be read or kept:", self.problems),
            ("There already, but otherwise; left as it is here:", self.differences),
        ):
            if problems:
                lines.append(title)
                lines += [f"  {each.kind} {each.name}: {each.reason}" for each in problems[:most]]
                lines += _more(len(problems), most)
        lines += self.notes
        return lines


_KINDS = ("experiments", "runs", "params", "tags", "metric points", "dataset inputs", "logged models")


def _more(count: int, most: int) -> list[str]:
    return [f"  ... and {count - most:,} more; --report FILE lists all"] if count > most else []


def _one_line(text: str) -> str:
    return " ".join(_printable(text).split())


def _printable(text: str) -> str:
    """Return a text that can be written; names of files may hold bytes that are no letters."""
    return text.encode("utf-8", "replace").decode()
