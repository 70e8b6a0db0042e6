"""python -m ws_core.bench: see _cli/bench.py."""

import sys

from ws_core._cli.bench import main

if __name__ == "__main__":
    sys.exit(main())
