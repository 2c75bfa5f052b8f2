"""Train a small mixture-of-experts language model for real, and record where it routes held-out text.

The text is Python's own library (PSF licence) as the running interpreter has it, in four domains: the
modules' source code, their docstrings, their tests, and the language reference that ``help()`` shows. One
file in six is held out, and a paragraph of the training text that also stands in a held-out file is
dropped. Tokens are byte pairs (Sennrich et al., arXiv 1508.07909), learnt from the training text.

The model is a decoder of four layers: pre-norm, causal attention with rotary positions, and 64 SwiGLU
experts of which each token uses the 8 of highest router probability, weighted to sum 1. The loss is

    cross entropy + 0.01 E sum_e f_e p_e (load balance; Fedus et al., arXiv 2101.03961) + 0.001 mean z^2

with f_e the share of activations that expert e gets, p_e its mean router probability over the batch, and z
the logsumexp of a token's router logits (Zoph et al., arXiv 2202.08906).

Written beside each other: ``NAME.npz``, the trace (`noptoolkit.load_trace` reads it), and
``NAME.training.json``, the settings and the loss curve. Needs torch and numpy only, and about half an hour
of one core:

    pip install torch numpy
    python benchmarks/record_moe_trace.py workloads/stdlib-moe
"""

from __future__ import annotations

import argparse
import ast
import json
import math
import platform
import pydoc_data.topics
import sysconfig
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from byte_pairs import WORD, Tokeniser, learn_merges
from torch import Tensor, nn
from torch.nn import functional as F

VOCAB, HIDDEN, LAYERS, HEADS, EXPERTS, TOP_K, EXPERT_WIDTH = 2048, 128, 4, 4, 64, 8, 64
CONTEXT, WARMUP, PEAK_RATE = 256, 100, 3e-3
SEQUENCES = {"code": 3, "docstrings": 2, "tests": 2, "reference": 1}  # of each domain in a step
BALANCE, Z_LOSS = 0.01, 0.001
RECORDED_PER_DOMAIN, RECORDED_PER_DOCUMENT, CHECKED_AT_END = 4096, 1024, 32

Documents = dict[str, dict[str, str]]  # domain -> name -> text


# The text


def read_library() -> Documents:
    """Return the library's text by domain; tables of character codes and site packages left out."""
    root = Path(sysconfig.get_paths()["stdlib"])
    documents: Documents = {domain: {} for domain in SEQUENCES}
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root)
        if {"site-packages", "dist-packages", "encodings", "pydoc_data"} & set(name.parts):
            continue
        try:
            text = path.read_text(encoding="utf-8")
            tree = ast.parse(text)
        except (UnicodeDecodeError, SyntaxError):  # files that test how Python rejects them
            continue
        if any("test" in part for part in name.parts):
            documents["tests"][str(name)] = text
        else:
            documents["code"][str(name)] = text
            documents["docstrings"][str(name)] = "\n\n".join(docstrings(tree))
    documents["reference"] = dict(pydoc_data.topics.topics)
    return documents


