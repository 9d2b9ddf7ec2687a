"""What chapter 12 records and measures."""
