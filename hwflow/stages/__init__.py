"""The stages of the command line as functions, one module a command."""
