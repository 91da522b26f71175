"""The commands that work with an installation that runs; each module is one, or one group."""
