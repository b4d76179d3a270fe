"""One Parquet file in memory, written with the options of the plan's Parquet SerDe (D6, documented)."""

import pyarrow as pa
import pyarrow.parquet

from auditlake.runtime.plan import Conversion

_CODECS = {"UNCOMPRESSED": "none", "SNAPPY": "snappy", "GZIP": "gzip"}
_PAGE_VERSIONS = {"V1": "1.0", "V2": "2.0"}


class ParquetFile:
    """Collects tables of one schema and writes a row group whenever their size in bytes has reached the plan's.

    UNV (D6): how Firehose stores a timestamp is not known (INT96 is assumed by some). Here it is an int64 of
    microseconds without zone, which pyarrow, DuckDB, Polars and Athena all read as the same plain UTC timestamp.
    """

    def __init__(self, schema: pa.Schema, conversion: Conversion) -> None:
        """Begin a file; `conversion` names codec, page and row group size, dictionary and writer version."""
        self.rows = 0
        self._row_group_size_bytes = conversion.row_group_size_bytes
        self._pending: list[pa.Table] = []
        self._pending_bytes = 0
        self._output = pa.BufferOutputStream()
        self._writer = pyarrow.parquet.ParquetWriter(
            self._output,
            schema,
            compression=_CODECS[conversion.compression],
            data_page_size=conversion.page_size_bytes,
            use_dictionary=conversion.dictionary,
            data_page_version=_PAGE_VERSIONS[conversion.writer_version],
            # No reader but pyarrow knows it: what the file says must be in its Parquet types.
            store_schema=False,
        )

    def add(self, table: pa.Table) -> None:
        """Take the rows of a table, and write a row group when they have reached its size in bytes."""
        self.rows += table.num_rows
        self._pending.append(table)
        self._pending_bytes += table.nbytes
        if self._pending_bytes >= self._row_group_size_bytes:
            self._write_row_group()

    def finish(self) -> bytes:
        """Return the file, or no bytes when it would hold no row."""
        self._write_row_group()
        self._writer.close()
        return self._output.getvalue().to_pybytes() if self.rows else b""

    def _write_row_group(self) -> None:
        if self._pending:
            table = pa.concat_tables(self._pending)
            self._writer.write_table(table, row_group_size=max(table.num_rows, 1))
            self._pending, self._pending_bytes = [], 0
