"""What a project asks of an artifact beyond its types: that it is fresh, whole, unique, and distributed as before."""
