"""The report: tables and an HTML page from result lines and manifests."""
