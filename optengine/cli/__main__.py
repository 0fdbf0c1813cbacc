"""`python -m optengine.cli` is the command `optengine`."""

import sys

from optengine.cli import main

sys.exit(main())
