"""What crosses a boundary between services or to a client: one model per body, event and payload."""
