"""The chapters as tests."""

import os

# a bar's text would differ from run to run
os.environ.setdefault("TQDM_DISABLE", "1")
# One worker of several, one core: beside another, a second thread costs more than it brings.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
