locals {
  queries = {
    for path in fileset("${var.glue_dir}/queries", "*.sql") :
    trimsuffix(path, ".sql") => file("${var.glue_dir}/queries/${path}") if !contains(keys(local.views), trimsuffix(path, ".sql"))
  }
}

# The first line of each file is a comment with the question that it answers.
resource "aws_athena_named_query" "queries" {
  for_each = local.queries

  name        = each.key
  description = trimspace(trimprefix(split("\n", each.value)[0], "--"))
  workgroup   = aws_athena_workgroup.audit.name
  database    = aws_glue_catalog_database.audit.name
  query       = each.value

  lifecycle {
    precondition {
      condition     = startswith(each.value, "-- ")
      error_message = "queries/${each.key}.sql must start with a comment line (-- ) that holds the question it answers."
    }
  }
}
