"""The documentation site that the gateway serves under /docs: static HTML from docs/ and the contracts."""
