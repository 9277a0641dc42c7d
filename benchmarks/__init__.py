"""One file per question, each printing one JSON object; ``python -m benchmarks`` runs them all."""

from __future__ import annotations

import sys
from pathlib import Path

# The simulated servers are the tests' as well.
sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
