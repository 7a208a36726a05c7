"""The words of the six lessons: story, formula beside the code's names, switch, question, references. Our own words
throughout, so they may be labels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """asks: what to predict; options; looks: the dial and the switch that show the answer."""

    asks: str
    options: tuple[str, str, str]
    looks: tuple[object, str]


@dataclass(frozen=True)
class Lesson:
    """short: its name in the row of steps; story: paragraphs; formula: LaTeX; code: symbol, name in the code, meaning;
    dial: label, options and default; switches: value and label, the first breaks nothing; read: (text, address)."""

    short: str
    title: str
    story: tuple[str, ...]
    formula: str
    code: tuple[tuple[str, str, str], ...]
    dial: tuple[str, tuple[object, ...], object]
    switches: tuple[tuple[str, str], ...]
    question: Question
    read: tuple[tuple[str, str], ...]


FOSTER = ("Tran et al., 2026: First-order Dataset Distillation for Text-based Sequential Recommendation",
          "https://arxiv.org/abs/2605.30772")  # fmt: skip
WHOLE = ("nothing", "As it is")

LESSONS: tuple[Lesson, ...] = (
    Lesson(
        "Recommend",
        "A recommender reads texts and guesses what comes next",
        (
            "The world of these lessons has 24 books and 400 readers of 10 books each. Readers stay on a shelf or go "
            "on to the next one: Space, Magic, Love, Crime. We made the rule, so we know the truth.",
            "The model never sees a book's number. It reads the text, places the book among the others, and after each "
            "book bets on the next. So it can bet on a book that it has never met.",
        ),
        r"\begin{array}{l} e_i = \mathrm{norm}\big(W f_i + a(W f_i)\big) \\[6pt]"
        r"p(i \mid \text{past}) = \mathrm{softmax}_i\,(h \cdot e_i / \tau) \end{array}",
        (
            ("f_i", "features", "frozen text features"),
            ("W", "SequentialRecommender.projection", "learned, one for all items"),
            ("a", "SequentialRecommender.adapter", "a small network; none in this small world"),
            ("e_i", "item_table", "at input and output alike"),
            ("h", "forward", "state after the past"),
            ("τ", "RecommenderConfig.temperature", "sharpness"),
        ),
        ("The reader has just finished", ("Dune", "Harry Potter", "Pride and Prejudice", "Gone Girl"), "Harry Potter"),
        (WHOLE, ("order", "Order lost"), ("texts", "Texts exchanged")),
        Question(
            "Every book gets the text of another one, and the model learns anew. How well does it tell "
            "books apart that its log never held?",
            ("Clearly worse", "About as well", "Clearly better"),
            ("Harry Potter", "texts"),
        ),
        (("Kang and McAuley, 2018: Self-Attentive Sequential Recommendation", "https://arxiv.org/abs/1808.09781"),
         ("Hou et al., 2022: Towards Universal Sequence Representation Learning for Recommender Systems",
          "https://arxiv.org/abs/2206.05941")),
    ),
    Lesson(
        "Budget",
        "A handful of sequences instead of the log",
        (
            "Training again and again on the whole log is dear. How few sequences teach the same? The budget is their "
            "number times their length.",
            "Real rows, drawn at random, say only what somebody took. A distilled sequence says after every book how "
            "likely each of the others is: a soft label, learned so that a fresh student ends where the log would have "
            "led it.",
        ),
        r"\begin{array}{l} \min_S \; L_D\big(\theta(S)\big) \\[6pt]"
        r"\theta(S) = \text{a fresh student of } S \text{ alone} \end{array}",
        (
            ("S", "SyntheticSequences", "what is learned and stored"),
            ("P[m, l]", "SyntheticSequences.labels", "what may come next"),
            ("M, L", "RunSpec.sequences, length", "the budget"),
            ("θ(S)", "train_student", "sees S and nothing else"),
            ("random", "random_real", "as many real rows"),
        ),
        ("Sequences", (1, 2, 4, 8, 20), 4),
        (WHOLE, ("labels", "Labels lost")),
        Question(
            "Keep the books of the distilled sequences and drop the soft labels, so that they are plain lists. How "
            "much of what they teach is left?",
            ("Nearly all", "About three quarters", "Less than 60 %"),
            (4, "labels"),
        ),
        (("Wang et al., 2018: Dataset Distillation", "https://arxiv.org/abs/1811.10959"),
         ("Qin et al., 2024: A Label is Worth a Thousand Images in Dataset Distillation",
          "https://arxiv.org/abs/2406.10485"), FOSTER),
    ),
    Lesson(
        "Subsets",
        "Component one: look at a few items, not at all of them",
        (
            "A label is a distribution over the whole catalogue. With a million items, scoring all of them at every "
            "position of every step is out of the question.",
            "So each step draws a random subset U. Items that the step cannot do without are always in; the others are "
            "drawn, and each drawn one stands for those left out. Below, 300 subsets estimate the same loss.",
        ),
        r"\begin{array}{l} p_U(i) = \mathrm{softmax}_{i \in U}\,(z_i - \log \pi_i) \\[6pt]"
        r"\pi_i = \Pr(i \in U) \end{array}",
        (
            ("U", "draw_subset", "fresh every step"),
            ("|U|", "DistillConfig.subset", "1,024 on large catalogues"),
            ("log π", "ItemSubset.log_inclusion", "0 for what is always in"),
            ("KL(P‖p)", "divergence", "the loss of a label"),
            ("all", "whole_catalogue", "the exact reference"),
        ),
        ("Books in a subset", (4, 8, 12, 16, 20), 8),
        (WHOLE, ("kept", "Nothing always in"), ("correction", "No correction")),
        Question(
            "Forget to correct by the chance of being drawn: the drawn books stand only for themselves. What does the "
            "loss look like?",
            ("Too small", "About right", "Too large"),
            (8, "correction"),
        ),
        (("Jean et al., 2015: On Using Very Large Target Vocabulary for Neural Machine Translation",
          "https://arxiv.org/abs/1412.2007"), FOSTER),
    ),
    Lesson(
        "First order",
        "Component two: no graph through training, and a reset to an anchor",
        (
            "How should a label change so that a student trained on it errs less on real data? The exact answer "
            "differentiates through the student's whole training: memory grows with every inner step.",
            "The shortcut: two twins set out from one anchor. ω learns from the synthetic data alone, θ from the real "
            "data too. Where they disagree is what the real data would change. Then both are reset, so that they "
            "differ by nothing else.",
        ),
        r"\begin{array}{l} \theta, \omega \leftarrow \text{one anchor, then } K \text{ times:} \\[6pt]"
        r"\omega \leftarrow \omega - \alpha \nabla L_S(\omega) \\[3pt]"
        r"\theta \leftarrow \theta - \alpha \nabla [L_S(\theta) + c\,L_D(\theta)] \\[6pt]"
        r"S \leftarrow S - s\,[\nabla_S L_S(\theta) - \nabla_S L_S(\omega)] \end{array}",
        (
            ("ω", "Distiller.paths", "a student on its way"),
            ("θ ← ω", "duplicate", "the anchored reset"),
            ("K", "DistillConfig.student_steps", "inner steps; a run takes 3"),
            ("L_D", "View.real_loss", "without dropout; a run asks for what experts expect"),
            ("θ − ω", "DistillStep.distance", "watched in every run"),
        ),
        ("Inner steps K", (1, 5, 10, 20), 5),
        (WHOLE, ("reset", "Never reset"), ("dropout", "Each its own dropout")),
        Question(
            "Go from 1 inner step to 20. Which gradient's memory grows more?",
            ("The exact one's", "Both the same", "The first-order one's"),
            (20, "nothing"),
        ),
        (("Liu et al., 2022: BOME! Bilevel Optimization Made Easy", "https://arxiv.org/abs/2209.08709"),
         ("Kwon et al., 2023: A Fully First-Order Method for Stochastic Bilevel Optimization",
          "https://arxiv.org/abs/2301.10945"), FOSTER),
    ),
    Lesson(
        "Regulariser",
        "Component three: what is alike should stand together",
        (
            "Words of like meaning keep like company, and so do books. The regulariser asks the synthetic sequences "
            "for that: two books with similar texts should occur together more often than chance.",
            "Each square below is a pair of books, in the order of the shelves. On the left is what the texts say; "
            "beside it, what the distilled labels do, each as a multiple of what the book's popularity alone would "
            "give. γ says how hard they are pushed, measured against the data's own push; foster's default is 0.1.",
        ),
        r"\begin{array}{l} "
        r"L_{\mathrm{reg}} = \frac{1}{V} \sum_i \mathrm{KL}\big(w_i \,\|\, c(\cdot \mid i)\big) \\[6pt]"
        r"w_{ij} = \mathrm{softmax}_{j \ne i}(\cos(\bar e_i, \bar e_j) / \tau_w) \end{array}",
        (
            ("w", "semantic_similarity", "from public texts alone"),
            ("C", "soft_cooccurrence", "of the labels"),
            ("c(·|i)", "conditional", "its rows"),
            ("L_reg", "regulariser", "0 if both agree"),
            ("γ", "DistillConfig.regularisation", "the weight"),
        ),
        ("Weight γ", (0.1, 1.0, 3.0, 10.0), 0.1),
        (WHOLE, ("off", "Switched off")),
        Question(
            "Push a hundred times harder than foster does, γ = 10. What happens to fresh students?",
            ("They recommend better", "No clear change", "They recommend worse"),
            (10.0, "nothing"),
        ),
        (("Harris, 1954: Distributional Structure", "https://doi.org/10.1080/00437956.1954.11659520"), FOSTER),
    ),
    Lesson(
        "Judge",
        "Judging honestly: fresh students, both forms, every byte",
        (
            "A good-looking model proves nothing about the data it was warmed up with. So the set is stored, read "
            "back, and shown to students that have seen nothing else.",
            "Both forms are judged: soft, with distributions, and hard, plain lists that any trainer can use. And "
            "bytes are counted: a soft set larger than the compressed log would be no distillation. In this toy the "
            "hard form is 32 books: that is honest, too.",
        ),
        r"\begin{array}{l} \text{worth} = "
        r"\dfrac{\mathrm{Recall}(\text{student of } S)}{\mathrm{Recall}(\text{everything})}"
        r"\\[12pt] \text{if } \mathrm{bytes}(S_{\mathrm{soft}}) \le \mathrm{bytes}(\log) \end{array}",
        (
            ("S", "artefact.load", "read back from disk"),
            ("soft", "drawn_rows", "rows with distributions"),
            ("hard", "harden, hard_batch", "plain lists"),
            ("bytes", "log_bytes", "the ids under zlib"),
            ("rank", "metrics.ranks_of", "all items, ties lose"),
        ),
        ("Fresh students of each kind", (1, 3, 5), 3),
        (WHOLE, ("warm", "Students start warm")),
        Question(
            "Let students start with the weights of the full-data model, and show them nothing at all. What do they "
            "reach?",
            ("Almost nothing", "Up to 90 % of everything", "Nearly everything"),
            (3, "warm"),
        ),
        (("Krichene and Rendle, 2020: On Sampled Metrics for Item Recommendation",
          "https://doi.org/10.1145/3394486.3403226"), FOSTER),
    ),
)  # fmt: skip
