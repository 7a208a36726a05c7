"""A text encoder whose last n layers learn with the recommender (METHOD §1: the paper fine-tunes TinyBERT).

What its frozen layers make of every item's tokens is computed once. A step reads those of its items alone, those of the
subset U and of the inputs, which is what makes learning an encoder affordable:

    f_φ(text) = norm(norm(mean over tokens of layers_φ(states)) − m),   x = W f_φ(text),   e = norm(x + a(x))

m: the mean text embedding of the untouched encoder. With untouched layers f_φ is the public text feature. A model that
has learned is asked about the same items again and again; then `settled` puts what its layers say in their place.

V items, T tokens of the longest text at hand, D_text width of the encoder.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from foster.encoder import Progress, TextEncoder, embeddings_file
from foster.errors import UserError

if TYPE_CHECKING:
    from foster.recommender import SequentialRecommender

AT_ONCE = 256  # texts that are encoded together
LIKE = 0.02  # how far what untouched layers say may be from what is public: states are stored in half precision


@dataclass(frozen=True, eq=False)
class TokenStates:
    """What the frozen layers made of all texts: states [tokens, D_text], half precision, text after text; starts and
    lengths [V]; layers: the pretrained ones that follow; mean: m [D_text]."""

    states: Tensor
    starts: Tensor
    lengths: Tensor
    layers: nn.Module
    mean: Tensor


@dataclass(frozen=True, eq=False)
class TunableTexts:
    """Texts of items as models with learning layers read them; in the place of a tensor of features [V, D_text], with
    as much of one as is asked for. ids [V']: of the items at hand; features [V', D_text]: their public ones."""

    ids: Tensor
    features: Tensor
    store: TokenStates

    @classmethod
    def of(cls, features: Tensor, store: TokenStates) -> TunableTexts:
        return cls(torch.arange(len(features), device=features.device), features, store)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: Tensor | slice) -> TunableTexts:
        return replace(self, ids=self.ids[rows], features=self.features[rows])

    def index_select(self, dim: int, rows: Tensor) -> TunableTexts:
        """As of a tensor; dim is 0."""
        assert dim == 0
        return self[rows]

    @property
    def shape(self) -> torch.Size:
        return self.features.shape

    @property
    def device(self) -> torch.device:
        return self.features.device

    def padded(self) -> tuple[Tensor, Tensor]:
        """States [V', T, D_text] and which of them are tokens [V', T]."""
        starts, lengths = self.store.starts[self.ids], self.store.lengths[self.ids]
        place = torch.arange(int(lengths.max()), device=self.device)
        there = place < lengths.unsqueeze(1)
        rows = torch.where(there, starts.unsqueeze(1) + place, 0)
        return self.store.states[rows].to(self.features.dtype), there


Texts = Tensor | TunableTexts


def public(texts: Texts) -> Tensor:
    """The public text features [V, D_text], whatever learns."""
    return texts.features if isinstance(texts, TunableTexts) else texts


class Learning(nn.Module):
    """The last layers of an encoder, learning."""

    def __init__(self, store: TokenStates) -> None:
        super().__init__()
        self.layers = copy.deepcopy(store.layers).requires_grad_()
        self.mean = store.mean  # no parameter and no buffer: public, and the same in every copy

    def forward(self, texts: Texts) -> Tensor:
        """f_φ [V', D_text]."""
        if isinstance(texts, Tensor):
            raise TypeError("learning layers read tokens, not features")
        # alike long ones together, as padding is computed too
        order = texts.store.lengths[texts.ids].argsort(stable=True)
        found = torch.cat([self._encoded(texts[rows]) for rows in order.split(AT_ONCE)])
        return found[order.argsort()]

    def _encoded(self, texts: TunableTexts) -> Tensor:
        states, there = texts.padded()
        mask = states.new_zeros(there.shape).masked_fill(~there, torch.finfo(states.dtype).min)
        hidden = self.layers(states, attention_mask=mask[:, None, None, :]).last_hidden_state
        pooled = (hidden * there.unsqueeze(-1)).sum(1) / there.sum(1, keepdim=True)
        return F.normalize(F.normalize(pooled, dim=-1) - self.mean, dim=-1)


class Settled(nn.Module):
    """What learned layers say of the whole catalogue [V, D_text], in their place."""

    def __init__(self, found: Tensor) -> None:
        super().__init__()
        self.found = nn.Parameter(found, requires_grad=False)

    def forward(self, texts: Texts) -> Tensor:
        """f_φ [V', D_text]; features alone must be those of the whole catalogue."""
        if not isinstance(texts, Tensor):
            return self.found[texts.ids]
        if len(texts) != len(self.found):
            raise ValueError(f"{len(texts)} features for a catalogue of {len(self.found)} items")
        return self.found


@torch.no_grad()
def settled(model: SequentialRecommender, texts: Texts) -> SequentialRecommender:
    """The model, its learning layers, if it has any, replaced by what they say of the texts of the whole catalogue."""
    if isinstance(model.text, Learning):
        model.text = Settled(model.text(texts))
    return model


def token_states(
    encoder: TextEncoder,
    texts: Sequence[str],
    count: int,
    embeddings: Tensor,
    cache: Path,
    device: torch.device,
    progress: Progress | None = None,
) -> TokenStates:
    """The texts up to the encoder's last `count` layers, from the cache when the same encoder has read the same texts.

    embeddings: what the untouched encoder makes of them [V, D_text]. A token takes 2·D_text bytes, in the cache and on
    the device. Raises UserError for an encoder that cannot be had, has no such layers or whose last layers do not say
    what it says, and for a damaged file in the cache.
    """
    refusal = f"layers of {encoder.name!r} cannot be tuned; choose a BERT-like encoder, or tune 0 layers"
    tokenizer, model = encoder.load(device)
    layers = getattr(getattr(model, "encoder", None), "layer", None)
    if not isinstance(layers, nn.ModuleList):
        raise UserError(refusal)
    if not 1 <= count <= len(layers):
        raise UserError(f"{count} layers are to be tuned, {encoder.name!r} has {len(layers)}; tune 0 to {len(layers)}")
    path = states_file(encoder, texts, count, cache)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        save_file(_read(encoder, tokenizer, model, texts, count, progress), partial)
        partial.replace(path)
    states, lengths = (each.to(device) for each in _kept(path, len(texts), embeddings.shape[1]))
    last = copy.deepcopy(model.encoder).float().requires_grad_(False)
    last.layer = last.layer[-count:]
    store = TokenStates(states, lengths.cumsum(0) - lengths, lengths, last, embeddings.mean(0).to(device))
    if not _says(store, embeddings[:AT_ONCE].to(device)):
        raise UserError(refusal)
    return store


def _read(  # type: ignore[no-untyped-def]  # transformers ships no types
    encoder: TextEncoder, tokenizer, model, texts: Sequence[str], count: int, progress: Progress | None
) -> dict[str, Tensor]:
    """States of all tokens before the last layers, and how many each text has; on the CPU."""
    order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))  # alike long ones share a batch
    found: dict[int, Tensor] = {}
    with torch.inference_mode():
        for start in range(0, len(order), encoder.batch_size):
            rows = order[start : start + encoder.batch_size]
            tokens = encoder.tokens(tokenizer, [texts[i] for i in rows]).to(model.device)
            hidden = model(**tokens, output_hidden_states=True).hidden_states[-1 - count].half().cpu()
            there = tokens["attention_mask"].bool().cpu()
            found |= {i: each[mask] for i, each, mask in zip(rows, hidden, there, strict=True)}
            if progress is not None:
                progress(len(found), len(texts))
        in_order = [found[i] for i in range(len(texts))]
        return {"states": torch.cat(in_order), "lengths": torch.tensor([len(each) for each in in_order])}


