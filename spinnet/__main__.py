"""``python -m spinnet`` is the command ``spinnet``."""

import sys

from spinnet.cli import main

if __name__ == "__main__":
    sys.exit(main())
