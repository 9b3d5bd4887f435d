"""What a sync costs: API calls, tickets a second, and an idle run against a bare HTTP request. `python -m benchmarks`."""
