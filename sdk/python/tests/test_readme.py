"""The README's code runs, block after block."""

import re
import sys
import types
import unittest
from pathlib import Path


class Readme(unittest.TestCase):
    def test_its_code_runs(self) -> None:
        readme = Path(__file__).parent.parent / "README.md"
        blocks = re.findall(r"^```python\n(.*?)^```", readme.read_text(encoding="utf-8"), re.M | re.S)
        self.assertEqual(len(blocks), 4)
        module = types.ModuleType("readme")  # annotations are looked up in the module
        sys.modules["readme"] = module
        try:
            for block in blocks:
                exec(compile(block, str(readme), "exec"), module.__dict__)
        finally:
            del sys.modules["readme"]
