locals {
  schema   = jsondecode(file("${var.glue_dir}/events.schema.json"))
  database = var.catalog.database == null ? local.schema.database : var.catalog.database
  location = "s3://${var.bucket.name}/${var.bucket.events_prefix}"

  # Partition projection: Athena computes the partitions from these, so that none has to be registered (G).
  projection = merge([
    for key in local.schema.partition_keys : merge(
      { for setting, value in key.projection : "projection.${key.name}.${setting}" => value },
      key.projection.type == "enum" ? { "projection.${key.name}.values" = join(",", concat(var.audit_types, ["other"])) } : {},
    )
  ]...)
}

resource "aws_glue_catalog_database" "audit" {
  name        = local.database
  description = "The audit log ${var.name}."
}

resource "aws_glue_catalog_table" "events" {
  database_name = aws_glue_catalog_database.audit.name
  name          = local.schema.table
  description   = local.schema.comment
  table_type    = "EXTERNAL_TABLE"

  parameters = merge(local.projection, {
    EXTERNAL             = "TRUE"
    classification       = "parquet"
    "projection.enabled" = "true"
    "storage.location.template" = join("", [
      local.location, join("/", [for key in local.schema.partition_keys : "${key.name}=$${${key.name}}"]), "/",
    ])
  })

  dynamic "partition_keys" {
    for_each = local.schema.partition_keys

    content {
      name    = partition_keys.value.name
      type    = partition_keys.value.type
      comment = partition_keys.value.comment
    }
  }

  storage_descriptor {
    location      = local.location
    input_format  = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
    output_format = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"

    # Not the JSON SerDe that Firehose reads with: Athena would find nothing but NULL in Parquet (D8).
    ser_de_info {
      name                  = "parquet"
      serialization_library = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
    }

    dynamic "columns" {
      for_each = local.schema.columns

      content {
        name    = columns.value.name
        type    = columns.value.type
        comment = columns.value.comment
      }
    }
  }

  lifecycle {
    precondition {
      condition     = length(setintersection(local.schema.columns[*].name, local.schema.partition_keys[*].name)) == 0
      error_message = "events.schema.json must not name a partition key among its columns: Athena answers HIVE_INVALID_METADATA for duplicate columns."
    }
  }
}
