mock_provider "aws" {}

variables {
  encryption     = { customer_managed = false, key_arn = null }
  name           = "auditlake"
  account        = { id = "123456789012", region = "us-east-1", partition = "aws" }
  audit_types    = ["login", "payment"]
  bucket         = { name = "auditlake-events-123456789012", arn = "arn:aws:s3:::auditlake-events-123456789012", events_prefix = "events/" }
  results_bucket = { name = "auditlake-athena-results-123456789012", arn = "arn:aws:s3:::auditlake-athena-results-123456789012" }
  catalog        = { database = null, scan_cutoff_bytes = 10737418240, crawler_schedule = null }
  glue_dir       = "../../../glue"
}

run "the_table_has_the_columns_of_the_schema" {
  command = plan

  assert {
    condition     = [for column in aws_glue_catalog_table.events.storage_descriptor[0].columns : { name = column.name, type = column.type, comment = column.comment }] == [for column in jsondecode(file("../../../glue/events.schema.json")).columns : { name = column.name, type = column.type, comment = column.comment }]
    error_message = "Columns should be those of events.schema.json, in its order."
  }

  assert {
    condition     = aws_glue_catalog_table.events.partition_keys[*].name == tolist(["audit_type", "year", "month", "day"])
    error_message = "Partition keys should be in the order of the path."
  }

  assert {
    condition     = aws_glue_catalog_table.events.database_name == "audit" && aws_glue_catalog_table.events.name == "events"
    error_message = "The table should be audit.events."
  }
}

run "athena_reads_parquet" {
  command = plan

  assert {
    condition     = aws_glue_catalog_table.events.storage_descriptor[0].ser_de_info[0].serialization_library == "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
    error_message = "With another SerDe Athena would find nothing but NULL."
  }

  assert {
    condition     = aws_glue_catalog_table.events.storage_descriptor[0].input_format == "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
    error_message = "The input format should be Parquet's."
  }
}

run "athena_projects_every_partition" {
  command = plan

  assert {
    condition     = aws_glue_catalog_table.events.parameters["projection.enabled"] == "true"
    error_message = "Projection should be on, so that no crawler is needed."
  }

  assert {
    condition     = aws_glue_catalog_table.events.parameters["projection.audit_type.type"] == "enum" && aws_glue_catalog_table.events.parameters["projection.audit_type.values"] == "login,payment,other"
    error_message = "The kinds should be the listed ones and other."
  }

  assert {
    condition     = alltrue([for key in ["audit_type", "year", "month", "day"] : contains(keys(aws_glue_catalog_table.events.parameters), "projection.${key}.type")])
    error_message = "Athena demands a projection for every partition key."
  }

  assert {
    condition     = aws_glue_catalog_table.events.parameters["storage.location.template"] == "s3://auditlake-events-123456789012/events/audit_type=$${audit_type}/year=$${year}/month=$${month}/day=$${day}/"
    error_message = "The location should hold every key and end with /."
  }
}

run "the_view_is_a_presto_view_over_the_same_database" {
  command = plan

  assert {
    condition     = aws_glue_catalog_table.views["events_deduplicated"].table_type == "VIRTUAL_VIEW" && aws_glue_catalog_table.views["events_deduplicated"].parameters.presto_view == "true"
    error_message = "Athena should take it for a view."
  }

  assert {
    condition     = jsondecode(base64decode(trimsuffix(trimprefix(aws_glue_catalog_table.views["events_deduplicated"].view_original_text, "/* Presto View: "), " */"))).schema == "audit"
    error_message = "The view should look into the database of the table."
  }

  assert {
    condition     = jsondecode(base64decode(trimsuffix(trimprefix(aws_glue_catalog_table.views["events_deduplicated"].view_original_text, "/* Presto View: "), " */"))).originalSql == trimspace(file("../../../glue/queries/events_deduplicated.sql"))
    error_message = "The view should be the SQL of the repository."
  }
}

