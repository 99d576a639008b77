"""Sparse counts: Mantel-Haenszel and Peto, logistic mixed and beta-binomial models; no cell needs a correction."""
