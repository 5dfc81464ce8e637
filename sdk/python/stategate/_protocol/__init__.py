"""The wire protocol: generated code, and not part of what the package promises. It never decides anything."""
