"""Parquet files in memory."""

import io

import pyarrow as pa
import pyarrow.parquet
import pytest

from auditlake.runtime.parquet import ParquetFile
from auditlake.runtime.plan import Conversion

SCHEMA = pa.schema([("s", pa.string()), ("n", pa.int64())])
ROWS = pa.table([[f"text {number % 7}" for number in range(20_000)], list(range(20_000))], schema=SCHEMA)


def written(conversion: Conversion, *tables: pa.Table) -> bytes:
    """Write tables into one file."""
    file = ParquetFile(SCHEMA, conversion)
    for table in tables:
        file.add(table)
    assert file.rows == sum(table.num_rows for table in tables)
    return file.finish()


def first_column(data: bytes) -> "pyarrow.parquet.ColumnChunkMetaData":
    """Return what the file says of its first column's first chunk."""
    return pyarrow.parquet.ParquetFile(io.BytesIO(data)).metadata.row_group(0).column(0)


def test_the_codec_is_the_one_asked_for() -> None:
    """SNAPPY, GZIP and UNCOMPRESSED are written as such, plain without a dictionary (D6)."""
    files = {codec: written(Conversion(compression=codec), ROWS) for codec in ("UNCOMPRESSED", "SNAPPY", "GZIP")}

    assert [first_column(data).compression for data in files.values()] == ["UNCOMPRESSED", "SNAPPY", "GZIP"]
    assert len(files["GZIP"]) < len(files["SNAPPY"]) < len(files["UNCOMPRESSED"])
    assert written(Conversion(), ROWS) == files["SNAPPY"]
    assert not first_column(files["SNAPPY"]).has_dictionary_page


def test_a_dictionary_is_written_when_asked_for() -> None:
    """`EnableDictionaryCompression` encodes a column's values as numbers of a dictionary (D6)."""
    assert first_column(written(Conversion(dictionary=True), ROWS)).has_dictionary_page


def test_smaller_pages_make_more_of_them() -> None:
    """`PageSizeBytes` bounds a page, which shows in the size of an uncompressed file (D6)."""
    small = written(Conversion(page_size_bytes=65536, compression="UNCOMPRESSED"), ROWS)

    assert len(small) > len(written(Conversion(compression="UNCOMPRESSED"), ROWS))


def test_writer_version_2_holds_the_same_rows_in_other_pages() -> None:
    """`WriterVersion` V2 writes version 2 data pages, which every reader takes (D6)."""
    version_2 = written(Conversion(writer_version="V2"), ROWS)

    assert version_2 != written(Conversion(), ROWS)
    assert pyarrow.parquet.read_table(io.BytesIO(version_2)).equals(ROWS)


def test_a_row_group_is_written_when_its_size_is_reached() -> None:
    """A file has one row group until `BlockSizeBytes` is reached (D6)."""
    tables = [ROWS.slice(start, 1000) for start in range(0, 20_000, 1000)]

    one = pyarrow.parquet.ParquetFile(io.BytesIO(written(Conversion(), *tables)))
    several = pyarrow.parquet.ParquetFile(
        io.BytesIO(written(Conversion(row_group_size_bytes=ROWS.nbytes // 4), *tables))
    )

    assert one.num_row_groups == 1
    assert 3 <= several.num_row_groups <= 5
    assert one.read().equals(ROWS)
    assert several.read().equals(ROWS)


def test_a_file_without_a_row_has_no_bytes() -> None:
    """Nothing is stored for records that all failed."""
    assert written(Conversion()) == b""
    assert written(Conversion(), ROWS.slice(0, 0)) == b""


@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.map_(pa.string(), pa.int32()), pa.decimal128(5, 2)])
def test_types_are_in_the_file_itself(kind: pa.DataType) -> None:
    """A reader finds each type without pyarrow's own schema, which is not stored."""
    schema = pa.schema([("c", kind)])
    file = ParquetFile(schema, Conversion())
    file.add(pa.table([pa.nulls(2, kind)], schema=schema))
    data = file.finish()

    assert pyarrow.parquet.read_metadata(io.BytesIO(data)).metadata is None
    assert pyarrow.parquet.read_schema(io.BytesIO(data)).types == [kind]
