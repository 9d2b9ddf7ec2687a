"""What chapter 13 records and measures."""
