"""A text encoder that no network was trained for: latent semantic analysis (Deerwester et al., 1990)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import svds
from torch import Tensor

WIDTH = 256
WORD = re.compile(r"\w+")


def latent_semantic(texts: Sequence[str], width: int = WIDTH) -> Tensor:
    """Unit-length embeddings [V, D] of the texts, D ≤ min(width, V, words): the leading left singular directions, times
    their values, of (1 + log tf)·log(V / df) over words. A text without words gets zeros."""
    counts = [Counter(WORD.findall(text.lower())) for text in texts]
    words = {word: column for column, word in enumerate(sorted({word for each in counts for word in each}))}
    rows = [row for row, each in enumerate(counts) for _ in each]
    columns = [words[word] for each in counts for word in each]
    shape = (len(texts), max(1, len(words)))
    held = np.array([1 + np.log(number) for each in counts for number in each.values()])
    documents = np.bincount(columns, minlength=shape[1]).clip(1) if columns else np.ones(1)
    weights = held * np.log(len(texts) / documents + 1e-9)[columns] if columns else held
    matrix = csr_matrix((weights, (rows, columns)), shape=shape)
    if min(shape) > width + 1:
        left, values, _ = svds(matrix, k=width, v0=np.ones(min(shape)))
    else:
        left, values, _ = np.linalg.svd(matrix.toarray(), full_matrices=False)
    kept = values > 1e-6 * values.max(initial=0.0)  # below it directions are noise
    left, values = left[:, kept], values[kept]
    left = left * np.sign(
        left[np.abs(left).argmax(0), np.arange(len(values))]
    )  # a sign of its own, whoever computed it
    made = torch.from_numpy(np.ascontiguousarray(left * values)).float()
    return torch.nn.functional.normalize(made, dim=-1)
