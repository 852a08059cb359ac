"""The back office at ALGO_BACKEND_BASE_URL: cameras come from there, statistics go there."""
