"""Virtual trials: protocols as data, and what is assumed where a protocol or a published record is silent."""
