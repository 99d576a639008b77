"""The benchmark trial's equations once more, by other means, to be timed beside dualtrace's engine."""
