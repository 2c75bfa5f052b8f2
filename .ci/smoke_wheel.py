"""Build sdist and wheel, install the wheel in a new environment outside the checkout, and use it there."""

import email
import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
USE = """
import noptoolkit as nop
assert "site-packages" in nop.__file__, nop.__file__
package = nop.load_topology("mozart-nop-tree")
workload = nop.load_workload("qwen3-30b-a3b")
flow = nop.congestion(package, nop.traffic.all_to_all(package, "1 MB", among="experts"))
print(package, workload.name, flow, sep="\\n")
"""


def check_metadata(wheel: Path) -> None:
    """Raise where the wheel does not say what the project's own files say."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        said = email.message_from_string(archive.read(name).decode())
        files = set(archive.namelist())
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version = said["Version"]
    assert f"\nversion: {version}\n" in citation, f"CITATION.cff is not of version {version}"
    assert f"\n## {version}" in changes, f"CHANGELOG.md has no section {version}"
    for field in ("Summary", "License-Expression", "Requires-Python", "Description-Content-Type", "Keywords"):
        assert said[field], f"the wheel's metadata has no {field}"
    assert "noptoolkit/py.typed" in files, "the wheel carries no py.typed"
    assert any(name.endswith("_data/topologies/mozart-nop-tree.toml") for name in files), "no presets"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        build = ["-m", "build", "--outdir", str(place), str(ROOT)]  # the wheel is built from the sdist
        subprocess.run([sys.executable, *build], check=True, stdout=subprocess.DEVNULL)
        (wheel,) = place.glob("*.whl")
        check_metadata(wheel)
        venv.create(place / "venv", with_pip=True)
        python = str(place / "venv" / "bin" / "python")
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)]
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        for arguments in (install, ["-c", USE], ["-m", "noptoolkit", "list"]):
            subprocess.run([python, *arguments], check=True, cwd=place, env=environment)
    print("the wheel works outside the checkout")


if __name__ == "__main__":
    main()
