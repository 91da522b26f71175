"""Moving from the Express original: reads its database, and brings what is in it into an installation."""
