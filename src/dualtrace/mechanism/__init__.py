"""From a swallowed dose to the strengthened trace: one file per link, in causal order.

plasma → brain → receptor → tolerance → plasticity → consolidation; ``chain`` puts them together.
Importing this package loads nothing; JAX loads with the first numerical module.
"""
