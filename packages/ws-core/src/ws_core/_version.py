# Read by setup (pyproject.toml) without importing anything.
__version__ = "0.1.0"
