"""Students that do not depend on how a set was distilled, shared by the runs that differ in nothing else.

Controls and the loop's start are the same at every regularisation weight and number of steps, and so are, on a CPU to
the last bit, the students trained on them. A folder of the cache holds those of one log, budget and seed: the ranks of
a student (<row>-<k>.safetensors, as `foster.results` keeps them), what a run stores of its weights (<row>-<k>.model).
"""

from __future__ import annotations

import shutil
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from foster.evaluate import Part
from foster.recommend import model_file
from foster.results import Measured
from foster.run_files import replace_file
from foster.runs import RunWriter

SHARED = ("untrained", "random", "teacher_random", "teacher_uniform", "start_soft")


class Controls:
    """Those that a run may take. folder: where they are kept, named by all that decides them; None to share nothing."""

    def __init__(self, run: RunWriter, folder: Path | None) -> None:
        self.run, self.folder = run, folder
        if folder is not None:
            run.uses(folder)

    def find(self, row: str, k: int, parts: tuple[Part, ...], stored: bool) -> Measured | None:
        """The ranks of student k, as an earlier run found them; its weights are put among this run's where they are
        `stored`. None where no run kept all of it, or what is kept cannot be read."""
        if self.folder is None or row not in SHARED:
            return None
        ranks, model = self._files(self.folder, row, k)
        if not ranks.is_file() or (stored and not model.is_file()):
            return None
        try:
            found = load_file(ranks)
            if stored:
                load_file(model)
        except (OSError, SafetensorError):
            return None
        if not set(parts) <= set(found):
            return None
        if stored:
            replace_file(model_file(self.run.folder, row), lambda path: shutil.copyfile(model, path))
        return {part: found[part] for part in parts}

    def keep(self, row: str, k: int, measured: Measured, stored: bool) -> None:
        """For the runs to come, in the place of what could not be taken."""
        if self.folder is None or row not in SHARED:
            return
        ranks, model = self._files(self.folder, row, k)
        if stored:
            replace_file(model, lambda path: shutil.copyfile(model_file(self.run.folder, row), path))
        replace_file(ranks, lambda path: save_file({str(part): each for part, each in measured.items()}, path))

    def _files(self, folder: Path, row: str, k: int) -> tuple[Path, Path]:
        return folder / f"{row}-{k}.safetensors", folder / f"{row}-{k}.model"
