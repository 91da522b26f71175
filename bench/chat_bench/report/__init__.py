"""What came out, as Markdown, JSON and plots."""
