"""The page and the tables: pure functions of result lines and manifests."""
