"""The database: tables, vintages, and what was published when."""
