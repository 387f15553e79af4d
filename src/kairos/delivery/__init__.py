"""Delivery: versions and their stages, the rollout, when to retrain. Deciding is apart from doing."""
