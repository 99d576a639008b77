"""Long work as tasks whose results are stored by hash: stop it, kill it, start it again, and nothing is lost.

:func:`~dualtrace.runner.execute.run_tasks` is the one entry; a :class:`~dualtrace.runner.task.Task` is what it runs,
a :class:`~dualtrace.runner.store.Store` is where results lie. Importing this package loads nothing.
"""
