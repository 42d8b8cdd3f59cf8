"""What an instance of a function runs first: it arranges the modules as AWS does, and hands over.

Run by itself, without devkit, in ``LAMBDA_RUNTIME_DIR`` beside AWS's runtime client. The standard
library's ``site`` is left out, so that nothing that is installed on this machine is found.
"""

import os
import site
import sys

# What ``site`` gives every program.
for give in (site.setquit, site.setcopyright, site.sethelper):
    give()

runtime = os.environ["LAMBDA_RUNTIME_DIR"]
layers = os.environ.pop("_DEVKIT_LAYERS", "/opt")
version = f"python{sys.version_info.major}.{sys.version_info.minor}"
sys.path[:] = [
    os.environ["LAMBDA_TASK_ROOT"],
    f"{layers}/python/lib/{version}/site-packages",
    f"{layers}/python",
    *(path for path in sys.path if path != runtime),
    runtime,
]

from awslambdaric.__main__ import main  # noqa: E402 - it is found only now

main([sys.argv[0], os.environ["_HANDLER"]])
