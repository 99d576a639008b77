"""Dualtrace."""
