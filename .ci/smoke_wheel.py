"""Build the wheel, install it in a new environment outside the checkout, and use it there."""

import os
import subprocess
import sys
import tempfile
import venv
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


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        build = ["-m", "build", "--wheel", "--outdir", str(place), str(ROOT)]
        subprocess.run([sys.executable, *build], check=True, stdout=subprocess.DEVNULL)
        (wheel,) = place.glob("*.whl")
        venv.create(place / "venv", with_pip=True)
        python = str(place / "venv" / "bin" / "python")
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)]
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        for arguments in (install, ["-c", USE], ["-m", "noptoolkit", "list"]):
            subprocess.run([python, *arguments], check=True, cwd=place, env=environment)
    print("the wheel works outside the checkout")


if __name__ == "__main__":
    main()
