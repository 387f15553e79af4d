"""What a good user of each peer would write. Each file runs in the environment of its peer, where Kairos is not."""
