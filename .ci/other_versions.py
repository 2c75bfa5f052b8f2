"""Run the tests with the lowest versions that pyproject.toml declares, or under other Pythons.

``other_versions.py --lowest`` installs the lowest version of every direct dependency (uv resolves them), of
the extras too; ``other_versions.py python3.12 python3.13`` takes each interpreter that is on this machine (on
the path, or one of pyenv's) and says which are not. Each runs in an environment of its own, outside the
checkout's. Every module is imported, then the tests run that touch every dependency.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = (
    "chakra,distributed,frames,hypergraph,infragraph,metis,notebook,parquet,report,search,sensitivity,testing"
)
TESTS = [
    *("tests/contracts", "tests/formats", "tests/physical", "tests/plot", "tests/studies", "tests/testing"),
    *(
        "tests/test_cli.py",
        "tests/test_faults.py",
        "tests/test_pipeline.py",
        "tests/report/test_report_page.py",
    ),
]
"""What touches every dependency."""
IMPORTS = """
import importlib, pkgutil, noptoolkit
for one in pkgutil.walk_packages(noptoolkit.__path__, "noptoolkit."):
    if not one.name.endswith("__main__"):
        importlib.import_module(one.name)
"""
OPTIONS = ["--deselect", "tests/plot/test_plot_golden.py", "-W", "default"]
"""Golden images belong to one matplotlib; old libraries warn of their own use of newer ones."""
TOOLS = ["ortools>=9.10", "pytest>=8.2", "simpy>=4.1"]


def run_with(python: str, resolution: str) -> bool:
    """Return whether the tests pass under an interpreter, with the lowest or the highest versions."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)}
        inside = f"{folder}/bin/python"
        uv = [sys.executable, "-m", "uv", "--quiet"]
        subprocess.run([*uv, "venv", "--clear", "--python", python, folder], check=True)
        install = [*uv, "pip", "install", "--python", inside, "--resolution", resolution]
        subprocess.run([*install, "-e", f"{ROOT}[{EXTRAS}]", *TOOLS], check=True, cwd=ROOT)
        done = subprocess.run([inside, "-c", IMPORTS], env=environment, cwd=ROOT, check=False)
        if done.returncode == 0:
            command = [inside, "-m", "pytest", "-q", *OPTIONS, *TESTS]
            done = subprocess.run(command, env=environment, cwd=ROOT, check=False)
    print(f"{python}, {resolution} versions: {'passed' if done.returncode == 0 else 'FAILED'}", flush=True)
    return done.returncode == 0


def interpreter(python: str) -> str | None:
    """Return an interpreter of this name that starts: of the path, or of pyenv, whose shims may be empty."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    pyenv = sorted(root.glob(f"{python.removeprefix('python')}.*/bin/{python}"))
    for found in (shutil.which(python), *map(str, reversed(pyenv))):
        if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            return found
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pythons", nargs="*")
    parser.add_argument("--lowest", action="store_true")
    asked = parser.parse_args()
    passed = [run_with(sys.executable, "lowest-direct")] if asked.lowest else []
    for python in asked.pythons:
        if found := interpreter(python):
            passed.append(run_with(found, "highest"))
        else:
            print(f"{python}: not on this machine, left out")
    sys.exit(0 if all(passed) else 1)


if __name__ == "__main__":
    main()
