"""The only modules that talk to this service's collections."""
