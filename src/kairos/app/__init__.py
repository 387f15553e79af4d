"""The application: settings, wiring, the loop, and the loop under another clock."""
