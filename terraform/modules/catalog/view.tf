locals {
  # Both have the table's columns, and how many different events came under the event_id.
  views = {
    events_deduplicated = "Each event once; delivery is at least once."
    conflicting_events  = "The events whose event_id was used for other events too."
  }
  view_columns = concat(
    [for column in concat(local.schema.columns, local.schema.partition_keys) : { name = column.name, type = column.type }],
    [{ name = "versions", type = "bigint" }],
  )

  # Athena keeps a view as JSON with Trino's types, where the table has Hive's: array<struct<a:string>> is array(row(a varchar)).
  view_definitions = {
    for name, _ in local.views : name => jsonencode({
      originalSql = trimspace(file("${var.glue_dir}/queries/${name}.sql"))
      catalog     = "awsdatacatalog"
      schema      = local.database
      columns = [
        for column in local.view_columns : {
          name = column.name
          type = replace(replace(replace(replace(replace(replace(replace(column.type,
            "/\\bstruct</", "row("),
            "/\\barray</", "array("),
            ">", ")"),
            ":", " "),
            "/\\bstring\\b/", "varchar"),
            "/\\btimestamp\\b/", "timestamp(3)"),
          "/\\bint\\b/", "integer")
        }
      ]
    })
  }
}

resource "aws_glue_catalog_table" "views" {
  for_each = local.views

  database_name      = aws_glue_catalog_database.audit.name
  name               = each.key
  description        = each.value
  table_type         = "VIRTUAL_VIEW"
  view_original_text = "/* Presto View: ${base64encode(local.view_definitions[each.key])} */"
  view_expanded_text = "/* Presto View */"

  parameters = {
    presto_view = "true"
    comment     = "Presto View"
  }

  storage_descriptor {
    ser_de_info {
      name                  = "-"
      serialization_library = "-"
    }

    dynamic "columns" {
      for_each = local.view_columns

      content {
        name = columns.value.name
        type = columns.value.type
      }
    }
  }

  depends_on = [aws_glue_catalog_table.events]
}

moved {
  from = aws_glue_catalog_table.view
  to   = aws_glue_catalog_table.views["events_deduplicated"]
}
