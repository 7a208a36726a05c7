"""The program as a whole: help, imports, pipes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli_tools import Foster, start
from fake_foster import environment

from foster.launch import COMMAND as REAL_COMMAND
from foster.runs import RunStore
from foster.spec import RunSpec


def test_help_names_every_public_command_and_hides_the_others(foster: Foster) -> None:
    code, out, _ = foster("--help", root=False)
    assert code == 0
    assert all(f"\n    {name} " in out for name in ("app", "run", "runs", "show", "stop", "pause", "step", "resume"))
    assert "_work" not in out
    assert "_drain" not in out
    assert foster("run", "--help", root=False)[0] == 0


@pytest.mark.parametrize("argv", [[], ["fly"], ["--fly"]])
def test_unknown_commands_are_one_line(foster: Foster, argv: list[str]) -> None:
    code, out, err = foster(*argv, root=False)
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_listing_runs_imports_no_heavy_library(store: RunStore) -> None:
    store.create(RunSpec())
    code = (
        "import sys; from foster.__main__ import main; code = main(['runs', '--runs', sys.argv[1]]);"
        "heavy = {'torch', 'streamlit', 'pandas', 'numpy', 'transformers', 'umap', 'plotly'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else code)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(store.root)], env=environment(), capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_foster_starts_as_a_module_from_any_folder(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('the folder lent a module')")
    result = subprocess.run(
        [*REAL_COMMAND, "runs", "--runs", "nowhere"], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_a_closed_pipe_is_quiet(store: RunStore) -> None:
    for _ in range(3):
        store.create(RunSpec())
    process = start("runs", "--runs", str(store.root))
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(20) == 0
    assert process.stderr.read() == ""
    process.stderr.close()
