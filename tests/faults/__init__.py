"""The fault suite: faults befall real processes, files and connections, and no acknowledged event is lost."""
