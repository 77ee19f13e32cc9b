"""Speed, measured on one thread against bare primitives in the same run."""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # which the libraries read when they are loaded
