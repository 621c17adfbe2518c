"""Where independent tasks run; every backend is a ``concurrent.futures.Executor``.

Nothing here imports NumPy, so that :mod:`pdeinv.executors.task` can limit a worker's threads first.
"""

from pdeinv.executors.processes import single_threaded
from pdeinv.executors.stages import kept_workers, process_pool

__all__ = ["kept_workers", "process_pool", "single_threaded"]