def docstrings(tree: ast.Module) -> Iterator[str]:
    """Yield the docstrings of a module and of what it defines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (
            text := ast.get_docstring(node)
        ):
            yield text


def split_held_out(documents: Documents) -> tuple[Documents, Documents]:
    """Return the text to train on and the text held out: one document in six, by a hash of its name."""
    train: Documents = {domain: {} for domain in SEQUENCES}
    held: Documents = {domain: {} for domain in SEQUENCES}
    for domain, named in documents.items():
        for name, text in named.items():
            side = held if zlib.crc32(name.encode()) % 6 == 0 else train
            side[domain][name] = text
    texts = [text for named in held.values() for text in named.values()]
    seen = {part for text in texts for part in text.split("\n\n") if len(part) > 80}
    for named in train.values():
        for name, text in named.items():
            named[name] = "\n\n".join(part for part in text.split("\n\n") if part not in seen)
    return train, held


# The model


class Attention(nn.Module):
    """Causal self-attention with rotary positions."""

    def __init__(self) -> None:
        super().__init__()
        self.inward = nn.Linear(HIDDEN, 3 * HIDDEN, bias=False)
        self.outward = nn.Linear(HIDDEN, HIDDEN, bias=False)
        width = HIDDEN // HEADS
        turn = torch.outer(torch.arange(CONTEXT), 10000.0 ** (-torch.arange(0, width, 2) / width))
        self.register_buffer("cos", turn.cos(), persistent=False)
        self.register_buffer("sin", turn.sin(), persistent=False)

    def rotate(self, x: Tensor) -> Tensor:
        real, imaginary = x.chunk(2, dim=-1)
        cos, sin = self.cos[: x.shape[-2]], self.sin[: x.shape[-2]]
        return torch.cat([real * cos - imaginary * sin, real * sin + imaginary * cos], dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        sequences, length, _ = x.shape
        heads = self.inward(x).view(sequences, length, 3, HEADS, -1)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(self.rotate(query), self.rotate(key), value, is_causal=True)
        return self.outward(mixed.transpose(1, 2).reshape(x.shape))


class Experts(nn.Module):
    """Routed SwiGLU experts; ``chosen`` keeps the last batch's ids, the heaviest first, [tokens, TOP_K]."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(HIDDEN, EXPERTS, bias=False)
        self.inward = nn.Parameter(torch.empty(EXPERTS, HIDDEN, 2 * EXPERT_WIDTH))
        self.outward = nn.Parameter(torch.empty(EXPERTS, EXPERT_WIDTH, HIDDEN))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the experts' sum and the router's loss."""
        tokens = x.reshape(-1, HIDDEN)
        logits = self.router(tokens)
        probability = logits.softmax(dim=-1)
        weight, self.chosen = probability.topk(TOP_K, dim=-1)
        weight = weight / weight.sum(dim=-1, keepdim=True)
        by_expert = self.chosen.flatten().argsort(stable=True)
        token = by_expert // TOP_K
        count = torch.bincount(self.chosen.flatten(), minlength=EXPERTS)
        outputs = []
        for expert, inputs in enumerate(tokens[token].split(count.tolist())):
            gate, up = (inputs @ self.inward[expert]).chunk(2, dim=-1)
            outputs.append((F.silu(gate) * up) @ self.outward[expert])
        weighted = torch.cat(outputs) * weight.flatten()[by_expert, None]
        result = torch.zeros_like(tokens).index_add(0, token, weighted)
        balance = EXPERTS * (count / count.sum()) @ probability.mean(dim=0)
        loss = BALANCE * balance + Z_LOSS * logits.logsumexp(dim=-1).square().mean()
        return result.view(x.shape), loss


class Model(nn.Module):
    """The decoder; its embedding is also its output head."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, HIDDEN)
        self.attention = nn.ModuleList(Attention() for _ in range(LAYERS))
        self.experts = nn.ModuleList(Experts() for _ in range(LAYERS))
        self.norms = nn.ModuleList(nn.RMSNorm(HIDDEN, eps=1e-6) for _ in range(2 * LAYERS + 1))
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of the next token and the sum of the routers' losses."""
        x, router_loss = self.embedding(ids), torch.zeros(())
        for layer, (attention, experts) in enumerate(zip(self.attention, self.experts, strict=True)):
            x = x + attention(self.norms[2 * layer](x))
            routed, loss = experts(self.norms[2 * layer + 1](x))
            x, router_loss = x + routed, router_loss + loss
        return self.norms[-1](x) @ self.embedding.weight.T, router_loss


# Training and recording


def train(
    model: Model, streams: dict[str, Tensor], held: dict[str, Tensor], steps: int, seed: int
) -> list[dict]:
    """Train for a number of steps; return the loss curve, in nat per token."""
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, betas=(0.9, 0.95), weight_decay=0.1)
    curve = []
    for step in range(1, steps + 1):
        progress = max(step - WARMUP, 0) / max(steps - WARMUP, 1)
        rate = PEAK_RATE * min(step / WARMUP, 0.55 + 0.45 * math.cos(math.pi * progress))
        for group in optimiser.param_groups:
            group["lr"] = rate
        sequences = []
        for domain, stream in streams.items():
            for start in rng.integers(0, len(stream) - CONTEXT - 1, SEQUENCES[domain]):
                sequences.append(stream[start : start + CONTEXT + 1])
        loss, router_loss = losses(model, torch.stack(sequences))
        optimiser.zero_grad(set_to_none=True)
        (loss + router_loss).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if step % 50 == 0 or step in (1, steps):
            row: dict = {"step": step, "train": round(loss.item(), 4), "router": round(router_loss.item(), 4)}
            row["held_out"] = held_out_losses(model, held)
            curve.append(row)
            print(row, flush=True)
    return curve


