"""The text encoder and its cache. Nothing here reaches a network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import Tensor

import foster.encoder
from foster.encoder import (
    OFFLINE_PACKAGE,
    Progress,
    TextEncoder,
    item_embeddings,
    load_embeddings,
    public_features,
)
from foster.errors import UserError
from foster.spec import MINILM_LAYERS

CPU = torch.device("cpu")
TEXTS = ("A Wizard of Earthsea; genre: fantasy", "The Left Hand of Darkness; genre: science fiction", "Ulysses")


@dataclass(frozen=True)
class Counting(TextEncoder):
    """An encoder without a model: a text's embedding is made of its length."""

    calls: list[int] = field(default_factory=list)

    def encode(self, texts: Sequence[str], device: torch.device, progress: Progress | None = None) -> Tensor:
        self.calls.append(len(texts))
        return torch.nn.functional.normalize(torch.tensor([[len(t), 7.0, 1.0 / 3] for t in texts]), dim=-1)


def counting(**fields: object) -> Counting:
    return Counting(source="no-such-folder", name="fake", **fields)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def minilm() -> TextEncoder:
    import importlib.util

    if importlib.util.find_spec(OFFLINE_PACKAGE) is None:
        reason = f"needs the package {OFFLINE_PACKAGE} (pip install foster[offline])"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return TextEncoder.named("minilm")


def test_minilm_has_as_many_layers_as_a_run_may_tune(minilm: TextEncoder) -> None:
    from transformers import AutoConfig

    assert AutoConfig.from_pretrained(minilm.source, local_files_only=True).num_hidden_layers == MINILM_LAYERS


def test_minilm_gives_unit_vectors_in_the_order_of_the_texts(minilm: TextEncoder) -> None:
    seen: list[tuple[int, int]] = []
    table = minilm.encode(TEXTS, CPU, lambda done, total: seen.append((done, total)))
    assert table.shape == (3, 384)
    assert torch.allclose(table.norm(dim=-1), torch.ones(3), atol=1e-5)
    assert seen[-1] == (3, 3)
    alone = torch.cat([minilm.encode([text], CPU) for text in TEXTS])
    assert torch.allclose(table, alone, atol=1e-5)  # padding in a batch changes nothing
    assert float(table[0] @ table[1]) > float(table[0] @ table[2])


def test_second_look_comes_from_the_cache_with_the_same_numbers(tmp_path: Path) -> None:
    encoder = counting()
    first = item_embeddings(encoder, TEXTS, tmp_path, CPU)
    second = item_embeddings(encoder, TEXTS, tmp_path, CPU)
    assert encoder.calls == [3]
    assert torch.equal(first, second)
    assert [path.suffix for path in (tmp_path / "embeddings").iterdir()] == [".safetensors"]


def test_cache_tells_texts_encoders_and_token_limits_apart(tmp_path: Path) -> None:
    encoder = counting()
    item_embeddings(encoder, ("ab", "c"), tmp_path, CPU)
    item_embeddings(encoder, ("a", "bc"), tmp_path, CPU)  # the same letters, cut elsewhere
    item_embeddings(counting(max_tokens=8, calls=encoder.calls), ("ab", "c"), tmp_path, CPU)
    assert encoder.calls == [2, 2, 2]


def test_an_encoding_that_fails_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    class Failing(Counting):
        def encode(self, texts: Sequence[str], device: torch.device, progress: Progress | None = None) -> Tensor:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        item_embeddings(Failing(source="x", name="fake"), TEXTS, tmp_path, CPU)
    assert list((tmp_path / "embeddings").iterdir()) == []


def test_a_damaged_cache_file_is_named(tmp_path: Path) -> None:
    encoder = counting()
    item_embeddings(encoder, TEXTS, tmp_path, CPU)
    (path,) = (tmp_path / "embeddings").iterdir()
    path.write_bytes(b"junk")
    with pytest.raises(UserError, match="delete it"):
        item_embeddings(encoder, TEXTS, tmp_path, CPU)


def test_embeddings_of_another_catalogue_are_refused(tmp_path: Path) -> None:
    item_embeddings(counting(), TEXTS, tmp_path, CPU)
    (path,) = (tmp_path / "embeddings").iterdir()
    with pytest.raises(UserError, match="for 4 items"):
        load_embeddings(path, 4)


def test_weights_that_are_not_the_published_ones_are_refused(
    minilm: TextEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foster.encoder, "_file_sha256", lambda path: "0" * 64)
    with pytest.raises(UserError, match="reinstall") as refused:
        TextEncoder.named("minilm")
    assert "\n" not in str(refused.value)


def test_identity_of_a_folder_follows_its_weights(tmp_path: Path) -> None:
    encoder = TextEncoder.named(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"one")
    before = encoder.identity
    (tmp_path / "model.safetensors").write_bytes(b"two")
    assert encoder.identity != before


@pytest.mark.parametrize("content", [None, "empty", "config"])
def test_a_folder_that_is_no_encoder_is_one_line(tmp_path: Path, content: str | None) -> None:
    folder = tmp_path / "encoder"
    if content:
        folder.mkdir()
    if content == "config":
        (folder / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(UserError, match="could not be loaded") as refused:
        TextEncoder.named(str(folder)).encode(TEXTS, CPU)
    assert "\n" not in str(refused.value)


def test_public_features_are_centred_before_they_are_normalised() -> None:
    common = torch.tensor([10.0, 0, 0]) + torch.eye(3)
    features = public_features(common)
    assert torch.allclose(features.norm(dim=-1), torch.ones(3), atol=1e-5)
    assert float((features @ features.T)[0, 1]) < 0  # without the common direction they differ


def test_items_that_are_all_alike_keep_a_zero_row() -> None:
    assert torch.equal(public_features(torch.ones(1, 4)), torch.zeros(1, 4))
    assert torch.equal(public_features(torch.ones(3, 4)), torch.zeros(3, 4))
