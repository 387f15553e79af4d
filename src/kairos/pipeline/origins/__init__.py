"""Where a source's raw data come from: what a project declares, and how its rows are read. Loads no data library."""
