"""What the tests of analysis/ share: the path to the package."""
import os
import sys
import unittest
from pathlib import Path

SOURCE = Path(os.environ.get("WHYPIX_SOURCE", Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(SOURCE / "analysis"))


def main() -> None:
    """Under python3 -W error, as test_analysis.sh runs them, any warning fails a test."""
    unittest.main()
