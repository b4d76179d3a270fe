# Composed, so that a plan knows them; whoever uses the table still waits for it.
output "table" {
  description = "The table of events, and its partition keys in the order of the path."
  value = {
    database       = local.database
    name           = local.schema.table
    partition_keys = local.schema.partition_keys[*].name
  }
  depends_on = [aws_glue_catalog_table.events]
}

output "view" {
  description = "The view that shows each event once."
  value       = aws_glue_catalog_table.views["events_deduplicated"].name
}

output "workgroup" {
  description = "The Athena workgroup."
  value       = aws_athena_workgroup.audit.name
}

output "ddl" {
  description = "The CREATE EXTERNAL TABLE statement of the events, for Athena in another account."
  value       = local.ddl
}
