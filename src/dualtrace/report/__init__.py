"""Results to page, PDF, tables and figures; the only part that draws."""
