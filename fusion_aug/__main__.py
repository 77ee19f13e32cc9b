"""``python -m fusion_aug``."""

import sys

from fusion_aug.cli import main

sys.exit(main())
