"""What a browser sends back is written to the address only where it names an option."""

from __future__ import annotations

import pytest
import streamlit as st

from foster.ui import address

RUNS = ["run-0001", "run-0002"]


@pytest.fixture
def params(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The address asks for the first run and for one beside it."""
    params = {"run": "run-0001", "beside": "run-0002", "step": "3"}
    monkeypatch.setattr(st, "query_params", params)
    return params


@pytest.mark.parametrize(
    ("sent", "run", "step"), [("run-0002", "run-0002", None), ("run-0001 · paused", "run-0001", "3")]
)
def test_a_label_that_has_changed_since_it_was_shown_chooses_nothing(
    sent: str, run: str, step: str | None, params: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(st, "session_state", {"url-run": sent})
    address._write_back("run", "url-run", None, ("step",), RUNS)
    assert (params["run"], params.get("step")) == (run, step)


def test_what_the_address_says_already_stays_even_where_it_is_the_default(
    params: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a browser's label is late once and right the next time: a change, but to what is shown."""
    monkeypatch.setattr(st, "session_state", {"url-run": "run-0001", "url-beside": ["run-0002"]})
    address._write_back("run", "url-run", "run-0001", ("step",), RUNS)
    address._write_list("beside", "url-beside", ["run-0002"], RUNS)
    assert params == {"run": "run-0001", "beside": "run-0002", "step": "3"}


@pytest.mark.parametrize(
    ("sent", "beside"), [(["run-0001"], "run-0001"), (["run-0002 · paused", "run-0001"], "run-0002"), ([], "-")]
)
def test_a_list_with_a_changed_label_stays_as_it_was(
    sent: list[str], beside: str, params: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(st, "session_state", {"url-beside": sent})
    address._write_list("beside", "url-beside", ["run-0003"], RUNS)
    assert params["beside"] == beside