run "the_view_has_trino_types_where_the_table_has_hive_types" {
  command = plan

  assert {
    condition = {
      for column in jsondecode(base64decode(trimsuffix(trimprefix(aws_glue_catalog_table.views["events_deduplicated"].view_original_text, "/* Presto View: "), " */"))).columns :
      column.name => column.type if contains(["event_id", "event_time", "late", "details", "problems", "day"], column.name)
      } == {
      event_id   = "varchar"
      event_time = "timestamp(3)"
      late       = "boolean"
      details    = "row(entity_type varchar,entity_id varchar,change_type varchar,changes array(row(field varchar,old_value varchar,new_value varchar)))"
      problems   = "array(varchar)"
      day        = "varchar"
    }
    error_message = "Types should be Trino's."
  }
}

run "another_database_makes_room_for_a_second_stack" {
  command = plan

  variables {
    catalog = { database = "audit_staging", scan_cutoff_bytes = 10737418240, crawler_schedule = null }
  }

  assert {
    condition     = aws_glue_catalog_database.audit.name == "audit_staging" && output.table.database == "audit_staging"
    error_message = "The database should be the given one."
  }

  assert {
    condition     = alltrue([for query in values(aws_athena_named_query.queries) : query.database == "audit_staging"])
    error_message = "Saved queries should run in the given database."
  }
}

run "the_workgroup_binds_every_client" {
  command = plan

  assert {
    condition     = aws_athena_workgroup.audit.configuration[0].enforce_workgroup_configuration && aws_athena_workgroup.audit.configuration[0].bytes_scanned_cutoff_per_query == 10737418240
    error_message = "The scan cutoff should hold for every client."
  }

  assert {
    condition     = aws_athena_workgroup.audit.configuration[0].result_configuration[0].output_location == "s3://auditlake-athena-results-123456789012/"
    error_message = "Results should not go into the locked bucket."
  }

  assert {
    condition     = aws_athena_workgroup.audit.configuration[0].result_configuration[0].encryption_configuration[0].encryption_option == "SSE_S3"
    error_message = "Results should be encrypted."
  }
}

run "a_key_of_the_customer_encrypts_results" {
  command = plan

  variables {
    encryption = { customer_managed = true, key_arn = "arn:aws:kms:us-east-1:123456789012:key/1234" }
  }

  assert {
    condition     = aws_athena_workgroup.audit.configuration[0].result_configuration[0].encryption_configuration[0].encryption_option == "SSE_KMS" && aws_athena_workgroup.audit.configuration[0].result_configuration[0].encryption_configuration[0].kms_key_arn == var.encryption.key_arn
    error_message = "Results should use the key."
  }
}

run "every_query_file_is_saved_with_the_question_it_answers" {
  command = plan

  assert {
    condition     = toset(keys(aws_athena_named_query.queries)) == toset([for path in fileset("../../../glue/queries", "*.sql") : trimsuffix(path, ".sql") if !contains(["events_deduplicated.sql", "conflicting_events.sql"], path)])
    error_message = "Every file but the views' should be a saved query."
  }

  assert {
    condition     = alltrue([for name, query in aws_athena_named_query.queries : query.name == name && length(query.description) > 10 && startswith(query.query, "-- ${query.description}")])
    error_message = "The description should be the first line."
  }
}

run "no_crawler_runs_by_default" {
  command = plan

  assert {
    condition     = length(aws_glue_crawler.events) + length(aws_iam_role.crawler) == 0
    error_message = "Projection needs no crawler."
  }
}

run "a_crawler_only_registers_partitions" {
  command = plan

  variables {
    catalog = { database = null, scan_cutoff_bytes = 10737418240, crawler_schedule = "cron(0 3 * * ? *)" }
  }

  assert {
    condition     = aws_glue_crawler.events[0].schema_change_policy[0].update_behavior == "LOG" && aws_glue_crawler.events[0].schema_change_policy[0].delete_behavior == "LOG"
    error_message = "The crawler should not change the table, whose columns are in the repository."
  }

  assert {
    condition     = !anytrue([for action in flatten(jsondecode(aws_iam_role_policy.crawler[0].policy).Statement[*].Action) : strcontains(action, "Table") && action != "glue:GetTable" || strcontains(action, "s3:Put") || strcontains(action, "Delete")])
    error_message = "The crawler should not be able to change the table or the data."
  }
}
