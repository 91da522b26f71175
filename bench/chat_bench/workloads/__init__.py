"""What is done to every target."""
