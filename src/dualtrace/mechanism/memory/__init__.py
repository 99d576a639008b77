"""Memory: events and rests -> fear. One file per model; read ``contract`` first."""
