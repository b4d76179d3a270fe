# Composed, so that a plan knows them; whoever uses them still waits for the stream.
output "stream" {
  description = "The Kinesis data stream's name, ARN and retention in hours."
  value       = { name = local.stream_name, arn = local.stream_arn, retention_hours = var.kinesis_source.retention_hours }
  depends_on  = [aws_kinesis_stream.source]
}
