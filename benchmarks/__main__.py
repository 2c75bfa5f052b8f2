"""``python -m benchmarks``: run every benchmark in turn, each in a process of its own.

Each prints ratios measured side by side in its own run; none asserts seconds. Arguments choose by name:
``python -m benchmarks schedule``. Each file's own text says what else it can be asked.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ASKED = {
    "allocation": (["quality"], ["seconds"], ["time"]),
    "collectives": (["cuts"], ["schedules"], ["groups"]),
    "plans": (["certified"], ["limited"]),
    "report": ([], ["browser"]),
    "run": (["stages", "8"], ["routes"]),
    "serving": (["curve"], ["steps"]),
    "what_if": (["ladder"], ["losses"], ["pairs"]),
    "flow": (["cells"], ["highs"], ["routings"], ["multicast"]),
}


def main() -> None:
    known = {path.stem.removeprefix("bench_"): path for path in sorted(HERE.glob("bench_*.py"))}
    chosen = sys.argv[1:] or list(known)
    unknown = [name for name in chosen if name not in known]
    if unknown:
        sys.exit(f"no benchmark named {unknown[0]!r}; known: {', '.join(known)}")
    for name in chosen:
        for words in ASKED.get(name, ([],)):
            print(f"== {' '.join([name, *words])}", flush=True)
            subprocess.run([sys.executable, str(known[name]), *words], check=True, cwd=HERE.parent)


if __name__ == "__main__":
    main()