def _says(store: TokenStates, embeddings: Tensor) -> bool:
    """Whether the last layers, untouched, end at the embeddings [n, D_text] of the first texts: there are forms of
    encoders that want other arguments, or read the same ones otherwise."""
    few = TunableTexts.of(embeddings, replace(store, mean=torch.zeros_like(store.mean)))
    try:
        with torch.no_grad():
            return bool((Learning(few.store)(few) - embeddings).abs().max() < LIKE)
    except (AttributeError, TypeError, RuntimeError):
        return False


def _kept(path: Path, n_texts: int, width: int) -> tuple[Tensor, Tensor]:
    """States and lengths of a file in the cache."""
    try:
        found = load_file(path)
        states, lengths = found["states"], found["lengths"]
    except (OSError, KeyError, SafetensorError) as error:
        raise UserError(f"{path.name} holds no readable texts ({error}); delete it and run again") from None
    if lengths.shape != (n_texts,) or states.shape != (int(lengths.sum()), width):
        raise UserError(f"{path.name} does not fit {n_texts} texts; delete it and run again")
    return states, lengths


def states_file(encoder: TextEncoder, texts: Sequence[str], count: int, cache: Path) -> Path:
    """Where the cache keeps them; it may not exist."""
    return embeddings_file(encoder, texts, cache).with_suffix(f".tokens-{count}.safetensors")
