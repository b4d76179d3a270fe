"""What the transform and the receiver share: the event, its envelope, its partition."""
