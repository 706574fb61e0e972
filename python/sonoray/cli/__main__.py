"""python -m sonoray.cli"""

import sys

from . import main

sys.exit(main())
