# The table as SQL, for who reads the bucket from another account: partition projection needs nothing of this catalog.
locals {
  ddl_columns = [
    for column in local.schema.columns : "  `${column.name}` ${column.type} COMMENT '${replace(column.comment, "'", "\\'")}'"
  ]
  ddl_keys = [for key in local.schema.partition_keys : "  `${key.name}` ${key.type} COMMENT '${replace(key.comment, "'", "\\'")}'"]
  ddl_properties = [
    for name, value in aws_glue_catalog_table.events.parameters : "  '${name}' = '${value}'" if name != "EXTERNAL"
  ]

  ddl = <<-SQL
    CREATE EXTERNAL TABLE `${local.schema.table}` (
    ${join(",\n", local.ddl_columns)}
    )
    PARTITIONED BY (
    ${join(",\n", local.ddl_keys)}
    )
    STORED AS PARQUET
    LOCATION '${local.location}'
    TBLPROPERTIES (
    ${join(",\n", local.ddl_properties)}
    )
  SQL
}
