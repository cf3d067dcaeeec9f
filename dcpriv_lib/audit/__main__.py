"""``python -m dcpriv_lib.audit``, see `command`."""

import sys

from .command import main

sys.exit(main())
