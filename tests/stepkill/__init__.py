"""Golden scenarios, killed at every boundary: every request and every journal commit, in three modes."""
