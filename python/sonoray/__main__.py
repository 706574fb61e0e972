"""python -m sonoray"""

import sys

from .cli import main

sys.exit(main())
