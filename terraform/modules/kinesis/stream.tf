locals {
  stream_name = "${var.name}-source"
  stream_arn  = "arn:${var.account.partition}:kinesis:${var.account.region}:${var.account.id}:stream/${local.stream_name}"
  provisioned = var.kinesis_source.stream_mode == "PROVISIONED"
}

# The delivery stream reads it from the time on at which the delivery stream was made.
resource "aws_kinesis_stream" "source" {
  #checkov:skip=CKV_AWS_185:the key that AWS manages by default; encryption.mode customer_managed sets a key

  name             = local.stream_name
  retention_period = var.kinesis_source.retention_hours
  shard_count      = local.provisioned ? var.kinesis_source.shard_count : null
  encryption_type  = "KMS"
  kms_key_id       = var.encryption.customer_managed ? var.encryption.key_arn : "alias/aws/kinesis"

  # A consumer that somebody else registers must not be cut off by a destroy that forgot it.
  enforce_consumer_deletion = false

  stream_mode_details {
    stream_mode = var.kinesis_source.stream_mode
  }
}
