"""Latent semantic analysis: texts of the same words lie together."""

from __future__ import annotations

import torch

from foster.bench.lsa import latent_semantic

TEXTS = ["red apple tart", "green apple pie", "apple pie, red", "deep sea whale", "sea and whale song", "whale song"]


def test_texts_that_share_words_are_nearer_than_those_that_do_not() -> None:
    made = latent_semantic(TEXTS, width=2)
    assert made.shape == (6, 2)
    torch.testing.assert_close(made.norm(dim=-1), torch.ones(6))
    cosine = made @ made.T
    assert float(cosine[:3, :3].min()) > 0.9
    assert float(cosine[3:, 3:].min()) > 0.9
    assert float(cosine[:3, 3:].abs().max()) < 0.3


def test_all_directions_keep_the_angles_between_documents() -> None:
    """D = V: the cosines are those of the weighted counts; words of one text only do not bring texts together."""
    made = latent_semantic(["a b", "a c", "d"])
    cosine = made @ made.T
    assert 0 < float(cosine[0, 1]) < 0.5
    assert abs(float(cosine[0, 2])) < 1e-6
    torch.testing.assert_close(latent_semantic(TEXTS), latent_semantic(TEXTS))


def test_texts_without_words_and_single_texts_have_a_row() -> None:
    assert latent_semantic(["", "…"]).abs().sum() == 0
    assert latent_semantic(["one"]).shape == (1, 1)
    assert latent_semantic(["", "a b", "b"]).isfinite().all()
