"""What chapter 11 records and measures."""
