"""What Kairos claims about speed, measured beside a peer in the same minutes. Run from the top of the repository."""