def losses(model: Model, sequences: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean cross entropy of predicting each next token, in nat, and the routers' loss."""
    logits, router_loss = model(sequences[:, :-1])
    return F.cross_entropy(logits.reshape(-1, VOCAB), sequences[:, 1:].reshape(-1)), router_loss


@torch.no_grad()
def held_out_losses(model: Model, held: dict[str, Tensor]) -> dict[str, float]:
    """Return the cross entropy of each domain's held-out sequences, in nat per token."""
    return {domain: round(losses(model, sequences)[0].item(), 4) for domain, sequences in held.items()}


def windows(documents: dict[str, np.ndarray], count: int) -> Tensor:
    """Return the first tokens of a domain's held-out text as sequences, [count, CONTEXT + 1]."""
    ids = np.concatenate(list(documents.values()))
    return torch.from_numpy(ids[: count * (CONTEXT + 1)].reshape(count, CONTEXT + 1))


def record(model: Model, held: dict[str, dict[str, np.ndarray]], seed: int) -> dict[str, np.ndarray]:
    """Return the routing of held-out text: the beginnings of documents, as many tokens of each domain."""
    rng = np.random.default_rng(seed)
    topk: list[np.ndarray] = []
    domain_of: list[int] = []
    document_of: list[int] = []
    names: list[str] = []
    for domain, documents in enumerate(held.values()):
        left = RECORDED_PER_DOMAIN
        for name in rng.permutation(sorted(documents)):
            ids = documents[name][: min(left, RECORDED_PER_DOCUMENT)]
            for start in range(0, len(ids), CONTEXT):
                with torch.no_grad():
                    model(torch.from_numpy(ids[None, start : start + CONTEXT]))
                topk.append(np.stack([experts.chosen.numpy() for experts in model.experts]))
            domain_of += [domain] * len(ids)
            document_of += [len(names)] * len(ids)
            names.append(str(name))
            left -= len(ids)
            if not left:
                break
    return {
        "topk": np.concatenate(topk, axis=1).astype(np.uint8),
        "domain": np.array(domain_of, dtype=np.uint8),
        "domains": np.array(list(held)),
        "document": np.array(document_of, dtype=np.uint16),
        "documents": np.array(names),
        "num_experts": np.array(EXPERTS),
    }


def unigram_entropy(stream: Tensor) -> float:
    """Return the entropy of the tokens' frequencies, in nat: the loss of a model that knows nothing else."""
    share = np.bincount(stream.numpy()) / len(stream)
    share = share[share > 0]
    return round(float(-(share * np.log(share)).sum()), 4)


def main() -> None:
    """Train, record, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", type=Path, help="what to write, without its ending: workloads/stdlib-moe")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", type=Path, help="where to keep the trained weights")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(1)

    train_text, held_text = split_held_out(read_library())
    words = Counter(
        w for named in train_text.values() for text in named.values() for w in WORD.findall(text.encode())
    )
    tokeniser = Tokeniser(learn_merges(words, VOCAB - 256))
    held = {d: {n: tokeniser.encode(t) for n, t in named.items() if t} for d, named in held_text.items()}
    streams = {
        d: torch.from_numpy(tokeniser.encode("\n\n".join(named.values()))) for d, named in train_text.items()
    }
    check, final = ({d: windows(named, n) for d, named in held.items()} for n in (4, CHECKED_AT_END))
    print({domain: len(stream) for domain, stream in streams.items()}, "training tokens", flush=True)

    model, began = Model(), time.perf_counter()
    curve = train(model, streams, check, options.steps, options.seed)
    if options.weights:
        torch.save(model.state_dict(), options.weights)
    trace = record(model, held, options.seed)
    source = (
        f"recorded by benchmarks/record_moe_trace.py from a model trained for {options.steps} steps "
        f"on the library of Python {platform.python_version()}, seed {options.seed}"
    )
    np.savez_compressed(options.name.with_suffix(".npz"), source=np.array(source), **trace)
    report = {
        "source": source,
        "shape": {"vocab": VOCAB, "hidden": HIDDEN, "layers": LAYERS, "heads": HEADS, "experts": EXPERTS}
        | {"top_k": TOP_K, "expert_width": EXPERT_WIDTH, "context": CONTEXT, "sequences_per_step": SEQUENCES},
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "training_tokens": {domain: len(stream) for domain, stream in streams.items()},
        "held_out_tokens": {domain: sum(map(len, documents.values())) for domain, documents in held.items()},
        "unigram_entropy": {domain: unigram_entropy(stream) for domain, stream in streams.items()},
        "held_out_loss": held_out_losses(model, final),
        "seconds": round(time.perf_counter() - began),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "loss_curve": curve,
    }
    text = json.dumps(report, indent=1)
    options.name.with_suffix(".training.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
