"""The care of the files: recovery, compaction, snapshots, and the audit of the books."""
