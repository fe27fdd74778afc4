"""Files and folders that are complete or not there, and arrays that are read as data."""
