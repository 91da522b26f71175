"""The server programs: where each comes from, how it is run, and when it is ready."""
