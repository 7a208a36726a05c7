"""What visitors may do, as a value: what is allowed, what is refused and in which words."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from foster.errors import UserError
from foster.policy import FULL, OPEN, TOYS, Policy, Toy, current, visiting
from foster.spec import RunSpec

TOY = RunSpec(sequences=10, length=10, steps=40, students=1)


def test_without_words_everything_is_allowed() -> None:
    assert current({}) == current({"FOSTER_PUBLIC": "", "FOSTER_QUEUE_LIMIT": ""}) == OPEN == Policy()
    OPEN.require_edits()
    OPEN.require(RunSpec(data="/anywhere", sequences=500, encoder="org/model"))
    assert OPEN.sentence == ""
    assert OPEN.tell("cannot read /home/ada/runs/x") == "cannot read /home/ada/runs/x"


def test_visitors_launch_toys_only() -> None:
    policy = current({"FOSTER_PUBLIC": TOYS})
    policy.require(TOY)
    policy.require(replace(TOY, sequences=1, length=2, steps=0, regularisation=3.0, device="cpu"))
    with pytest.raises(UserError, match="visitors cannot change"):
        policy.require_edits()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sequences": 11}, "at most 10 sequences are allowed here, not 11"),
        ({"length": 11}, "at most 10 length"),
        ({"steps": 41}, "at most 40 distillation steps are allowed here, not 41"),
        ({"steps": None}, "as many as the rule gives"),
        ({"students": 2}, "at most 1 student"),
        ({"seed": 1}, "the seed is 0 here, not 1"),
        ({"report_test": True}, "test items are not reported"),
        ({"tuned_layers": 1}, "encoder does not learn"),
        ({"data": "/srv/log"}, "this data set cannot be used here"),
        ({"encoder": "org/huge"}, "this encoder cannot be used here"),
    ],
)
def test_what_is_no_toy_is_refused_with_the_limit(change: dict, said: str) -> None:
    policy = current({"FOSTER_PUBLIC": TOYS, "FOSTER_DATA": "/srv/log", "FOSTER_ENCODERS": "org/huge"})
    with pytest.raises(UserError, match=said):
        policy.require(replace(TOY, **change))


def test_a_class_launches_any_size_on_what_the_server_offers() -> None:
    lists = {"FOSTER_DATA": os.pathsep.join(["/srv/films", "/srv/books"]), "FOSTER_ENCODERS": "org/model"}
    policy = current({"FOSTER_PUBLIC": FULL, "FOSTER_QUEUE_LIMIT": "30", **lists})
    assert policy.queue == 30
    policy.require(RunSpec(data="/srv/books", sequences=100, length=50, encoder="org/model", students=5, seed=3))
    for spec in (RunSpec(data="/etc"), RunSpec(encoder="org/other")):
        with pytest.raises(UserError, match="cannot be used here"):
            policy.require(spec)
    with pytest.raises(UserError):
        policy.require_edits()


@pytest.mark.parametrize(
    "words", [{"FOSTER_PUBLIC": "1"}, {"FOSTER_PUBLIC": "Toys"}, {"FOSTER_PUBLIC": TOYS, "FOSTER_QUEUE_LIMIT": "-1"}]
)
def test_unknown_words_close_the_doors(words: dict[str, str]) -> None:
    with pytest.raises(UserError, match="give"):
        current(words)


@pytest.mark.parametrize("queue", [0, 1001])
def test_a_queue_has_room_for_somebody(queue: int) -> None:
    with pytest.raises(UserError, match="from 1 to 1000"):
        visiting(False, queue)


def test_nobody_may_ask_for_more_at_once_than_the_queue_takes() -> None:
    assert (visiting(False, 1).each, visiting(True, 3).each) == (1, 3)


def test_the_rules_are_told_in_one_sentence_with_their_limits() -> None:
    assert "small runs on the sample, 2 at a time" in visiting(False, 10).sentence
    assert "deleted after a day" in visiting(False, 10).sentence
    assert "runs of your own, 4 at a time" in visiting(True, 10).sentence
    assert "deleted after 7 days" in visiting(True, 10).sentence


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cannot read /home/ada/runs/2026-x/status.json: it is damaged", "cannot read …/status.json: it is damaged"),
        ("there is no run a in /home/ada/runs; look", "there is no run a in …/runs; look"),
        ("'/srv/a b/log' and ~/x/y", "'…/log' and …/y"),
        ("3 sequences/s, 1/2 or and/or", "3 sequences/s, 1/2 or and/or"),
        ("see https://foster.example/help/me", "see https://foster.example/help/me"),
    ],
)
def test_folders_of_the_server_are_not_told(text: str, told: str) -> None:
    assert visiting(False, 10).tell(text) == told


def test_the_largest_toy_is_one() -> None:
    assert Toy().refusal(TOY) == ""
