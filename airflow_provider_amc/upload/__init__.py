"""Rows on their way into AMC: read from S3, hashed, staged. The opposite direction of ``landing``."""
