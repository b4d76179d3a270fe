"""Which object keys a directory can hold as paths."""

BUCKET_AREA = ".bucket"
"""The folder below the store's directory where the bucket keeps what is no current object."""
MAX_KEY_BYTES = 1024
"""S3's limit for a key in UTF-8."""
MAX_SEGMENT_BYTES = 255
"""What common file systems hold in one name."""


def key_problem(key: str) -> str | None:
    """Say why a key cannot be a path below the store's directory, as the end of a sentence; None when it can."""
    try:
        size = len(key.encode("utf-8"))
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    segments = key.split("/")
    if size > MAX_KEY_BYTES:
        return f"it is {size} bytes long; S3 allows {MAX_KEY_BYTES}"
    if "\0" in key:
        return "it holds a NUL character"
    if any(segment in ("", ".", "..") for segment in segments):
        return "a part between slashes is empty, `.` or `..`"
    if any(len(segment.encode("utf-8")) > MAX_SEGMENT_BYTES for segment in segments):
        return f"a part between slashes is longer than {MAX_SEGMENT_BYTES} bytes"
    if segments[0] == BUCKET_AREA:
        return f"`{BUCKET_AREA}` is the store's own directory"
    return None
