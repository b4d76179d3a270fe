"""What runs in AWS Lambda: the receiver takes batches in, the transform turns events into rows."""
