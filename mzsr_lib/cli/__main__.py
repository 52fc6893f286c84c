"""``python -m mzsr_lib.cli``, the same as the command ``mzsr``."""

import sys

from mzsr_lib.cli.main import main

sys.exit(main())
