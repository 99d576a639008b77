"""The report's chapters, one per file; each turns results into blocks."""
