"""Layers of the text encoder that learn: they begin as what is public, read a subset alone, and end as a table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from cycle_world import N_ITEMS, cycle_folder, cycle_windows
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny_encoder import LAYERS, WIDTH, tiny_encoder
from torch import Generator, Tensor

import foster.pipeline
from foster.encoder import TextEncoder, public_features
from foster.errors import UserError
from foster.evaluate import model_scorer
from foster.pipeline import TEXT_RATE, execute
from foster.recommend import load_model, model_file, save_model
from foster.recommender import RecommenderConfig, SequentialRecommender, fresh_recommender
from foster.runs import RunStore, RunWriter
from foster.spec import RunSpec
from foster.students import every_step, train_student
from foster.synthetic import SyntheticSequences
from foster.training import Recipe, Trainer, next_item_loss
from foster.trajectory import ExpertConfig
from foster.tuning import Learning, Settled, TunableTexts, public, states_file, token_states

CPU = torch.device("cpu")
TEXTS = [f"book {i}" if i % 3 else f"the long book of {i} {i + 1} {i + 2}" for i in range(N_ITEMS)]
SHAPE = RecommenderConfig(width=8, layers=1, max_length=6, dropout=0.0)
RECIPE = Recipe(steps=4, learning_rate=1e-2, matrix_rate=0.02, warmup=0, decay="constant", text_rate=1e-2)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    return tiny_encoder(tmp_path_factory.mktemp("encoders") / "tiny")


@pytest.fixture(scope="module")
def embeddings(encoder: TextEncoder) -> Tensor:
    return encoder.encode(TEXTS, CPU)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def texts_of(encoder: TextEncoder, embeddings: Tensor, cache: Path, count: int = 1) -> TunableTexts:
    store = token_states(encoder, TEXTS, count, embeddings.mean(0), cache, CPU)
    return TunableTexts.of(public_features(embeddings), store)


@pytest.fixture
def texts(encoder: TextEncoder, embeddings: Tensor, cache: Path) -> TunableTexts:
    return texts_of(encoder, embeddings, cache)


def fresh(texts: TunableTexts) -> SequentialRecommender:
    return fresh_recommender(texts, SHAPE, Generator().manual_seed(0))


@pytest.mark.parametrize("count", range(1, LAYERS + 1))
def test_untouched_layers_say_what_is_public(encoder: TextEncoder, embeddings: Tensor, cache: Path, count: int) -> None:
    texts = texts_of(encoder, embeddings, cache, count)
    learning = Learning(texts.store)
    assert torch.allclose(learning(texts), public(texts), atol=5e-3)  # states are stored in half precision
    with torch.no_grad():
        assert torch.allclose(learning(texts), public(texts), atol=5e-3)
    assert public(texts).std(0).min() > 0.05  # they tell items apart


def test_a_subset_is_read_as_the_whole_is_in_any_order(texts: TunableTexts) -> None:
    learning, rows = Learning(texts.store), torch.tensor([7, 3, 3, 20])
    some = texts[rows]
    assert len(some) == 4
    assert some.shape == (4, WIDTH)
    assert torch.equal(some[torch.tensor([1, 3])].ids, torch.tensor([3, 20]))
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            assert torch.allclose(learning(some), learning(texts)[rows], atol=1e-5)


def test_a_step_moves_the_last_layers_at_their_own_rate_and_nothing_that_is_public(texts: TunableTexts) -> None:
    states, pretrained = texts.store.states.clone(), [w.clone() for w in texts.store.layers.parameters()]
    batch = cycle_windows().draw(8, Generator().manual_seed(1))
    moved = {}
    for rate in (None, 1e-4, 1e-3):
        model = fresh(texts)
        Trainer(model, texts, replace(RECIPE, text_rate=rate), Generator().manual_seed(2)).step(batch)
        assert isinstance(model.text, Learning)
        pairs = zip(model.text.parameters(), pretrained, strict=True)
        moved[rate] = max(float((now - before).detach().abs().max()) for now, before in pairs)
    assert moved[None] == 0
    assert moved[1e-4] == pytest.approx(1e-4, rel=0.05)  # Adam's first step is as long as its rate
    assert moved[1e-3] == pytest.approx(1e-3, rel=0.05)
    assert torch.equal(texts.store.states, states)
    assert all(torch.equal(a, b) for a, b in zip(texts.store.layers.parameters(), pretrained, strict=True))


def test_only_texts_of_the_subset_and_of_the_inputs_are_encoded(
    texts: TunableTexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Tensor] = []

    def padded(self: TunableTexts) -> tuple[Tensor, Tensor]:
        read.append(self.ids)
        return original(self)

    original = TunableTexts.padded
    monkeypatch.setattr(TunableTexts, "padded", padded)
    batch = cycle_windows().draw(1, Generator().manual_seed(3)).on_subset(N_ITEMS, 4, Generator().manual_seed(4))
    assert batch.scored is not None
    next_item_loss(fresh(texts), texts, batch).backward()
    (ids,) = read
    asked = {*batch.scored.items.tolist(), *batch.items[batch.weights > 0].tolist()}
    assert asked <= set(ids.tolist()) <= asked | {0}  # padding reads row 0
    assert len(ids) < N_ITEMS


def test_layers_alone_learn_what_comes_next(texts: TunableTexts) -> None:
    batch, losses = cycle_windows().draw(40, Generator().manual_seed(5)), {}
    for rate in (None, 1e-2):  # nothing but the encoder may move
        recipe = replace(RECIPE, learning_rate=0.0, matrix_rate=None, text_rate=rate)
        trainer = Trainer(fresh(texts), texts, recipe, Generator().manual_seed(6))
        losses[rate] = [trainer.step(batch) for _ in range(60)]
    assert losses[None][-1] == pytest.approx(losses[None][0])
    assert losses[1e-2][-1] < 0.8 * losses[1e-2][0]


def test_a_trained_student_is_settled_stored_and_read_back(texts: TunableTexts, tmp_path: Path) -> None:
    batch = cycle_windows().draw(8, Generator().manual_seed(1))
    student = train_student(every_step(batch), texts, SHAPE, RECIPE, seed=1)
    assert isinstance(student.text, Settled)
    assert not torch.allclose(student.text.found, public(texts), atol=0.02)  # it has learned
    by_texts, by_features = (
        model_scorer(student, each)([torch.tensor([4, 5]).numpy()]) for each in (texts, public(texts))
    )
    assert (by_texts == by_features).all()  # pages know the public features alone
    path = tmp_path / "models" / "soft.safetensors"
    save_model(path, student)
    found = load_model(path, WIDTH)
    assert isinstance(found.text, Settled)
    assert torch.allclose(found.text.found, student.text.found, atol=0.01)
    with pytest.raises(ValueError, match="catalogue of 24"):
        found.item_table(public(texts)[:5])


def test_what_frozen_layers_say_is_computed_once(
    encoder: TextEncoder, embeddings: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    mean = embeddings.mean(0)
    first = token_states(encoder, TEXTS, 2, mean, tmp_path, CPU, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (N_ITEMS, N_ITEMS)
    monkeypatch.setattr(TextEncoder, "tokens", None)  # would fail if it were called again
    second = token_states(encoder, TEXTS, 2, mean, tmp_path, CPU)
    assert torch.equal(first.states, second.states)
    assert [file.name for file in tmp_path.rglob("*.*")] == [states_file(encoder, TEXTS, 2, tmp_path).name]
    assert states_file(encoder, TEXTS, 1, tmp_path) != states_file(encoder, TEXTS, 2, tmp_path)


@pytest.mark.parametrize("count", [LAYERS + 1, 0])
def test_more_layers_than_there_are_cannot_be_tuned(
    encoder: TextEncoder, embeddings: Tensor, tmp_path: Path, count: int
) -> None:
    with pytest.raises(UserError, match="has 3; tune 0 to 3"):
        texts_of(encoder, embeddings, tmp_path, count)


def test_an_encoder_of_another_form_is_refused(
    encoder: TextEncoder, embeddings: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TextEncoder, "load", lambda *_: (None, torch.nn.Linear(2, 2)))
    with pytest.raises(UserError, match="BERT-like"):
        texts_of(encoder, embeddings, tmp_path)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = cycle_folder(tmp_path / "cycle")
    (folder / "embeddings.safetensors").unlink()
    monkeypatch.setattr(foster.pipeline, "SOFT_RECIPE", Recipe(steps=6))
    monkeypatch.setattr(foster.pipeline, "HARD_RECIPE", Recipe(steps=6))
    short = {"patience": 1, "check_every": 8, "batch_size": 16}
    monkeypatch.setattr(foster.pipeline, "ExpertConfig", lambda **given: ExpertConfig(**short, **given))
    yield folder
    torch.use_deterministic_algorithms(False)


def test_a_whole_run_tunes_every_recommender(data: Path, encoder: TextEncoder, tmp_path: Path) -> None:
    store, reports = RunStore(tmp_path / "runs"), []
    spec = RunSpec(
        data=str(data), encoder=encoder.source, sequences=2, length=4, steps=2, students=1, tuned_layers=2, device="cpu"
    )
    for _ in range(2):
        run = store.create(spec)
        with RunWriter(run.path) as writer:
            reports.append(execute(spec, writer, store.cache))
    assert reports[0]["valid"] == reports[1]["valid"]  # the second with what the first left in the cache
    for name in ("full", "soft", "hard", "random", "untrained"):
        model = load_model(model_file(run.path, name), WIDTH)
        assert isinstance(model.text, Settled), name
    _, recipe = SyntheticSequences.load(run.path / foster.pipeline.SOFT_FILE)
    assert recipe.text_rate == TEXT_RATE
    used = json.loads((run.path / "cache.json").read_text())["uses"]
    assert sum("tokens-2" in name for name in used) == 1
    assert len(list((store.cache / "trajectories").iterdir())) == 1
    plain = store.create(replace(spec, tuned_layers=0))
    with RunWriter(plain.path) as writer:
        execute(plain.spec, writer, store.cache)
    assert len(list((store.cache / "trajectories").iterdir())) == 2  # an expert of its own
    assert load_model(model_file(plain.path, "soft"), WIDTH).text is None


def test_a_damaged_table_of_what_was_learned_is_refused(texts: TunableTexts, tmp_path: Path) -> None:
    student = train_student(None, texts, SHAPE, RECIPE, seed=1)
    path = tmp_path / "soft.safetensors"
    save_model(path, student)
    with safe_open(path, "pt") as file:
        header = file.metadata()
    tensors = load_file(path)
    tensors["text.found.scale"][0] = float("inf")
    save_file(tensors, path, header)
    with pytest.raises(UserError, match="no stored student"):
        load_model(path, WIDTH)
