"""What runs in AWS Lambda; the local runtime runs the same code."""
