"""The dataset card: front matter that reads back, numbers with their spread, and no markup from outside."""

from __future__ import annotations

import doctest
import importlib
import json
import re
from pathlib import Path

import pytest
from run_folders import HOSTILE, lay_run

from foster.export import files_of
from foster.exporters.card import markdown
from foster.exporters.finished import read_finished
from foster.exporters.telling import limits
from foster.run_label import RunLabel, write_label
from foster.runs import Run, RunStore

RUN = "20260921-1000-foster-sample-0001"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    lay_run(tmp_path)
    return RunStore(tmp_path, bundled=None).get(RUN)


def _card(run: Run) -> str:
    return files_of(read_finished(run))["README.md"].decode()


@pytest.mark.parametrize("name", ["card", "drawing", "recbole", "tables"])
def test_examples_in_the_docstrings_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"foster.exporters.{name}")).failed == 0


def test_the_front_matter_names_every_table_and_leaves_the_licence_to_the_owner(run: Run) -> None:
    front = _card(run).split("---\n")[1]
    assert "license: other\n" in front
    assert re.findall(r"config_name: (\S+)\n  data_files: (\S+)", front) == [
        (name, f"{name}.parquet") for name in ("sequences", "recommendations", "items", "nearness")
    ]
    assert front.count("default: true") == 1


def test_it_says_how_students_of_plain_sequences_are_asked(run: Run) -> None:
    file = run.path / "report.json"
    report = json.loads(file.read_text())
    assert "On plain sequences" not in _card(run), "an earlier version did not tell"
    gaps = {"steps": 240, "event_dropout": 0.3}
    file.write_text(json.dumps(report | {"hard_recipe": gaps}))
    assert "a share of 0.3 but never a sequence's first, read as blank" in _card(run)
    for told, said in (({"steps": 120}, False), ({"steps": 120, "popularity": 0.5}, True), ("broken", False)):
        file.write_text(json.dumps(report | {"hard_recipe": told}))
        card = _card(run)
        assert ("how often an item stands in them" in card) == said
        assert ("| On plain sequences | steps 120" in card) == isinstance(told, dict)


def test_one_student_has_no_spread(run: Run) -> None:
    file = run.path / "report.json"
    report = json.loads(file.read_text())
    report["valid"]["full"]["recall@10"] = {"mean": 0.151, "std": 0.0, "n": 1}
    file.write_text(json.dumps(report))
    assert "| Everything | 0.1510 (1) |" in _card(run)


def test_it_says_source_budget_recipe_metrics_bytes_nearness_and_limits(run: Run) -> None:
    card = _card(run)
    for said in (
        "Its log has 3,000 users, 40 items, 69,066 interactions",
        "licence of these files is left to the owner",
        "| Budget | 12 sequences × 8 positions |",
        "| Regularisation γ | 0.1 |",
        "| Seed | 0 |",
        "### On validation items",
        "| Distilled, soft | 0.1310 ± 0.0040 (3) | 0.0721 ± 0.0040 (3) | 87 % |",
        "| Everything | 0.1510 ± 0.0040 (3) |",
        "| soft | 81,920 |",
        "mean 22\u00a0%, median 22\u00a0%, largest 40\u00a0%",
        "## Known limits",
    ):
        assert said in card, said
    assert "### On test items" not in card


@pytest.mark.parametrize("name", [each for each in HOSTILE if len(each) <= 80])
def test_a_hostile_name_is_text_in_yaml_and_in_markdown(run: Run, name: str) -> None:
    write_label(run, RunLabel(name))
    card = _card(run)
    (line,) = re.findall("^pretty_name: (.*)$", card, re.MULTILINE)
    assert "\u202e" not in line
    assert json.loads(line) == " ".join(name.replace("\u202e", "").split())
    heading = next(line for line in card.splitlines() if line.startswith("# "))
    assert not re.search(r"(?<!\\)[<>`*\[\]$]", heading)


def test_markdown_is_escaped() -> None:
    assert markdown("a|b\n# c") == r"a\|b \# c"


def test_limits_are_told_from_the_numbers(run: Run) -> None:
    def said(**means: float) -> str:
        finished = read_finished(run)
        for name, mean in means.items():
            finished.report["valid"][name]["recall@10"]["mean"] = mean
        return " ".join(limits(finished))

    assert "reach 87\u00a0% of the full-data" in said()
    assert "bigram, which needs" not in said()
    assert "The hard form is no better" not in said()
    assert "bigram, which needs the whole log, has a higher Recall@10 (0.140)" in said(bigram=0.14)
    assert "The hard form is no better than: random real sequences." in said(random=0.095)
    assert "of the full-data model's" not in said(soft=0.2)
    finished = read_finished(run)
    finished.report["stored_bytes"] = {"soft": 3_000, "log": 2_000}
    finished.data["repeat_share"] = 0.31
    assert finished.nearness is not None
    finished.nearness.loc[:2, "overlap"] = 0.8
    told = " ".join(limits(finished))
    assert "The soft form (3.0 kB) is larger than the training log (2.0 kB)." in told
    assert "31\u00a0% of the test items" in told
    assert "3 have half or more of their items in common with one real user (the nearest 80\u00a0%)" in told
