# A stack as somebody else may write it: linked by ids that no plan knows before the apply, and wrong in many places.

resource "aws_s3_bucket" "lake" {
  bucket_prefix = "lake-"
  force_destroy = true
}
resource "aws_iam_role" "firehose" {
  name               = "firehose"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "firehose.amazonaws.com" } }] })
}
resource "aws_lambda_function" "transform" {
  function_name = "transform"
  role          = aws_iam_role.firehose.arn
  handler       = "main.handle"
  runtime       = "python3.13"
  s3_bucket     = "code"
  s3_key        = "transform.zip"
}
resource "aws_kinesis_firehose_delivery_stream" "lake" {
  name        = "lake"
  destination = "extended_s3"
  extended_s3_configuration {
    role_arn            = aws_iam_role.firehose.arn
    bucket_arn          = aws_s3_bucket.lake.arn
    prefix              = "events/day=!{partitionKeyFromLambda:day}/"
    error_output_prefix = "events/errors/"
    buffering_size      = 5
    buffering_interval  = 30
    compression_format  = "GZIP"
    dynamic_partitioning_configuration { enabled = true }
    processing_configuration {
      enabled = true
      processors {
        type = "Lambda"
        parameters {
          parameter_name  = "LambdaArn"
          parameter_value = "${aws_lambda_function.transform.arn}:$LATEST"
        }
        parameters {
          parameter_name  = "BufferIntervalInSeconds"
          parameter_value = "60"
        }
      }
    }
    data_format_conversion_configuration {
      input_format_configuration {
        deserializer {
          open_x_json_ser_de {}
        }
      }
      output_format_configuration {
        serializer {
          parquet_ser_de {}
        }
      }
      schema_configuration {
        role_arn      = aws_iam_role.firehose.arn
        database_name = aws_glue_catalog_database.lake.name
        table_name    = aws_glue_catalog_table.events.name
      }
    }
  }
}
resource "aws_glue_catalog_database" "lake" { name = "lake" }
resource "aws_glue_catalog_table" "events" {
  database_name = aws_glue_catalog_database.lake.name
  name          = "events"
  table_type    = "EXTERNAL_TABLE"
  parameters    = { "projection.enabled" = "true", "projection.day.type" = "date", "projection.day.format" = "yyyy-MM-dd", "storage.location.template" = "s3://lake/events/$${day}" }
  partition_keys {
    name = "day"
    type = "string"
  }
  storage_descriptor {
    location = "s3://${aws_s3_bucket.lake.bucket}/events/"
    ser_de_info { serialization_library = "org.openx.data.jsonserde.JsonSerDe" }
    columns {
      name = "day"
      type = "string"
    }
  }
}
resource "aws_api_gateway_rest_api" "lake" { name = "lake" }
resource "aws_api_gateway_resource" "events" {
  rest_api_id = aws_api_gateway_rest_api.lake.id
  parent_id   = aws_api_gateway_rest_api.lake.root_resource_id
  path_part   = "events"
}
resource "aws_api_gateway_method" "post" {
  rest_api_id   = aws_api_gateway_rest_api.lake.id
  resource_id   = aws_api_gateway_resource.events.id
  http_method   = "POST"
  authorization = "NONE"
}
resource "aws_api_gateway_integration" "post" {
  rest_api_id = aws_api_gateway_rest_api.lake.id
  resource_id = aws_api_gateway_resource.events.id
  http_method = aws_api_gateway_method.post.http_method
  type        = "AWS"
  uri         = "arn:aws:apigateway:eu-central-1:firehose:action/PutRecord"
}
resource "aws_api_gateway_deployment" "lake" {
  rest_api_id = aws_api_gateway_rest_api.lake.id
}
resource "aws_api_gateway_stage" "lake" {
  rest_api_id   = aws_api_gateway_rest_api.lake.id
  deployment_id = aws_api_gateway_deployment.lake.id
  stage_name    = "v-1"
}
resource "aws_athena_workgroup" "lake" { name = "lake" }
resource "aws_s3_bucket_lifecycle_configuration" "lake" {
  bucket = aws_s3_bucket.lake.id
  rule {
    id     = "archive"
    status = "Enabled"
    filter {}
    transition {
      days          = 10
      storage_class = "STANDARD_IA"
    }
    transition {
      days          = 90
      storage_class = "GLACIER"
    }
    expiration { days = 90 }
  }
}
