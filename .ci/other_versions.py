"""Run the tests with the lowest versions that pyproject.toml declares, or under other Pythons.

``other_versions.py --lowest`` installs the lowest version of every direct dependency (uv resolves them);
``other_versions.py python3.12 python3.13`` takes each interpreter that is on this machine and says which are
not. Each runs in an environment of its own, outside the checkout's.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = ["tests/contracts", "tests/test_pipeline.py", "tests/test_cli.py", "tests/formats", "tests/plot"]
"""What touches every dependency."""
OPTIONS = ["--deselect", "tests/plot/test_plot_golden.py", "-W", "default"]
"""Golden images belong to one matplotlib; old libraries warn of their own use of newer ones."""
TOOLS = ["hypothesis>=6.100", "pytest>=8.2", "pandas>=2.2"]


def run_with(python: str, resolution: str) -> bool:
    """Return whether the tests pass under an interpreter, with the lowest or the highest versions."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)}
        inside = f"{folder}/bin/python"
        uv = [sys.executable, "-m", "uv", "--quiet"]
        subprocess.run([*uv, "venv", "--clear", "--python", python, folder], check=True)
        install = [*uv, "pip", "install", "--python", inside, "--resolution", resolution]
        subprocess.run([*install, "-e", str(ROOT), *TOOLS], check=True, cwd=ROOT)
        command = [inside, "-m", "pytest", "-q", *OPTIONS, *TESTS]
        done = subprocess.run(command, env=environment, cwd=ROOT, check=False)
    print(f"{python}, {resolution} versions: {'passed' if done.returncode == 0 else 'FAILED'}", flush=True)
    return done.returncode == 0


def usable(python: str) -> bool:
    """Return whether an interpreter is on this machine and starts."""
    if shutil.which(python) is None:
        return False
    done = subprocess.run([python, "-c", "import sys"], capture_output=True, check=False)
    return done.returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pythons", nargs="*")
    parser.add_argument("--lowest", action="store_true")
    asked = parser.parse_args()
    passed = [run_with(sys.executable, "lowest-direct")] if asked.lowest else []
    for python in asked.pythons:
        if usable(python):
            passed.append(run_with(python, "highest"))
        else:
            print(f"{python}: not on this machine, left out")
    sys.exit(0 if all(passed) else 1)


if __name__ == "__main__":
    main()
