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

import foster.experts
import foster.pipeline
from foster.artefact import load
from foster.distiller import DistillConfig, Distiller
from foster.encoder import TextEncoder, public_features
from foster.errors import UserError
from foster.evaluate import model_scorer
from foster.experts import TEXT_RATE
from foster.formats import load_dataset
from foster.label_basis import LabelBasis
from foster.pipeline import execute
from foster.recommend import item_features, load_model, model_file, save_model
from foster.recommender import RecommenderConfig, SequentialRecommender, build_recommender, fresh_recommender
from foster.runs import RunStore, RunWriter
from foster.spec import RunSpec
from foster.students import every_step, train_student
from foster.synthetic import SyntheticSequences
from foster.training import Recipe, Trainer, next_item_loss
from foster.trajectory import ExpertConfig, ExpertTrajectory, train_expert
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
    store = token_states(encoder, TEXTS, count, embeddings, cache, CPU)
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


def test_a_step_in_parts_moves_learning_layers_as_the_whole_one(texts: TunableTexts) -> None:
    batch = cycle_windows().draw(4, Generator().manual_seed(3)).on_subset(N_ITEMS, 4, Generator().manual_seed(4))
    trainers = [Trainer(fresh(texts), texts, RECIPE, Generator().manual_seed(6)) for _ in range(2)]
    losses = [trainer.step(batch, parts) for trainer, parts in zip(trainers, (1, 2), strict=True)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    gradients = [[each.grad for each in trainer.model.parameters()] for trainer in trainers]
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-6)


def test_layers_alone_learn_what_comes_next(texts: TunableTexts) -> None:
    batch, losses = cycle_windows().draw(40, Generator().manual_seed(5)), {}
    for rate in (None, 1e-2):  # nothing but the encoder may move
        recipe = replace(RECIPE, learning_rate=0.0, matrix_rate=None, text_rate=rate)
        trainer = Trainer(fresh(texts), texts, recipe, Generator().manual_seed(6))
        losses[rate] = [trainer.step(batch) for _ in range(60)]
    assert losses[None][-1] == pytest.approx(losses[None][0])
    assert losses[1e-2][-1] < 0.8 * losses[1e-2][0]


def loop(texts: TunableTexts) -> Distiller:
    """On a subset, so that a view holds more than U."""
    draw = Generator().manual_seed(8)
    items, queries = torch.randint(N_ITEMS, (4, 5), generator=draw), torch.randn(4, 5, 3, generator=draw)
    start = SyntheticSequences(2, items, queries, LabelBasis.linear(torch.randn(3, WIDTH, generator=draw), 3))
    config = DistillConfig(steps=4, save_every=2, paths=2, student_steps=2, real_batch=2, subset=4)
    recipe = replace(RECIPE, steps=8, batch_size=2)
    expert = build_recommender(WIDTH, SHAPE, Generator().manual_seed(9))
    return Distiller(start, texts, cycle_windows(), SHAPE, recipe, config, 10, [expert])


