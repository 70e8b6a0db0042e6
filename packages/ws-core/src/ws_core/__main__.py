"""python -m ws_core: see _cli/talk.py."""

import sys

from ws_core._cli.talk import main

if __name__ == "__main__":
    sys.exit(main())
