"""`python -m nasturtium` is the `nasturtium` command."""

from __future__ import annotations

import sys

from nasturtium.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
