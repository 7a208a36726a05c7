"""What a person calls a run and notes about it: label.json beside the run's other files, which it does not touch."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass

from foster.catalog import fold
from foster.errors import UserError
from foster.run_files import SCHEMA, read_json, write_json, writing
from foster.runs import Run

FILE = "label.json"
MAX_NAME, MAX_NOTE = 80, 2_000


@dataclass(frozen=True)
class RunLabel:
    """name: one line, '' for none; note: any text, '' for none. Both are untrusted plain text.

    Raises UserError for more characters than MAX_NAME and MAX_NOTE.
    """

    name: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", fold(self.name))
        object.__setattr__(self, "note", self.note.strip())
        for what, limit in (("name", MAX_NAME), ("note", MAX_NOTE)):
            if len(text := getattr(self, what)) > limit:
                raise UserError(f"the {what} has {len(text):,} characters; at most {limit:,} are kept, so shorten it")


def read_label(run: Run) -> RunLabel:
    """An empty label where there is none, or none that can be read: a name is no reason to hide a run."""
    path = run.path / FILE
    if path.exists():
        with suppress(UserError, TypeError, AttributeError):
            fields = read_json(path)
            return RunLabel(fields["name"], fields["note"]) if {"name", "note"} <= set(fields) else RunLabel()
    return RunLabel()


def write_label(run: Run, label: RunLabel) -> None:
    """In one step; an empty label takes the file away. Raises UserError for a run that is shipped with the sample."""
    run.require_own("rename")
    path = run.path / FILE
    if label == RunLabel():
        with writing(path):
            path.unlink(missing_ok=True)
    else:
        write_json(path, {"schema": SCHEMA, **asdict(label)})
