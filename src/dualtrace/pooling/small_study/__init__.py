"""Small-study effects and selective reporting: tests of the funnel, adjusted estimates, selection models."""
