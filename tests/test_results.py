"""The tables of figures say what the files of figures say, and those name no machine."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


def _tables(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("tables", folder / "results" / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "results", tmp_path / "results")
    shutil.copy(ROOT / "README.md", tmp_path)
    return tmp_path


def test_every_table_is_drawn_from_its_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert _tables(ROOT).main(["--check"]) == 0, capsys.readouterr().out


def test_a_figure_that_changes_is_noticed_and_drawn_anew(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = copy / "results" / "run-amazon_scientific.json"
    report = json.loads(file.read_text())
    report["test"]["hard"]["recall@10"]["mean"] = 0.5 * report["test"]["full"]["recall@10"]["mean"]
    file.write_text(json.dumps(report))
    tables = _tables(copy)
    assert tables.main(["--check"]) == 1
    assert "out of date: README.md, results/README.md" in capsys.readouterr().out
    assert tables.main([]) == 0
    assert tables.main(["--check"]) == 0
    assert re.search(r"Scientific, 20 × 20 .*\*\*50 ± \d\*\* \|\n", (copy / "README.md").read_text())
    assert "50.0 of 50: reached" in (copy / "results" / "README.md").read_text()


def test_a_bar_below_its_aim_is_called_not_reached(copy: Path) -> None:
    file = copy / "results" / "run-yelp.json"
    report = json.loads(file.read_text())
    report["test"]["soft"]["recall@10"]["mean"] = 0.9 * report["test"]["full"]["recall@10"]["mean"]
    file.write_text(json.dumps(report))
    assert "| Yelp | 90.0 of 98: **not reached** |" in _tables(copy).bars()


def test_the_files_name_no_folder_of_a_machine_and_are_listed() -> None:
    files = sorted((ROOT / "results").glob("*.json"))
    assert files
    for file in files:
        assert not re.search(r'/(home|root|tmp|work|Users|mnt|shared)/|"[/~]|[A-Z]:\\', file.read_text()), file.name
    listed = {each["file"] for each in json.loads((ROOT / "results" / "made.json").read_text())}
    assert listed == {file.name for file in files} - {"made.json"}
