"""The receiver: API Gateway hands it a batch of events, it puts them into the delivery stream."""
