"""The mechanism against the trials: what the trials say, what the mechanism predicts of them, and rival accounts."""
