"""Text-based sequential recommenders: item embeddings in, next-item logits out.

B sequences, L positions, V items (or |U| of a subset), D width of the recommender, D_text width of the text encoder.

A recommender never sees an item id: it gets the public text features of whatever items are at hand [V, D_text], maps
them to e_i = norm(W f_i + a(W f_i)) [V, D], ties them at input and output, and scores logit_i = h·e_i / τ (METHOD §2).
So a soft input, a mixture Σ_i P_i e_i, differentiates like a hard one, and a subset of items is just fewer rows. a, the
adapter, is a feed-forward branch that begins as nothing: what leads to what is not linear in text features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from foster.errors import UserError
from foster.packing import Packing, packed
from foster.tuning import Learning, Settled, Texts, TunableTexts, public

HISTORY = 3.0  # weight of a history's mean against its last item in a fresh SASRec
RECENCY = 0.3  # slope at which its attention begins: an event counts half as much as one two events later


@dataclass(frozen=True)
class RecommenderConfig:
    """Shape of a recommender. max_length: positions it can read; temperature: τ of the logits; adapter: whether
    items have one; repeat_rate and repeat_decay: of `foster.repeats`, None for a log without repeats."""

    backbone: Literal["sasrec", "gru4rec"] = "sasrec"
    width: int = 64
    layers: int = 2
    heads: int = 2
    max_length: int = 50
    dropout: float = 0.2
    temperature: float = 0.07
    adapter: bool = False
    repeat_rate: float | None = None
    repeat_decay: float | None = None

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise UserError(f"width {self.width} is not divisible by {self.heads} heads; change one of them")
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout is {self.dropout}; give a number from 0 up to but not including 1")
        rate, decay = self.repeat_rate, self.repeat_decay
        if (rate is None) != (decay is None):
            raise UserError("repeat_rate and repeat_decay belong together; give both or none")
        if rate is not None and decay is not None and not (0 < rate <= 1 and 0 <= decay < 100):
            raise UserError(
                f"repeats come at rate {rate} with decay {decay}; give a rate above 0, at most 1, and a decay from 0 "
                "up to but not including 100"
            )


class _Adapter(nn.Module):
    """What a linear map of texts cannot say of items: projected features [..., D] to what is added to them.

    scale: of its input, whose small entries would leave every unit in the linear middle of its activation.
    """

    def __init__(self, width: int, scale: float) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(width, 2 * width), nn.Linear(2 * width, width, bias=False)
        self.scale = scale

    def forward(self, projected: Tensor) -> Tensor:
        return self.out(F.gelu(self.hidden(self.scale * projected)))


class SequentialRecommender(nn.Module, ABC):
    """Projection and adapter of text features plus a causal sequence backbone; subclasses are final, with `encode`."""

    def __init__(self, text_width: int, config: RecommenderConfig) -> None:
        super().__init__()
        self.config = config
        self.projection = nn.Linear(text_width, config.width, bias=False)
        self.adapter = _Adapter(config.width, text_width**0.5) if config.adapter else None
        self.text: Learning | Settled | None = None  # the encoder's own layers, where they learn or have learned
        self.prior: Tensor | None  # [V], added to the logits of all items when the model is asked, not as it learns
        self.register_buffer("prior", None)

    def item_table(self, texts: Texts) -> Tensor:
        """Features or texts [V, D_text] to unit-length item embeddings e [V, D], used at input and output alike."""
        return self.placed(public(texts) if self.text is None else self.text(texts))

    def placed(self, features: Tensor) -> Tensor:
        """What the text encoder says of items [V, D_text] to e [V, D]."""
        found = self.projection(features)
        return F.normalize(found if self.adapter is None else found + self.adapter(found), dim=-1)

    def logits(self, hidden: Tensor, table: Tensor) -> Tensor:
        """Hidden states [..., D] and item table [V, D] to next-item logits h·e_i / τ [..., V]."""
        return hidden / self.config.temperature @ table.T

    def ranking_logits(self, hidden: Tensor, table: Tensor) -> Tensor:
        """As `logits` [B, V] of few states [B, D] and a large table, as a transposed view: a CPU takes a third less for
        the larger matrix times the smaller one."""
        return (table @ (hidden / self.config.temperature).T).T

    def forward(self, inputs: Tensor, generator: Generator | None = None) -> Tensor:
        """Input vectors [B, L, D] (rows of the item table or mixtures of them) to unit-length states h [B, L, D].

        Sequences are left-aligned and padded on the right: with causal layers no position sees the padding, so no mask
        is needed. generator: draws the dropout masks; None switches dropout off.
        """
        return F.normalize(self.encode(inputs, generator), dim=-1)

    def read(self, inputs: Tensor, sizes: Sequence[int], generator: Generator | None = None) -> Tensor:
        """As `forward`, of sequences of unlike lengths above 0: input vectors [N, D], one sequence after the other, to
        their states [N, D]."""
        if len(set(sizes)) == 1:
            return self(inputs.view(len(sizes), sizes[0], -1), generator).flatten(0, 1)
        return F.normalize(self.encode_ragged(inputs, sizes, generator), dim=-1)

    @abstractmethod
    def encode(self, inputs: Tensor, generator: Generator | None) -> Tensor:
        """Causal states [B, L, D] before normalisation."""

    def encode_ragged(self, inputs: Tensor, sizes: Sequence[int], generator: Generator | None) -> Tensor:
        """Causal states [N, D] before normalisation, as `read`; here padded to the longest."""
        padded = nn.utils.rnn.pad_sequence(inputs.split(list(sizes)), batch_first=True)
        inside = torch.arange(padded.shape[1]) < torch.tensor(sizes).unsqueeze(1)
        return self.encode(padded, generator)[inside.to(inputs.device)]

    def start_from_text(self) -> None:
        """Sets, in a fresh model, the weights that are not left to chance; here none."""

    def _dropout(self, x: Tensor, generator: Generator | None) -> Tensor:
        # torch's own dropout draws from the global generator; ours is replayed exactly when a run resumes.
        if generator is None or self.config.dropout == 0:
            return x
        # One byte an entry, as drawing floats is a tenth of a training step. The rate becomes the nearest of n/256.
        dropped = min(255, round(256 * self.config.dropout))
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device)
        drawn = words.random_(-(2**63), None, generator=generator).view(torch.uint8)[: x.numel()].view(x.shape)
        return x * (drawn >= dropped) * (256 / (256 - dropped))


class _Block(nn.Module):
    """Pre-norm transformer block: causal attention, then a position-wise feed-forward layer.

    An event that is n events old is read with −n·slope on its attention logit (ALiBi, Press et al., 2022), one learned
    slope a head: that what is recent counts more need not be found out from a few sequences.
    """

    def __init__(self, config: RecommenderConfig) -> None:
        super().__init__()
        d = config.width
        self.heads = config.heads
        self.norm_attention, self.norm_feed = nn.LayerNorm(d), nn.LayerNorm(d)
        self.query_key_value, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.slopes = nn.Parameter(torch.full((config.heads,), RECENCY))
        self.feed_in, self.feed_out = nn.Linear(d, d), nn.Linear(d, d)  # as wide as the model, as in SASRec's paper

    def attend(self, x: Tensor, packing: Packing | None = None) -> Tensor:
        """Of rows [B, L, D], or of positions [N, D] in rows of that packing."""
        mixing = self.query_key_value(self.norm_attention(x))
        if packing is not None:
            mixing = packing.spread(mixing)
        b, length, _ = mixing.shape
        q, k, v = mixing.view(b, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        place = torch.arange(length, device=x.device)
        age = place.unsqueeze(1) - place  # [L, L]
        hidden = (age < 0).unsqueeze(0) if packing is None else packing.hidden
        bias = (-self.slopes.view(-1, 1, 1) * age).masked_fill(hidden.unsqueeze(1), -torch.inf)  # causal
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)  # [B, heads, L, D/heads]
        mixed = mixed.transpose(1, 2).reshape(b, length, -1)
        return self.out(mixed if packing is None else packing.gathered(mixed))

    def feed(self, x: Tensor) -> Tensor:
        return self.feed_out(F.gelu(self.feed_in(self.norm_feed(x))))


@final
class SASRec(SequentialRecommender):
    """Self-attentive sequential recommendation (Kang & McAuley, 2018), pre-norm, GELU, learned positions and
    recency."""

    def __init__(self, text_width: int, config: RecommenderConfig) -> None:
        super().__init__(text_width, config)
        self.positions = nn.Parameter(torch.zeros(config.max_length, config.width))
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)

    def encode(self, inputs: Tensor, generator: Generator | None) -> Tensor:
        return self._encode(inputs, self.positions[: inputs.shape[1]], generator)

    def encode_ragged(self, inputs: Tensor, sizes: Sequence[int], generator: Generator | None) -> Tensor:
        packing = packed(sizes, inputs.device)
        return self._encode(inputs, F.embedding(packing.place, self.positions), generator, packing)

    def _encode(
        self, inputs: Tensor, positions: Tensor, generator: Generator | None, packing: Packing | None = None
    ) -> Tensor:
        # Unit-length rows have entries of size 1/√D; scaled up, they and the residual branches are of one size.
        x = self._dropout(inputs * self.config.width**0.5 + positions, generator)
        for block in self.blocks:
            assert isinstance(block, _Block)
            x = x + self._dropout(block.attend(x, packing), generator)
            x = x + self._dropout(block.feed(x), generator)
        return self.norm(x)

    @torch.no_grad()
    def start_from_text(self) -> None:
        """Attention starts as about HISTORY times the mean of what was read, recent events more (its queries and keys
        stay random), the feed-forward branch as nothing.

        So a fresh model ranks by text similarity to the history, as far as its random projection keeps it, and learns
        from there, rather than from branches that say nothing yet.
        """
        for block in self.blocks:
            assert isinstance(block, _Block)
            width = self.config.width
            nn.init.eye_(block.query_key_value.weight[2 * width :])
            nn.init.eye_(block.out.weight).mul_(HISTORY)
            nn.init.zeros_(block.feed_out.weight)


@final
class GRU4Rec(SequentialRecommender):
    """Recurrent baseline (Hidasi et al., 2016), used to test whether a distilled set transfers to another backbone."""

    def __init__(self, text_width: int, config: RecommenderConfig) -> None:
        super().__init__(text_width, config)
        self.recurrent = nn.GRU(config.width, config.width, config.layers, batch_first=True)
        self.out = nn.Linear(config.width, config.width)

    def encode(self, inputs: Tensor, generator: Generator | None) -> Tensor:
        states, _ = self.recurrent(self._dropout(inputs * self.config.width**0.5, generator))
        return self.out(self._dropout(states, generator))


def build_recommender(text_width: int, config: RecommenderConfig, generator: Generator) -> SequentialRecommender:
    """A freshly initialised recommender on the CPU; all of its weights come from `generator`."""
    backbones: dict[str, type[SequentialRecommender]] = {"sasrec": SASRec, "gru4rec": GRU4Rec}
    model = backbones[config.backbone](text_width, config)
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2:  # biases start at zero, norm scales stay at one
            if name.endswith("bias") or "bias_" in name:
                nn.init.zeros_(parameter)
        elif name == "positions":
            nn.init.normal_(parameter, std=0.02, generator=generator)
        else:
            nn.init.xavier_uniform_(parameter, generator=generator)
    # rows (of a wide model: columns) at right angles keep the angles between texts better than independent ones
    nn.init.orthogonal_(model.projection.weight, generator=generator)
    if model.adapter is not None:
        nn.init.zeros_(model.adapter.out.weight)
    model.start_from_text()
    return model


def fresh_recommender(texts: Texts, config: RecommenderConfig, generator: Generator) -> SequentialRecommender:
    """A freshly initialised recommender where the texts are; its encoder layers begin as pretrained, if any learn."""
    model = build_recommender(texts.shape[1], config, generator)
    if isinstance(texts, TunableTexts):
        model.text = Learning(texts.store)
    return model.to(texts.device)
