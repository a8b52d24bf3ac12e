"""From the result stream of an execution to files and tables: types, readers, one loader a warehouse."""
