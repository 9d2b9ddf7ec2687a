"""The chapters as tests."""

import os

# a bar's text would differ from run to run
os.environ.setdefault("TQDM_DISABLE", "1")
