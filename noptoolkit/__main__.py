"""``python -m noptoolkit`` is the command ``noptoolkit``."""

from noptoolkit.cli import main

if __name__ == "__main__":
    main()
