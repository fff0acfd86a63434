"""The workflow language: Open Workflow DSL 1.0.3 in a written profile (docs/workflow-language.md).

Pure: no clock, database or socket. `document` loads, `check` proves what can be proved before a
run, `interpreter` runs a document over the port in `effects`, which the engine implements.
"""
