"""Where keys and values lie, and what attention on several chiplets exchanges.

Where a step's caches lie (`StepOptions.cache`), while attention runs on the hosts:

* ``hosts``: on the stacks of the host on which the sequence's attention runs;
* ``sequences``: whole sequences dealt in turn over all memory stacks of the package;
* ``heads``: the key-value heads of each sequence dealt in turn over all stacks (a latent, MLA, is one head).

How attention is spread over several hosts (`StepOptions.attention`):

* ``data``: each host has sequences of its own and all of the attention's weights;
* ``tensor``: each host has a part of the heads of all sequences (Megatron-LM, arXiv 1909.08053, with the
  activations kept by token, arXiv 2205.05198): before attention every host sends its tokens to every other
  (all-gather), after it its part of every token's result to the token's host (reduce-scatter), pair by pair,
  T d (n - 1) / n values out of each of n hosts. Where there are fewer key-value heads than hosts, heads are
  copied; a latent (MLA) and its down-projections are on every host. Router, shared experts and dense layers
  stay data-parallel, on each host's own tokens.
"""

from __future__ import annotations

from collections.abc import Mapping

from noptoolkit.errors import WorkloadError
from noptoolkit.nodes import Work, attention_work
from noptoolkit.package import Package
from noptoolkit.step.memory_stacks import MemoryStacks
from noptoolkit.workload import Batch, MoEModel

__all__ = ["cache_shares", "head_shares", "tensor_parameters", "tensor_work"]


def head_shares(model: MoEModel, hosts: int) -> float:
    """Return the share of a sequence's keys and values that each of several tensor-parallel hosts keeps.

    Examples
    --------
    >>> from noptoolkit import load_workload
    >>> qwen, deepseek = (load_workload(name).model for name in ("qwen3-30b-a3b", "deepseek-v3"))
    >>> head_shares(qwen, 2), head_shares(qwen, 16), head_shares(deepseek, 16)
    (0.5, 0.25, 1.0)
    """
    if model.latent_attention is not None:
        return 1.0
    return -(-model.kv_heads // hosts) / model.kv_heads


def tensor_parameters(model: MoEModel, hosts: int) -> int:
    """Return the parameters of one layer's attention on each of several tensor-parallel hosts, rounded up."""
    if (mla := model.latent_attention) is not None:
        whole = model.hidden * (mla.query_rank + mla.kv_rank + mla.rope_dim) + mla.query_rank + mla.kv_rank
        return whole + -(-(model.attention_parameters - whole) // hosts)
    copied = 2 * model.hidden * model.kv_heads * model.head_dim
    rest = model.attention_parameters - copied
    return -(-rest // hosts) + round(copied * head_shares(model, hosts))


def tensor_work(model: MoEModel, batch: Batch, sequences: float, hosts: int, *, windowed: bool) -> Work:
    """Return the work of one layer's attention on each of several tensor-parallel hosts.

    Products of heads are shared out; what is copied (`head_shares`) is not.
    """
    whole = attention_work(model, batch, sequences, windowed=windowed, prompts=sequences / batch.sequences)
    share = max(1 / hosts, tensor_parameters(model, hosts) / model.attention_parameters)
    return share * whole


def cache_shares(
    package: Package, model: MoEModel, stacks: MemoryStacks, where: str, sequences: Mapping[str, float]
) -> dict[tuple[str, str], float]:
    """Return the share of all keys and values of a micro-batch that each host has on each stack.

    Parameters
    ----------
    where
        ``hosts``, ``sequences`` or ``heads``.
    sequences
        Sequences of a micro-batch on each host.

    Returns
    -------
    dict
        By (stack, host); the shares sum to 1 where there are stacks.

    Raises
    ------
    WorkloadError
        If caches are to be dealt over stacks and the package has none.
    """
    total = sum(sequences.values())
    if where == "hosts":
        return {
            (memory.name, host): count / total * share
            for host, count in sequences.items()
            for memory, share in stacks.shares(host)
        }
    names = [memory.name for memory in package.memories]
    if not names:
        raise WorkloadError(
            f"package {package.name!r} has no memory stacks to deal caches over: leave cache='hosts', or "
            "attach_memory(...)"
        )
    heads = model.kv_heads if where == "heads" and model.latent_attention is None else 1
    found: dict[tuple[str, str], float] = {}
    turn = 0
    for host, count in sequences.items():
        pieces = max(round(count * heads), 1)
        for i in range(pieces):
            place = (names[(turn + i) % len(names)], host)
            found[place] = found.get(place, 0.0) + count / total / pieces
        turn += pieces
    return found
