"""The bikes example. This file makes the folder a part of the package; it is not copied into a user's project."""
