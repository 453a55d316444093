"""Shared by the commands: flags, help, messages and exit codes."""
