"""`python -m bridge` is the `kitt` command."""

import sys

from bridge.cli import main

sys.exit(main())
