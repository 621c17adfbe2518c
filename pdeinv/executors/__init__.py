"""Where independent tasks run; every backend is a ``concurrent.futures.Executor``.

Nothing here imports NumPy, so that :mod:`pdeinv.executors.task` can limit a worker's threads first.
"""

from pdeinv.executors.processes import process_pool, single_threaded

__all__ = ["process_pool", "single_threaded"]
