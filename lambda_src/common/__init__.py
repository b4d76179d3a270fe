"""What both functions know: the event, its envelope, its partition, their settings."""
