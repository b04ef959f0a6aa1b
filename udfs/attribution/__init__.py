"""The per-user rules: the executable specification here, the engine that runs in Flink under ``src/``."""
