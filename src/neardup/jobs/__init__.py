"""What neardup does: each job a typed function that never prints, called by the command line, scripts and tests."""
