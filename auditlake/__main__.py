"""`python -m auditlake` is `auditlake`."""

from auditlake.cli import main

if __name__ == "__main__":
    main()
