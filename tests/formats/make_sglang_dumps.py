"""Write the files of ``data/`` as SGLang's expert distribution recorder does (needs torch; run by hand).

Two MoE layers after a dense one, 4 logical experts, of which 0 and 2 have a second, physical copy; top-2.
Five tokens in two forward passes, one of them padding.
"""

from pathlib import Path

DATA = Path(__file__).parent / "data"
PHYSICAL = [
    [[[4, 2], [3, 1]], [[5, 3], [0, 2]]],  # pass 0: [layers, tokens, k]
    [[[1, 2], [0, 3], [-1, -1]], [[2, 3], [4, 3], [-1, -1]]],
]
TO_LOGICAL = [2, 0, 3, 1, 0, 2]


def main() -> None:
    import torch

    records = []
    for number, ids in enumerate(PHYSICAL):
        padded = torch.full((3, len(ids[0]), 8), -1, dtype=torch.int32)
        padded[1:, :, :2] = torch.tensor(ids)
        counts = torch.zeros(3, 6, dtype=torch.int32)
        for layer in (1, 2):
            chosen = padded[layer][padded[layer] >= 0].long()
            counts[layer] = torch.bincount(chosen, minlength=6)
        labels = {"forward_pass_id": number, "rank": 0, "gatherer_key": "primary"}
        seen = {"input_ids": list(range(len(ids[0]))), "extend_seq_lens": [len(ids[0])], "forward_mode": 1}
        detail = {"topk_ids_of_layer": padded, "misc_objects": [], "global_physical_count": counts}
        records.append(labels | seen | detail)
    to_logical = torch.tensor([TO_LOGICAL] * 3)
    dump = {"records": records, "last_physical_to_logical_map": to_logical}
    torch.save(dump, DATA / "sglang_per_token.pt")
    for record in records:
        del record["topk_ids_of_layer"]
    torch.save(dump, DATA / "sglang_per_pass.pt")
    physical = torch.stack([record["global_physical_count"] for record in records])
    logical = torch.zeros(2, 3, 4, dtype=torch.int32).scatter_add_(2, to_logical.expand(2, 3, 6), physical)
    stat = {"rank": 0, "logical_count": logical, "average_utilization_rate_over_window": None}
    torch.save(stat, DATA / "sglang_stat.pt")


if __name__ == "__main__":
    main()
