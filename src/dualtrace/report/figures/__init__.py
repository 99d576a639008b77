"""Drawings: a frozen specification and a function that draws it wide or narrow; numbers and words come ready."""