def _moved(model: SequentialRecommender) -> SequentialRecommender:
    """Its encoder and its projection, each by a little."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.05 * torch.randn(weight.shape, generator=Generator().manual_seed(weight.numel())))
    return model


def test_what_is_only_read_is_encoded_by_the_model_that_the_step_began_with(texts: TunableTexts) -> None:
    distiller, draw, model = loop(texts), Generator().manual_seed(11), fresh(texts)
    real = [cycle_windows().draw(2, draw) for _ in range(3)]
    view, rows = distiller._view(real, draw), torch.tensor([1, 3])
    kept = view.read_by(model)
    assert torch.allclose(kept.table(model), view.table(model), atol=1e-5)
    assert torch.allclose(kept.scores(model, rows), view.scores(model, rows), atol=1e-4)
    before = model.text(view.texts)
    _moved(model)
    size = len(view.subset.items)
    assert torch.allclose(kept.table(model)[:size], view.table(model)[:size], atol=1e-5)
    assert torch.allclose(kept.table(model)[size:], model.placed(before[size:]), atol=1e-5)
    assert not torch.allclose(kept.table(model)[size:], view.table(model)[size:], atol=1e-3)


def test_where_all_items_are_scored_none_is_only_read(texts: TunableTexts) -> None:
    distiller, model = loop(texts), fresh(texts)
    distiller.config = replace(distiller.config, subset=N_ITEMS)
    view = distiller._view([], Generator().manual_seed(11))
    assert torch.allclose(view.read_by(model).table(model), model.item_table(texts), atol=1e-5)


def test_a_step_of_the_loop_encodes_what_is_only_read_once(
    texts: TunableTexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    distiller = loop(texts)
    distiller.begin(lambda: None)
    sizes: list[tuple[int, bool]] = []
    encode = Learning.forward

    def counted(self: Learning, some: TunableTexts) -> Tensor:
        sizes.append((len(some), torch.is_grad_enabled()))
        return encode(self, some)

    monkeypatch.setattr(Learning, "forward", counted)
    next(distiller.run())
    scored = 4
    beyond = [size for size, _ in sizes if size != scored]
    assert len(beyond) == 1
    learned = [grad for size, grad in sizes if size == scored]
    assert sorted(learned) == [False] * 2 + [True] * 2 * distiller.config.student_steps


def test_a_loop_goes_on_bit_equal_with_layers_that_learn(texts: TunableTexts) -> None:
    through, stopped, resumed = (loop(texts) for _ in range(3))
    steps = list(through.run())
    before = stopped.run()
    assert [next(before), next(before)] == steps[:2]
    resumed.restore(stopped.state())
    assert list(resumed.run()) == steps[2:]
    assert torch.equal(resumed.queries, through.queries)
    assert {type(path.model.text) for path in resumed.paths} == {Learning}


def test_an_expert_goes_on_bit_equal_with_layers_that_learn(texts: TunableTexts, tmp_path: Path) -> None:
    training, found = ExpertConfig(batch_size=8, patience=1, check_every=4, text_rate=1e-3), []
    for name in ("through", "cut"):
        scores = iter([1.0, 2.0, 3.0, 0.0])

        def training_of(name: str = name, scores: Iterator[float] = scores) -> Iterator[object]:
            return train_expert(tmp_path / name, SHAPE, training, texts, cycle_windows(), lambda _: next(scores), 3)

        if name == "cut":
            next(training_of())
        list(training_of())
        expert = ExpertTrajectory.open(tmp_path / name, SHAPE, texts)
        assert expert is not None
        model = expert.load(expert.best, CPU)
        assert isinstance(model.text, Settled)
        found.append(model.text.found)
    assert torch.equal(*found)
    assert not torch.allclose(found[0], public(texts), atol=5e-3)


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
    with pytest.raises(UserError, match="no stored student"):
        load_model(path, WIDTH, N_ITEMS + 1)


def test_what_frozen_layers_say_is_computed_once(
    encoder: TextEncoder, embeddings: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    first = token_states(encoder, TEXTS, 2, embeddings, tmp_path, CPU, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (N_ITEMS, N_ITEMS)
    monkeypatch.setattr(TextEncoder, "tokens", None)  # would fail if it were called again
    second = token_states(encoder, TEXTS, 2, embeddings, tmp_path, CPU)
    assert torch.equal(first.states, second.states)
    assert [file.name for file in tmp_path.rglob("*.*")] == [states_file(encoder, TEXTS, 2, tmp_path).name]
    assert states_file(encoder, TEXTS, 1, tmp_path) != states_file(encoder, TEXTS, 2, tmp_path)


@pytest.mark.parametrize(
    "tensors", [{"lengths": torch.ones(3)}, {"states": torch.ones(2, WIDTH), "lengths": torch.ones(2)}]
)
def test_a_damaged_file_of_states_is_told(
    encoder: TextEncoder, embeddings: Tensor, tmp_path: Path, tensors: dict[str, Tensor]
) -> None:
    file = states_file(encoder, TEXTS, 1, tmp_path)
    file.parent.mkdir(parents=True)
    save_file(tensors, file)
    with pytest.raises(UserError, match="delete it and run again"):
        texts_of(encoder, embeddings, tmp_path)


def test_an_encoder_whose_layers_ask_for_something_else_is_refused(embeddings: Tensor, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, MPNetConfig, MPNetModel

    tiny_encoder(tmp_path / "bert")
    tokenizer, folder = AutoTokenizer.from_pretrained(tmp_path / "bert"), tmp_path / "mpnet"
    shape = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    MPNetModel(MPNetConfig(vocab_size=60, **shape)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    other = TextEncoder.named(str(folder))
    with pytest.raises(UserError, match="BERT-like"):
        texts_of(other, embeddings, tmp_path)


def test_an_encoder_stored_in_half_precision_is_tuned_in_single(encoder: TextEncoder, tmp_path: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    folder = tmp_path / "half"
    AutoModel.from_pretrained(encoder.source).half().save_pretrained(folder)
    AutoTokenizer.from_pretrained(encoder.source).save_pretrained(folder)
    half = TextEncoder.named(str(folder))
    texts = texts_of(half, half.encode(TEXTS, CPU), tmp_path)
    assert {weight.dtype for weight in Learning(texts.store).parameters()} == {torch.float32}


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
    monkeypatch.setattr(foster.experts, "ExpertConfig", lambda **given: ExpertConfig(**short, **given))
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
    features = item_features(load_dataset(str(data)), spec.encoder, store.cache)
    _, recipe = load(run.path / foster.pipeline.SOFT_FILE, features)
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
