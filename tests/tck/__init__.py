"""The A2A compatibility kit against what we serve: `make tck TCK=...`."""
