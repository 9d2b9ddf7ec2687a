"""What chapter 14 records and measures."""
