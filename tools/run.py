#!/usr/bin/env python3
"""One run, from names to a report: the same as `spa3d run`."""

import sys

try:
    from spa3d.__main__ import main
except ModuleNotFoundError as missing:
    sys.exit(f"tools/run.py: no module {missing.name!r} here; run `make setup`, then `.venv/bin/python tools/run.py`")
except KeyboardInterrupt:
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]]))
