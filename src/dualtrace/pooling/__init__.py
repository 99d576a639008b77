"""Effects with their variances -> pooled answers.

``univariate.fit`` pools exact effects, ``partial.fit`` pools exact effects, intervals and directions;
``groups.subgroups`` and ``robustness.leave_one_out`` repeat the first by group and without each row;
``formula.design`` turns a moderator formula into a design matrix. The numerical core (``likelihood``, ``search``,
``tau2``, ``inference``; ``interval``, ``coarse``, ``profile``) is batched over data sets and knows no labels.
"""
