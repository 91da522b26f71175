"""What is measured: our services, and the peers beside them."""
