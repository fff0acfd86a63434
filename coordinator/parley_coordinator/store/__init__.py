"""The coordinator's tables and the statements on them: functions of a connection, no policy."""
