"""How much an answer hangs on single rows, on subsets of rows, and on the reference distribution."""
