"""What commands need to work with an installation that runs, here or elsewhere."""
