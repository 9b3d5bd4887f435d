"""What operators, support and sales read about the runs."""
