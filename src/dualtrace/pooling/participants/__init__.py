"""One-stage models of patient-level data from several trials, real or virtual."""
