"""Names in backticks exist, addresses are well formed, papers are the ones that are cited."""

import builtins
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import pytest

import noptoolkit

ROOT = Path(__file__).parents[2]
PAPERS = {  # arXiv's number, and who or what is named where it is cited
    "1508.07909": "Sennrich",
    "1903.06059": "Kool",
    "1909.08053": "Megatron-LM",
    "1910.02054": "ZeRO",
    "2101.03961": "Fedus",
    "2104.04473": "Megatron-LM|interleaved",
    "2106.04756": "Applegate|PDLP",
    "2202.08906": "Zoph",
    "2205.05198": "Korthikanti|Megatron-LM|softmax",
    "2205.14135": "FlashAttention",
    "2211.13980": "Iff",
    "2211.13989": "Iff",
    "2211.17192": "Leviathan",
    "2212.10612": "Symons",
    "2311.06081": "Iff|RapidChiplet|as in",
    "2401.10241": r"Qi et al\.|zb-h",
    "2404.02357": "NetSmith|Green",
    "2405.04434": "DeepSeek-V2",
    "2406.19580": "FRED",
    "2407.16144": "Lu and Yang",
    "2408.06567": "AquilaMoE",
    "2412.19437": "DeepSeek",
    "2504.14960": r"Folding|989\.5",
    "2504.19878": "Iff",
    "2512.12279": "WATOS",
    "2603.07006": "Luo|Mozart|as in",
    "2605.05049": "Piper",
    "2606.10440": "ASTRA-sim",
}
NAMESPACES = ("http://www.w3.org/", "http://graphml.graphdrawing.org/")  # names, never fetched
ROLE = re.compile(r"(?<![`:\w])`([A-Za-z_][\w.]*?)(?:\(\))?`(?![`_])")


def texts() -> list[Path]:
    """Return every text that a reader or a user may see."""
    places = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "CITATION.cff", "docs", "gallery", "noptoolkit")
    places = (*places, "topologies", "workloads", "benchmarks")
    files = [path for place in places for path in ([ROOT / place, *(ROOT / place).rglob("*")])]
    made = {"_build", "generated", "auto_gallery", "__pycache__"}
    kinds = {".md", ".rst", ".py", ".toml", ".cff"}
    return [f for f in files if f.suffix in kinds and f.is_file() and not made & set(f.parts)]


def modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(noptoolkit.__path__, "noptoolkit."):
        if "__main__" not in found.name:
            yield importlib.import_module(found.name)


def docstrings(module: ModuleType) -> Iterator[tuple[str, object]]:
    yield module.__doc__ or "", module
    for value in vars(module).values():
        if getattr(value, "__module__", None) != module.__name__ or not (
            inspect.isclass(value) or callable(value)
        ):
            continue
        yield inspect.getdoc(value) or "", value
        if inspect.isclass(value):
            for inner in vars(value).values():
                yield (
                    inspect.getdoc(inner) or "" if callable(inner) or isinstance(inner, property) else "",
                    value,
                )


def exists(name: str, *places: object) -> bool:
    head, *rest = name.split(".")
    for place in places:
        value = place
        for part in (head, *rest):
            fields = getattr(value, "__dataclass_fields__", {})
            if not hasattr(value, part) and part not in fields:
                break
            value = getattr(value, part, None)
        else:
            return True
    if head == "noptoolkit":
        for cut in range(len(rest), -1, -1):
            try:
                found = importlib.import_module(".".join([head, *rest[:cut]]))
            except ModuleNotFoundError:
                continue
            return not rest[cut:] or exists(".".join(rest[cut:]), found)
    return False


MODULES = [noptoolkit, *modules()]


@pytest.mark.parametrize("module", MODULES[1:], ids=lambda module: module.__name__)
def test_names_in_docstrings_exist(module: ModuleType) -> None:
    package = importlib.import_module(module.__name__.rpartition(".")[0])
    dead = [
        f"{getattr(owner, '__qualname__', module.__name__)}: `{name}`"
        for text, owner in docstrings(module)
        for name in ROLE.findall(text)
        if not exists(name, owner, module, package, builtins, *MODULES)
    ]
    assert not dead


def test_addresses_are_well_formed() -> None:
    bad = []
    for path in texts():
        for address in re.findall(r"\bhttps?://[^\s<>\"'`)\]}]+", path.read_text(encoding="utf-8")):
            parts = urlsplit(address.rstrip(".,;"))
            secure = parts.scheme == "https" or address.startswith(NAMESPACES)
            if not secure or not re.fullmatch(r"([a-z0-9-]+\.)+[a-z]{2,}", parts.netloc):
                bad.append(f"{path.relative_to(ROOT)}: {address}")
    assert not bad


def test_papers_are_the_ones_that_are_cited() -> None:
    wrong, seen = [], set()
    for path in texts():
        text = path.read_text(encoding="utf-8")
        for match in re.finditer(r"ar[Xx]iv(?:\.org/abs/|[ :]+)(\d{4}\.\d{4,5})", text):
            near = text[max(match.start() - 400, 0) : match.end() + 200]
            seen.add(match[1])
            if match[1] not in PAPERS or not re.search(PAPERS[match[1]], near):
                wrong.append(f"{path.relative_to(ROOT)}: {match[0]}")
    assert not wrong, "look the number up, then say in PAPERS who is cited under it"
    assert seen == set(PAPERS)
